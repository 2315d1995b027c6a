from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gar_publish.access import Access
from gar_publish.credentials import Token, TokenSource
from gar_publish.credentials.source import GivenSource
from gar_publish.errors import RegistryRefused
from gar_publish.http import new_session
from gar_publish.index import Index
from gar_publish.patience import Patience
from gar_publish.settings import IndexToken
from tests.unit.servers import Memory, Reply, ScriptedServer, Seen, serve

EMPTY_INDEX = Reply(200, headers={"Content-Type": "text/html"})
READS, PUBLISHES = "Basic b2F1dGgyYWNjZXNzdG9rZW46cmVhZA==", "Basic b2F1dGgyYWNjZXNzdG9rZW46cHVibGlzaA=="


class Identity(GivenSource):
    """An identity whose read-only token is the word "read"."""

    def token(self) -> Token:
        return Token(super().token().value, datetime(2026, 1, 1, tzinfo=UTC))

    def read_only(self) -> TokenSource | None:  # type: ignore[override] # narrower there
        return Identity("read")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serve() as running:
        yield running


def open_access(server: ScriptedServer, wanted: IndexToken, source: TokenSource, console: Memory) -> Access:
    def open_index(reader: TokenSource) -> Index:
        return Index(
            f"{server.url}/", session=new_session(), source=reader, patience=Patience(), on_wait=lambda _: None
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
