"""Which projects a git checkout has changed since a commit."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gar_publish.errors import BadInput
from gar_publish.projects import graph as order
from gar_publish.projects.find import Project

_HANDED_ON = ("PATH", "HOME", "XDG_CONFIG_HOME", "USERPROFILE", "SYSTEMROOT")


def changed(projects: Sequence[Project], since: str, root: Path, environment: Mapping[str, str]) -> list[Project]:
    """The projects with a file that differs, and those that require any of them, directly or not.

    Everything counts that differs between the working tree and the commit at which its branch left `since`. A file
    belongs to the innermost project around it.

    Args:
        projects: What to choose from.
        since: A commit, a branch or a tag.
        root: A folder of the checkout.
        environment: The environment's variables.

    Raises:
        BadInput: There is no such commit, no checkout, or no git.
    """
    git = _Git(root, environment)
    below = defaultdict(set)
    for project in projects:
        if not project.folder.is_relative_to(git.top):
            raise BadInput(
                f"Nobody knows whether {project.label} has changed: it is not in the checkout {git.top}.",
                fix="run gar-publish in the checkout that holds it, or leave `--changed-since` out",
                anchor="no-checkout",
            )
        for folder in (project.folder, *project.folder.parents):
            below[folder].add(project.key)
    keys = {project.folder: project.key for project in projects}
    touched = set()
    for file in git.differing_files(since):
        touched.add(next((keys[folder] for folder in file.parents if folder in keys), ""))
        touched |= below.get(file, set())  # a submodule, which is one file to git
    graph = {each.key: (each.requires or frozenset()) | each.optional | each.build_requires for each in projects}
    wanted = order.dependents(graph, touched)
    return [project for project in projects if project.key in wanted]


def checked_out(root: Path, environment: Mapping[str, str]) -> tuple[str, bool] | None:
    """The commit of a checkout, and whether its files differ from that; None where nobody knows.

    Args:
        root: A folder of the checkout.
        environment: The environment's variables.
    """
    with contextlib.suppress(BadInput):
        git = _Git(root, environment)
        return git.commit("HEAD"), any(git.differing_files("HEAD"))
    return None


class _Git:
    """A checkout. Nothing that its configuration names is started: gar-publish may be root, and who wrote it not."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self._environment = {name: environment[name] for name in _HANDED_ON if name in environment} | {
            "GIT_ALLOW_PROTOCOL": "none",  # what is missing is not fetched
        }
        self._settings = {"safe.directory": "*", "core.fsmonitor": "false", "core.hooksPath": os.devnull}
        self.top = root
        nowhere = BadInput(
            f"{root} is not in a git checkout, so nobody knows what has changed.",
            cause="the source came without its .git folder, or was never checked out",
            fix="check it out with git (actions/checkout), or leave `--changed-since` out",
            anchor="no-checkout",
        )
        self.top = Path(self._ask("rev-parse", "--show-toplevel", otherwise=nowhere).removesuffix("\n")).resolve()
        filters = self._ask("config", "--name-only", "-z", "--get-regexp", r"^filter\.").split("\0")[:-1]
        self._settings |= {name: "false" if name.endswith(".required") else "" for name in filters}

    def commit(self, name: str) -> str:
        """The hash of the commit that a name stands for."""
        unknown = self._unknown(name)
        if name.startswith("-"):
            raise unknown
        return self._ask("rev-parse", "--verify", name + "^{commit}", otherwise=unknown).strip()

    def _unknown(self, name: str) -> BadInput:
        return BadInput(
            f"The checkout {self.top} does not know how it differs from {name!r}.",
            cause="there is no such commit, or the checkout is shallow, as actions/checkout makes it by default",
            fix="set `fetch-depth: 0` for actions/checkout; in a shell: git fetch --unshallow",
            anchor="unknown-ref",
        )

    def differing_files(self, since: str) -> Iterator[Path]:
        """Files that were changed, added or removed; untracked ones too, unless git ignores them."""
        unknown = self._unknown(since)
        base = self._ask("merge-base", self.commit(since), "HEAD", otherwise=unknown).strip()
        options = ("-z", "--name-only", "--no-renames", "--no-relative", "--no-ext-diff", "--no-textconv")
        index = self.top / self._ask("rev-parse", "--git-path", "index").removesuffix("\n")
        with tempfile.TemporaryDirectory(prefix="gar-publish-") as scratch:
            if index.is_file():  # git writes down what it finds out, and is to do so in a copy
                self._environment["GIT_INDEX_FILE"] = shutil.copy(index, scratch)
            tracked = self._ask("diff", *options, "--ignore-submodules=dirty", base, "--", otherwise=unknown)
            untracked = self._ask("ls-files", "-z", "--others", "--exclude-standard", otherwise=unknown)
        yield from (self.top / name for name in tracked.split("\0")[:-1])
        # In such a folder, gar-publish leaves a copy of what it built.
        yield from (file for name in untracked.split("\0")[:-1] if (file := self.top / name).parent.name != "dist")

    def _ask(self, *arguments: str, otherwise: BadInput | None = None) -> str:
        """What git answers.

        Args:
            arguments: The question.
            otherwise: Raised where git knows no answer.
        """
        settings = {"GIT_CONFIG_COUNT": str(len(self._settings))}
        for number, (name, value) in enumerate(self._settings.items()):
            settings |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        command, environment = ["git", "--no-pager", *arguments], self._environment | settings
        try:
            done = subprocess.run(command, cwd=self.top, env=environment, capture_output=True, check=False)
        except OSError as error:
            raise BadInput(
                f"git, which knows what has changed, cannot be started: {error.strerror}.",
                fix="install git, or leave `--changed-since` out",
                anchor="no-checkout",
            ) from None
        if done.returncode and otherwise:
            otherwise.detail = os.fsdecode(done.stderr)
            raise otherwise
        return os.fsdecode(done.stdout)
