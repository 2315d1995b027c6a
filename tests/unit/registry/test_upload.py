import base64
import hashlib
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
import requests
from twine.repository import Repository as TwineRepository

from gar_publish.auth.tokens import GivenSource
from gar_publish.console import Unit
from gar_publish.context import Context
from gar_publish.distributions import distribution
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BuildFailure, Conflict, CredentialsFailure, FileRefused, RegistryRefused, Unreachable
from gar_publish.registry import upload
from gar_publish.registry.index import Index, IndexFile
from gar_publish.registry.upload import FileChanged, FormWithFile, Uploader, compare, read_back
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import IfExists
from tests.unit.failures import words
from tests.unit.servers import Memory, Reply, ScriptedServer
from tests.wheels import METADATA, make_wheel

FILENAME = "sample-1.0-py3-none-any.whl"
OpenUploader = Callable[..., Uploader]


@pytest.fixture
def wheel(tmp_path: Path) -> Distribution:
    return distribution.read(make_wheel(tmp_path))


@pytest.fixture
def open_uploader(repository: Repository, context: Context, session: requests.Session, index: Index) -> OpenUploader:
    def open_uploader(if_exists: IfExists = "skip-identical", console: Memory | None = None) -> Uploader:
        used = replace(context, console=console or context.console)
        return Uploader(repository, used, session, GivenSource("ya29.given"), index, if_exists=if_exists, scratch=None)

    return open_uploader


def sent(server: ScriptedServer) -> int:
    """Return how often a file was sent. Without a file, only permission is asked for."""
    return sum(b"content" in seen.body for seen in server.asked("/upload/"))


def page(wheel: Distribution, sha256: str) -> Reply:
    return Reply(200, f'<a href="/f/{wheel.filename}#sha256={sha256}">')


def test_a_file_is_posted_once(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution, capfd: pytest.CaptureFixture[str]
) -> None:
    server.on("/upload/", Reply(200))
    assert open_uploader().upload(wheel).status == "uploaded"
    (post,) = server.seen
    assert post.method == "POST"
    assert wheel.path.read_bytes() in post.body
    assert wheel.sha256.encode() in post.body
    assert post.headers["Authorization"].startswith("Basic ")
    assert capfd.readouterr() == ("", "")


def test_the_form_is_identical_to_twines(server: ScriptedServer, open_uploader: OpenUploader, tmp_path: Path) -> None:
    metadata = (
        "Metadata-Version: 2.4\nName: sample\nVersion: 1.0\nKeywords: one,two\nAuthor-Email: Ä <a@example.org>\n"
        "Project-URL: Home, https://example.org\nProject-URL: Code, https://example.org/code\nLicense-File: LICENSE\n"
        "Classifier: Typing :: Typed\nClassifier: Topic :: Games\nRequires-Dist: requests\nRequires-Python: >=3.11\n"
        "Description-Content-Type: text/plain\n\nWords.\n\nMore.\n"
    )
    wheel = distribution.read(make_wheel(tmp_path, metadata=metadata))
    server.on("/upload/", Reply(200))
    open_uploader().upload(wheel)
    TwineRepository(f"{server.url}/upload/", None, None, disable_progress_bar=True).upload(wheel.package)
    ours, theirs = (
        seen.body.replace(seen.headers["Content-Type"].partition("boundary=")[2].encode(), b"") for seen in server.seen
    )
    assert b"Code, https://example.org/code" in ours
    assert ours == theirs


def test_faults_are_retried(server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution) -> None:
    server.on("/simple/", Reply(404))
    server.on("/upload/", Reply(500), Reply(drop=True), Reply(200))
    assert open_uploader().upload(wheel).status == "uploaded"
    assert sent(server) == 3


@pytest.mark.parametrize("status", [400, 409])
def test_a_file_that_exists_is_compared_by_its_hash(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution, status: int
) -> None:
    server.on("/upload/", Reply(status, "Requested entity already exists\n"))
    server.on("/simple/", page(wheel, wheel.sha256))
    assert open_uploader().upload(wheel).status == "identical"


def test_different_contents_are_a_conflict(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution
) -> None:
    server.on("/upload/", Reply(400, "Requested entity already exists"))
    server.on("/simple/", page(wheel, "00" * 32))
    with pytest.raises(Conflict) as caught:
        open_uploader().upload(wheel)
    assert words(caught.value) == [
        (
            f"The registry already has {FILENAME} with different contents: "
            f"registry sha256 {'00' * 32}, this file's sha256 {wheel.sha256}."
        ),
        (
            "this version was published before, and a registry never replaces a file; or its build adds the "
            "commit, the time, a random name or old files"
        ),
        "raise the version of sample, or set `if-exists: skip` to keep the registry's file",
        "different-contents",
    ]


def test_a_file_that_exists_but_is_never_listed(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution
) -> None:
    server.on("/upload/", Reply(409))
    with pytest.raises(FileRefused) as caught:
        open_uploader().upload(wheel)
    assert words(caught.value) == [
        f"The registry says that it already has {FILENAME}, but its index does not list it.",
        "the file was uploaded a moment ago, and the index lags behind",
        "run again in a minute: identical files are skipped",
        "read-back",
    ]


@pytest.mark.parametrize(
    ("status", "kind", "anchor"),
    [(401, CredentialsFailure, "registry-401"), (403, RegistryRefused, "registry-403")],
)
def test_after_a_lost_refusal_the_file_is_not_sent_again(
    server: ScriptedServer,
    open_uploader: OpenUploader,
    wheel: Distribution,
    *,
    status: int,
    kind: type[Exception],
    anchor: str,
) -> None:
    server.on("/simple/", Reply(404))
    server.on("/upload/", Reply(drop=True), Reply(status))
    with pytest.raises(kind) as caught:
        open_uploader().upload(wheel)
    assert caught.value.anchor == anchor  # type: ignore[attr-defined] # both have it
    assert [bool(seen.body) for seen in server.asked("/upload/")] == [True, False]


def test_a_question_without_an_answer_changes_nothing(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution
) -> None:
    server.on("/simple/", Reply(404))
    server.on("/upload/", Reply(drop=True), Reply(drop=True), Reply(200))
    assert open_uploader().upload(wheel).status == "uploaded"
    assert [bool(seen.body) for seen in server.asked("/upload/")] == [True, False, True]


LOST = [Reply(drop=True), Reply(500), Reply(502), Reply(503), Reply(504)]


@pytest.mark.parametrize("lost", LOST, ids=lambda reply: str(reply.status if not reply.drop else "drop"))
@pytest.mark.parametrize("if_exists", get_args(IfExists))
def test_after_a_lost_answer_a_listed_file_is_not_sent_again(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution, lost: Reply, if_exists: IfExists
) -> None:
    server.on("/upload/", lost)
    server.on("/simple/", page(wheel, wheel.sha256))
    assert open_uploader(if_exists).upload(wheel).status == "uploaded"
    assert sent(server) == 1


@pytest.mark.parametrize("status", [408, 429])
@pytest.mark.parametrize(("if_exists", "outcome"), [("skip-identical", "identical"), ("skip", "skipped")])
def test_after_408_and_429_a_listed_file_is_from_another_run(
    server: ScriptedServer,
    open_uploader: OpenUploader,
    wheel: Distribution,
    *,
    status: int,
    if_exists: IfExists,
    outcome: str,
) -> None:
    server.on("/upload/", Reply(status), Reply(400, "Requested entity already exists"))
    server.on("/simple/", page(wheel, wheel.sha256))
    assert open_uploader(if_exists).upload(wheel).status == outcome
    assert sent(server) == 2


@pytest.mark.parametrize("if_exists", get_args(IfExists))
def test_after_a_lost_answer_an_identical_file_is_this_runs_upload(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution, if_exists: IfExists
) -> None:
    server.on("/upload/", Reply(drop=True), Reply(400, "Requested entity already exists"))
    server.on("/simple/", Reply(404), Reply(404), page(wheel, wheel.sha256))
    assert open_uploader(if_exists).upload(wheel).status == "uploaded"
    assert sent(server) == 2


@pytest.mark.parametrize("if_exists", ["skip-identical", "fail"])
def test_after_a_lost_answer_different_contents_are_a_conflict(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution, if_exists: IfExists
) -> None:
    server.on("/upload/", Reply(drop=True), Reply(400, "Requested entity already exists"))
    server.on("/simple/", Reply(404), page(wheel, "00" * 32))
    with pytest.raises(Conflict, match="different contents"):
        open_uploader(if_exists).upload(wheel)


def test_the_index_is_asked_after_the_last_try(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution
) -> None:
    server.on("/upload/", Reply(503))
    server.on("/simple/", Reply(404), Reply(404), page(wheel, wheel.sha256))
    assert open_uploader().upload(wheel).status == "uploaded"
    assert sent(server) == 3


@pytest.mark.parametrize("status", [408, 429])
def test_the_index_is_asked_after_a_lost_answer_and_408_or_429(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution, status: int
) -> None:
    server.on("/upload/", Reply(drop=True), Reply(status))
    server.on("/simple/", Reply(404), page(wheel, wheel.sha256))
    assert open_uploader().upload(wheel).status == "uploaded"
    assert sent(server) == 3


def test_an_index_that_does_not_answer_ends_the_upload(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution
) -> None:
    server.on("/upload/", Reply(drop=True))
    server.on("/simple/", Reply(503))
    with pytest.raises(Unreachable, match=r"^Could not look up sample: "):
        open_uploader().upload(wheel)
    assert sent(server) == 1
    assert len(server.asked("/simple/")) == 3


def test_another_runs_file_is_skipped_with_skip(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution
) -> None:
    server.on("/upload/", Reply(400, "Requested entity already exists"))
    server.on("/simple/", page(wheel, "ab" * 32))
    done = open_uploader("skip").upload(wheel)
    assert (done.status, done.sha256) == ("skipped", "ab" * 32)


def test_another_runs_file_is_a_conflict_with_fail(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution
) -> None:
    server.on("/upload/", Reply(400, "Requested entity already exists"))
    server.on("/simple/", page(wheel, wheel.sha256))
    with pytest.raises(Conflict) as caught:
        open_uploader("fail").upload(wheel)
    assert words(caught.value) == [
        f"The registry already has {FILENAME}.",
        "with `if-exists: fail`, any file of that name is an error",
        "raise the version of sample, or use `if-exists: skip-identical`",
        "different-contents",
    ]


def test_each_try_reports_its_own_progress(server: ScriptedServer, open_uploader: OpenUploader, tmp_path: Path) -> None:
    wheel = distribution.read(make_wheel(tmp_path, content="#" * 100_000))
    server.on("/upload/", Reply(503), Reply(200))
    server.on("/simple/", Reply(404))
    console = Memory()
    open_uploader(console=console).upload(wheel)
    told = [sent for _, sent, _ in console.sent]
    assert sum(later < earlier for earlier, later in pairwise(told)) == 1, "the second try begins anew"
    assert {(name, total) for name, _, total in console.sent} == {(wheel.filename, max(told))}
    assert max(told) > wheel.size


def test_an_outage_fails(server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution) -> None:
    server.on("/upload/", Reply(503))
    server.on("/simple/", Reply(404))
    with pytest.raises(Unreachable, match=r"^Could not upload sample-1\.0-py3-none-any\.whl: "):
        open_uploader().upload(wheel)


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (Reply(401, "no"), CredentialsFailure, "does not accept the token"),
        (Reply(403, "Permission denied"), RegistryRefused, "refuses to upload"),
        (Reply(404), RegistryRefused, "does not have this repository"),
        (Reply(400, "bad metadata"), RegistryRefused, "HTTP 400"),
        (Reply(302, headers={"Location": "https://elsewhere.example/?secret"}), RegistryRefused, "redirected"),
        (Reply(302, headers={"Location": "/\xff?secret"}), RegistryRefused, "redirected"),
        (Reply(101), RegistryRefused, "HTTP 101"),
        (Reply(103), RegistryRefused, "HTTP 103"),
        (Reply(300), RegistryRefused, "redirected"),
        (Reply(302), RegistryRefused, "redirected"),
        (Reply(304), RegistryRefused, "redirected"),
    ],
)
def test_refusals(
    server: ScriptedServer,
    open_uploader: OpenUploader,
    wheel: Distribution,
    *,
    reply: Reply,
    kind: type[Exception],
    says: str,
) -> None:
    server.on("/upload/", reply)
    with pytest.raises(kind, match=says) as caught:
        open_uploader().upload(wheel)
    assert len(server.seen) == 1
    assert "secret" not in str(vars(caught.value))


def test_a_missing_file_is_a_build_failure(
    server: ScriptedServer, open_uploader: OpenUploader, wheel: Distribution
) -> None:
    wheel.path.unlink()
    with pytest.raises(BuildFailure) as caught:
        open_uploader().upload(wheel)
    assert words(caught.value) == [
        f"{FILENAME} can no longer be read: No such file or directory.",
        "another program removed or changed it during the run",
        "keep other programs out of the folder, and run it again",
        "file-gone",
    ]
    assert server.seen == []


@pytest.mark.parametrize("size", [50_000, 5_000_000])
def test_a_file_whose_size_changes_during_its_upload(
    server: ScriptedServer, open_uploader: OpenUploader, tmp_path: Path, size: int
) -> None:
    large = distribution.read(make_wheel(tmp_path, content="#" * 1_000_000))

    class Changing(Memory):
        def progress(self, what: str, total: int, unit: Unit = "bytes") -> nullcontext[Callable[[int], None]]:
            large.path.write_bytes(b"x" * size)
            return super().progress(what, total, unit)

    server.on("/upload/", Reply(200))
    with pytest.raises(BuildFailure, match=r"can no longer be read: its size changed\."):
        open_uploader(console=Changing()).upload(large)


def test_a_longer_file_is_not_read_to_its_end(server: ScriptedServer, index: Index, wheel: Distribution) -> None:
    server.on("/f/", Reply(200, wheel.path.read_bytes() + b"x" * 10_000_000))
    listed = {wheel.filename: IndexFile(wheel.filename, f"{server.url}/f/{wheel.filename}", None)}
    with pytest.raises(Conflict, match=r"different contents: registry sha256 unknown \(larger than this file\), "):
        compare(wheel, listed, "skip-identical", index, None)
    skipped = compare(wheel, listed, "skip", index, None)
    assert skipped.sha256 == hashlib.sha256(wheel.path.read_bytes() + b"x" * 10_000_000).hexdigest()


def test_compare(server: ScriptedServer, index: Index, wheel: Distribution) -> None:
    server.on("/f/", Reply(200, wheel.path.read_bytes()))

    def decide(sha256: str | None, if_exists: IfExists) -> str:
        listed = {wheel.filename: IndexFile(wheel.filename, f"{server.url}/f/{wheel.filename}", sha256)}
        return compare(wheel, listed, if_exists, index, None).status

    assert compare(wheel, {}, "fail", index, None).status == "would upload"
    assert decide(wheel.sha256, "skip-identical") == "identical"
    assert decide(None, "skip-identical") == "identical"
    assert decide("00" * 32, "skip") == "skipped"
    with pytest.raises(Conflict, match="different contents"):
        decide("00" * 32, "skip-identical")
    with pytest.raises(Conflict, match=r"already has sample-1[.]0-py3-none-any[.]whl"):
        decide(wheel.sha256, "fail")


def repacked(wheel: Distribution, to: Path) -> bytes:
    """The wheel, written anew by another release of its backend."""
    with zipfile.ZipFile(wheel.path) as ours, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as theirs:
        texts = {name: ours.read(name).decode() for name in reversed(ours.namelist())}
        of_wheel, record = (next(name for name in texts if name.endswith(end)) for end in ("/WHEEL", "/RECORD"))
        before = line(texts[of_wheel].encode())
        texts[of_wheel] = texts[of_wheel].replace("Generator: tests", "Generator: tests 0.9")
        texts[record] = texts[record].replace(before, line(texts[of_wheel].encode()))
        for name, text in texts.items():
            theirs.writestr(name, text)
    return to.read_bytes()


def line(content: bytes) -> str:
    """The hash and the size in a line of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"sha256={digest},{len(content)}"


@pytest.mark.parametrize("lists_hash", [True, False])
def test_contents_decide(
    server: ScriptedServer, index: Index, wheel: Distribution, tmp_path: Path, *, lists_hash: bool
) -> None:
    theirs = repacked(wheel, tmp_path / "theirs.whl")
    sha256 = hashlib.sha256(theirs).hexdigest()
    server.on("/f/", Reply(200, theirs))
    listed = {FILENAME: IndexFile(FILENAME, f"{server.url}/f/{FILENAME}", sha256 if lists_hash else None)}
    found = compare(wheel, listed, "skip-identical", index, tmp_path)
    assert (found.status, found.sha256, found.why) == ("identical", sha256, "built by another release of tests")
    assert isinstance(found.distribution, Distribution)
    assert found.distribution.path.read_bytes() == theirs
    assert (found.distribution.sha256, found.distribution.size) == (sha256, len(theirs))


@pytest.mark.parametrize("theirs", [b"", b"x" * 1000, b"PK\x05\x06" + bytes(18)])
def test_a_file_that_cannot_be_compared_is_different(
    server: ScriptedServer, index: Index, wheel: Distribution, tmp_path: Path, theirs: bytes
) -> None:
    server.on("/f/", Reply(200, theirs))
    listed = {FILENAME: IndexFile(FILENAME, f"{server.url}/f/{FILENAME}", hashlib.sha256(theirs).hexdigest())}
    with pytest.raises(Conflict, match="with different contents: the published file cannot be compared"):
        compare(wheel, listed, "skip-identical", index, tmp_path)


@pytest.mark.parametrize("how", ["other hash", "larger"])
def test_a_file_that_is_not_the_listed_one_or_much_larger_is_different(
    server: ScriptedServer,
    index: Index,
    wheel: Distribution,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    how: str,
) -> None:
    theirs = repacked(wheel, tmp_path / "theirs.whl")
    sha256 = "00" * 32 if how == "other hash" else hashlib.sha256(theirs).hexdigest()
    if how == "larger":
        monkeypatch.setattr(upload, "_LARGER", len(theirs) - upload._TIMES_LARGER * wheel.size - 1)
    server.on("/f/", Reply(200, theirs))
    listed = {FILENAME: IndexFile(FILENAME, f"{server.url}/f/{FILENAME}", sha256)}
    with pytest.raises(Conflict, match="it is much larger, or not the file that the index lists"):
        compare(wheel, listed, "skip-identical", index, tmp_path)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Metadata-Version: garbage\n",
        "Metadata-Version: 9.9\n",
        "Metadata-Version: 2.2\nDynamic: name\n",
        "Metadata-Version: 2.4\nLicense-File: ../LICENSE\n",
        "Metadata-Version: 2.5\nImport-Name: 1\n",
    ],
)
def test_a_file_with_invalid_metadata_is_different(
    server: ScriptedServer, index: Index, wheel: Distribution, tmp_path: Path, said: str
) -> None:
    """Also in the fields that do not count, because a release of a backend may add them."""
    metadata = METADATA.replace("Metadata-Version: 2.1\n", said)
    theirs = make_wheel(tmp_path / "theirs", metadata=metadata).read_bytes()
    server.on("/f/", Reply(200, theirs))
    listed = {FILENAME: IndexFile(FILENAME, f"{server.url}/f/{FILENAME}", hashlib.sha256(theirs).hexdigest())}
    with pytest.raises(Conflict, match="with different contents: its metadata are invalid"):
        compare(wheel, listed, "skip-identical", index, tmp_path)


def test_names_what_is_different(server: ScriptedServer, index: Index, wheel: Distribution, tmp_path: Path) -> None:
    other = distribution.read(make_wheel(tmp_path / "other", content="changed"))
    server.on("/f/", Reply(200, other.path.read_bytes()))
    listed = {FILENAME: IndexFile(FILENAME, f"{server.url}/f/{FILENAME}", other.sha256)}
    with pytest.raises(Conflict, match=r"with different contents: .*sample[.]py") as caught:
        compare(wheel, listed, "skip-identical", index, tmp_path)
    assert caught.value.fix == "raise the version of sample, or set `if-exists: skip` to keep the registry's file"


@pytest.fixture
def google(server: ScriptedServer, repository: Repository, context: Context, session: requests.Session) -> Index:
    """Return an index that also serves files below the upload URL, as Artifact Registry does."""
    named = replace(repository, upload_url=f"{server.url}/", location="us", project="demo-project", name="python")
    return Index(named, context, session, GivenSource("ya29.given"))


def link(url: str, sha256: str) -> Reply:
    return Reply(200, f'<a href="{url}#sha256={sha256}">')


def test_a_file_is_read_back_once_if_it_is_where_it_should_be(
    server: ScriptedServer, google: Index, wheel: Distribution
) -> None:
    server.on("/simple/sample/", link(f"/sample/{FILENAME}", wheel.sha256))
    server.on(f"/sample/{FILENAME}", Reply(200, wheel.path.read_bytes()))
    assert read_back(wheel, google) == f"{server.url}/sample/{FILENAME}"
    assert len(server.seen) == 2


@pytest.mark.parametrize("there", [Reply(404), Reply(200, b"different")], ids=["nothing", "different"])
def test_the_url_in_the_index_counts(server: ScriptedServer, google: Index, wheel: Distribution, there: Reply) -> None:
    server.on("/simple/sample/", link(f"/files/{FILENAME}", wheel.sha256))
    server.on(f"/sample/{FILENAME}", there)
    server.on(f"/files/{FILENAME}", Reply(200, wheel.path.read_bytes()))
    assert read_back(wheel, google) == f"{server.url}/files/{FILENAME}"


def test_an_identical_file_at_another_url_proves_nothing(
    server: ScriptedServer, google: Index, wheel: Distribution
) -> None:
    server.on("/simple/sample/", link(f"/files/{FILENAME}", wheel.sha256))
    server.on(f"/sample/{FILENAME}", Reply(200, wheel.path.read_bytes()))
    server.on(f"/files/{FILENAME}", Reply(200, b"different"))
    with pytest.raises(FileRefused, match=hashlib.sha256(b"different").hexdigest()):
        read_back(wheel, google)


def test_a_wrong_hash_in_the_index_is_refused(server: ScriptedServer, google: Index, wheel: Distribution) -> None:
    server.on("/simple/sample/", link(f"/sample/{FILENAME}", "00" * 32))
    server.on(f"/sample/{FILENAME}", Reply(200, wheel.path.read_bytes()))
    with pytest.raises(FileRefused) as caught:
        read_back(wheel, google)
    assert words(caught.value) == [
        (
            f"{FILENAME} in {google.repository} does not match the upload or its index: "
            f"downloaded sha256 {wheel.sha256}, uploaded sha256 {wheel.sha256}, index sha256 {'00' * 32}."
        ),
        "a cache or a proxy between this machine and the registry changes files",
        google.repository.to_compare("sample"),
        "read-back",
    ]


def test_a_longer_file_is_refused(server: ScriptedServer, index: Index, wheel: Distribution) -> None:
    server.on("/simple/sample/", page(wheel, wheel.sha256))
    server.on("/f/", Reply(200, wheel.path.read_bytes() + b"x"))
    with pytest.raises(FileRefused, match=r"downloaded sha256 unknown \(larger than uploaded\), uploaded sha256"):
        read_back(wheel, index)


def test_an_uploaded_file_that_the_index_never_lists(index: Index, wheel: Distribution) -> None:
    with pytest.raises(FileRefused) as caught:
        read_back(wheel, index)
    assert words(caught.value) == [
        f"{FILENAME} was uploaded, but the index does not list it.",
        "the index lags behind, or the upload went to another repository than the one that the index shows",
        "run again: identical files are skipped; or set `verify: false`",
        "read-back",
    ]


def test_another_index_is_asked_first(server: ScriptedServer, index: Index, wheel: Distribution) -> None:
    server.on("/simple/sample/", link(f"/files/{FILENAME}", wheel.sha256))
    server.on(f"/files/{FILENAME}", Reply(200, wheel.path.read_bytes()))
    seen_when_listed = list[int]()
    read_back(wheel, index, lambda: seen_when_listed.append(len(server.seen)))
    assert [each.path for each in server.seen] == ["/simple/sample/", f"/files/{FILENAME}"]
    assert seen_when_listed == [1]


PIECE = 10


def pieces_of(form: FormWithFile) -> list[bytes]:
    return list(iter(lambda: form.read(PIECE), b""))


@pytest.mark.parametrize("size", [0, 1, PIECE, 3 * PIECE + 1])
def test_the_length_and_progress_of_a_form(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"\xff" * size)
    told: list[int] = []
    with (tmp_path / "file").open("rb") as content:
        form = FormWithFile([("name", "Größe"), ("name", "again")], "content", "a file", content)
        form.show = told.append
        read = pieces_of(form)
    body = b"".join(read)
    assert max(map(len, read)) <= PIECE
    assert len(body) == form.len == told[-1]
    assert told == sorted(told)
    boundary = form.content_type.partition("boundary=")[2].encode()
    parts = body.split(b"--" + boundary)
    assert [part.partition(b"\r\n\r\n")[2] for part in parts[1:-1]] == [
        "Größe\r\n".encode(),
        b"again\r\n",
        b"\xff" * size + b"\r\n",
    ]
    assert b'name="content"; filename="a file"\r\nContent-Type: application/octet-stream' in parts[3]
    assert parts[-1] == b"--\r\n"


@pytest.mark.parametrize("size", [0, 2 * PIECE, 5 * PIECE])
def test_a_form_notices_that_its_file_changed(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3 * PIECE)
    with (tmp_path / "file").open("rb") as content:
        form = FormWithFile([], "content", "file", content)
        (tmp_path / "file").write_bytes(b"x" * size)
        with pytest.raises(FileChanged):
            pieces_of(form)
