from collections.abc import Callable
from dataclasses import replace

import pytest
import requests

from emulated import CLOUD_PLATFORM, PUBLISHER, READ_ONLY, Local
from gar_emulator import World

ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default"


def _get(local: Local, path: str) -> requests.Response:
    return local.session.get(f"{local.emulator.url}{path}", headers={"Metadata-Flavor": "Google"})


def test_ping(local: Local) -> None:
    answer = local.session.get(f"{local.emulator.url}/")
    assert (answer.status_code, answer.headers["Metadata-Flavor"]) == (200, "Google")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{ACCOUNT}/email", PUBLISHER),
        (f"{ACCOUNT}/scopes", f"{CLOUD_PLATFORM}\n"),
        (f"{ACCOUNT}/", "aliases\nemail\nscopes\n"),
        ("/computeMetadata/v1/instance/service-accounts/", f"default/\n{PUBLISHER}/\n"),
        ("/computeMetadata/v1/project/project-id", "demo-project"),
        ("/computeMetadata/v1/project/numeric-project-id", "123456789012"),
        ("/computeMetadata/v1/universe/universe-domain", "googleapis.com"),
    ],
)
def test_values(local: Local, path: str, value: str) -> None:
    answer = _get(local, path)
    assert (answer.status_code, answer.text) == (200, value)
    assert answer.headers["Metadata-Flavor"] == "Google"
    assert _get(local, f"/metadata.google.internal{path}").text == value


def test_recursive_is_json(local: Local) -> None:
    assert _get(local, f"{ACCOUNT}/?recursive=true").json() == {
        "aliases": ["default"],
        "email": PUBLISHER,
        "scopes": [CLOUD_PLATFORM],
    }


def test_token_has_the_requested_scopes(local: Local) -> None:
    for query, scope in (("", CLOUD_PLATFORM), (f"?scopes={READ_ONLY}", READ_ONLY)):
        body = _get(local, f"{ACCOUNT}/token{query}").json()
        who = local.emulator.cloud.identify(body["access_token"])
        assert who
        assert (who.principal, who.scopes) == (f"serviceAccount:{PUBLISHER}", frozenset({scope}))
        assert (body["expires_in"], body["token_type"]) == (3599, "Bearer")


def test_header_is_required(local: Local) -> None:
    for path in (f"{ACCOUNT}/token", f"{ACCOUNT}/email"):
        answer = local.session.get(f"{local.emulator.url}{path}")
        assert (answer.status_code, answer.text) == (403, "Missing Metadata-Flavor:Google header.\n")


def test_unknown_key(local: Local) -> None:
    for path in ("/computeMetadata/v1/instance/nothing", ACCOUNT.replace("default", "other") + "/token", "/nothing"):
        assert _get(local, path).status_code == 404


def test_world_without_an_ambient_account(start: Callable[..., Local], default: World) -> None:
    local = start(replace(default, ambient=None))
    assert "Metadata-Flavor" not in _get(local, "/").headers
    assert _get(local, f"{ACCOUNT}/token").status_code == 404
    assert "GCE_METADATA_HOST" not in local.emulator.exports()
