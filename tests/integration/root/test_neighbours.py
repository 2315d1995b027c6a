"""Several projects built by root: none can change another."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.root.rooms import NOBODY, Run, checkout, needs_root

pytestmark = needs_root

IN_TREE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
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

NEIGHBOUR = """
import os, pathlib, subprocess, zipfile
here = pathlib.Path.cwd()
def build_wheel(folder, config_settings=None, metadata_directory=None):
    print("home was used:", (pathlib.Path.home() / "marker").exists())
    for place in ("../b/marker", str(pathlib.Path.home() / "marker")):
        try:
            pathlib.Path(place).write_text("x")
            print("wrote", place.rpartition("/")[0][-4:])
        except OSError as error:
            print("denied", place)
    subprocess.Popen(["sleep", "60"], start_new_session=True)
    name = here.name + "-1.0-py3-none-any.whl"
    zipfile.ZipFile(folder + "/" + name, "w").close()
    return name
"""


def test_a_project_cannot_write_to_the_next_one(room: Path, run: Run) -> None:
    checkout(room, "ab", {"backend.py": NEIGHBOUR, "pyproject.toml": IN_TREE})
    result = run(insist=False, packages=["a", "b"])
    assert result["failure"] is None
    said = [line for kind, line in result["said"] if kind == "foreign"]
    assert said.count("denied ../b/marker") == 1
    assert said.count("home was used: False") == 2
    assert result["left"] == []


HOSTILE = """
import ctypes, glob, os, signal, sysconfig, time
from pathlib import Path

server, here = os.getppid(), Path.cwd()
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


for name in ("mem", "environ", "maps", "fd/0", "fd/3", "fd/4", "root/tmp"):
    attempt("read " + name, lambda: os.close(os.open(f"/proc/{server}/{name}", os.O_RDONLY)))
attempt("write mem", lambda: os.close(os.open(f"/proc/{server}/mem", os.O_WRONLY)))
attempt("list fd", lambda: os.listdir(f"/proc/{server}/fd"))
pidfd = os.pidfd_open(server)
for descriptor in range(10):
    attempt("take a descriptor", lambda: call(438, pidfd, descriptor, 0))
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
for request in (16, 0x4206):  # PTRACE_ATTACH, PTRACE_SEIZE
    attempt("ptrace", lambda: libc.ptrace(request, server, None, None) == 0)

places = {here.parent / name for name in ("one", "two", "three")} | {here.parent}
places.add(Path(sysconfig.get_path("purelib")))
places.add(Path(sysconfig.get_path("purelib"), "setuptools"))
scratch = Path(os.environ["TMPDIR"]).parent
places |= {scratch, *(each for each in scratch.iterdir() if each.stat().st_uid != os.getuid())}
for place in places:
    attempt(f"write {place}", lambda: (place / "evil").write_text("x"))
    for file in (*place.glob("*.py"), *place.glob("*.txt"), place / "sitecustomize.py"):
        attempt(f"write {file}", lambda: file.write_text("raise SystemExit('attacked')"))
        attempt(f"chmod {file}", lambda: file.chmod(0o666))
        attempt(f"replace {file}", lambda: file.unlink())

if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for file in glob.glob(str(here.parent / "*/*.py")) + glob.glob(str(here.parent / "*/*.txt")):
            if Path(file).parent != here:
                try:
                    Path(file).write_text("attacked")
                except OSError:
                    pass
    os._exit(0)
print("tried:", tried, flush=True)
os.kill(server, signal.SIGKILL)
time.sleep(60)
"""
HARMLESS = """
from pathlib import Path
from setuptools import setup
name = Path.cwd().name
texts = [Path("..", each, "it.txt").read_text() for each in ("one", "two", "three")]
setup(name=name, version="1.0", py_modules=[name], description=" ".join(texts))
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_hostile_project_cannot_change_its_neighbours(room: Path, run: Run, jobs: int) -> None:
    """Its code runs in a fork of the process that calls their hooks, as the same user if they share a sandbox."""
    files = {"pyproject.toml": SETUPTOOLS, "NAME.py": "x = 1\n", "it.txt": "NAME"}
    checkout(room, ["one", "two", "three"], files | {"setup.py": HARMLESS})
    checkout(room, ["evil"], files | {"setup.py": HOSTILE})
    orders = {"insist": True, "jobs": jobs, "go_on": True, "variables": {"SOURCE_DATE_EPOCH": "1700000000"}}

    def build(*packages: str) -> tuple[dict[str, bytes], dict[str, Any]]:
        result = run(packages=packages, **orders)
        wheels = {Path(file).name: Path(file).read_bytes() for file in result["files"]}
        for folder in (room / "out").iterdir():
            shutil.rmtree(folder)
        return wheels, result

    expected, result = build("one", "two", "three")
    assert len(expected) == 3
    assert result["failures"] == {}
    found, result = build("one", "two", "evil", "three")
    said = [line for kind, line in result["said"] if kind == "foreign"]
    assert [line for line in said if line.startswith("worked:")] == []
    assert [int(line.split()[1]) > 20 for line in said if line.startswith("tried:")] == [True]
    assert found == expected
    assert result["failures"] == {"evil": "build-failed"}
    assert result["left"] == []


LIMITING = """
import os, resource
from setuptools import setup
if os.path.basename(os.getcwd()) == "a":
    os.setpriority(os.PRIO_PROCESS, os.getppid(), 7)
    resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (1, 1))
print("limits", os.getpriority(os.PRIO_PROCESS, 0), resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1, flush=True)
setup(name=os.path.basename(os.getcwd()), version="1.0")
"""


def test_a_project_cannot_limit_the_next_one(room: Path, run: Run) -> None:
    checkout(room, "ab", {"setup.py": LIMITING})
    result = run(insist=True, jobs=1, packages=["a", "b"])
    assert result["failure"] is None
    said = [line for kind, line in result["said"] if kind == "foreign" and line.startswith("limits")]
    assert said == ["limits 0 True"] * 4, "two hooks each"


SLOT = """
import os, pathlib, time, zipfile
here, other = pathlib.Path.cwd(), pathlib.Path("../b" if os.path.basename(os.getcwd()) == "a" else "../a")
def build_wheel(folder, config_settings=None, metadata_directory=None):
    (here / "met").touch()
    (pathlib.Path.home() / "met").touch()
    for _ in range(200):
        time.sleep(0.05)
        if (other / "met").exists():
            break
    print("user", os.getuid(), (other / "met").stat().st_uid)
    print("may write", [os.access(place, os.W_OK) for place in (other, other / "met")])
    homes = [each for each in pathlib.Path.home().parent.glob("home-*") if each.stat().st_uid not in {0, os.getuid()}]
    print("homes", len(homes) > 0, any(os.access(home, mode) for home in homes for mode in (os.R_OK, os.W_OK, os.X_OK)))
    (here / "over").touch()
    for _ in range(200):
        if (other / "over").exists():
            break
        time.sleep(0.05)
    name = here.name + "-1.0-py3-none-any.whl"
    zipfile.ZipFile(folder + "/" + name, "w").close()
    return name
"""


def test_projects_built_side_by_side_have_different_users(room: Path, run: Run) -> None:
    checkout(room, "ab", {"backend.py": SLOT, "pyproject.toml": IN_TREE})
    result = run(insist=True, jobs=2, packages=["a", "b"])
    assert result["failure"] is None
    said = [line for kind, line in result["said"] if kind == "foreign"]
    users = [f"user {NOBODY} {NOBODY - 1}", f"user {NOBODY - 1} {NOBODY}"]
    assert sorted(line for line in said if line.startswith("user")) == sorted(users)
    assert said.count("may write [False, False]") == 2
    assert said.count("homes True False") == 2


LEAVING = """
import os, subprocess
from setuptools import setup
if os.path.basename(os.getcwd()) == "a" and os.fork() == 0:
    os.setsid()
    subprocess.Popen(["sleep", "60"], start_new_session=True)
    os._exit(0)
print("user", os.getuid(), "server", os.getppid(), flush=True)
setup(name=os.path.basename(os.getcwd()), version="1.0")
"""


def test_kills_stragglers_but_not_the_server_outside_a_container(room: Path, run: Run) -> None:
    checkout(room, "ab", {"setup.py": LEAVING})
    result = run(insist=False, jobs=2, packages=["a", "b"])
    assert result["failure"] is None
    said = [line for kind, line in result["said"] if kind == "foreign" and line.startswith("user")]
    assert len(said) == 4, "two hooks each"
    assert len(set(said)) == 1, "one user and one server"
    assert said[0].startswith(f"user {NOBODY} ")
    assert result["left"] == []


def test_both_formats_of_several_projects(room: Path, run: Run) -> None:
    """The sdist is unpacked in the sandbox, between hooks that run in forks of one process."""
    checkout(room, "abc", {"pyproject.toml": FLIT, "NAME.py": ""})
    result = run(insist=True, jobs=2, packages=["a", "b", "c"], formats=["wheel", "sdist"])
    assert result["failure"] is None
    assert sorted(Path(file).name[0] for file in result["files"]) == [*"aabbcc"]
