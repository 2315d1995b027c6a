"""Several projects built by root: each has a user and a tree of its own, and none can change another."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.root.rooms import IN_TREE, OWNER, Run, checkout, needs_root, said

pytestmark = needs_root

SETUPTOOLS = '[build-system]\nrequires = ["setuptools>=64"]\nbuild-backend = "setuptools.build_meta"\n'
FLIT = """
[build-system]
requires = ["flit_core>=3.2"]
build-backend = "flit_core.buildapi"
[project]
name = "NAME"
version = "1.0"
description = "x"
"""

UPPER = """
import os, pathlib, zipfile
here = pathlib.Path.cwd()
def build_wheel(folder, config_settings=None, metadata_directory=None):
    places = (here / "b/module.py", pathlib.Path.home() / "marker", pathlib.Path(os.environ["TMPDIR"], "marker"))
    print("sees", here.name == "b" and (here / "module.py").read_text(), *(place.exists() for place in places[1:]))
    for place in places:
        place.parent.mkdir(exist_ok=True)
        place.unlink(missing_ok=True)
        place.write_text("changed")
    zipfile.ZipFile(folder + "/a-1.0-py3-none-any.whl", "w").close()
    return "a-1.0-py3-none-any.whl"
"""


@pytest.mark.parametrize("packages", [[".", "b"], ["a", "b"]])
def test_a_project_changes_its_own_tree_alone(room: Path, run: Run, packages: list[str]) -> None:
    """Even if the others are in folders of its own."""
    workspace = room / "github/workspace"
    files = {"backend.py": UPPER, "pyproject.toml": IN_TREE, "module.py": "original"}
    checkout(room, "ab", files)
    for name in ("backend.py", "pyproject.toml"):
        shutil.copy(workspace / "a" / name, workspace)
    result = run(insist=True, jobs=1, packages=packages)
    assert result["failure"] is None
    assert said(result) == ["sees False False False", "sees original False False"]
    assert (workspace / "b/module.py").read_text() == "original"
    assert not (workspace / "a/b").exists()


HOSTILE = """
import ctypes, os, resource, signal, sysconfig, time
from pathlib import Path

server, here = os.getppid(), Path.cwd()
scratch = here.parents[3]
libc = ctypes.CDLL(None, use_errno=True)
tried = 0


def attempt(what, deed):
    global tried
    tried += 1
    try:
        if deed() is not False:
            print("worked:", what)
    except OSError:
        pass


def call(*arguments):
    return libc.syscall(*arguments) >= 0


libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
others = []
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    try:
        if f"Uid:\\t{os.getuid()}\\t" not in Path("/proc", str(pid), "status").read_text():
            others.append(pid)
    except OSError:  # it has ended
        pass
for pid in others:
    # All may open the maps of a process that has just ended. They are empty.
    attempt(f"read maps of {pid}", lambda: bool(Path("/proc", str(pid), "maps").read_bytes()))
    for name in ("mem", "environ", "fd/0", "fd/3", "fd/4", "root/tmp"):
        attempt(f"read {name} of {pid}", lambda: os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY)))
    attempt(f"write to {pid}", lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_WRONLY)))
    attempt(f"list files of {pid}", lambda: os.listdir(f"/proc/{pid}/fd"))
    for descriptor in range(10):
        attempt(f"take a file of {pid}", lambda: call(438, os.pidfd_open(pid), descriptor, 0))
    for request in (16, 0x4206):  # PTRACE_ATTACH, PTRACE_SEIZE
        attempt(f"trace {pid}", lambda: libc.ptrace(request, pid, None, None) == 0)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        attempt(f"end {pid}", lambda: os.kill(pid, number))
    attempt(f"slow {pid}", lambda: os.setpriority(os.PRIO_PROCESS, pid, 7))
    attempt(f"limit {pid}", lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, 1)))

for place in (scratch, scratch / "workspace", scratch / "uv", *(scratch / str(number) for number in range(1, 5))):
    if place not in here.parents or place == scratch:
        for below in (place, place / "source", place / "home-1", place / "source/workspace"):
            attempt(f"list {below}", lambda: os.listdir(below))
            attempt(f"write to {below}", lambda: (below / "evil").write_text("x"))

packages = Path(sysconfig.get_path("purelib"))
for place in (packages, packages / "setuptools"):
    attempt(f"write to {place}", lambda: (place / "evil").write_text("x"))
    attempt(f"remove from {place}", lambda: next(place.iterdir()).rename(place / "gone"))
linked = [here.parent / name / file for name in ("one", "two", "three") for file in ("it.txt", "setup.py")]
for file in (*linked, *packages.glob("setuptools/*.py"), *packages.glob("*/METADATA")):
    attempt(f"write {file}", lambda: file.write_text("raise SystemExit('attacked')"))
    attempt(f"append to {file}", lambda: file.open("a"))
    attempt(f"chmod {file}", lambda: file.chmod(0o666))
    attempt(f"truncate {file}", lambda: os.truncate(file, 0))
    attempt(f"touch {file}", lambda: os.utime(file, (0, 0)))

if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    time.sleep(60)
print("tried:", len(others), tried, flush=True)
raise SystemExit("evil has failed")
"""
HARMLESS = """
from pathlib import Path
from setuptools import setup
name = Path.cwd().name
texts = [Path("..", each, "it.txt").read_text() for each in ("one", "two", "three")]
setup(name=name, version="1.0", py_modules=[name], description=" ".join(texts))
"""


@pytest.mark.parametrize("jobs", [pytest.param(1, marks=pytest.mark.thorough), 2])
def test_a_hostile_project_cannot_change_its_neighbours(room: Path, run: Run, jobs: int) -> None:
    files = {"pyproject.toml": SETUPTOOLS, "NAME.py": "x = 1\n", "it.txt": "NAME"}
    checkout(room, ["one", "two", "three"], files | {"setup.py": HARMLESS})
    checkout(room, ["evil"], files | {"setup.py": HOSTILE})

    def build(*packages: str) -> tuple[dict[str, bytes], dict[str, Any]]:
        result = run(packages=packages, insist=True, jobs=jobs, go_on=True)
        wheels = {Path(file).name: Path(file).read_bytes() for file in result["files"]}
        for folder in (room / "out").iterdir():
            shutil.rmtree(folder)
        return wheels, result

    expected, result = build("one", "two", "three")
    assert len(expected) == 3
    assert result["failures"] == {}
    found, result = build("one", "two", "evil", "three")
    assert [line for line in said(result) if line.startswith("worked:")] == []
    (tried,) = (line.split()[1:] for line in said(result) if line.startswith("tried:"))
    assert int(tried[0]) >= 3, "it tried this process, a launcher, and its keeper"
    assert int(tried[1]) > 300
    assert found == expected
    assert result["failures"] == {"evil": "build-failed"}
    assert result["left"] == []


MEETING = """
import os, pathlib, time, zipfile
here, place = pathlib.Path.cwd(), pathlib.Path(os.environ["CI"])
mine, other = place / here.name, place / ("b" if here.name == "a" else "a")
def until(file):
    for _ in range(400):
        if file.exists():
            return
        time.sleep(0.05)
def build_wheel(folder, config_settings=None, metadata_directory=None):
    mine.with_suffix(".new").write_text(f"{os.getpid()} {here} {folder} {pathlib.Path.home()}")
    mine.with_suffix(".new").rename(mine)
    until(other)
    pid, *folders = other.read_text().split()
    reached = [each for each in folders for mode in (os.R_OK, os.W_OK, os.X_OK) if os.access(each, mode)]
    for deed in (lambda: os.kill(int(pid), 9), lambda: os.listdir(f"/proc/{pid}/fd")):
        try:
            reached.append(deed())
        except PermissionError:
            pass
    print("user", os.getuid(), os.getgid(), os.getgroups())
    print("reached", len(folders), reached)
    pathlib.Path(f"{mine}.over").touch()
    until(pathlib.Path(f"{other}.over"))
    zipfile.ZipFile(folder + "/a-1.0-py3-none-any.whl", "w").close()
    return "a-1.0-py3-none-any.whl"
"""


def test_projects_built_side_by_side_have_different_users(room: Path, run: Run) -> None:
    checkout(room, "ab", {"backend.py": MEETING, "pyproject.toml": IN_TREE})
    result = run(insist=True, jobs=2, packages=["a", "b"], variables={"CI": str(room / "tmp")})
    assert result["failure"] is None
    users = {tuple(line.split()[1:]) for line in said(result) if line.startswith("user")}
    assert len(users) == 2
    for user, group, groups in users:
        assert (user, groups) == (group, "[]")
        assert int(user) not in {0, OWNER[0], 65534}
    assert said(result).count("reached 3 []") == 2


LEAVING = """
import os, signal, subprocess
from setuptools import setup
for stop in (False, True):
    if os.fork() == 0:
        os.setsid()
        left = subprocess.Popen(["sleep", "60"], start_new_session=True)
        if stop:
            os.kill(left.pid, signal.SIGSTOP)
        os._exit(0)
print("user", os.getuid(), flush=True)
setup(name=os.path.basename(os.getcwd()), version="1.0")
"""


@pytest.mark.parametrize("insist", [False, True])
def test_nothing_that_a_build_starts_is_left(room: Path, run: Run, *, insist: bool) -> None:
    checkout(room, "ab", {"setup.py": LEAVING})
    result = run(insist=insist, jobs=2, packages=["a", "b"])
    assert result["failure"] is None
    assert len({line for line in said(result) if line.startswith("user")}) == 2
    assert result["left"] == []


def test_both_formats_of_several_projects(room: Path, run: Run) -> None:
    checkout(room, "abc", {"pyproject.toml": FLIT, "NAME.py": ""})
    result = run(insist=True, jobs=2, packages=["a", "b", "c"], formats=["wheel", "sdist"])
    assert result["failure"] is None
    assert sorted(Path(file).name[0] for file in result["files"]) == [*"aabbcc"]
