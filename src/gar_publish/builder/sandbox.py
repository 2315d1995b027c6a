"""The user, the folder and the variables that untrusted code runs with.

A build started by an ordinary user runs as that user, in place: that user could run the same code anyway. A build
started by root (a container action, a Cloud Build step) runs as `nobody`, on a copy. It does not run as the owner of
the workspace: that user also owns the runner's files for variables and paths, and the files of other steps.
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
    """A process that stays for further calls."""

    @property
    def pid(self) -> int: ...

    def sweep(self) -> bool:
        """Let it kill every other process of its user. Return false if it has ended itself."""


class Sandbox:
    """Runs untrusted code, one program at a time.

    Args:
        scratch: A folder of this run that only gar-publish can write to.
        user: The user who runs the code; None for the user who started gar-publish.
        environment: All variables that gar-publish was started with.
        alone: Whether that user runs nothing else on this machine, as in a container.
        checkouts: The copies shared by the sandboxes of the run.
        works: The running work that its programs are added to.

    Attributes:
        kept: The process that is not killed with the stragglers.
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
        """Give the next project a new home and temporary folder, and take back the source of the last one."""
        if self.user is not None:
            if self._given:
                self.take(self._given)
            home = self.folder("home")
            self.variables |= {
                "HOME": str(home),
                "USER": "nobody",
                "LOGNAME": "nobody",
                "TMPDIR": str(self.folder("tmp")),
                # Root owns the copy, except for the project's own folder (git: safe.directory).
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
            }

    def folder(self, kind: str, *files: Path) -> Path:
        """Make a folder that the code may write to, with copies of these files in it."""
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.scratch))
        for file in files:
            shutil.copy(file, folder)
        self.give(folder)
        return folder

    def give(self, folder: Path) -> None:
        """Make the code's user the owner of a folder and of everything in it.

        The innermost files come first, so that code that still runs cannot replace a file that is about to be given.
        """
        if self.user is not None:
            _own(folder, self.user)

    def take(self, folder: Path) -> None:
        """Take a folder back: from now on the code may only read it."""
        if self.user is not None:
            _own(folder, User(os.getuid(), os.getgid()))

    def source(self, folder: Path) -> Path:
        """Return the project's folder for the build: the folder itself, or its place in the copy of its checkout.

        The code may write only to the project's own folder in that copy, so that it changes no other project.
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
        """Run a program to its end, then kill what it left running.

        Args:
            command: The program and its arguments.
            cwd: Its working directory.
            extra: Variables on top of the sandbox's own.
            show: Gets each line of output as it comes.

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
        """Kill what was left running, except the process that is kept."""
        if self.user is None:
            return
        if self._alone and not (self.kept and self.kept.sweep()):
            end_all_of(self.user)
        end_stragglers(self.user, spare={self.kept.pid} if self.kept else ())


@contextlib.contextmanager
def open_sandboxes(
    environment: Mapping[str, str], *, console: Console, insist: bool, most: int = 1
) -> Iterator[list[Sandbox]]:
    """Make the sandboxes of a run, and remove them afterwards.

    Args:
        environment: All variables that gar-publish was started with.
        console: Shows a warning if root's build cannot run as `nobody`.
        insist: Fail rather than build as root. True in the container, where `nobody` must work.
        most: The most sandboxes. Root gets several only in the container, where each has a user of its own.

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
    """Let only root enter the folders of the workspace and of the runner's files while builds run.

    In a container action they are mounted below `/github`, and every user may read them. The workspace may have the
    token of actions/checkout; newer versions keep it in the runner's temporary folder.
    """
    needed = [scratch, Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), HOOK_SCRIPT, SERVER_SCRIPT]
    files = [Path(environment[f"GITHUB_{name}"]) for name in _RUNNERS_FILES if environment.get(f"GITHUB_{name}")]
    with contextlib.ExitStack() as stack:
        for folder in {file.resolve().parent for file in files}:
            if not any(path.resolve().is_relative_to(folder) for path in needed) and folder.is_dir():
                stack.callback(folder.chmod, stat.S_IMODE(folder.stat().st_mode))
                folder.chmod(0o700)
        yield
