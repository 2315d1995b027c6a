import base64
import json

import pytest
from packaging.version import Version

from gar_publish.endpoints import Endpoints
from gar_publish.errors import BadInput, CredentialsFailure, Failure
from gar_publish.settings import Ambient, Federation, GivenToken, Key, Settings

PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
KEY = {
    "type": "service_account",
    "client_email": "a@b.iam.gserviceaccount.com",
    "private_key": "PEM",
    "private_key_id": "1",
}
OIDC = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://runner/?a=b",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner-secret",
}


def read(environment: dict[str, str] | None = None, /, **inputs: str) -> Settings:
    named = {name.replace("_", "-"): value for name, value in inputs.items()}
    return Settings.from_inputs(
        {"repository": "us/demo-project/python", **named},
        environment=environment or {},
        endpoints=Endpoints(),
    )


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = read()
    assert settings.credential == Ambient()
    assert (settings.packages, settings.dist) == ((".",), ())
    assert settings.formats == {"wheel"}
    assert (settings.if_exists, settings.index_token, settings.expected_version) == (
        "skip-identical",
        "auto",
        None,
    )
    assert (settings.dry_run, settings.verify, settings.create_repository, settings.summary) == (
        False,
        True,
        False,
        True,
    )
    assert settings.jobs == 0


def test_lists_choices_and_versions_are_read() -> None:
    settings = read(
        packages="libs/*\n\n  app \n",
        dist="out",
        formats="wheel, sdist",
        if_exists="fail",
        expected_version="v1.2.3",
        jobs="4",
    )
    assert settings.packages == ("libs/*", "app")
    assert settings.dist == ("out",)
    assert settings.formats == {"wheel", "sdist"}
    assert (settings.if_exists, settings.expected_version, settings.jobs) == ("fail", Version("1.2.3"), 4)


@pytest.mark.parametrize("word", ["true", "True", "TRUE"])
def test_booleans_take_the_words_of_yaml(word: str) -> None:
    assert read(dry_run=word).dry_run


@pytest.mark.parametrize("typo", ["yes", "1", "ture", "on", "tRuE"])
def test_a_typo_in_a_boolean_is_an_error(typo: str) -> None:
    with pytest.raises(BadInput, match="true or false"):
        read(dry_run=typo)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"formats": "wheels"}, "one of wheel, sdist"),
        ({"if_exists": "overwrite"}, "skip-identical, skip, fail"),
        ({"index_token": "yes"}, "auto, read-only, publisher, none"),
        ({"jobs": "many"}, "number"),
        ({"jobs": "-1"}, "number"),
        ({"expected_version": "main"}, "not a version"),
        ({"index_token": "read-only", "access_token": "ya29.x"}, "cannot be had with `access-token`"),
    ],
)
def test_bad_words_name_the_good_ones(inputs: dict[str, str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read(**inputs)


@pytest.mark.parametrize("prefix", ["", "//iam.googleapis.com/", "https://iam.googleapis.com/"])
def test_workload_identity(prefix: str) -> None:
    settings = read(OIDC, workload_identity_provider=prefix + PROVIDER, service_account="a@b.iam.gserviceaccount.com")
    assert settings.credential == Federation(
        PROVIDER, "a@b.iam.gserviceaccount.com", "https://runner/?a=b", "runner-secret"
    )
    assert "runner-secret" not in repr(settings)


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
    credential = read(credentials_json=text).credential
    assert credential == Key(KEY)
    assert "PEM" not in repr(credential)


def test_base64_may_be_wrapped() -> None:
    assert read(credentials_json=base64.encodebytes(json.dumps(KEY).encode()).decode()).credential == Key(KEY)


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
    settings = read(access_token="ya29.secret")
    assert settings.credential == GivenToken("ya29.secret")
    assert "secret" not in repr(settings)
