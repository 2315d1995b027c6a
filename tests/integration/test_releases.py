"""Release after release of a repository with many packages: what has not changed is not published again."""

import subprocess
from pathlib import Path

import pytest

from gar_emulator import Emulator
from tests.integration.frontdoors import Doors, publish, statuses, uploads

BACKENDS = {
    "by-setuptools": ('"setuptools"', "setuptools.build_meta"),
    "by-hatchling": ('"hatchling"', "hatchling.build"),
    "by-flit": ('"flit_core"', "flit_core.buildapi"),
    "by-poetry": ('"poetry-core>=2"', "poetry.core.masonry.api"),
    "by-pdm": ('"pdm-backend"', "pdm.backend"),
    "by-uv": ('"uv_build"', "uv_build"),
}


class Origin:
    """A git repository with a package for each backend."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._git("init", "-q", "-b", "main")
        for name in BACKENDS:
            self.write(name, "1.0.0")
        self.commit()

    def write(self, name: str, version: str) -> None:
        module = name.replace("-", "_")
        requires, backend = BACKENDS[name]
        folder = self._folder / "packages" / name
        (folder / "src" / module).mkdir(parents=True, exist_ok=True)
        (folder / "src" / module / "__init__.py").write_text(f'"""A package."""\n__version__ = "{version}"\n')
        (folder / "pyproject.toml").write_text(
            f'[build-system]\nrequires = [{requires}]\nbuild-backend = "{backend}"\n'
            f'[project]\nname = "{name}"\nversion = "{version}"\ndescription = "x"\nrequires-python = ">=3.9"\n'
        )

    def commit(self) -> None:
        self._git("add", "-A")
        self._git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "x")

    def clone(self, folder: Path) -> Path:
        """Clone the last commit alone, as actions/checkout does."""
        subprocess.run(["git", "clone", "-q", "--depth", "1", self._folder.as_uri(), folder], check=True)
        return folder

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", "-C", self._folder, *arguments], check=True)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


def run(doors: Doors, folder: Path, *options: str) -> dict[str, str]:
    """Publish all packages, and return the status of each file."""
    done, report = publish(Doors(folder, doors.environment), "packages/*", *options)
    assert done.code == 0, done.err
    return statuses(report)


def test_only_what_was_raised_is_uploaded(doors: Doors, emulator: Emulator, origin: Origin, tmp_path: Path) -> None:
    assert set(run(doors, origin.clone(tmp_path / "first")).values()) == {"uploaded"}
    for name in BACKENDS:
        origin.write(name, "1.1.0")
        origin.commit()
        found = run(doors, origin.clone(tmp_path / name))
        uploaded = [file for file, status in found.items() if status == "uploaded"]
        assert uploaded == [f"{name.replace('-', '_')}-1.1.0-py3-none-any.whl"]
        assert sorted(set(found.values())) == ["identical", "uploaded"]
    assert len(uploads(emulator)) == 2 * len(BACKENDS)


def test_the_same_commit_twice(doors: Doors, emulator: Emulator, origin: Origin, tmp_path: Path) -> None:
    """With sdists, and in a second folder without git."""
    formats = ("--formats", "wheel, sdist")
    assert set(run(doors, origin.clone(tmp_path / "one"), *formats).values()) == {"uploaded"}
    second = origin.clone(tmp_path / "two")
    subprocess.run(["rm", "-rf", second / ".git"], check=True)
    assert set(run(doors, second, *formats).values()) == {"identical"}
    assert len(uploads(emulator)) == 2 * len(BACKENDS)


def test_one_conflict_does_not_stop_the_rest(doors: Doors, emulator: Emulator, origin: Origin, tmp_path: Path) -> None:
    run(doors, origin.clone(tmp_path / "one"))
    changed = origin.clone(tmp_path / "two")
    module = changed / "packages/by-flit/src/by_flit/__init__.py"
    module.write_text(module.read_text() + "# changed\n")
    origin.write("by-hatchling", "1.1.0")
    (changed / "packages/by-hatchling/pyproject.toml").write_text(
        (tmp_path / "origin/packages/by-hatchling/pyproject.toml").read_text()
    )
    done, report = publish(Doors(changed, doors.environment), "packages/*")
    assert done.code == 5
    (message,) = done.errors
    assert (
        "by_flit-1.0.0-py3-none-any.whl with different contents: by_flit/__init__.py has different contents." in message
    )
    found = statuses(report)
    assert found["by_hatchling-1.1.0-py3-none-any.whl"] == "uploaded"
    assert sorted(found.values()) == ["failed", "identical", "identical", "identical", "identical", "uploaded"]
    assert len(uploads(emulator)) == len(BACKENDS) + 1
