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
    with pytest.raises(CredentialsFailure) as caught:
        read(OIDC | {missing: ""}, workload_identity_provider=PROVIDER)
    assert caught.value.what == (
        "This job may not request an identity token from GitHub, so workload identity cannot work here."
    )
    assert caught.value.fix == (
        "add these permissions to the job\n    permissions:\n      contents: read\n      id-token: write"
    )
    assert caught.value.cause == (
        "the job lacks the permission `id-token: write`, which a pull request from a fork never has: `dry-run: build` "
        "can check it"
    )
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


STORE = "store the whole file as a secret\n  gh secret set GAR_KEY < key.json"
CREATE = "create a service-account key\n  gcloud iam service-accounts keys create key.json --iam-account=ACCOUNT"
PASTED = "the key was truncated or altered when it was pasted"
SHELL = f"{PASTED}; a shell may have expanded `$` or removed quotes"
OTHER = (
    "the file is an OAuth client, user credentials of `gcloud auth application-default login`, or a workload identity "
    "federation configuration"
)


@pytest.mark.parametrize(
    ("text", "says", "cause", "fix"),
    [
        *(
            (text, "is neither JSON nor base64-encoded JSON.", SHELL, STORE)
            for text in ("hello world!", "\u201cabcd\u201d", f"{BASE64}!", "/w==")
        ),
        *(
            (text, "is not valid JSON.", PASTED, STORE)
            for text in ("{not json", "{" * 100_000, BASE64[:-8], "bm8gSlNPTg==")
        ),
        (json.dumps({"type": "mine"}), "is not a service-account key (found: type 'mine').", OTHER, CREATE),
        (
            json.dumps({"type": "x" * 41}),
            f"is not a service-account key (found: type '{'x' * 40}').",
            OTHER,
            CREATE,
        ),
        *(
            (text, "is not a service-account key (found: no type).", OTHER, CREATE)
            for text in (json.dumps({"installed": {}}), json.dumps({"type": 1}), "WzFd")
        ),
        (json.dumps(KEY | {"client_email": 1}), "is a service-account key without client_email.", "", STORE),
        (
            json.dumps({"type": "service_account", "client_email": "a@b"}),
            "is a service-account key without private_key, private_key_id.",
            "",
            STORE,
        ),
    ],
)  # fmt: skip
def test_what_is_not_a_key_is_refused_without_showing_it(text: str, says: str, cause: str, fix: str) -> None:
    for name, shown in {"credentials-json": "credentials-json", "json-key": "--json-key"}.items():
        with pytest.raises(BadInput) as caught:
            read_credential({name: text}, {})
        failure = caught.value
        assert (failure.what, failure.cause, failure.fix) == (f"`{shown}` {says}", cause, fix)
        assert failure.anchor == "key-format"
        assert text not in failure.explain()


KEEP = "keep only one; `workload-identity-provider` is the safest"
MISSING = "`service-account` is set, but `workload-identity-provider` is missing."
ALONE = "`service-account` works only with workload identity federation"
DESCRIBE = (
    "use the full name, which this prints\n"
    "  gcloud iam workload-identity-pools providers describe PROVIDER --workload-identity-pool=POOL "
    "--location=global --project=PROJECT --format='value(name)'"
)


@pytest.mark.parametrize(
    ("inputs", "what", "cause", "fix", "anchor"),
    [
        *(
            (inputs, f"{named} are both set; only one can be used.", "", KEEP, "one-credential")
            for inputs, named in (
                (
                    {"workload_identity_provider": PROVIDER, "access_token": "x"},
                    "`workload-identity-provider` and `access-token`",
                ),
                ({"credentials_json": "x", "access_token": "y"}, "`credentials-json` and `access-token`"),
                ({"credentials_json": "x", "json_key": "y"}, "`credentials-json` and `--json-key`"),
            )
        ),
        ({"service_account": ACCOUNT}, MISSING, ALONE, "set `workload-identity-provider`", "one-credential"),
        *(
            (
                {"service_account": ACCOUNT, name: "y"},
                MISSING,
                f"{ALONE}; {shown} already identifies an account",
                "remove `service-account`",
                "one-credential",
            )
            for name, shown in (
                *(("credentials_json", "`credentials-json`"), ("json_key", "`--json-key`")),
                ("access_token", "`access-token`"),
            )
        ),
        (
            {"workload_identity_provider": PROVIDER.replace("123456789012", "my-project")},
            "`workload-identity-provider` contains the project ID (my-project) instead of the project number.",
            "",
            (
                "replace the project ID with the number that this prints\n"
                "  gcloud projects describe my-project --format='value(projectNumber)'"
            ),
            "provider-name",
        ),
        *(
            (
                {"workload_identity_provider": name},
                f"`workload-identity-provider` is not the full name of a provider: {name}",
                "the value is the name of the pool, or the short name of the provider",
                DESCRIBE,
                "provider-name",
            )
            for name in ("github", PROVIDER.rpartition("/providers")[0], f"{PROVIDER}/x")
        ),
        (
            {"workload_identity_provider": PROVIDER, "service_account": "publisher"},
            "`service-account` is not an e-mail address: publisher",
            "",
            "use the form NAME@PROJECT.iam.gserviceaccount.com",
            "service-account",
        ),
        *(
            (
                {"access_token": token},
                "`access-token` contains spaces or other characters that are not valid in a token.",
                "it contains more than the token, for example the `Bearer` prefix",
                "pass only the token, as printed by\n  gcloud auth print-access-token",
                "access-token",
            )
            for token in ("Bearer ya29.x", "ya29.x\ny", "ya29.\u00e4", "\x7f")
        ),
    ],
)  # fmt: skip
def test_one_whole_kind_of_credential(inputs: dict[str, str], what: str, cause: str, fix: str, anchor: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(OIDC, **inputs)
    failure = caught.value
    assert (failure.what, failure.cause, failure.fix, failure.anchor) == (what, cause, fix, anchor)


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
