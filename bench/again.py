"""Publish real projects twice, from two fresh copies of the same commit: `python -m bench.again --projects 40`.

The second run must find each wheel and each sdist identical, and upload nothing.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.corpus.projects import Project, Repository, projects, sample
from bench.publisher import COMMAND, DIRECT, process_environment
from gar_emulator import Emulator
from tests.integration.frontdoors import statuses, uploads

NEEDS_GIT = "meson-python"
"""A backend that makes no sdist outside of a git repository."""


@dataclass(frozen=True)
class Monorepo(Repository):
    """A git repository on this machine with many packages.

    Attributes:
        packages: The packages to publish: a folder or a glob.
    """

    packages: str


@dataclass(frozen=True)
class Run:
    """The outcome of a run.

    Attributes:
        files: The status of each file.
        uploads: How many files were uploaded.
        reason: Why the run failed; empty if it did not.
    """

    files: dict[str, str]
    uploads: int
    reason: str


def main() -> int:
    """Publish, and print a table.

    Returns:
        1 if a second run did not skip all files.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=40, help="so many projects, of as many backends as possible")
    parser.add_argument("--only", default="", metavar="NAME", help="a part of the label or the backend of projects")
    parser.add_argument(
        "--monorepos",
        nargs="+",
        metavar="FOLDER=PACKAGES",
        help="git repositories to publish instead, each with a folder or a glob that selects its packages",
    )
    options = parser.parse_args()
    chosen: Sequence[Project | Repository]
    if options.monorepos:
        named = [each.partition("=") for each in options.monorepos]
        chosen = [Monorepo(Path(folder).absolute(), packages or ".") for folder, _, packages in named]
        wanted = len(chosen)
    else:
        listed = [replace(each, kind="checkout") if each.backend == NEEDS_GIT else each for each in projects()]
        found = [each for each in listed if options.only in f"{each.label} {each.backend}"]
        wanted = min(options.projects, len(found))
        sampled = sample(found, wanted)
        chosen = [*sampled, *(each for each in found if each not in sampled)]
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="gar-publish-bench-") as scratch:
        skipped = again(chosen, wanted, Path(scratch))
    print(f"{skipped} of {wanted} skipped")
    return int(skipped < wanted)


def again(chosen: Sequence[Project | Repository], wanted: int, folder: Path) -> int:
    """Publish projects twice, print a row for each, and return how many of the second runs skipped all files.

    Args:
        chosen: The projects. One that cannot be built on this machine does not count, and another one follows.
        wanted: How many count.
        folder: An empty folder.
    """
    print("| project | files | second run | reason |\n| --- | --- | --- | --- |")
    downloads, home = folder / "downloads", folder / "home"
    downloads.mkdir()
    home.mkdir()
    words: list[str] = []
    for number, project in enumerate(chosen):
        if len(words) - words.count("not built") == wanted:
            break
        work = folder / str(number)
        work.mkdir()
        with Emulator(data=work / "emulator") as emulator:
            runs = [_publish(root, packages, emulator, home) for root, packages in _copies(project, downloads, work)]
        shutil.rmtree(work)
        word, reason = _judged(*runs)
        words.append(word)
        print(f"| {project.label} | {len(runs[0].files)} | {word} |", reason.replace("|", "\\|"), "|", flush=True)
    return words.count("skipped")


def _copies(project: Project | Repository, downloads: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield two copies, one after the other, and what to publish of them: clones, or copies of an unpacked sdist."""
    for name in ("original", "first", "second"):
        (folder / name).mkdir()
    laid = project.lay(downloads, folder / "original")
    is_inside = isinstance(project, Project) and project.kind == "subfolder"
    root = folder / "original" if is_inside else laid
    packages = project.packages if isinstance(project, Monorepo) else str(laid.relative_to(root))
    for name in ("first", "second"):
        if (root / ".git").exists():
            yield Repository(root).lay(downloads, folder / name), packages
        else:
            target = folder / name / root.name
            shutil.copytree(root, target, symlinks=True, copy_function=shutil.copy)
            yield target, packages


def _publish(folder: Path, packages: str, emulator: Emulator, home: Path) -> Run:
    before = len(uploads(emulator))
    done = subprocess.run(
        [*COMMAND, *DIRECT, "--formats=wheel,sdist", "--json=-", packages],
        cwd=folder,
        env=process_environment(emulator, home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    report = {"packages": [], **json.loads(done.stdout)}
    failures = report.get("failures") or [report["failure"]] if done.returncode else []
    reasons = dict.fromkeys(f"{each['what']} {_last(each['detail'])}".strip() for each in failures)
    return Run(statuses(report), len(uploads(emulator)) - before, "; ".join(reasons))


def _last(detail: str) -> str:
    return detail.strip().rpartition("\n")[2]


def _judged(first: Run, second: Run) -> tuple[str, str]:
    """Return what came of a second run in a word, and the reason if it did not skip all files."""
    if not first.files:
        return "not built", first.reason
    if first.reason or len(first.files) != first.uploads:
        return "NOT SKIPPED", f"the first run: {first.reason or first.files}"
    if second.reason or second.uploads or second.files != dict.fromkeys(first.files, "identical"):
        return "NOT SKIPPED", second.reason or f"{second.uploads} uploads: {second.files}"
    return "skipped", ""


if __name__ == "__main__":
    sys.exit(main())
