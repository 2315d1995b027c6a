import base64
import json

import pytest

from gar_publish.errors import BadInput, CredentialsFailure, Failure
from gar_publish.settings.credential import (
    Ambient,
    Credential,
    Federation,
    GivenToken,
    Key,
    KeyPassword,
    member,
    read_credential,
)

PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
KEY = {
    "type": "service_account",
    "client_email": "a@b.iam.gserviceaccount.com",
    "private_key": "PEM",
    "private_key_id": "1",
}
KEY_FILE = json.dumps(KEY, indent=2)
OIDC = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://runner/?a=b",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner-secret",
}


def read(environment: dict[str, str] | None = None, /, **inputs: str) -> Credential:
    return read_credential({name.replace("_", "-"): value for name, value in inputs.items()}, environment or {})


@pytest.mark.parametrize("prefix", ["", "//iam.googleapis.com/", "https://iam.googleapis.com/"])
def test_workload_identity(prefix: str) -> None:
    credential = read(OIDC, workload_identity_provider=prefix + PROVIDER, service_account="a@b.iam.gserviceaccount.com")
    assert credential == Federation(PROVIDER, "a@b.iam.gserviceaccount.com", "https://runner/?a=b", "runner-secret")
    assert "runner-secret" not in repr(credential)


def test_without_the_permission_both_causes_are_named() -> None:
    with pytest.raises(CredentialsFailure) as caught:
        read(workload_identity_provider=PROVIDER)
    assert "id-token: write" in caught.value.fix
    assert "fork" in caught.value.cause
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "text",
    [json.dumps(KEY), json.dumps(KEY, indent=2), base64.b64encode(json.dumps(KEY).encode()).decode()],
    ids=["raw", "indented", "base64"],
)
def test_a_key_is_read_raw_or_as_base64(text: str) -> None:
    credential = read(credentials_json=text)
    assert credential == Key(KEY)
    assert "PEM" not in repr(credential)


def test_base64_may_be_wrapped() -> None:
    assert read(credentials_json=base64.encodebytes(json.dumps(KEY).encode()).decode()) == Key(KEY)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{not json", "not valid JSON"),
        ("hello world!", "neither JSON nor base64"),
        (base64.b64encode(json.dumps(KEY).encode()).decode()[:-7], "neither JSON|not valid JSON"),
        (base64.b64encode(b"plain text").decode(), "not valid JSON"),
        (json.dumps({"type": "authorized_user"}), "'authorized_user', not a service-account key"),
        (json.dumps({"installed": {}}), "without a type"),
        (
            json.dumps({"type": "service_account", "client_email": "a@b"}),
            "without private_key and private_key_id",
        ),
    ],
)
def test_what_is_no_key_is_refused_without_showing_it(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        read(credentials_json=text)
    assert text not in caught.value.explain()


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"workload_identity_provider": PROVIDER, "credentials_json": "x"}, "both given"),
        ({"credentials_json": "x", "access_token": "y"}, "both given"),
        ({"service_account": "a@b"}, "`workload-identity-provider` is missing"),
        ({"service_account": "a@b", "access_token": "y"}, "`workload-identity-provider` is missing"),
        ({"workload_identity_provider": "projects/my-project" + PROVIDER[21:]}, "wants its number"),
        ({"workload_identity_provider": PROVIDER.rpartition("/providers")[0]}, "full name of a provider"),
        ({"workload_identity_provider": "github"}, "full name of a provider"),
        ({"workload_identity_provider": PROVIDER, "service_account": "publisher"}, "not an e-mail"),
        ({"access_token": "Bearer ya29.x"}, "blanks"),
    ],
)
def test_one_whole_kind_of_credential(inputs: dict[str, str], says: str) -> None:
    with pytest.raises(Failure, match=says) as caught:
        read(OIDC, **inputs)
    assert caught.value.exit_code == 2


def test_a_given_token_stays_hidden() -> None:
    credential = read(access_token="ya29.secret")
    assert credential == GivenToken("ya29.secret")
    assert "secret" not in repr(credential)


def test_a_byte_order_mark_does_no_harm() -> None:
    marked = "\ufeff" + json.dumps(KEY)
    assert read(credentials_json=marked) == Key(KEY)
    assert read(credentials_json=base64.b64encode(marked.encode()).decode()) == Key(KEY)


def test_typographic_quotes_are_no_key() -> None:
    with pytest.raises(BadInput, match="neither JSON nor base64"):
        read(credentials_json="\u201cabcd\u201d")


@pytest.mark.parametrize(
    "given",
    [
        KEY_FILE,
        f"\ufeff{KEY_FILE}\n",
        base64.b64encode(KEY_FILE.encode()).decode(),
        base64.encodebytes(KEY_FILE.encode()).decode(),
    ],
    ids=["JSON", "JSON with a byte-order mark", "base64", "base64 in lines"],
)
def test_a_key_as_a_password_is_one_line_of_base64(given: str) -> None:
    password = read(json_key=given)
    assert isinstance(password, KeyPassword)
    assert password.value == base64.b64encode(KEY_FILE.encode()).decode()


def test_what_is_no_key_is_refused_by_the_name_of_its_option() -> None:
    with pytest.raises(BadInput, match="`json-key` is neither JSON nor base64"):
        read(json_key="nonsense!")


def test_a_key_as_a_password_is_a_kind_of_its_own() -> None:
    with pytest.raises(BadInput, match="`credentials-json` and `json-key` are both given"):
        read(credentials_json=KEY_FILE, json_key=KEY_FILE)


@pytest.mark.parametrize(
    ("credential", "named"),
    [
        (Federation(PROVIDER, "me@p.iam.gserviceaccount.com", "", ""), "serviceAccount:me@p.iam.gserviceaccount.com"),
        (
            Federation(PROVIDER, None, "", ""),
            f"principalSet://iam.googleapis.com/{PROVIDER.partition('/providers')[0]}/attribute.repository/me/hello",
        ),
        (Key({"client_email": "me@p.iam.gserviceaccount.com"}), "serviceAccount:me@p.iam.gserviceaccount.com"),
        (GivenToken("ya29.x"), "MEMBER"),
        (Ambient(), "MEMBER"),
    ],
)
def test_iam_has_a_name_for_who_publishes(credential: Credential, named: str) -> None:
    assert member(credential, {"GITHUB_REPOSITORY": "me/hello"}) == named
