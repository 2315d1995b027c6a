import base64
import json

import pytest

from gar_publish.errors import BadInput, CredentialsFailure
from gar_publish.settings.credential import (
    Ambient,
    Credential,
    Federation,
    GivenToken,
    Key,
    KeyPassword,
    member,
    parse_key,
    read_credential,
)

PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
ACCOUNT = "a@b.iam.gserviceaccount.com"
KEY = {"type": "service_account", "client_email": ACCOUNT, "private_key": "PEM", "private_key_id": "1"}
KEY_FILE = json.dumps(KEY, indent=2)
BASE64 = base64.b64encode(KEY_FILE.encode()).decode()
OIDC = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://runner/?a=b",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner-secret",
}


def read(environment: dict[str, str] | None = None, /, **inputs: str) -> Credential:
    return read_credential({name.replace("_", "-"): value for name, value in inputs.items()}, environment or {})


@pytest.mark.parametrize("prefix", ["", "//iam.googleapis.com/", "https://iam.googleapis.com/"])
def test_workload_identity(prefix: str) -> None:
    credential = read(OIDC, workload_identity_provider=f" {prefix}{PROVIDER}/ ", service_account=ACCOUNT)
    assert credential == Federation(PROVIDER, ACCOUNT, "https://runner/?a=b", "runner-secret")
    assert "runner-secret" not in repr(credential)


def test_workload_identity_without_an_account() -> None:
    credential = read(OIDC, workload_identity_provider=PROVIDER, service_account=" ")
    assert credential == Federation(PROVIDER, None, "https://runner/?a=b", "runner-secret")


@pytest.mark.parametrize("missing", OIDC)
def test_a_job_that_may_not_request_identity_tokens(missing: str) -> None:
    with pytest.raises(CredentialsFailure, match="may not request an identity token from GitHub") as caught:
        read(OIDC | {missing: ""}, workload_identity_provider=PROVIDER)
    assert caught.value.fix == "add to the job\n    permissions:\n      contents: read\n      id-token: write"
    assert "lacks the permission" in caught.value.cause
    assert "fork" in caught.value.cause
    assert caught.value.anchor == "id-token-permission"


KEY_FORMS = {
    "JSON": KEY_FILE,
    "with a byte-order mark": f"\ufeff{KEY_FILE}\n",
    "base64": BASE64,
    "base64 in lines": base64.encodebytes(KEY_FILE.encode()).decode(),
}


@pytest.mark.parametrize("text", KEY_FORMS.values(), ids=KEY_FORMS.keys())
def test_a_key_is_json_or_base64(text: str) -> None:
    credential = read(credentials_json=text)
    assert credential == Key(KEY)
    assert "PEM" not in repr(credential)
    password = read(json_key=text)
    assert password == KeyPassword(BASE64)
    assert BASE64 not in repr(password)


def test_base64_of_a_byte_order_mark() -> None:
    marked = base64.b64encode(f"\ufeff{KEY_FILE}".encode()).decode()
    assert read(credentials_json=marked) == Key(KEY)
    assert read(json_key=marked) == KeyPassword(marked)


STORE = "gh secret set GAR_KEY < key.json"
CREATE = "gcloud iam service-accounts keys create key.json --iam-account=ACCOUNT"


@pytest.mark.parametrize(
    ("text", "says", "cause", "fix"),
    [
        ("hello world!", "is neither JSON nor base64 of JSON", "`$`", STORE),
        ("\u201cabcd\u201d", "is neither JSON nor base64 of JSON", "`$`", STORE),
        (f"{BASE64}!", "is neither JSON nor base64 of JSON", "`$`", STORE),
        ("{not json", "is not valid JSON", "cut off", STORE),
        ("{" * 100_000, "is not valid JSON", "cut off", STORE),
        (BASE64[:-8], "is not valid JSON", "cut off", STORE),
        ("bm8gSlNPTg==", "is not valid JSON", "cut off", STORE),
        (json.dumps({"type": "authorized_user"}), "is a credential of type 'authorized_user', not a", "OAuth", CREATE),
        (json.dumps({"type": "x" * 50}), f"of type '{'x' * 40}', not a", "OAuth", CREATE),
        (json.dumps({"installed": {}}), "is a credential without a type", "OAuth", CREATE),
        ("WzFd", "is a credential without a type", "OAuth", CREATE),
        (json.dumps(KEY | {"client_email": 1}), "is a service-account key without client_email", "", STORE),
        (
            json.dumps({"type": "service_account", "client_email": "a@b"}),
            "is a service-account key without private_key and private_key_id",
            "",
            STORE,
        ),
    ],
)
def test_what_is_not_a_key_is_refused_without_showing_it(text: str, says: str, cause: str, fix: str) -> None:
    for name in ("credentials-json", "json-key"):
        shown = "--json-key" if name == "json-key" else name
        with pytest.raises(BadInput, match=f"^`{shown}` {says}|^`{shown}` is a credential {says}") as caught:
            read_credential({name: text}, {})
        assert cause in caught.value.cause
        assert fix in caught.value.fix
        assert caught.value.anchor == "key-format"
        assert text not in caught.value.explain()


def test_a_key_from_elsewhere_is_called_by_its_name() -> None:
    with pytest.raises(BadInput, match=r"`key\.json` is not valid JSON"):
        parse_key("{", given_as="key.json")


ONE = "one-credential"


@pytest.mark.parametrize(
    ("inputs", "says", "fix", "anchor"),
    [
        (
            {"workload_identity_provider": PROVIDER, "credentials_json": "x"},
            "`workload-identity-provider` and `credentials-json` are both given",
            "keep one of them",
            ONE,
        ),
        ({"credentials_json": "x", "access_token": "y"}, "`credentials-json` and `access-token` are both", "keep", ONE),
        ({"credentials_json": "x", "json_key": "y"}, "`credentials-json` and `--json-key` are both", "keep", ONE),
        ({"service_account": ACCOUNT}, "`workload-identity-provider` is missing", "set `workload-identity-prov", ONE),
        *(
            ({"service_account": ACCOUNT, name: "y"}, "-provider` is missing", "remove `service-account`", ONE)
            for name in ("credentials_json", "json_key", "access_token")
        ),
        (
            {"workload_identity_provider": PROVIDER.replace("123456789012", "my-project")},
            r"has the id of the project \(my-project\) instead of its number",
            "gcloud projects describe my-project --format='value(projectNumber)'",
            "provider-name",
        ),
        *(
            ({"workload_identity_provider": name}, f"is not the full name of a provider: {name}", fix, "provider-name")
            for name in ("github", PROVIDER.rpartition("/providers")[0], f"{PROVIDER}/x")
            for fix in ("gcloud iam workload-identity-pools providers describe PROVIDER", "--format='value(name)'")
        ),
        (
            {"workload_identity_provider": PROVIDER, "service_account": "publisher"},
            "`service-account` is not an e-mail address: publisher",
            "NAME@PROJECT.iam.gserviceaccount.com",
            "service-account",
        ),
        *(
            (
                {"access_token": token},
                "`access-token` contains blanks",
                "gcloud auth print-access-token",
                "access-token",
            )
            for token in ("Bearer ya29.x", "ya29.x\ny", "ya29.\u00e4", "\x7f")
        ),
    ],
)
def test_one_whole_kind_of_credential(inputs: dict[str, str], says: str, fix: str, anchor: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        read(OIDC, **inputs)
    assert fix in caught.value.fix
    assert caught.value.anchor == anchor


@pytest.mark.parametrize(
    ("inputs", "cause"),
    [
        ({}, "only a federated identity impersonates an account"),
        ({"access_token": "y"}, "impersonates an account; `access-token` has an identity of its own"),
        ({"json_key": "y"}, "impersonates an account; `--json-key` has an identity of its own"),
    ],
)
def test_an_account_without_a_provider_has_its_cause(inputs: dict[str, str], cause: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(service_account=ACCOUNT, **inputs)
    assert caught.value.cause.endswith(cause)


def test_a_given_token_stays_hidden() -> None:
    credential = read(access_token=" !ya29.secret~\n")
    assert credential == GivenToken("!ya29.secret~")
    assert "secret" not in repr(credential)


def test_no_input_means_the_ambient_credential() -> None:
    assert read(access_token=" ", credentials_json="") == read() == Ambient()


@pytest.mark.parametrize(
    ("credential", "named"),
    [
        (Federation(PROVIDER, ACCOUNT, "", ""), f"serviceAccount:{ACCOUNT}"),
        (
            Federation(PROVIDER, None, "", ""),
            f"principalSet://iam.googleapis.com/{PROVIDER.partition('/providers')[0]}/attribute.repository/me/hello",
        ),
        (Key({"client_email": ACCOUNT}), f"serviceAccount:{ACCOUNT}"),
        (GivenToken("ya29.x"), "MEMBER"),
        (Ambient(), "MEMBER"),
    ],
)
def test_the_name_that_iam_has_for_a_credential(credential: Credential, named: str) -> None:
    assert member(credential, {"GITHUB_REPOSITORY": "me/hello"}) == named


def test_an_unknown_repository_has_a_placeholder() -> None:
    named = member(Federation(PROVIDER, None, "", ""), {})
    assert named.endswith("/github/attribute.repository/OWNER/REPOSITORY")
