"""A build started by root: it runs as a user of its own on a copy, and reaches nothing else."""

import json
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.git import git
from tests.integration.root.rooms import IN_TREE, OWNER, Run, checkout, needs_root, own, said

ATTACKER = Path(__file__).parents[2] / "e2e/projects/attacker"
SECRET = "canary-5b1ce5c3a7d94b6f"  # made up here; must be found nowhere

pytestmark = needs_root


def test_files_belong_to_the_owner_and_git_works(room: Path, run: Run) -> None:
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


@pytest.mark.parametrize(
    ("variables", "date"),
    [({}, (2020, 2, 2, 0, 0, 0)), ({"SOURCE_DATE_EPOCH": "1000000000"}, (2001, 9, 9, 1, 46, 40))],
)
def test_the_source_date(room: Path, run: Run, variables: dict[str, str], date: tuple[int, ...]) -> None:
    _workspace(room, scm=True)
    (wheel,) = run(insist=True, packages=["packages/one"], variables=variables)["files"]
    with zipfile.ZipFile(wheel) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {date}


@pytest.mark.thorough
def test_two_builds_are_identical(room: Path, run: Run) -> None:
    _workspace(room, scm=True)
    (first,) = run(insist=True, packages=["packages/one"])["files"]
    before = Path(first).read_bytes()
    shutil.rmtree(Path(first).parent)
    (second,) = run(insist=True, packages=["packages/one"])["files"]
    assert Path(second).read_bytes() == before


REQUIRING = """
import os, zipfile, docopt
def build_wheel(folder, config_settings=None, metadata_directory=None):
    status = os.stat(docopt.__file__)
    print("mine", status.st_uid == os.getuid() != 0, status.st_nlink, docopt.__file__)
    zipfile.ZipFile(folder + "/a-1.0-py3-none-any.whl", "w").close()
    return "a-1.0-py3-none-any.whl"
"""


def test_builds_a_requirement_as_the_user_of_its_project(room: Path, run: Run) -> None:
    """It runs code, so that no other project may have it, nor the cache of root's installer."""
    table = IN_TREE.replace("[]", '["docopt==0.6.2"]')
    checkout(room, "ab", {"backend.py": REQUIRING, "pyproject.toml": table})
    result = run(insist=True, packages=["a", "b"])
    assert result["failure"] is None
    lines = {line for line in said(result) if line.startswith("mine")}
    assert {line.rpartition(" ")[0] for line in lines} == {"mine True 1"}
    assert len(lines) == 2, "an environment for each"


def test_whatever_the_umask(room: Path, run: Run) -> None:
    _workspace(room, scm=True)
    result = run(insist=True, packages=["packages/one"], umask=0o077)
    assert result["failure"] is None
    assert [Path(file).name for file in result["files"]] == ["one-3.2.1-py3-none-any.whl"]


def test_an_attacker_reads_and_changes_nothing(room: Path, run: Run) -> None:
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
    own(workspace)
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
    user = loot["user"]["uid"]
    assert user not in {0, OWNER[0]}
    assert loot["user"] == {"uid": user, "gid": user, "groups": []}
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


def test_hides_this_process_from_a_build_of_the_same_user(room: Path, run: Run) -> None:
    workspace = _workspace(room)
    shutil.copytree(ATTACKER, workspace / "packages/attacker")
    variables = {"INPUT_TOKEN": SECRET}
    orders = {"packages": ["packages/attacker"], "user": 4444}
    result = run(hide=False, variables=variables, **orders)
    assert result["failure"] is None
    (wheel,) = result["files"]
    text, loot = _loot(Path(wheel))
    assert SECRET in text  # the attacker knows how
    assert _of_driver(loot["processes"])
    shutil.rmtree(Path(wheel).parent)
    shutil.rmtree(workspace / "packages/attacker/dist")
    (room / "other").mkdir()
    (room / "other").chmod(0o1777)
    variables["TMPDIR"] = str(room / "other")  # a process of the first build writes to its wheel once more
    (wheel,) = run(hide=True, variables=variables, **orders)["files"]
    text, loot = _loot(Path(wheel))
    assert SECRET not in text
    assert not _of_driver(loot["processes"])


def test_a_python_that_others_cannot_run(room: Path, run: Run, python_for_every_user: str) -> None:
    _workspace(room)
    closed = room / "closed"
    subprocess.run([python_for_every_user, "-m", "venv", "--without-pip", closed], check=True)
    closed.chmod(0o700)
    script = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python_for_every_user, "-c", script], capture_output=True, text=True, check=True).stdout
    (next(closed.glob("lib/python3*/site-packages")) / "others.pth").write_text(packages)
    orders = {"packages": ["packages/one"], "python": closed / "bin/python"}
    failure = run(insist=True, **orders)["failure"]
    assert (failure["kind"], failure["anchor"]) == ("BuildFailure", "build-as-root")
    assert f"need {closed / 'bin/python'}, and cannot read {closed}" in failure["text"]
    result = run(insist=False, **orders)
    assert "The build runs untrusted code as root" in dict(result["said"])["warning"]
    assert [Path(file).name for file in result["files"]] == ["one-1.0-py3-none-any.whl"]


def test_builds_run_where_no_other_user_can_write(room: Path, run: Run) -> None:
    (room / "github/workspace/backend.py").write_text(PLACE)
    (room / "github/workspace/pyproject.toml").write_text(IN_TREE)
    (line,) = said(run(insist=True))
    assert re.fullmatch(r"/srv/gar-publish/\d+/1/source/workspace", line)


IGNORED = "build/\ndist/\ndownloads/\nenv/\nlib/\nlib64/\nparts/\nsdist/\ntarget/\ntmp/\nvar/\nwheels/\n.env\n"
"""From GitHub's `.gitignore` for Python. hatchling uses none if it matches a folder above the project."""


def test_ignored_files_are_left_out(room: Path, run: Run) -> None:
    project = room / "github/workspace"
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "one"\nversion = "1.0"\n'
    )
    (project / "one").mkdir()
    (project / "one/__init__.py").touch()
    (project / "one/.env").write_text(SECRET)
    (project / ".gitignore").write_text(IGNORED)
    wheel, sdist = sorted(run(formats=["wheel", "sdist"], insist=True)["files"])
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as source:
        assert [name for name in [*archive.namelist(), *source.getnames()] if name.endswith(".env")] == []


PLACE = """
import os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    print(os.getcwd())
    zipfile.ZipFile(folder + "/a-1.0-py3-none-any.whl", "w").close()
    return "a-1.0-py3-none-any.whl"
"""


def test_does_not_follow_a_link_in_place_of_dist(room: Path, run: Run) -> None:
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


def test_does_not_follow_a_link_in_place_of_the_source(room: Path, run: Run) -> None:
    project = room / "github/workspace"
    (project / "backend.py").write_text(FOLLOWED)
    (project / "pyproject.toml").write_text(IN_TREE)
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


def _workspace(room: Path, *, scm: bool = False) -> Path:
    """Make a checkout with one project that belongs to the runner's user."""
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
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"], ["tag", "v3.2.1"]):
        git(workspace, *arguments, GIT_COMMITTER_DATE=date, GIT_AUTHOR_DATE=date)
    own(workspace)
    return workspace


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _of_driver(processes: dict[str, Any]) -> list[Any]:
    return [spoils for spoils in processes.values() if "build_driver" in spoils["command"]]


def _loot(wheel: Path) -> tuple[str, dict[str, Any]]:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("loot.json").decode()
    return text, json.loads(text)
