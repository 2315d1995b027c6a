from collections.abc import Iterator
from pathlib import Path

import pytest

from gar_publish import distributions
from gar_publish.credentials.source import GivenSource
from gar_publish.distributions import Distribution
from gar_publish.errors import Conflict, CredentialsFailure, RegistryRefused, Unreachable
from gar_publish.http import new_session
from gar_publish.index import Index, IndexFile
from gar_publish.patience import Patience
from gar_publish.upload import Uploader, compare
from tests.unit.servers import Reply, ScriptedServer, Time, serve
from tests.wheels import make_wheel


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serve() as running:
        yield running


@pytest.fixture
def wheel(tmp_path: Path) -> Distribution:
    return distributions.read(make_wheel(tmp_path))


def open_uploader(server: ScriptedServer) -> Uploader:
    time = Time()
    patience = Patience(tries=3, sleep=time.sleep, clock=time.clock)
    source = GivenSource("ya29.given")
    index = Index(
        f"{server.url}/simple/", session=new_session(), source=source, patience=patience, on_wait=lambda _: None
    )
    return Uploader(
        f"{server.url}/upload/",
        session=new_session(),
        source=source,
        index=index,
        patience=patience,
        on_wait=lambda _: None,
    )


def page(wheel: Distribution, sha256: str) -> Reply:
    return Reply(200, f'<a href="/f/{wheel.filename}#sha256={sha256}">')


def test_a_file_is_posted_once(server: ScriptedServer, wheel: Distribution, capfd: pytest.CaptureFixture[str]) -> None:
    server.on("/upload/", Reply(200))
    assert open_uploader(server).upload(wheel) == "uploaded"
    (post,) = server.seen
    assert post.method == "POST"
    assert wheel.path.read_bytes() in post.body
    assert wheel.sha256.encode() in post.body
    assert post.headers["Authorization"].startswith("Basic ")
    assert capfd.readouterr() == ("", "")


def test_faults_are_tried_again(server: ScriptedServer, wheel: Distribution) -> None:
    server.on("/upload/", Reply(500), Reply(drop=True), Reply(200))
    assert open_uploader(server).upload(wheel) == "uploaded"
    assert len(server.asked("/upload/")) == 3


@pytest.mark.parametrize("status", [400, 409])
def test_a_file_that_landed_meanwhile_is_settled_by_its_hash(
    server: ScriptedServer, wheel: Distribution, status: int
) -> None:
    server.on("/upload/", Reply(status, "Requested entity already exists\n"))
    server.on("/simple/", page(wheel, wheel.sha256))
    assert open_uploader(server).upload(wheel) == "identical"


def test_other_bytes_of_the_same_name_are_a_conflict(server: ScriptedServer, wheel: Distribution) -> None:
    server.on("/upload/", Reply(400, "Requested entity already exists"))
    server.on("/simple/", page(wheel, "00" * 32))
    with pytest.raises(Conflict, match="other bytes"):
        open_uploader(server).upload(wheel)


def test_a_lost_answer_is_settled_by_the_index(server: ScriptedServer, wheel: Distribution) -> None:
    server.on("/upload/", Reply(drop=True))
    server.on("/simple/", page(wheel, wheel.sha256))
    assert open_uploader(server).upload(wheel) == "uploaded"


def test_an_outage_is_no_success(server: ScriptedServer, wheel: Distribution) -> None:
    server.on("/upload/", Reply(503))
    server.on("/simple/", Reply(404))
    with pytest.raises(Unreachable, match=r"upload sample-1\.0"):
        open_uploader(server).upload(wheel)


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (Reply(401, "no"), CredentialsFailure, "does not accept the token"),
        (Reply(403, "Permission denied"), RegistryRefused, "refuses to upload"),
        (Reply(404), RegistryRefused, "does not have this repository"),
        (Reply(400, "bad metadata"), RegistryRefused, "status 400"),
        (Reply(302, headers={"Location": "https://elsewhere.example/?secret"}), RegistryRefused, "elsewhere"),
    ],
)
def test_refusals(server: ScriptedServer, wheel: Distribution, reply: Reply, kind: type[Exception], says: str) -> None:
    server.on("/upload/", reply)
    with pytest.raises(kind, match=says) as caught:
        open_uploader(server).upload(wheel)
    assert len(server.seen) == 1
    assert "secret" not in str(vars(caught.value))


def test_compare(server: ScriptedServer, wheel: Distribution) -> None:
    index = open_uploader(server)._index
    server.on("/f/", Reply(200, wheel.path.read_bytes()))

    def decide(sha256: str | None, if_exists: str) -> str:
        listed = {wheel.filename: IndexFile(wheel.filename, f"{server.url}/f/{wheel.filename}", sha256)}
        return compare(wheel, listed, if_exists, index)

    assert compare(wheel, {}, "fail", index) == "would upload"
    assert decide(wheel.sha256, "skip-identical") == "identical"
    assert decide(None, "skip-identical") == "identical"
    assert decide("00" * 32, "skip") == "skipped"
    for sha256, if_exists in (("00" * 32, "skip-identical"), (wheel.sha256, "fail")):
        with pytest.raises(Conflict):
            decide(sha256, if_exists)
