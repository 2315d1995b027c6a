"""Install previews of a monorepo with every installer: `python -m bench.previews_install --repository FOLDER`.

Three pull requests change a clone of it. Number 42 changes one package that others need; 4 and 421, one of them older
and one newer, change all packages. Each has a preview in the emulator, made by one run, and other packages come from
PyPI. Then each installer runs what the run of number 42 has printed, in an environment of its own. Each Python file of
an installed preview must be one of its commit. Without `--repository`, the monorepo has seven build backends.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from bench import previews
from bench.publisher import COMMAND, DIRECT, process_environment
from gar_emulator import Emulator
from tests.integration.frontdoors import statuses, uploads
from tests.integration.test_previews import REQUIRED, write

OURS = 42
TIMES = {4: 1_795_946_000, OURS: 1_795_946_401, 421: 1_795_947_000}
"""When each pull request was committed."""

PIPS = ("23.0", "")
"""Versions of pip; the last one is the newest."""

LONGEST = 1200
_PASSED_ON = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "NO_PROXY")
_BIN = Path(sys.executable).parent
_CONSUMER = '[project]\nname = "consumer"\nversion = "1"\nrequires-python = ">=3.11,<4"\ndependencies = {}\n'

Sources = Mapping[str, Sequence[tuple[str, bytes]]]
"""The paths and contents of the Python files of a commit, by their last parts."""


@dataclass(frozen=True)
class Previewed:
    """The preview of pull request 42.

    Attributes:
        report: The report of the run.
        sources: The Python files of the commit.
    """

    report: Mapping[str, Any]
    sources: Sources

    @property
    def pins(self) -> Sequence[str]:
        return str(self.report["requirements"]).split()

    def problems(self, site: Path) -> list[str]:
        """Return what is wrong with the packages in a folder `site-packages`."""
        found = {str(canonicalize_name(each.metadata["Name"])): each for each in distributions(path=[str(site)])}
        problems = []
        for pin in self.pins:
            name, _, version = pin.partition("==")
            if name not in found or found[name].version != version:
                problems.append(f"{name} is not {version}")
            else:
                problems += [f"{path} is not of this commit" for path in self._others(found[name])]
        return problems

    def _others(self, installed: Distribution) -> list[str]:
        return [
            str(path)
            for path in _python_files(installed)
            if not any(
                source.endswith(f"/{path}") and content == Path(str(installed.locate_file(path))).read_bytes()
                for source, content in self.sources.get(path.name, ())
            )
        ]


def _python_files(installed: Distribution) -> list[PackagePath]:
    return [path for path in installed.files or () if path.suffix == ".py"]


class PullRequests:
    """A clone of a monorepo, in which pull requests are made and published.

    Args:
        folder: The clone.
        packages: The folders or globs of its packages.
        emulator: Has the repository of previews.
        home: The home of the programs.
    """

    def __init__(self, folder: Path, packages: Sequence[str], emulator: Emulator, home: Path) -> None:
        self.folder = folder
        self._packages = packages
        self._emulator = emulator
        self._home = home
        self._main = self._git("rev-parse", "HEAD")

    def open(self, number: int, folders: Sequence[str]) -> dict[str, Any]:
        """Change all Python files of some packages, commit and publish that, and return the report."""
        self._git("switch", "-qc", f"pr{number}", self._main)
        for each in self._tracked(*(f"{folder}/**/src/**/*.py" for folder in folders)):
            with (self.folder / each).open("a") as file:
                file.write(f"\n# Pull request {number}\n")
        self._git("commit", "-qam", "Change", at=TIMES[number])
        return self.publish(number)

    def publish(self, number: int) -> dict[str, Any]:
        """Publish the preview of what is checked out."""
        head = self._git("rev-parse", "HEAD")
        event = self._home / "event.json"
        pull_request = {"number": number, "head": {"sha": head}, "base": {"sha": self._main}}
        event.write_text(json.dumps({"pull_request": pull_request}))
        job = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event), "GITHUB_SHA": head}
        done = subprocess.run(
            [*COMMAND[:-1], previews.WHERE, *DIRECT, "--preview", "--json=-", *self._packages],
            cwd=self.folder,
            env=process_environment(self._emulator, self._home) | job,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def sources(self) -> Sources:
        """Return the Python files of what is checked out."""
        found = defaultdict(list)
        for each in self._tracked("**/*.py"):
            found[Path(each).name].append((f"/{each}", (self.folder / each).read_bytes()))
        return found

    def _tracked(self, *globs: str) -> list[str]:
        return self._git("ls-files", *(f":(glob){each}" for each in globs)).splitlines()

    def _git(self, *arguments: str, at: int = 0) -> str:
        return git(self.folder, *arguments, at=at)


def git(folder: Path, *arguments: str, at: int = 0) -> str:
    """Run git, and return its output."""
    who = ("-c", "user.name=octocat", "-c", "user.email=octocat@example.org")
    dates = {"GIT_AUTHOR_DATE": f"{at} +0000", "GIT_COMMITTER_DATE": f"{at} +0000"} if at else {}
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], env=os.environ | dates, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


class Installers:
    """The installers, each in a new folder and a new environment.

    Args:
        preview: What they install.
        emulator: Has the repository of previews.
        folder: The folder for the folders.
        public: The URL of an index in place of PyPI.
    """

    def __init__(self, preview: Previewed, emulator: Emulator, folder: Path, public: str = "") -> None:
        self._preview = preview
        self._folder = folder
        self._public = public
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self._environment = {
            **process_environment(emulator, folder),
            **passed_on,
            "PATH": f"{_BIN}:/usr/bin:/bin",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
            "LANG": "C.UTF-8",
            **({"PIP_INDEX_URL": public, "UV_DEFAULT_INDEX": public} if public else {}),
        }

    def pip(self, project: Path, version: str) -> None:
        self._run(project, f"uv venv -q --python {sys.executable}")
        self._run(project, f"uv pip install -q --python .venv pip{version and '=='}{version}")
        path = f"{project}/.venv/bin:{self._environment['PATH']}"
        self._run(project, self._preview.report["preview-install"], PATH=path)

    def uv_pip(self, project: Path) -> None:
        self._run(project, f"uv venv -q --python {sys.executable}")
        self._run(project, self._preview.report["preview-install-uv"], VIRTUAL_ENV=str(project / ".venv"))

    def uv_add(self, project: Path) -> None:
        (project / "pyproject.toml").write_text(_CONSUMER.format([]))
        self._run(project, self._preview.report["preview-install-uv"].replace("uv pip install ", "uv add ", 1))

    def uv_lock(self, project: Path) -> None:
        words = shlex.split(self._preview.report["preview-install-uv"].removeprefix("uv pip install "))
        first = words.index(self._preview.pins[0])
        options, pins = shlex.join(words[:first]), words[first:]
        (project / "pyproject.toml").write_text(_CONSUMER.format(json.dumps(pins)))
        self._run(project, f"uv lock {options}")
        self._run(project, f"uv sync --locked {options}")

    def poetry(self, project: Path) -> None:
        (project / "pyproject.toml").write_text(_CONSUMER.format([]) + "[tool.poetry]\npackage-mode = false\n")
        if self._public:
            self._run(project, f"poetry source add public {self._public}")
        self._run(project, f"poetry source add --priority=explicit previews {self._preview.report['index-url']}")
        self._run(project, shlex.join(["poetry", "add", "-n", "--source=previews", *self._preview.pins]))

    @property
    def all(self) -> Mapping[str, Callable[[Path], None]]:
        return {
            **{f"pip {each or '(newest)'}": partial(self.pip, version=each) for each in PIPS},
            "uv pip install": self.uv_pip,
            "uv add": self.uv_add,
            "uv lock, uv sync": self.uv_lock,
            "poetry add": self.poetry,
        }

    def outcome(self, name: str) -> str:
        """Return what came of an installer; its packages or its error."""
        project = self._folder / name.translate(str.maketrans(" (),", "____"))
        project.mkdir()
        try:
            self.all[name](project)
            self._run(project, "uv pip check --python .venv")
        except subprocess.CalledProcessError as failed:
            return f"FAILED: {failed.stdout.strip()}"
        except subprocess.TimeoutExpired:
            return "FAILED: it did not end"
        (site,) = (project / ".venv/lib").glob("*/site-packages")
        if problems := self._preview.problems(site):
            return f"WRONG: {'; '.join(problems[:10])}"
        compared = sum(
            len(_python_files(each))
            for each in distributions(path=[str(site)])
            if canonicalize_name(each.metadata["Name"]) in {pin.partition("==")[0] for pin in self._preview.pins}
        )
        return f"{len(self._preview.pins)} packages of this commit, {compared} files compared"

    def _run(self, project: Path, command: str, **variables: str) -> None:
        start = [sys.executable, "-m", "gar_publish.cli.main", "run", "--repository", previews.WHERE, *DIRECT, "--"]
        subprocess.run(
            [*start, "sh", "-c", command],
            cwd=project,
            env=self._environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
            check=True,
        )


def main() -> int:
    """Publish, install, and print a table.

    Returns:
        1 if an installer failed, or installed anything else.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repository", type=Path, help="a git repository of hatchling packages")
    parser.add_argument("--commit", default="HEAD")
    parser.add_argument("--packages", nargs="+", default=["libs/*"], help="folders or globs of its packages")
    parser.add_argument(
        "--change", default="libs/gp-base", help="the folder of the package that pull request 42 changes"
    )
    parser.add_argument("--only", default="", help="a part of the installers' names")
    parser.add_argument(
        "--public-index", default="", metavar="URL", help="an index in place of PyPI, for all installers"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="gar-publish-bench-") as scratch:
        folder = Path(scratch)
        clone = folder / "clone"
        if options.repository:
            subprocess.run(["git", "clone", "-q", options.repository.absolute(), clone], check=True)
            git(clone, "checkout", "-q", options.commit)
        else:
            write_workspace(clone)
        right = install(clone, options, folder)
    return int(not right)


def write_workspace(folder: Path) -> None:
    """Write a git repository whose packages have seven build backends."""
    for name in REQUIRED:
        write(folder / "libs" / name, name)
    (folder / ".gitignore").write_text("build/\n*.egg-info/\n__pycache__/\n")
    for command in (["init", "-qb", "main"], ["add", "-A"], ["commit", "-qm", "Start"], ["tag", "v1.0.0"]):
        git(folder, *command)


def install(clone: Path, options: argparse.Namespace, folder: Path) -> bool:
    """Publish three pull requests, install one, and print a row for each installer.

    Returns:
        Whether every installer installed exactly that pull request.
    """
    home = folder / "home"
    home.mkdir()
    with Emulator(data=folder / "emulator") as emulator:
        emulator.cloud.store.create(previews.REPOSITORY)
        emulator.cloud.set_policy(previews.REPOSITORY.resource, [previews.WRITER])
        pull_requests = PullRequests(clone, options.packages, emulator, home)
        for number in (4, 421):
            report = pull_requests.open(number, options.packages)
            print(f"pull request {number}: {len(report['packages'])} packages", flush=True)
        preview = Previewed(pull_requests.open(OURS, [options.change]), pull_requests.sources())
        print(f"pull request {OURS}: {len(preview.pins)} packages, after a change of {options.change}", flush=True)
        before = len(uploads(emulator))
        again = set(statuses(pull_requests.publish(OURS)).values())
        print(f"the same commit again: {len(uploads(emulator)) - before} uploads, {' '.join(sorted(again))}")
        installers = Installers(preview, emulator, folder, options.public_index)
        right = again == {"identical"}
        print("| installer | installed | seconds |\n| --- | --- | --: |")
        for name in (name for name in installers.all if options.only in name):
            start = time.monotonic()
            outcome = installers.outcome(name)
            right &= outcome.startswith(f"{len(preview.pins)} packages")
            print(f"| {name} | {outcome} | {time.monotonic() - start:.0f} |", flush=True)
    return right


if __name__ == "__main__":
    sys.exit(main())
