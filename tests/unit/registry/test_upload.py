import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from twine.repository import Repository as TwineRepository

from gar_publish.auth.tokens import GivenSource
from gar_publish.console import Console
from gar_publish.context import RetryPolicy
from gar_publish.distributions import distribution
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BuildFailure, Conflict, CredentialsFailure, RegistryRefused, Unreachable
from gar_publish.registry.index import Index, IndexFile
from gar_publish.registry.upload import Uploader, compare
from gar_publish.settings.settings import IfExists
from gar_publish.transport.session import new_session
from tests.unit.servers import Memory, Reply, ScriptedServer, Time
from tests.wheels import make_wheel


@pytest.fixture
def wheel(tmp_path: Path) -> Distribution:
    return distribution.read(make_wheel(tmp_path))


def open_uploader(
    server: ScriptedServer, if_exists: IfExists = "skip-identical", console: Console | None = None
) -> Uploader:
    time = Time()
    retry_policy = RetryPolicy(tries=3, sleep=time.sleep, clock=time.clock)
    source = GivenSource("ya29.given")
    index = Index(
        f"{server.url}/simple/", session=new_session(), source=source, retry_policy=retry_policy, on_wait=lambda _: None
    )
    return Uploader(
        f"{server.url}/upload/",
        session=new_session(),
        source=source,
        index=index,
        if_exists=if_exists,
        retry_policy=retry_policy,
        console=console or Memory(),
    )


def page(wheel: Distribution, sha256: str) -> Reply:
    return Reply(200, f'<a href="/f/{wheel.filename}#sha256={sha256}">')


def test_a_file_is_posted_once(server: ScriptedServer, wheel: Distribution, capfd: pytest.CaptureFixture[str]) -> None:
    server.on("/upload/", Reply(200))
    assert open_uploader(server).upload(wheel).status == "uploaded"
    (post,) = server.seen
    assert post.method == "POST"
    assert wheel.path.read_bytes() in post.body
    assert wheel.sha256.encode() in post.body
    assert post.headers["Authorization"].startswith("Basic ")
    assert capfd.readouterr() == ("", "")


def test_twine_sends_the_same(server: ScriptedServer, tmp_path: Path) -> None:
    metadata = (
        "Metadata-Version: 2.4\nName: sample\nVersion: 1.0\nKeywords: one,two\nAuthor-Email: Ä <a@example.org>\n"
        "Project-URL: Home, https://example.org\nProject-URL: Code, https://example.org/code\nLicense-File: LICENSE\n"
        "Classifier: Typing :: Typed\nClassifier: Topic :: Games\nRequires-Dist: requests\nRequires-Python: >=3.11\n"
        "Description-Content-Type: text/plain\n\nWords.\n\nMore.\n"
    )
    wheel = distribution.read(make_wheel(tmp_path, metadata=metadata))
    server.on("/upload/", Reply(200))
    open_uploader(server).upload(wheel)
    TwineRepository(f"{server.url}/upload/", None, None, disable_progress_bar=True).upload(wheel.package)
    ours, theirs = (
        seen.body.replace(seen.headers["Content-Type"].partition("boundary=")[2].encode(), b"") for seen in server.seen
    )
    assert b"Code, https://example.org/code" in ours
    assert ours == theirs


def test_faults_are_tried_again(server: ScriptedServer, wheel: Distribution) -> None:
    server.on("/simple/", Reply(404))
    server.on("/upload/", Reply(500), Reply(drop=True), Reply(200))
    assert open_uploader(server).upload(wheel).status == "uploaded"
    assert len(server.asked("/upload/")) == 3


@pytest.mark.parametrize("status", [400, 409])
def test_a_file_that_landed_meanwhile_is_settled_by_its_hash(
    server: ScriptedServer, wheel: Distribution, status: int
) -> None:
    server.on("/upload/", Reply(status, "Requested entity already exists\n"))
    server.on("/simple/", page(wheel, wheel.sha256))
    assert open_uploader(server).upload(wheel).status == "identical"


def test_other_bytes_of_the_same_name_are_a_conflict(server: ScriptedServer, wheel: Distribution) -> None:
    server.on("/upload/", Reply(400, "Requested entity already exists"))
    server.on("/simple/", page(wheel, "00" * 32))
    with pytest.raises(Conflict, match="other bytes"):
        open_uploader(server).upload(wheel)


LOST = [Reply(drop=True), Reply(500), Reply(502), Reply(503), Reply(504)]


@pytest.mark.parametrize("lost", LOST, ids=lambda reply: str(reply.status if not reply.drop else "drop"))
@pytest.mark.parametrize("if_exists", get_args(IfExists))
def test_after_a_lost_answer_the_bytes_are_not_sent_again(
    server: ScriptedServer, wheel: Distribution, lost: Reply, if_exists: IfExists
) -> None:
    server.on("/upload/", lost)
    server.on("/simple/", page(wheel, wheel.sha256))
    assert open_uploader(server, if_exists).upload(wheel).status == "uploaded"
    assert len(server.asked("/upload/")) == 1


@pytest.mark.parametrize("status", [408, 429])
@pytest.mark.parametrize(("if_exists", "outcome"), [("skip-identical", "identical"), ("skip", "skipped")])
def test_what_was_refused_for_now_and_is_there_then_is_another_runs(
    server: ScriptedServer, wheel: Distribution, status: int, if_exists: IfExists, outcome: str
) -> None:
    server.on("/upload/", Reply(status), Reply(400, "Requested entity already exists"))
    server.on("/simple/", page(wheel, wheel.sha256))
    assert open_uploader(server, if_exists).upload(wheel).status == outcome
    assert len(server.asked("/upload/")) == 2


@pytest.mark.parametrize("if_exists", get_args(IfExists))
def test_a_lost_answer_that_the_index_lags_behind_is_this_runs_upload(
    server: ScriptedServer, wheel: Distribution, if_exists: IfExists
) -> None:
    server.on("/upload/", Reply(drop=True), Reply(400, "Requested entity already exists"))
    server.on("/simple/", Reply(404), Reply(404), page(wheel, wheel.sha256))
    assert open_uploader(server, if_exists).upload(wheel).status == "uploaded"
    assert len(server.asked("/upload/")) == 2


@pytest.mark.parametrize("if_exists", ["skip-identical", "fail"])
def test_after_a_lost_answer_the_other_bytes_of_another_run_are_a_conflict(
    server: ScriptedServer, wheel: Distribution, if_exists: IfExists
) -> None:
    server.on("/upload/", Reply(drop=True), Reply(400, "Requested entity already exists"))
    server.on("/simple/", Reply(404), page(wheel, "00" * 32))
    with pytest.raises(Conflict, match="other bytes"):
        open_uploader(server, if_exists).upload(wheel)


def test_the_last_try_is_looked_for_as_well(server: ScriptedServer, wheel: Distribution) -> None:
    server.on("/upload/", Reply(503))
    server.on("/simple/", Reply(404), Reply(404), page(wheel, wheel.sha256))
    assert open_uploader(server).upload(wheel).status == "uploaded"
    assert len(server.asked("/upload/")) == 3


@pytest.mark.parametrize("status", [408, 429])
def test_a_lost_answer_is_looked_for_whatever_came_after_it(
    server: ScriptedServer, wheel: Distribution, status: int
) -> None:
    server.on("/upload/", Reply(drop=True), Reply(status))
    server.on("/simple/", Reply(404), page(wheel, wheel.sha256))
    assert open_uploader(server).upload(wheel).status == "uploaded"
    assert len(server.asked("/upload/")) == 3


def test_an_index_that_cannot_be_asked_ends_it(server: ScriptedServer, wheel: Distribution) -> None:
    server.on("/upload/", Reply(drop=True))
    server.on("/simple/", Reply(503))
    with pytest.raises(Unreachable, match="look up sample"):
        open_uploader(server).upload(wheel)
    assert len(server.asked("/upload/")) == 1
    assert len(server.asked("/simple/")) == 3


def test_a_file_that_another_run_sent_meanwhile_is_skipped_under_skip(
    server: ScriptedServer, wheel: Distribution
) -> None:
    server.on("/upload/", Reply(400, "Requested entity already exists"))
    server.on("/simple/", page(wheel, "ab" * 32))
    done = open_uploader(server, "skip").upload(wheel)
    assert (done.status, done.sha256) == ("skipped", "ab" * 32)


def test_a_file_that_another_run_sent_meanwhile_is_a_conflict_under_fail(
    server: ScriptedServer, wheel: Distribution
) -> None:
    server.on("/upload/", Reply(400, "Requested entity already exists"))
    server.on("/simple/", page(wheel, wheel.sha256))
    with pytest.raises(Conflict, match=r"holds sample-1[.]0-py3-none-any[.]whl already"):
        open_uploader(server, "fail").upload(wheel)


def test_each_try_tells_how_far_it_is_from_the_start(server: ScriptedServer, tmp_path: Path) -> None:
    wheel = distribution.read(make_wheel(tmp_path, content="#" * 100_000))
    server.on("/upload/", Reply(503), Reply(200))
    server.on("/simple/", Reply(404))
    console = Memory()
    open_uploader(server, console=console).upload(wheel)
    told = [sent for _, sent, _ in console.sent]
    assert sum(later < earlier for earlier, later in pairwise(told)) == 1, "the second try begins anew"
    assert {(name, total) for name, _, total in console.sent} == {(wheel.filename, max(told))}
    assert max(told) > wheel.size


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
        (Reply(302, headers={"Location": "/\xff?secret"}), RegistryRefused, "elsewhere"),
        (Reply(101), RegistryRefused, "status 101"),
        (Reply(103), RegistryRefused, "status 103"),
        (Reply(300), RegistryRefused, "elsewhere"),
        (Reply(302), RegistryRefused, "elsewhere"),
        (Reply(304), RegistryRefused, "elsewhere"),
    ],
)
def test_refusals(server: ScriptedServer, wheel: Distribution, reply: Reply, kind: type[Exception], says: str) -> None:
    server.on("/upload/", reply)
    with pytest.raises(kind, match=says) as caught:
        open_uploader(server).upload(wheel)
    assert len(server.seen) == 1
    assert "secret" not in str(vars(caught.value))


def test_a_file_that_is_gone_fails_alone(server: ScriptedServer, wheel: Distribution) -> None:
    wheel.path.unlink()
    with pytest.raises(BuildFailure, match=r"can be read no more: No such file or directory\."):
        open_uploader(server).upload(wheel)
    assert server.seen == []


@pytest.mark.parametrize("size", [50_000, 5_000_000])
def test_a_file_that_changes_while_it_is_sent_fails_alone(server: ScriptedServer, tmp_path: Path, size: int) -> None:
    large = distribution.read(make_wheel(tmp_path, content="#" * 1_000_000))

    class Changing(Memory):
        def progress(self, filename: str, total: int) -> nullcontext[Callable[[int], None]]:
            large.path.write_bytes(b"x" * size)
            return super().progress(filename, total)

    server.on("/upload/", Reply(200))
    with pytest.raises(BuildFailure, match=r"can be read no more: it has become longer or shorter\."):
        open_uploader(server, console=Changing()).upload(large)


def test_a_longer_file_is_another_one_and_not_read_to_its_end(server: ScriptedServer, wheel: Distribution) -> None:
    server.on("/f/", Reply(200, wheel.path.read_bytes() + b"x" * 10_000_000))
    listed = {wheel.filename: IndexFile(wheel.filename, f"{server.url}/f/{wheel.filename}", None)}
    index = open_uploader(server)._index
    with pytest.raises(Conflict, match="other bytes \\(sha256 of a longer file\\)"):
        compare(wheel, listed, "skip-identical", index)
    skipped = compare(wheel, listed, "skip", index)
    assert skipped.sha256 == hashlib.sha256(wheel.path.read_bytes() + b"x" * 10_000_000).hexdigest()


def test_compare(server: ScriptedServer, wheel: Distribution) -> None:
    index = open_uploader(server)._index
    server.on("/f/", Reply(200, wheel.path.read_bytes()))

    def decide(sha256: str | None, if_exists: IfExists) -> str:
        listed = {wheel.filename: IndexFile(wheel.filename, f"{server.url}/f/{wheel.filename}", sha256)}
        return compare(wheel, listed, if_exists, index).status

    assert compare(wheel, {}, "fail", index).status == "would upload"
    assert decide(wheel.sha256, "skip-identical") == "identical"
    assert decide(None, "skip-identical") == "identical"
    assert decide("00" * 32, "skip") == "skipped"
    with pytest.raises(Conflict, match="other bytes"):
        decide("00" * 32, "skip-identical")
    with pytest.raises(Conflict, match=r"holds sample-1[.]0-py3-none-any[.]whl already"):
        decide(wheel.sha256, "fail")
