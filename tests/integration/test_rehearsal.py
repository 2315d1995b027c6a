"""Wheels are installed and imported before the first upload, and what fails is not published."""

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from bench.rehearsal import planted
from gar_emulator import Emulator
from gar_publish.context import Context, RetryPolicy
from gar_publish.settings.endpoints import Endpoints
from tests.conftest import ROOT
from tests.integration.frontdoors import DIRECT, REPOSITORY, Doors, publish, statuses, uploads
from tests.unit.servers import Memory, Reply, serve
from tests.wheels import make_sdist, make_wheel

HERE = f"3.{sys.version_info.minor}"
PYTEST = "[console_scripts]\npytest = pytest:main\n"
LIB_PUBLISHED = ("lib", "published", "passed")
NEEDS_EXTRA = (
    'Metadata-Version: 2.1\nName: tool\nVersion: 1.0\nProvides-Extra: cli\nRequires-Dist: lib; extra == "cli"\n'
)


def test_what_is_found_of_the_planted_defects(clean_env: dict[str, str], tmp_path: Path) -> None:
    """docs/rehearsal.md has the same outcomes."""
    variables = {**clean_env, "UV_DEFAULT_INDEX": (tmp_path / "index").as_uri()}
    said = planted.find(Context(tmp_path, variables, Endpoints(), Memory(), RetryPolicy()), tmp_path)
    found = {each.title: said[each.name].partition(":")[0] for each in planted.DEFECTS}
    measured = json.loads((ROOT / "bench" / "rehearsal" / "planted.json").read_text(encoding="utf-8"))
    assert found == {each["defect"]: each["gar-publish"] for each in measured}, said
    counts = Counter(found.values())
    assert counts["refused"] >= 24
    assert counts["not found"] <= 2


def test_what_fails_is_not_published_nor_what_depends_on_it(doors: Doors, emulator: Emulator) -> None:
    dist = doors.folder / "dist"
    make_wheel(dist, "broken", content="import nowhere_to_be_found\n")
    make_wheel(dist, "app", requires=["broken"])
    make_wheel(dist, "fine", requires=["lib"], content="import lib\n")
    make_wheel(dist, "lib")
    make_wheel(dist, "denied", requires=["elsewhere"])
    with serve() as public:
        public.on("/", Reply(403))
        denying = replace(doors, environment={**doors.environment, "UV_DEFAULT_INDEX": f"{public.url}/simple/"})
        done, report = publish(denying, "--dist", "dist", "--rehearse", "--rehearse-python", HERE)
    assert {seen.path for seen in public.seen} == {"/simple/elsewhere/"}
    assert done.code == 4
    outcomes = {each["filename"].partition("-")[0]: each["status"] for p in report["packages"] for each in p["files"]}
    assert outcomes == {
        "app": "not tried",
        "broken": "failed",
        "denied": "failed",
        "fine": "uploaded",
        "lib": "uploaded",
    }
    assert [(each["name"], each["beside"], each["state"]) for each in report["rehearsals"]] == [
        ("app", "", "not tried"),
        ("broken", "", "failed"),
        ("denied", "", "failed"),
        ("fine", "", "passed"),
        ("lib", "", "passed"),
        ("fine", "published", "passed"),
        ("lib", "published", "passed"),
    ]
    failure, denial = done.errors
    assert "returned a 403 Forbidden error" in denial
    assert f"broken-1.0-py3-none-any.whl failed its rehearsal with Python {sys.version.split()[0]}: broken: " in failure
    assert "ModuleNotFoundError: No module named 'nowhere_to_be_found' (broken.py, line 1)" in failure
    assert "requires broken, which failed" in done.err
    assert len(uploads(emulator)) == 2


def test_the_lowest_version_of_a_sibling_in_the_repository(doors: Doors) -> None:
    """`lib` is of the same run, and `base` only in the repository, as is what the command needs: it must fit `high`."""
    for name, version, content in (("lib", "1.0", ""), ("base", "1.0", ""), ("base", "2.0", "new = 1\n")):
        make_wheel(doors.folder / "first", name, version, content=content)
    make_wheel(doors.folder / "first", "pytest", content="def main(): ...\n", entry_points=PYTEST)
    beside_high = "import importlib.util\ndef main(): assert not importlib.util.find_spec('high')\n"
    make_wheel(doors.folder / "first", "pytest", "2.0", requires=["base<2"], content=beside_high, entry_points=PYTEST)
    done, _ = publish(doors, "--dist", "first")
    assert done.code == 0, done.err
    make_wheel(doors.folder / "dist", "lib", "1.1", content="new = 1\n")
    make_wheel(doors.folder / "dist", "app", requires=["lib"], content="from lib import new\n")
    make_wheel(doors.folder / "dist", "low", requires=["base"], content="from base import new\n")
    make_wheel(doors.folder / "dist", "high", requires=["base>=2"], content="from base import new\n")
    options = ("--rehearse", "--rehearse-python", HERE, "--rehearse-command", "pytest -q")
    done, report = publish(doors, "--dist", "dist", *options)
    assert done.code == 4
    published = {name.partition("-")[0]: status for name, status in statuses(report).items()}
    assert published == {"app": "failed", "lib": "uploaded", "low": "failed", "high": "uploaded"}
    states = [(each["name"], each["beside"], each["state"]) for each in report["rehearsals"]]
    assert sorted(states) == [
        ("app", "", "passed"),
        ("app", "lib==1.0", "failed"),
        ("high", "", "passed"),
        ("high", "published", "passed"),
        ("lib", "", "passed"),
        LIB_PUBLISHED,
        ("low", "", "passed"),
        ("low", "base==1.0", "failed"),
    ]
    assert "app: ImportError: cannot import name 'new' from 'lib'" in done.err
    assert "Fix: raise the lower bound of the requirement, such as `base>1.0`, and build again" in done.err


def test_the_command_rehearse_publishes_nothing(doors: Doors, emulator: Emulator) -> None:
    make_wheel(doors.folder / "dist", "lib")
    make_wheel(doors.folder / "dist", "tool", metadata=NEEDS_EXTRA, content="import lib\n")
    (doors.folder / "smoke.py").write_text("import lib\nprint('it works')\n")
    command = ("rehearse", "--repository", REPOSITORY, *DIRECT, "--dist", "dist", "--rehearse-python", HERE)
    done = doors.command(*command, "--rehearse-command", "sh -c 'python smoke.py'", "--json", "-")
    assert done.code == 0, done.err
    assert not [seen.path for seen in emulator.requests if "/sh/" in seen.path]
    report = json.loads(done.out)
    assert [(each["state"], each["notes"]) for each in report["rehearsals"]] == [
        ("passed", []),
        ("passed", ["tool needs the extra cli"]),
    ]
    assert set(statuses(report).values()) == {"would upload"}
    assert uploads(emulator) == []

    (doors.folder / "smoke.py").write_text("raise SystemExit('it does not work')\n")
    done = doors.command(*command, "--rehearse-command", "python smoke.py")
    assert done.code == 4
    assert "`python smoke.py` ended with exit code 1" in done.err
    assert "it does not work" in done.err
    assert "Likely cause: `--rehearse-command` found a fault of the package, or needs what" in done.err
    done = doors.command(*command, "--rehearse-command", "no-such-program")
    assert done.code == 4
    assert "`no-such-program` could not be started: neither the environment nor PATH has no-such-program" in done.err


def test_a_python_that_is_not_there(doors: Doors) -> None:
    make_wheel(doors.folder / "dist", "lib")
    done = doors.command("rehearse", "--repository", REPOSITORY, *DIRECT, "--dist", "dist", "--rehearse-python", "3.99")
    assert done.code == 2
    assert "`--rehearse-python` names 3.99, but uv finds no Python 3.99." in done.err


def test_nothing_is_built_if_an_index_needs_a_password(doors: Doors) -> None:
    """The sandbox has no passwords: it would ask the public index for what the other one has."""
    make_wheel(doors.folder / "dist", "app", requires=["sample"])
    public = doors.folder / "public"
    for file in (
        make_wheel(public / "app", "app", content="import nowhere\n"),
        public / "sample" / "sample-1.0.tar.gz",
    ):
        file.parent.mkdir(exist_ok=True)
        (file.parent / "index.html").write_text(f'<a href="{file.name}">{file.name}</a>')
    make_sdist(public / "sample")
    with serve() as private:
        private.on("/", Reply(404))
        url = private.url.replace("://", "://me:secret@")
        variables = {"UV_DEFAULT_INDEX": public.as_uri(), "UV_INDEX": f"{url}/simple/"}
        options = ("--dist", "dist", "--dry-run", "--rehearse", "--rehearse-python", HERE)
        done, report = publish(doors, *options, variables=variables)
    assert done.code == 0, done.err
    (rehearsal,) = report["rehearsals"]
    assert rehearsal["state"] == "not tried"
    assert "something it requires has no wheel for this Python and machine: " in rehearsal["problems"][0]
