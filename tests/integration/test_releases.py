"""Release after release of a repository with many packages: what has not changed is not published again."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gar_emulator import Emulator
from tests.git import commit, git
from tests.integration.frontdoors import PUBLISHER, Doors, publish, statuses, uploads

BIN = Path(sys.executable).parent

BACKENDS = {
    "by-setuptools": ('"setuptools"', "setuptools.build_meta"),
    "by-hatchling": ('"hatchling"', "hatchling.build"),
    "by-flit": ('"flit_core"', "flit_core.buildapi"),
    "by-poetry": ('"poetry-core>=2"', "poetry.core.masonry.api"),
    "by-pdm": ('"pdm-backend"', "pdm.backend"),
    "by-uv": ('"uv_build"', "uv_build"),
}
PREVIOUS = """
setuptools==84.2.0
hatchling==1.32.4
flit_core==4.1.0
poetry-core==2.4.1
pdm-backend==2.4.10
uv_build==0.13.5
"""
"""The releases of the backends before those of November 2026, as constraints."""


class Origin:
    """A git repository of packages.

    Args:
        folder: A folder that does not exist.
        backends: The backend of each package, by the name of the package.
    """

    def __init__(self, folder: Path, backends: Mapping[str, str]) -> None:
        self._folder = folder
        self._backends = backends
        folder.mkdir()
        self.commit("1.0.0", *backends)

    def commit(self, version: str, *names: str) -> None:
        """Commit this version of packages."""
        for name in names:
            module = name.replace("-", "_")
            requires, backend = BACKENDS[self._backends[name]]
            folder = self._folder / "packages" / name
            (folder / "src" / module).mkdir(parents=True, exist_ok=True)
            (folder / "src" / module / "__init__.py").write_text(f'"""A package."""\n__version__ = "{version}"\n')
            (folder / "pyproject.toml").write_text(
                f'[build-system]\nrequires = [{requires}]\nbuild-backend = "{backend}"\n'
                f'[project]\nname = "{name}"\nversion = "{version}"\ndescription = "x"\nrequires-python = ">=3.9"\n'
                'dependencies = ["six>=1"]\n'
            )
        commit(self._folder)

    def clone(self, folder: Path) -> Path:
        """Clone the last commit alone, as actions/checkout does."""
        git(self._folder, "clone", "-q", "--depth", "1", self._folder.as_uri(), str(folder))
        return folder


def run(
    doors: Doors, folder: Path, *options: str, packages: Iterable[str] = ("*",), constraints: Path | None = None
) -> dict[str, Any]:
    """Publish packages, and return the report."""
    variables = {"UV_CONSTRAINT": str(constraints)} if constraints else {}
    folders = [f"packages/{name}" for name in packages]
    done, report = publish(Doors(folder, doors.environment), *folders, *options, variables=variables)
    assert done.code == 0, done.err
    return report


def wheel(name: str, version: str) -> str:
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def test_release_after_release(doors: Doors, emulator: Emulator, tmp_path: Path) -> None:
    """With shallow clones in fresh folders, and no date that is set."""
    origin = Origin(tmp_path / "origin", {name: name for name in BACKENDS})
    previous = tmp_path / "constraints.txt"
    previous.write_text(PREVIOUS)
    formats = ("--formats", "wheel, sdist")
    report = run(doors, origin.clone(tmp_path / "1.0.0"), *formats, constraints=previous)
    assert set(statuses(report).values()) == {"uploaded"}
    assert len(uploads(emulator)) == 2 * len(BACKENDS)

    # The same commit without git, and with the newest release of each backend.
    again = origin.clone(tmp_path / "again")
    shutil.rmtree(again / ".git")
    report = run(doors, again, *formats)
    assert set(statuses(report).values()) == {"identical"}
    assert len(uploads(emulator)) == 2 * len(BACKENDS)
    files = [file for package in report["packages"] for file in package["files"]]
    assert {file["filename"]: file["why"] for file in files if file.get("why")} == {
        wheel(name, "1.0.0"): f"built by another release of {backend}"
        for name, backend in zip(
            BACKENDS, ("setuptools", "hatchling", "flit", "poetry-core", "pdm-backend", "uv"), strict=True
        )
    }

    raised, others = list(BACKENDS)[:3], list(BACKENDS)[3:]
    origin.commit("1.1.0", *raised)
    found = statuses(run(doors, origin.clone(tmp_path / "1.1.0")))
    assert found == {
        **{wheel(name, "1.1.0"): "uploaded" for name in raised},
        **{wheel(name, "1.0.0"): "identical" for name in others},
    }
    assert len(uploads(emulator)) == 2 * len(BACKENDS) + len(raised)


def test_near_misses_do_not_stop_the_rest(doors: Doors, emulator: Emulator, tmp_path: Path) -> None:
    """A byte, a file more, an executable bit, a changed requirement: nothing of these packages is uploaded."""
    names = ("byte", "more", "executable", "requirement", "raised", "unchanged")
    origin = Origin(tmp_path / "origin", dict.fromkeys(names, "by-flit"))
    run(doors, origin.clone(tmp_path / "one"))
    origin.commit("1.1.0", "raised")
    changed = origin.clone(tmp_path / "two")
    packages = changed / "packages"
    with (packages / "byte/src/byte/__init__.py").open("a") as file:
        file.write("#")
    (packages / "more/src/more/more.py").touch()
    (packages / "executable/src/executable/__init__.py").chmod(0o755)
    pyproject = packages / "requirement/pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("six>=1", "six>=2"))
    before = len(uploads(emulator))
    done, report = publish(Doors(changed, doors.environment), "packages/*", "--formats", "wheel, sdist")
    assert done.code == 5
    differences = {
        "byte": "byte/__init__.py has different contents",
        "more": "more/more.py is not in the published file",
        "executable": "executable/__init__.py is executable, and in the published file not executable",
        "requirement": "requires-dist in requirement-1.0.0.dist-info/METADATA is six>=2, and in the published file "
        "six>=1",
    }
    assert {failure["what"] for failure in report["failures"]} == {
        f"The registry already has {wheel(name, '1.0.0')} with different contents: {difference}."
        for name, difference in differences.items()
    }
    assert len(done.errors) == len(differences)
    assert statuses(report) == {
        **{wheel(name, "1.0.0"): "failed" for name in differences},
        **{f"{name}-1.0.0.tar.gz": "not tried" for name in differences},
        wheel("raised", "1.1.0"): "uploaded",
        "raised-1.1.0.tar.gz": "uploaded",
        wheel("unchanged", "1.0.0"): "identical",
        "unchanged-1.0.0.tar.gz": "uploaded",
    }
    assert len(uploads(emulator)) == before + 3


def test_what_twine_published_is_identical(
    doors: Doors, emulator: Emulator, clean_env: dict[str, str], tmp_path: Path
) -> None:
    """Built by `python -m build` from the same commit."""
    origin = Origin(tmp_path / "origin", {"by-setuptools": "by-setuptools"})
    theirs, ours = origin.clone(tmp_path / "theirs"), origin.clone(tmp_path / "ours")
    environment = {**clean_env, "PATH": f"{BIN}:{clean_env['PATH']}"}
    project = theirs / "packages/by-setuptools"
    build: list[str | Path] = [sys.executable, "-m", "build", "--quiet", "--installer", "uv", project]
    subprocess.run(build, env=environment, check=True, capture_output=True)
    files = sorted((project / "dist").iterdir())
    login = {"TWINE_USERNAME": "oauth2accesstoken", "TWINE_PASSWORD": emulator.access_token(PUBLISHER)}
    url = f"{emulator.address('us-central1-python.pkg.dev')}/demo-project/python/"
    upload: list[str | Path] = [BIN / "twine", "upload", "--non-interactive", "--repository-url", url, *files]
    subprocess.run(upload, env={**environment, **login}, check=True, capture_output=True)
    assert len(uploads(emulator)) == 2
    report = run(doors, ours, "--formats", "wheel, sdist")
    assert statuses(report) == {file.name: "identical" for file in files}
    assert len(uploads(emulator)) == 2
    left = {file.name: file.read_bytes() for file in ours.glob("packages/*/dist/*")}
    assert left == {file.name: file.read_bytes() for file in files}, "copies of what will be installed"
