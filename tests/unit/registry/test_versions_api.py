"""The versions that the API lists."""

import json
from itertools import count

import pytest
import requests

from gar_publish.auth.tokens import GivenSource
from gar_publish.context import Context
from gar_publish.errors import RegistryRefused
from gar_publish.registry import versions_api
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.versions_api import VersionsApi
from gar_publish.settings.repository import Repository
from tests.unit.servers import Reply, ScriptedServer

RESOURCE = "projects/demo-project/locations/us/repositories/previews"


@pytest.fixture
def api(context: Context, session: requests.Session) -> VersionsApi:
    repository = Repository.parse("us/demo-project/previews", endpoints=context.endpoints)
    return VersionsApi(repository, GoogleApi(context, session, GivenSource("ya29.given")), lambda: "MEMBER")


@pytest.mark.parametrize(("tokens", "calls"), [(2, 3), (10**9, 5)], ids=["the same again", "always new ones"])
def test_a_list_without_end_is_refused(
    server: ScriptedServer, api: VersionsApi, monkeypatch: pytest.MonkeyPatch, tokens: int, calls: int
) -> None:
    monkeypatch.setattr(versions_api, "_PAGES", 5)
    numbers = count()
    body = {"packages": [{"name": f"{RESOURCE}/packages/a"}]}
    server.on("/", lambda _: Reply(200, json.dumps({**body, "nextPageToken": str(next(numbers) % tokens)})))
    with pytest.raises(RegistryRefused, match=r"The list of packages in .* has no end"):
        api.list_all()
    assert next(numbers) == calls


def test_a_list_of_nothing_is_empty(server: ScriptedServer, api: VersionsApi) -> None:
    server.on("/", Reply(200, '{"packages": null, "nextPageToken": null}'))
    assert list(api.list_all()) == []
