import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gar_publish.auth.tokens import GivenSource, Token, TokenSource
from gar_publish.context import Context, RetryPolicy
from gar_publish.errors import BadInput, RegistryRefused
from gar_publish.registry.access import Access, open_login
from gar_publish.registry.index import Index
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.index_url import KEY_USER, KEYRING, OAUTH_USER, Login
from gar_publish.settings.settings import IndexToken
from gar_publish.transport.session import new_session
from tests.unit.servers import Memory, Reply, ScriptedServer, Seen

EMPTY_INDEX = Reply(200, headers={"Content-Type": "text/html"})
GIVEN = "Basic b2F1dGgyYWNjZXNzdG9rZW46Z2l2ZW4="
READS, PUBLISHES = "Basic b2F1dGgyYWNjZXNzdG9rZW46cmVhZA==", "Basic b2F1dGgyYWNjZXNzdG9rZW46cHVibGlzaA=="


class Identity(GivenSource):
    """An identity whose read-only token is the word "read"."""

    def token(self) -> Token:
        return Token(super().token().value, datetime(2026, 1, 1, tzinfo=UTC))

    def read_only(self) -> TokenSource | None:  # type: ignore[override] # narrower there
        return Identity("read")


def open_access(server: ScriptedServer, wanted: IndexToken, source: TokenSource, console: Memory) -> Access:
    def open_index(reader: TokenSource) -> Index:
        return Index(
            f"{server.url}/", session=new_session(), source=reader, retry_policy=RetryPolicy(), on_wait=lambda _: None
        )

    return Access(source, wanted, open_index, console)


def only(authorization: str, seen: Seen) -> Reply:
    return EMPTY_INDEX if seen.headers["Authorization"] == authorization else Reply(403)


def handed_out(access: Access) -> str | None:
    token = access.line_token()
    return token.value if token else None


@pytest.mark.parametrize(
    ("wanted", "hands_out"), [("auto", "read"), ("read-only", "read"), ("publisher", "publish"), ("none", None)]
)
def test_what_the_line_carries(server: ScriptedServer, wanted: IndexToken, hands_out: str | None) -> None:
    server.on("/", EMPTY_INDEX)
    console = Memory()
    access = open_access(server, wanted, Identity("publish"), console)
    access.files("sample")
    assert handed_out(access) == hands_out
    assert console.said == []


def test_auto_falls_back_to_the_publishing_token_and_says_so(server: ScriptedServer) -> None:
    server.on("/", lambda seen: only(PUBLISHES, seen))
    console = Memory()
    access = open_access(server, "auto", Identity("publish"), console)
    access.files("sample")
    access.files("sample")
    assert handed_out(access) == "publish"
    assert "publishing token" in console.said[0]
    assert [each.headers["Authorization"] for each in server.seen] == [READS, PUBLISHES, PUBLISHES]


def test_read_only_never_falls_back(server: ScriptedServer) -> None:
    server.on("/", lambda seen: only(PUBLISHES, seen))
    with pytest.raises(RegistryRefused):
        open_access(server, "read-only", Identity("publish"), Memory()).files("sample")


def test_a_given_token_has_nothing_weaker(server: ScriptedServer) -> None:
    console = Memory()
    assert handed_out(open_access(server, "auto", GivenSource("given"), console)) == "given"
    assert "publishing token" in console.said[0]


def test_nobody_may_read(server: ScriptedServer) -> None:
    server.on("/", Reply(403))
    with pytest.raises(RegistryRefused, match="refuses to read"):
        open_access(server, "auto", Identity("publish"), Memory()).files("sample")


@pytest.mark.parametrize("wanted", ["auto", "read-only", "publisher", "none"])
def test_the_installer_gets_the_weaker_token_whatever_the_line_carries(
    server: ScriptedServer, wanted: IndexToken
) -> None:
    assert open_access(server, wanted, Identity("publish"), Memory()).reading_token().value == "read"


def login(server: ScriptedServer, console: Memory, folder: Path, *, keyring: bool = False, **inputs: str) -> Login:
    given = {"repository": "us/demo-project/python"} | {name.replace("_", "-"): text for name, text in inputs.items()}
    context = Context(folder, {}, Endpoints(server.url), console, RetryPolicy())
    return open_login(given, context, keyring=keyring, narrow=False)


def test_a_keyring_is_asked_for_nothing_here(server: ScriptedServer, console: Memory, tmp_path: Path) -> None:
    assert login(server, console, tmp_path, keyring=True) == KEYRING
    with pytest.raises(BadInput, match="`--access-token` makes a token, but no token is asked for") as caught:
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
