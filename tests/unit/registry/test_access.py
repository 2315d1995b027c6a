import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from gar_publish.auth.tokens import GivenSource, Token, TokenSource
from gar_publish.context import Context, RetryPolicy
from gar_publish.errors import BadInput, RegistryRefused
from gar_publish.registry.access import Access, open_for_reading, open_login
from gar_publish.settings.credential import GivenToken, read_key_password
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.index_url import KEY_USER, KEYRING, OAUTH_USER, Login
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import IndexToken
from tests.unit.servers import Memory, Reply, ScriptedServer, Seen

Open = Callable[[IndexToken, TokenSource], Access]
EMPTY_INDEX = Reply(200, headers={"Content-Type": "text/html"})
GIVEN = "Basic b2F1dGgyYWNjZXNzdG9rZW46Z2l2ZW4="
READS, PUBLISHES = "Basic b2F1dGgyYWNjZXNzdG9rZW46cmVhZA==", "Basic b2F1dGgyYWNjZXNzdG9rZW46cHVibGlzaA=="


class Identity(GivenSource):
    """An identity whose read-only token is the word "read"."""

    def token(self) -> Token:
        return Token(super().token().value, datetime(2026, 1, 1, tzinfo=UTC))

    def read_only(self) -> TokenSource | None:  # type: ignore[override] # narrower there
        return Identity("read")


@pytest.fixture
def access(server: ScriptedServer, context: Context, session: requests.Session) -> Open:
    repository = Repository.parse("us/demo-project/python", endpoints=Endpoints(server.url))
    return lambda wanted, source: Access(source, repository, wanted, context, session)


def only(authorization: str, seen: Seen) -> Reply:
    return EMPTY_INDEX if seen.headers["Authorization"] == authorization else Reply(403)


def handed_out(access: Access) -> str | None:
    token = access.install_token()
    return token.value if token else None


@pytest.mark.parametrize(
    ("wanted", "hands_out"), [("auto", "read"), ("read-only", "read"), ("publisher", "publish"), ("none", None)]
)
def test_the_token_of_the_install_options(
    server: ScriptedServer, access: Open, console: Memory, wanted: IndexToken, hands_out: str | None
) -> None:
    server.on("/", EMPTY_INDEX)
    opened = access(wanted, Identity("publish"))
    opened.files("sample")
    assert handed_out(opened) == hands_out
    assert console.said == []


def test_auto_falls_back_to_the_publishing_token_and_says_so(
    server: ScriptedServer, access: Open, console: Memory
) -> None:
    server.on("/", lambda seen: only(PUBLISHES, seen))
    opened = access("auto", Identity("publish"))
    opened.files("sample")
    opened.files("sample")
    assert handed_out(opened) == "publish"
    assert "have the publishing token" in console.said[0]
    assert [each.headers["Authorization"] for each in server.seen] == [READS, PUBLISHES, PUBLISHES]


def test_read_only_never_falls_back(server: ScriptedServer, access: Open) -> None:
    server.on("/", lambda seen: only(PUBLISHES, seen))
    with pytest.raises(RegistryRefused):
        access("read-only", Identity("publish")).files("sample")


def test_a_given_token_has_nothing_weaker(access: Open, console: Memory) -> None:
    assert handed_out(access("auto", GivenSource("given"))) == "given"
    assert "have the publishing token" in console.said[0]


def test_neither_token_may_read(server: ScriptedServer, access: Open) -> None:
    server.on("/", Reply(403))
    with pytest.raises(RegistryRefused, match="refuses to read"):
        access("auto", Identity("publish")).files("sample")


@pytest.mark.parametrize("wanted", ["auto", "read-only", "publisher", "none"])
def test_builds_get_the_weaker_token_whatever_the_install_options_have(access: Open, wanted: IndexToken) -> None:
    assert access(wanted, Identity("publish")).build_token().value == "read"


def login(server: ScriptedServer, console: Memory, folder: Path, *, keyring: bool = False, **inputs: str) -> Login:
    given = {"repository": "us/demo-project/python"} | {name.replace("_", "-"): text for name, text in inputs.items()}
    context = Context(folder, {}, Endpoints(server.url), console, RetryPolicy())
    return open_login(given, context, keyring=keyring, narrow=False)


def test_a_keyring_is_asked_for_nothing_here(server: ScriptedServer, console: Memory, tmp_path: Path) -> None:
    assert login(server, console, tmp_path, keyring=True) == KEYRING
    with pytest.raises(BadInput, match="`--access-token` is for `--token`, but the login is `--keyring`") as caught:
        login(server, console, tmp_path, keyring=True, access_token="given")
    assert caught.value.anchor == "one-login"
    assert server.seen == []


@pytest.mark.parametrize("keyring", [True, False])
def test_a_key_is_the_password_whatever_the_keyring_has(
    server: ScriptedServer, console: Memory, tmp_path: Path, *, keyring: bool
) -> None:
    key = {"type": "service_account", "client_email": "a@b", "private_key": "made-up", "private_key_id": "1"}
    found = login(server, console, tmp_path, keyring=keyring, json_key=json.dumps(key))
    assert found.user == KEY_USER
    assert json.loads(base64.b64decode(found.password or "")) == key
    assert console.masked == [found.password]
    assert server.seen == []


def test_a_token_is_a_password_that_has_been_tried(server: ScriptedServer, console: Memory, tmp_path: Path) -> None:
    server.on("/", lambda seen: only(GIVEN, seen))
    assert login(server, console, tmp_path, access_token="given") == Login(OAUTH_USER, "given")
    assert [each.headers["Authorization"] for each in server.seen] == [GIVEN]


@pytest.mark.parametrize("wanted", ["read-only", "none"])
def test_a_token_that_may_not_read_fails_at_once(
    wanted: IndexToken, server: ScriptedServer, context: Context, session: requests.Session
) -> None:
    server.on("/", Reply(403))
    repository = Repository.parse("us/demo-project/python", endpoints=context.endpoints)
    with pytest.raises(RegistryRefused):
        open_for_reading(repository, GivenToken("given"), wanted, context, session)
    assert len(server.asked("/us-python.pkg.dev/")) == 1


@pytest.mark.parametrize(("publishes", "role"), [(True, "writer"), (False, "reader")])
def test_a_key_as_the_password_that_is_refused(
    *, publishes: bool, role: str, server: ScriptedServer, context: Context, session: requests.Session
) -> None:
    server.on("/", Reply(403))
    repository = Repository.parse("us/demo-project/python", endpoints=context.endpoints)
    info = {"type": "service_account", "client_email": "a@p.example", "private_key": "x", "private_key_id": "1"}
    key = read_key_password(json.dumps(info))
    with pytest.raises(RegistryRefused) as caught:
        open_for_reading(repository, key, "publisher", context, session, publishes=publishes)
    assert f"--member=serviceAccount:a@p.example --role=roles/artifactregistry.{role}" in caught.value.fix
    assert len(server.seen) == 1  # the API takes no key


def test_plain_http_gets_no_token(server: ScriptedServer, context: Context, session: requests.Session) -> None:
    context = replace(context, endpoints=Endpoints())
    repository = Repository.parse("http://registry.example/simple/", endpoints=context.endpoints)
    with pytest.raises(BadInput, match="is not encrypted"):
        open_for_reading(repository, GivenToken("given"), "auto", context, session)
    assert server.seen == []
