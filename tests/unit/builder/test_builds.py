"""The order of what happens in a build, and failures of one project."""

import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from gar_publish.builder import builds
from gar_publish.builder.builds import Built, building
from gar_publish.builder.process import Tail
from gar_publish.builder.sandbox import NotEnded, Sandbox
from gar_publish.context import Context, new_context
from gar_publish.files import take, usual_folder
from gar_publish.projects import find
from tests.recording import RecordingConsole

BACKEND = """
import os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = os.path.basename(os.getcwd())
    print(f"building {name}")
    if name == "bad":
        raise ValueError
    zipfile.ZipFile(f"{folder}/{name}-1.0-py3-none-any.whl", "w").close()
    return f"{name}-1.0-py3-none-any.whl"
"""

WATCHFUL = """
import os, time
from pathlib import Path
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = os.path.basename(os.getcwd())
    log = Path(LOG)
    (log / f"{name}-begun").touch()
    until = time.monotonic() + 20
    while name != "outer" and len(list(log.glob("inner*-begun"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    ours = "outer" if name == "outer" else "inner"
    running = {each.name.partition("-")[0] for each in log.glob("*-begun")}
    running -= {each.name.partition("-")[0] for each in log.glob("*-ended")}
    if any(not each.startswith(ours) for each in running) or (ours == "inner" and time.monotonic() >= until):
        raise ValueError(running)
    time.sleep(0.1)
    (log / f"{name}-ended").touch()
    (Path(folder) / f"{name}-1.0-py3-none-any.whl").touch()
    return f"{name}-1.0-py3-none-any.whl"
"""
"""Fails if another project that it should not meet is built at the same time, or none that it should meet."""

Build = Callable[..., Sequence[Built]]


@pytest.fixture
def console() -> RecordingConsole:
    return RecordingConsole()


@pytest.fixture
def build(
    tmp_path: Path, clean_env: dict[str, str], console: RecordingConsole, monkeypatch: pytest.MonkeyPatch
) -> Build:
    """Return a function that builds projects in place."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def build(*names: str, backend: str = BACKEND, jobs: int = 1) -> Sequence[Built]:
        for name in names:
            (tmp_path / name).mkdir()
            (tmp_path / name / "backend.py").write_text(backend)
            (tmp_path / name / "pyproject.toml").write_text(
                '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            )
        (tmp_path / "out").mkdir()
        context = new_context(clean_env, console, workspace=tmp_path)
        with building(
            find.find(names, tmp_path),
            formats={"wheel"},
            out=tmp_path / "out",
            context=context,
            private_index=lambda _names: Future(),
            jobs=jobs,
        ) as found:
            return list(found)

    return build


def test_a_file_is_taken_when_its_build_has_ended(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def watch(file: Path, folder: Path) -> Path:
        events.append("take")
        return take(file, folder)

    monkeypatch.setattr(Sandbox, "end", lambda _self: events.append("end"))
    monkeypatch.setattr(builds, "take", watch)
    (built,) = build("good")
    assert built.failure is None
    assert events == ["end", "take"]


def test_a_build_that_fails_is_ended_and_the_next_one_is_built(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(Sandbox, "end", lambda self: ended.append(self.tree.name))
    bad, good = build("bad", "good")
    assert bad.failure
    assert bad.failure.anchor == "build-failed"
    assert [file.name for file in good.files] == ["good-1.0-py3-none-any.whl"]
    assert ended == ["bad", "bad", "good"], "before its files are looked at, and at its end"


def test_no_file_is_taken_after_a_build_that_could_not_be_ended(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Sandbox) -> None:
        raise NotEnded("It resists.", fix="look at it", anchor="build-not-ended")

    monkeypatch.setattr(Sandbox, "end", fail)
    with pytest.raises(NotEnded):
        build("one", "two")
    assert not list(tmp_path.glob("*/dist"))
    assert not list((tmp_path / "out").glob("*/*"))


def test_a_full_disk_is_a_failure_of_the_project(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Sandbox, kind: str) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), kind)

    monkeypatch.setattr(Sandbox, "folder", full)
    (built,) = build("good")
    assert built.failure
    assert "No space left" in f"{built.failure} {built.failure.detail}"


def test_a_project_is_not_built_while_one_in_its_folder_is(build: Build, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    backend = f"LOG = {str(tmp_path / 'log')!r}\n{WATCHFUL}"
    found = build("outer", "outer/inner1", "outer/inner2", backend=backend, jobs=3)
    assert [each.failure for each in found] == [None] * 3


def test_the_output_that_is_kept_is_bounded(build: Build, console: RecordingConsole) -> None:
    tail = Tail()
    for number in range(100_000):
        tail.add(f"{number} {'x' * 1000}")
    assert sum(map(len, tail.lines)) < 1_000_000
    assert tail.lines[-1].startswith("99999 ")
    for _ in range(100_000):
        tail.add("")
    assert len(tail.lines) <= 20_000
    build("one", "two")
    assert [line for line in console.of("foreign") if line] == ["building one", "building two"]


def test_sets_have_the_same_order_in_each_build(build: Build, console: RecordingConsole) -> None:
    backend = BACKEND.replace('f"building {name}"', "*{str(number) for number in range(20)}")
    assert not any(each.failure for each in build("one", "two", backend=backend))
    first, second = (line for line in console.of("foreign") if line)
    assert first == second


def test_builds_have_the_same_paths_in_each_run(
    tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with builds.open_sandboxes([], context, {}, 1) as one, builds.open_sandboxes([], context, {}, 1) as beside:
        assert one.scratch != beside.scratch
    with builds.open_sandboxes([], context, {}, 1) as again:
        assert again.scratch == one.scratch
    assert list(tmp_path.glob("gar-publish-*")) == []


def test_a_run_does_not_remove_the_builds_of_the_next_one(
    tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with builds.open_sandboxes([], context, {}, 1) as uploading:
        uploading.clear()  # in the background, after its last build
        following = usual_folder("gar-publish-builds")
        assert following == uploading.scratch
    assert following.exists()
