import hashlib
from pathlib import Path

import pytest

from gar_publish.auth.tokens import GivenSource
from gar_publish.context import RetryPolicy
from gar_publish.distributions import distribution
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import FileRefused
from gar_publish.registry.index import Index
from gar_publish.registry.upload import read_back
from gar_publish.transport.session import new_session
from tests.unit.servers import Reply, ScriptedServer, Time
from tests.wheels import make_wheel

FILENAME = "sample-1.0-py3-none-any.whl"


@pytest.fixture
def sent(tmp_path: Path) -> Distribution:
    return distribution.read(make_wheel(tmp_path))


def index(server: ScriptedServer, files_url: str | None) -> Index:
    return Index(
        f"{server.url}/simple/",
        files_url=files_url,
        session=new_session(),
        source=GivenSource("ya29.given"),
        retry_policy=RetryPolicy(tries=3, sleep=Time().sleep),
        on_wait=lambda _: None,
    )


def page(url: str, sha256: str) -> Reply:
    return Reply(200, f'<a href="{url}#sha256={sha256}">x</a>', {"Content-Type": "text/html"})


def test_a_file_is_read_once_from_where_it_should_be(server: ScriptedServer, sent: Distribution) -> None:
    server.on("/simple/sample/", page(f"/sample/{FILENAME}", sent.sha256))
    server.on(f"/sample/{FILENAME}", Reply(200, sent.path.read_bytes()))
    assert read_back(sent, index(server, f"{server.url}/")) == f"{server.url}/sample/{FILENAME}"
    assert len(server.seen) == 2


@pytest.mark.parametrize("there", [Reply(404), Reply(200, b"other bytes")], ids=["nothing", "other bytes"])
def test_where_the_index_says_counts(server: ScriptedServer, sent: Distribution, there: Reply) -> None:
    server.on("/simple/sample/", page(f"/files/{FILENAME}", sent.sha256))
    server.on(f"/sample/{FILENAME}", there)
    server.on(f"/files/{FILENAME}", Reply(200, sent.path.read_bytes()))
    assert read_back(sent, index(server, f"{server.url}/")) == f"{server.url}/files/{FILENAME}"


def test_the_right_bytes_elsewhere_prove_nothing(server: ScriptedServer, sent: Distribution) -> None:
    server.on("/simple/sample/", page(f"/files/{FILENAME}", sent.sha256))
    server.on(f"/sample/{FILENAME}", Reply(200, sent.path.read_bytes()))
    server.on(f"/files/{FILENAME}", Reply(200, b"other bytes"))
    with pytest.raises(FileRefused, match=hashlib.sha256(b"other bytes").hexdigest()):
        read_back(sent, index(server, f"{server.url}/"))


def test_another_index_is_asked_first(server: ScriptedServer, sent: Distribution) -> None:
    server.on("/simple/sample/", page(f"/files/{FILENAME}", sent.sha256))
    server.on(f"/files/{FILENAME}", Reply(200, sent.path.read_bytes()))
    read_back(sent, index(server, None))
    assert [each.path for each in server.seen] == ["/simple/sample/", f"/files/{FILENAME}"]
