"""Root's builds: as `nobody`, on a copy, with nothing in reach. They run in the container tests, too."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uv

ROOT = Path(__file__).parents[2]
ATTACKER = ROOT / "tests/e2e/projects/attacker"
OWNER = (4321, 4321)
NOBODY = 65534
SECRET = "canary-5b1ce5c3a7d94b6f"  # made up here; must be found nowhere

Run = Callable[..., dict[str, Any]]

ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh")
"""Runs a program where it sees, and can kill, no process but its own: other tests build as `nobody`, too."""

pytestmark = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can give up its rights")


@pytest.fixture(scope="module")
def everybodys_python() -> Iterator[str]:
    """A Python with gar-publish's dependencies that every user can run; often not the one that runs the tests."""
    if _nobody_can_run(sys.executable):
        yield sys.executable
        return
    system = "/usr/bin/python3"
    if not _nobody_can_run(system):
        pytest.skip("no Python here that every user can run")
    folder = tempfile.mkdtemp(dir="/tmp")
    Path(folder).chmod(0o755)
    try:
        subprocess.run([uv.find_uv_bin(), "venv", "-q", "--python", system, f"{folder}/venv"], check=True)
        python = f"{folder}/venv/bin/python"
        needed = ["build", "packaging", "twine", "uv"]
        subprocess.run([uv.find_uv_bin(), "pip", "install", "-q", "--python", python, *needed], check=True)
        yield python
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that every user can reach, as /tmp and /github are in a container."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    (folder / "out").mkdir()
    workspace = folder / "github" / "workspace"
    workspace.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def run(everybodys_python: str, room: Path) -> Run:
    def run(*, variables: dict[str, str] | None = None, user: int | None = None, **orders: Any) -> dict[str, Any]:
        passed = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")
        environment = {name: os.environ[name] for name in passed if name in os.environ}
        if user is not None:
            for path in (room, room / "out", *room.glob("github/**/*")):
                os.chown(path, user, user)
        alone = user is None
        done = subprocess.run(
            [*(ALONE if alone else ()), everybodys_python, Path(__file__).with_name("build_driver.py")],
            input=json.dumps(
                {"workspace": str(room / "github/workspace"), "out": str(room / "out"), "alone": alone} | orders
            ),
            env={
                **environment,
                "HOME": str(room / "github"),
                "UV_CACHE_DIR": str(room / "cache"),
                "TMPDIR": str(room / "tmp"),
                "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
                "PYTHONDONTWRITEBYTECODE": "1",
                **(variables or {}),
            },
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=300,
            user=user,
            group=user,
            extra_groups=[] if user is not None else None,
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return run


def test_files_belong_to_the_owner_and_git_is_at_ease(room: Path, run: Run) -> None:
    workspace = _workspace(room, scm=True)
    result = run(formats=["wheel", "sdist"], insist=True, packages=["packages/one"])
    assert result["failure"] is None
    names = sorted(Path(file).name for file in result["files"])
    assert names == ["one-3.2.1-py3-none-any.whl", "one-3.2.1.tar.gz"]
    assert sorted(file.name for file in (workspace / "packages/one/dist").iterdir()) == names
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in [workspace, *workspace.rglob("*")]}
    assert owners == {OWNER}
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=workspace, capture_output=True, text=True, check=True, user=OWNER[0]
    )
    assert changed.stdout == "?? packages/one/dist/\n"


def test_source_date_is_that_of_the_last_commit(room: Path, run: Run) -> None:
    _workspace(room, scm=True)
    (wheel,) = run(insist=True, packages=["packages/one"])["files"]
    with zipfile.ZipFile(wheel) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2024, 5, 6, 7, 8, 10)}


def test_two_builds_are_the_same_bytes(room: Path, run: Run) -> None:
    _workspace(room, scm=True)
    (first,) = run(insist=True, packages=["packages/one"])["files"]
    before = Path(first).read_bytes()
    shutil.rmtree(Path(first).parent)
    (second,) = run(insist=True, packages=["packages/one"])["files"]
    assert Path(second).read_bytes() == before


def test_a_requirement_that_has_to_be_built_is_built_as_nobody(room: Path, run: Run) -> None:
    project = room / "github/workspace"
    (project / "backend.py").write_text(
        "import os, zipfile, docopt\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    print('may write', os.access(docopt.__file__, os.W_OK))\n"
        "    zipfile.ZipFile(folder + '/a-1.0-py3-none-any.whl', 'w').close()\n"
        "    return 'a-1.0-py3-none-any.whl'\n"
    )
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["docopt==0.6.2"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    result = run(insist=True)
    assert result["failure"] is None
    assert ["foreign", "may write False"] in result["said"]


def test_an_attacker_finds_and_changes_nothing(room: Path, run: Run) -> None:
    workspace = _workspace(room)
    shutil.copytree(ATTACKER, workspace / "packages/attacker")
    runner = {name: room / "github/file_commands" / name for name in ("env", "output", "path", "state")}
    (room / "github/file_commands").mkdir()
    for file in runner.values():
        file.touch()
        file.chmod(0o666)
    secrets = [
        workspace / "gha-creds-0123456789abcdef.json",
        workspace / "key.json",
        room / "github/home-secret",
        workspace / ".git/config",
    ]
    secrets[0].write_text(SECRET)
    secrets[1].write_text(SECRET)
    secrets[2].write_text(SECRET)
    with secrets[3].open("a") as stream:
        stream.write(f'[http "https://github.com/"]\n\textraheader = AUTHORIZATION: basic {SECRET}\n')
        stream.write(f'[remote "origin"]\n\turl = https://x-access-token:{SECRET}@github.com/o/r\n')
    report = room / "tmp/report"
    targets = {
        "read": [str(room), *map(str, secrets)],
        "write": [*map(str, runner.values()), *map(str, secrets), str(workspace / "README"), str(report)],
        "report": str(report),
    }
    (workspace / "packages/attacker/targets.json").write_text(json.dumps(targets))
    _own(workspace)
    before = _contents(room / "github")

    result = run(
        insist=True,
        packages=["packages/attacker"],
        private_index=f"https://oauth2accesstoken:{SECRET}@127.0.0.1:1/simple/",
        variables={
            "INPUT_CREDENTIALS-JSON": SECRET,
            "INPUT_ACCESS-TOKEN": SECRET,
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": SECRET,
            "ACTIONS_RUNTIME_TOKEN": SECRET,
            "GITHUB_TOKEN": SECRET,
            "GITHUB_WORKSPACE": str(workspace),
            **{f"GITHUB_{name.upper()}": str(file) for name, file in runner.items()},
            "GOOGLE_APPLICATION_CREDENTIALS": str(secrets[1]),
            "CLOUDSDK_AUTH_ACCESS_TOKEN": SECRET,
            "TWINE_PASSWORD": SECRET,
            "UV_INDEX_PRIVATE_PASSWORD": SECRET,
            "HTTPS_PROXY": f"http://user:{SECRET}@127.0.0.1:1",
            "SOME_OTHER_TOKEN": SECRET,
        },
    )

    assert result["failure"] is None
    (wheel,) = result["files"]
    text, loot = _loot(Path(wheel))
    assert loot["user"] == {"uid": NOBODY, "gid": NOBODY, "groups": []}
    assert SECRET not in text
    assert loot["written"] == [str(report)]  # what everybody may write, and nothing of ours
    assert loot["sockets"] == []
    assert loot["terminal"] is None
    assert not _of_driver(loot["processes"])
    assert not [path for path in loot["files"] if path.startswith(str(room / "github"))]
    assert _contents(room / "github") == before | {
        "workspace/packages/attacker/dist/attacker-1.0-py3-none-any.whl": Path(wheel).read_bytes()
    }
    assert stat_mode(room / "github") == 0o755
    assert SECRET not in report.read_text()
    assert result["left"] == []
    assert ["foreign", "::add-mask::attacker"] in result["said"]
    assert not [text for kind, text in result["said"] if kind != "foreign" and "attacked" in text]


def test_this_process_is_hidden_from_a_build_of_the_same_user(room: Path, run: Run) -> None:
    workspace = _workspace(room)
    shutil.copytree(ATTACKER, workspace / "packages/attacker")
    orders = {"packages": ["packages/attacker"], "user": 4444, "variables": {"INPUT_TOKEN": SECRET}}
    result = run(hide=False, **orders)
    assert result["failure"] is None
    (wheel,) = result["files"]
    text, loot = _loot(Path(wheel))
    assert SECRET in text  # the attacker knows how
    assert _of_driver(loot["processes"])
    shutil.rmtree(Path(wheel).parent)
    shutil.rmtree(workspace / "packages/attacker/dist")
    (wheel,) = run(hide=True, **orders)["files"]
    text, loot = _loot(Path(wheel))
    assert SECRET not in text
    assert not _of_driver(loot["processes"])


def test_a_temporary_folder_out_of_nobodys_reach(room: Path, run: Run) -> None:
    _workspace(room)
    (room / "tmp").chmod(0o700)
    failure = run(insist=True, packages=["packages/one"])["failure"]
    assert (failure["kind"], failure["anchor"]) == ("BuildFailure", "build-as-root")
    result = run(insist=False, packages=["packages/one"])
    assert "The build runs as root" in dict(result["said"])["warning"]
    assert [Path(file).name for file in result["files"]] == ["one-1.0-py3-none-any.whl"]


def test_dist_that_leads_elsewhere_is_not_followed(room: Path, run: Run) -> None:
    workspace = _workspace(room)
    elsewhere = room / "elsewhere"
    elsewhere.mkdir()
    (workspace / "packages/one/dist").symlink_to(elsewhere)
    result = run(insist=True, packages=["packages/one"])
    assert [Path(file).name for file in result["files"]] == ["one-1.0-py3-none-any.whl"]
    assert list(elsewhere.iterdir()) == []
    assert "No copy of one-1.0-py3-none-any.whl was left" in str(result["said"])


def stat_mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def _nobody_can_run(python: str) -> bool:
    script = "import sys; assert sys.version_info >= (3, 11)"
    try:
        subprocess.run([python, "-c", script], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


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


def test_no_project_reaches_the_next_one(room: Path, run: Run) -> None:
    workspace = room / "github/workspace"
    subprocess.run(["git", "init", "-q", workspace], check=True)
    for name in ("a", "b"):
        (workspace / name).mkdir()
        (workspace / name / "backend.py").write_text(NEIGHBOUR)
        (workspace / name / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        )
    _own(workspace)
    result = run(insist=False, packages=["a", "b"])
    assert result["failure"] is None
    said = [line for kind, line in result["said"] if kind == "foreign"]
    assert said.count("denied ../b/marker") == 1
    assert said.count("home was used: False") == 2
    assert result["left"] == []


FOLLOWED = """
import os, pathlib, zipfile
def get_requires_for_build_wheel(config_settings=None):
    here = os.getcwd()
    if "unpacked" in here:
        os.rename(here, here + ".real")
        os.symlink(os.environ["CI"], here)
    return []
def build_sdist(folder, config_settings=None):
    import io, tarfile
    with tarfile.open(folder + "/one-1.0.tar.gz", "w:gz") as sdist:
        for name in ("backend.py", "pyproject.toml"):
            sdist.add(name, "one-1.0/" + name)
    return "one-1.0.tar.gz"
def build_wheel(folder, config_settings=None, metadata_directory=None):
    print("reads", open("../secret").read())
"""


def test_a_link_in_the_place_of_the_source_leads_nowhere(room: Path, run: Run) -> None:
    project = room / "github/workspace"
    (project / "backend.py").write_text(FOLLOWED)
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    closed = room / "closed"
    (closed / "inside").mkdir(parents=True)
    (closed / "secret").write_text(SECRET)
    for name in ("backend.py", "pyproject.toml"):
        shutil.copy(project / name, closed / "inside")
    closed.chmod(0o700)
    result = run(insist=False, formats=["wheel", "sdist"], variables={"CI": str(closed / "inside")})
    assert result["failure"] is not None
    assert SECRET not in str(result)
    assert "Permission denied" in str(result)


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
def test_a_hostile_project_changes_nothing_of_its_neighbours(room: Path, run: Run, jobs: int) -> None:
    """Its code runs in a fork of the process that serves them, as the same user where they share a slot."""
    workspace = room / "github/workspace"
    subprocess.run(["git", "init", "-q", workspace], check=True)
    for name in ("one", "two", "three", "evil"):
        (workspace / name).mkdir()
        (workspace / name / "setup.py").write_text(HOSTILE if name == "evil" else HARMLESS)
        (workspace / name / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["setuptools>=64"]\nbuild-backend = "setuptools.build_meta"\n'
        )
        (workspace / name / f"{name}.py").write_text("x = 1\n")
        (workspace / name / "it.txt").write_text(name)
    _own(workspace)
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


def test_no_project_limits_the_next_one(room: Path, run: Run) -> None:
    workspace = room / "github/workspace"
    subprocess.run(["git", "init", "-q", workspace], check=True)
    for name in ("a", "b"):
        (workspace / name).mkdir()
        (workspace / name / "setup.py").write_text(LIMITING)
    _own(workspace)
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


def test_projects_side_by_side_have_a_user_each(room: Path, run: Run) -> None:
    workspace = room / "github/workspace"
    subprocess.run(["git", "init", "-q", workspace], check=True)
    for name in ("a", "b"):
        (workspace / name).mkdir()
        (workspace / name / "backend.py").write_text(SLOT)
        (workspace / name / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        )
    _own(workspace)
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


def test_outside_a_container_stragglers_are_ended_and_the_server_is_spared(room: Path, run: Run) -> None:
    workspace = room / "github/workspace"
    subprocess.run(["git", "init", "-q", workspace], check=True)
    for name in ("a", "b"):
        (workspace / name).mkdir()
        (workspace / name / "setup.py").write_text(LEAVING)
    _own(workspace)
    result = run(insist=False, jobs=2, packages=["a", "b"])
    assert result["failure"] is None
    said = [line for kind, line in result["said"] if kind == "foreign" and line.startswith("user")]
    assert len(said) == 4, "two hooks each"
    assert len(set(said)) == 1, "one user and one server"
    assert said[0].startswith(f"user {NOBODY} ")
    assert result["left"] == []


def test_both_formats_of_several_projects(room: Path, run: Run) -> None:
    """The sdist is unpacked in the sandbox, between hooks that forks of one process call."""
    workspace = room / "github/workspace"
    subprocess.run(["git", "init", "-q", workspace], check=True)
    for name in ("a", "b", "c"):
        (workspace / name).mkdir()
        (workspace / name / f"{name}.py").write_text('"""x"""\n__version__ = "1.0"\n')
        (workspace / name / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["flit_core>=3.2"]\nbuild-backend = "flit_core.buildapi"\n'
            f'[project]\nname = "{name}"\nversion = "1.0"\ndescription = "x"\n'
        )
    _own(workspace)
    result = run(insist=True, jobs=2, packages=["a", "b", "c"], formats=["wheel", "sdist"])
    assert result["failure"] is None
    assert sorted(Path(file).name[0] for file in result["files"]) == [*"aabbcc"]


def _workspace(room: Path, *, scm: bool = False) -> Path:
    """A checkout with one project, which belongs to the runner's user."""
    workspace = room / "github/workspace"
    project = workspace / "packages/one"
    (project / "one").mkdir(parents=True)
    (project / "one/__init__.py").touch()
    requires = '["setuptools>=64", "setuptools-scm>=8"]' if scm else '["flit_core>=3.2"]'
    backend = "setuptools.build_meta" if scm else "flit_core.buildapi"
    version = 'dynamic = ["version"]\n[tool.setuptools_scm]\nroot = "../.."' if scm else 'version = "1.0"'
    (project / "pyproject.toml").write_text(
        f'[build-system]\nrequires = {requires}\nbuild-backend = "{backend}"\n'
        f'[project]\nname = "one"\ndescription = "x"\nrequires-python = ">=3.11"\n{version}\n'
    )
    date = "2024-05-06T07:08:10+00:00"
    environment = {**os.environ, "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
    person = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for arguments in (["init", "-q"], ["add", "-A"], [*person, "commit", "-qm", "x"], ["tag", "v3.2.1"]):
        subprocess.run(["git", *arguments], cwd=workspace, env=environment, check=True)
    _own(workspace)
    return workspace


def _own(workspace: Path) -> None:
    for path in [workspace, *workspace.rglob("*")]:
        os.chown(path, *OWNER, follow_symlinks=False)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _of_driver(processes: dict[str, Any]) -> list[Any]:
    return [spoils for spoils in processes.values() if "build_driver" in spoils["command"]]


def _loot(wheel: Path) -> tuple[str, dict[str, Any]]:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("loot.json").decode()
    return text, json.loads(text)
