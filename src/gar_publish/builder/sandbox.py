"""As whom, where and with what other people's code runs.

A user's own build runs in place, as that user: it could run the same code anyway. Root's build (a container
action, a Cloud Build step) runs as `nobody` on a copy. Not as the owner of the workspace in place: the
runner's files that set variables and paths of later steps belong to that owner, and so does what other steps
keep on disk.
"""

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pyproject_hooks

from gar_publish.builder import users, variables
from gar_publish.builder.checkout import Checkouts
from gar_publish.builder.process import Program, Show, User, Works, end_all_of, end_stragglers, entering
from gar_publish.console import Console

_RUNNERS_FILES = ("WORKSPACE", "ENV", "OUTPUT", "PATH", "STATE", "STEP_SUMMARY", "EVENT_PATH")
HOOK_SCRIPT = Path(pyproject_hooks.__file__).parent / "_in_process" / "_in_process.py"
SERVER_SCRIPT = Path(__file__).with_name("hook_server.py")


class Keeper(Protocol):
    """A process that outlives the calls that it serves."""

    @property
    def pid(self) -> int: ...

    def sweep(self) -> bool:
        """Have it kill every other process of its user; false where it is gone itself."""


class Sandbox:
    """Where other people's code runs, one program at a time.

    Args:
        scratch: A folder of this run, which only gar-publish can write.
        user: As whom; None is the user who started gar-publish.
        environment: The whole environment that gar-publish was started with.
        alone: Whether that user runs nothing else on this machine: so in a container.
        checkouts: The copies that it shares with other sandboxes of the run.
        works: What runs in it is counted among these.

    Attributes:
        kept: What is spared when stragglers are ended.
    """

    def __init__(
        self,
        scratch: Path,
        user: User | None,
        environment: Mapping[str, str],
        *,
        alone: bool = False,
        checkouts: Checkouts | None = None,
        works: Works | None = None,
    ) -> None:
        self.scratch = scratch
        self.user = user
        self.variables = variables.for_backend(environment, personal=user is None)
        self.works = works or Works()
        self.kept: Keeper | None = None
        self._checkouts = checkouts or Checkouts(scratch, environment)
        self._alone = alone
        self._given: Path | None = None
        self.start_afresh()

    def start_afresh(self) -> None:
        """Leave the next project nothing of the one before: neither a home nor temporary files, nor its source."""
        if self.user is not None:
            if self._given:
                self.take(self._given)
            home = self.folder("home")
            self.variables |= {
                "HOME": str(home),
                "USER": "nobody",
                "LOGNAME": "nobody",
                "TMPDIR": str(self.folder("tmp")),
                # The copy is root's, all but the project's own folder (git: safe.directory).
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
            }

    def folder(self, kind: str, *files: Path) -> Path:
        """A new folder that the code may write, with copies of these files in it."""
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.scratch))
        for file in files:
            shutil.copy(file, folder)
        self.give(folder)
        return folder

    def give(self, folder: Path) -> None:
        """Make the code's user the owner of a folder and of everything in it.

        From the inside out: what may still be running must not be able to put another file in the place of one that
        is about to be given.
        """
        if self.user is not None:
            _own(folder, self.user)

    def take(self, folder: Path) -> None:
        """Take back what was given: from now on the code may only read it."""
        if self.user is not None:
            _own(folder, User(os.getuid(), os.getgid()))

    def source(self, folder: Path) -> Path:
        """The project as the build may see it: itself, or its place in the one copy of its checkout.

        Of that copy only the project's own folder is given to the code, so that it changes no other project.
        """
        if self.user is None:
            return folder
        place = self._checkouts.place(folder)
        self._given = place
        self.give(place)
        return place

    def run(
        self, command: Sequence[str | Path], *, cwd: Path, extra: Mapping[str, str] | None = None, show: Show
    ) -> None:
        """Run a program to its end, then end what it left running.

        Args:
            command: The program and its arguments.
            cwd: Where.
            extra: Variables on top of the sandbox's own.
            show: Is given each line that the program writes, as it comes.

        Raises:
            subprocess.CalledProcessError: The program failed.
            OSError: It could not be started.
        """
        if self.user is not None:
            command, cwd = entering(cwd, command), Path("/")
        try:
            variables = {**self.variables, **(extra or {})}
            self.works.follow(Program(command, cwd=cwd, environment=variables, user=self.user), show)
        finally:
            self.sweep()

    def sweep(self) -> None:
        """End what was left running, all but what is kept."""
        if self.user is None:
            return
        if self._alone and not (self.kept and self.kept.sweep()):
            end_all_of(self.user)
        end_stragglers(self.user, spare={self.kept.pid} if self.kept else ())


@contextlib.contextmanager
def open_sandboxes(
    environment: Mapping[str, str], *, console: Console, insist: bool, most: int = 1
) -> Iterator[list[Sandbox]]:
    """Make the sandboxes for one run, and take them away afterwards.

    Args:
        environment: The whole environment that gar-publish was started with.
        console: Hears a warning when root's build cannot run as `nobody`.
        insist: Fail rather than build as root. True in the container: there it is our own mistake.
        most: How many there may be. Root has several only in the container, where each can have a user of its own.

    Raises:
        BuildFailure: Root's build cannot run as `nobody`, and `insist`.
    """
    scratch = Path(tempfile.mkdtemp(prefix="gar-publish-"))
    works = Works()
    try:
        needed = (HOOK_SCRIPT, SERVER_SCRIPT)
        builders = users.choose(scratch, environment, needed=needed, console=console, insist=insist, most=most)
        checkouts = Checkouts(scratch, environment)
        with _shut(environment if insist else {}, scratch):
            yield [
                Sandbox(scratch, each, environment, alone=insist, checkouts=checkouts, works=works) for each in builders
            ]
    finally:
        works.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def _own(folder: Path, user: User) -> None:
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files):
            os.chown(Path(parent, name), *user, follow_symlinks=False)
    os.chown(folder, *user, follow_symlinks=False)


@contextlib.contextmanager
def _shut(environment: Mapping[str, str], scratch: Path) -> Iterator[None]:
    """Close the folders above the workspace and the runner's files to all but root, as long as a build runs.

    In a container action they are mounted below `/github`, readable for everybody: the workspace with the
    token of actions/checkout, the runner's temporary folder with that of its newer versions.
    """
    needed = [scratch, Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), HOOK_SCRIPT, SERVER_SCRIPT]
    files = [Path(environment[f"GITHUB_{name}"]) for name in _RUNNERS_FILES if environment.get(f"GITHUB_{name}")]
    with contextlib.ExitStack() as stack:
        for folder in {file.resolve().parent for file in files}:
            if not any(path.resolve().is_relative_to(folder) for path in needed) and folder.is_dir():
                stack.callback(folder.chmod, stat.S_IMODE(folder.stat().st_mode))
                folder.chmod(0o700)
        yield
