"""Repositories of many packages: published in order, installed, and what happens if one package fails."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gar_emulator import Emulator
from gar_emulator.cloud.package_store import PackageStore, StoredFile
from gar_emulator.server.app import Seen
from tests.git import commit
from tests.integration.frontdoors import DIRECT, REPOSITORY, Done, Doors, publish, statuses, uploads

HATCHLING = ("hatchling", "hatchling.build")
FLIT = ("flit_core>=3.11", "flit_core.buildapi")
SETUPTOOLS = ("setuptools>=77", "setuptools.build_meta")
UV = Path(sys.executable).with_name("uv")
COUNT = 60
CHAIN = 15


def name(number: int) -> str:
    return f"pkg-{number:02}"


def wheel(package: str, version: str = "1.0") -> str:
    return f"{package.replace('-', '_')}-{version}-py3-none-any.whl"


REQUIRED = {
    name(each): {name(other) for other in ({each - 1} if each < CHAIN else {each // 2, each - 7}) if other >= 0}
    for each in range(COUNT)
}
"""A chain, then diamonds on top of it."""

OPTIONAL = {name(each): {name(each + 1)} for each in range(9, COUNT - 1, 10)}
"""The requirements of the packages' extras. The first closes a cycle."""

BACKENDS = {name(each): FLIT if each % 5 == 4 else SETUPTOOLS if each % 7 == 6 else HATCHLING for each in range(COUNT)}


def write(
    folder: Path,
    package: str,
    required: Iterable[str] = (),
    *,
    optional: Iterable[str] = (),
    backend: tuple[str, str] = HATCHLING,
    version: str = "1.0",
) -> Path:
    project = folder / package
    module = package.replace("-", "_")
    (project / module).mkdir(parents=True, exist_ok=True)
    (project / module / "__init__.py").write_text('"""X."""\n')
    (project / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["{backend[0]}"]\nbuild-backend = "{backend[1]}"\n'
        f'[project]\nname = "{package}"\nversion = "{version}"\ndescription = "x"\nrequires-python = ">=3.11"\n'
        f"dependencies = {sorted(required)}\n[project.optional-dependencies]\nextra = {sorted(optional)}\n"
    )
    return project


@dataclass(frozen=True)
class Published:
    """A repository of many packages after its first run.

    Attributes:
        doors: Its folder.
        emulator: Where they are.
        report: Of the first run.
        requests: What the emulator had been asked by the end of it, in order.
        uploaded: How many requests had been answered when a package came in.
    """

    doors: Doors
    emulator: Emulator
    report: dict[str, Any]
    requests: list[Seen]
    uploaded: dict[str, int]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, session_env: dict[str, str]) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("monorepo")
    for package, required in REQUIRED.items():
        write(folder / "libs", package, required, optional=OPTIONAL.get(package, ()), backend=BACKENDS[package])
    uploaded: dict[str, int] = {}
    add = PackageStore.add
    with Emulator(data=tmp_path_factory.mktemp("emulator")) as emulator, pytest.MonkeyPatch.context() as patch:

        def note(store: PackageStore, repository: Any, draft: Path, stored: StoredFile) -> None:
            uploaded[stored.package] = len(emulator.requests)
            add(store, repository, draft, stored)

        patch.setattr(PackageStore, "add", note)
        doors = Doors(folder, {**session_env, **emulator.exports(), "SOURCE_DATE_EPOCH": "1700000000"})
        done, report = publish(doors, "libs/*")
        assert done.code == 0, done.err
        yield Published(doors, emulator, report, emulator.requests, uploaded)


def edges() -> list[tuple[str, str]]:
    """Return each package with one that has to be there before it."""
    cycle = (name(9), name(10))
    return [
        (package, needed)
        for graph in (REQUIRED, OPTIONAL)
        for package, all_ in graph.items()
        for needed in all_
        if graph is REQUIRED or (package, needed) != cycle
    ]


def test_every_package_is_published_once(published: Published) -> None:
    assert statuses(published.report) == {wheel(package): "uploaded" for package in REQUIRED}
    assert published.report["verified"] is True
    posts = [seen for seen in published.requests if seen.method == "POST" and seen.host.endswith("-python.pkg.dev")]
    assert len(posts) == len(published.uploaded) == COUNT


def test_requirements_are_read_back_before_a_package_is_uploaded(published: Published) -> None:
    """The index listed the requirement before the dependent was uploaded."""
    shown = {
        package: next(
            place
            for place, seen in enumerate(published.requests)
            if place >= uploaded and seen.path.endswith(f"/simple/{package}/") and seen.status == 200
        )
        for package, uploaded in published.uploaded.items()
    }
    assert [
        (package, needed)
        for package, needed in edges()
        if not published.uploaded[needed] <= shown[needed] < published.uploaded[package]
    ] == []


def test_uploads_run_in_parallel(published: Published) -> None:
    """So the order above does not come from uploading one file after another."""
    order = sorted(published.uploaded, key=published.uploaded.__getitem__)
    assert order != sorted(order)


def install(published: Published, folder: Path, *command: str | Path, wanted: Iterable[str]) -> set[str]:
    """Install into a new environment from the index alone; the URL with its token is in no argument."""
    environment = {key: text for key, text in published.doors.environment.items() if not key.startswith("ACTIONS_")}
    line = published.doors.command("index-url", "--repository", REPOSITORY, *DIRECT).out.replace("--extra-", "--")

    def run(*command: str | Path, given: str = "") -> str:
        done = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(UV, "venv", "-q", "--python", sys.executable, folder)
    run(*command, "-r", "/dev/stdin", given="\n".join([line, *wanted]))
    shown = json.loads(run(UV, "pip", "list", "--python", folder, "--format", "json"))
    return {f"{each['name']}=={each['version']}" for each in shown}


def test_uv_installs_everything_that_the_topmost_packages_require(published: Published, tmp_path: Path) -> None:
    topmost = REQUIRED.keys() - {needed for all_ in REQUIRED.values() for needed in all_}
    assert 1 < len(topmost) < COUNT
    folder = tmp_path / "fresh"
    command: list[str | Path] = [UV, "pip", "install", "--no-cache", "--python", folder]
    assert install(published, folder, *command, wanted=topmost) == {f"{package}==1.0" for package in REQUIRED}


def test_pip_installs_what_one_package_requires(published: Published, tmp_path: Path) -> None:
    folder = tmp_path / "fresh"
    command: list[str | Path] = [sys.executable, "-m", "pip", "--python", folder, "install", "--no-cache-dir"]
    wanted = [f"{name(9)}[extra]"]
    assert install(published, folder, *command, wanted=wanted) == {f"{name(each)}==1.0" for each in range(11)}


def test_a_second_run_uploads_nothing(published: Published) -> None:
    before = len(uploads(published.emulator))
    done, report = publish(published.doors, "libs/*")
    assert done.code == 0, done.err
    assert set(statuses(report).values()) == {"identical"}
    assert report["published"] is False
    assert len(uploads(published.emulator)) == before == COUNT


def test_existing_versions_are_skipped_before_the_builds(published: Published, tmp_path: Path) -> None:
    absent = tmp_path / "uv"
    done, report = publish(published.doors, "libs/*", "--if-exists", "skip", variables={"UV_CACHE_DIR": str(absent)})
    assert done.code == 0, done.err
    assert statuses(report) == {wheel(package): "skipped" for package in REQUIRED}
    assert report["requirements-hashed"] == published.report["requirements-hashed"]
    assert not absent.exists()
    write(published.doors.folder / "new", "new")
    done, _ = publish(published.doors, "new/*", "--if-exists", "skip", variables={"UV_CACHE_DIR": str(absent)})
    assert done.code == 0, done.err
    assert absent.exists(), "for what is not there, an environment is made"


def run(doors: Doors, *arguments: str, code: int) -> tuple[Done, dict[str, Any]]:
    done, report = publish(doors, *arguments)
    assert done.code == code, done.err
    return done, report


def test_only_the_dependents_of_a_failed_build_are_not_tried(doors: Doors, emulator: Emulator) -> None:
    """Dependents at run time: an extra of the base requires all others."""
    for package, required in {"base": [], "middle": ["base"], "top": ["middle"], "roof": ["top"], "free": []}.items():
        optional = ["middle", "top", "roof", "free"] if package == "base" else []
        backend = SETUPTOOLS if package == "middle" else HATCHLING
        write(doors.folder, package, required, optional=optional, backend=backend)
    (doors.folder / "middle/setup.py").write_text("raise SystemExit('out of order')\n")
    done, report = run(doors, "*", code=4)
    assert statuses(report) == {
        wheel("base"): "uploaded",
        wheel("free"): "uploaded",
        wheel("top"): "not tried",
        wheel("roof"): "not tried",
    }
    why = {package["name"]: file.get("why") for package in report["packages"] for file in package["files"]}
    assert why["top"] == "requires middle, which was not published"
    assert why["roof"] == "requires top, which was not published"
    (failure,) = report["failures"]
    assert failure["project"] == "middle"
    assert "out of order" in failure["detail"]
    assert len(done.errors) == 1
    assert {file.package for file in emulator.files()} == {"base", "free"}


@pytest.mark.parametrize("other", ["setup.py", "pyproject.toml"])
def test_two_folders_whose_builds_have_the_same_name(doors: Doors, emulator: Emulator, other: str) -> None:
    write(doors.folder, "free")
    write(doors.folder, "dependent", ["same"])
    write(doors.folder, "same")
    for folder in ("one", *(["two"] if other == "setup.py" else [])):
        (doors.folder / folder).mkdir()
        (doors.folder / folder / "same.py").touch()
        (doors.folder / folder / "setup.py").write_text(
            "from setuptools import setup\nsetup(name='sa' + 'me', py_modules=['same'])\n"
        )
    folders = ["one", "two"] if other == "setup.py" else ["one", "same"]
    done, report = run(doors, "free", "dependent", *folders, code=2)
    (failure,) = report["failures"]
    assert re.fullmatch(r"(\w+) and (\w+) have the same package name, same\.", failure["what"])
    assert set(failure["what"].split()[:3:2]) == set(folders)
    assert done.errors[0].endswith("#same-project-twice")
    assert {file.package for file in emulator.files()} == {"free"}, "nobody knows which of the two is meant"


def test_a_cycle_is_refused_before_the_first_upload(doors: Doors, emulator: Emulator) -> None:
    write(doors.folder, "free")
    write(doors.folder, "one", ["two"])
    write(doors.folder, "two", ["one"])
    done, _ = run(doors, "*", code=2)
    assert done.errors[0].endswith("#cycle")
    assert uploads(emulator) == []


def test_changed_projects_are_published_with_their_dependents(doors: Doors, emulator: Emulator) -> None:
    for package, required in {"base": [], "middle": ["base"], "top": ["middle"], "free": []}.items():
        write(doors.folder, package, required)
    commit(doors.folder)
    write(doors.folder, "middle", ["base"], version="2.0")
    commit(doors.folder)
    _, report = run(doors, "*", "--changed-since", "HEAD~1", code=0)
    assert statuses(report) == {wheel("middle", "2.0"): "uploaded", wheel("top"): "uploaded"}
    done, report = run(doors, "*", "--changed-since", "HEAD", code=0)
    assert "Nothing has changed since HEAD" in done.err
    assert report["packages"] == []
    assert len(uploads(emulator)) == 2
