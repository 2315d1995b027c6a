"""As whom, where and with what other people's code runs.

A user's own build runs in place, as that user: it could run the same code anyway. Root's build (a container
action, a Cloud Build step) runs as `nobody` on a copy. Not as the owner of the workspace in place: the
runner's files that set variables and paths of later steps belong to that owner, and so does what other steps
keep on disk.
"""

import contextlib
import errno
import functools
import operator
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import pyproject_hooks

from gar_publish.build import source, variables
from gar_publish.build.process import Show, User, adopt_orphans, as_user, end_stragglers, run
from gar_publish.console import Console
from gar_publish.errors import BuildFailure

_RUNNERS_FILES = ("WORKSPACE", "ENV", "OUTPUT", "PATH", "STATE", "STEP_SUMMARY", "EVENT_PATH")
_SECRET_FILES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_GHA_CREDS_PATH",
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
)
_HOOK_SCRIPT = Path(pyproject_hooks.__file__).parent / "_in_process" / "_in_process.py"


class Sandbox:
    """Where other people's code runs.

    Args:
        scratch: A folder of this run, which only gar-publish can write.
        user: As whom; None is the user who started gar-publish.
        environment: The whole environment that gar-publish was started with.
        alone: Whether that user runs nothing else on this machine: so in a container.
    """

    def __init__(
        self, scratch: Path, user: User | None, environment: Mapping[str, str], *, alone: bool = False
    ) -> None:
        self.scratch = scratch
        self.user = user
        self.variables = variables.for_backend(environment, personal=user is None)
        self._secrets = frozenset(Path(environment[name]).resolve() for name in _SECRET_FILES if environment.get(name))
        self._home = environment.get("HOME")
        self._alone = alone
        self._copies: dict[Path, Path] = {}
        self.start_afresh()

    def start_afresh(self) -> None:
        """Leave the next project nothing of the one before: neither a home nor temporary files."""
        if self.user is not None:
            home = self.folder("home")
            self.variables |= {
                "HOME": str(home),
                "USER": "nobody",
                "LOGNAME": "nobody",
                "TMPDIR": str(self.folder("tmp")),
                "PYTHONPYCACHEPREFIX": str(home / "pycache"),  # nobody can write into the build environment
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
        top = source.top(folder, home=self._home)
        if top not in self._copies:
            copy = self.scratch / f"source-{len(self._copies)}" / (top.name or "source")
            copy.parent.mkdir(mode=0o700)
            source.copy(top, copy, leave_out=self._secrets)
            copy.parent.chmod(0o755)
            self._copies[top] = copy
        project = self._copies[top] / folder.relative_to(top)
        self.give(project)
        return project

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
        try:
            run(command, cwd=cwd, environment={**self.variables, **(extra or {})}, user=self.user, show=show)
        finally:
            if self.user is not None:
                end_stragglers(self.user, alone=self._alone)


@contextlib.contextmanager
def open_sandbox(environment: Mapping[str, str], *, console: Console, insist: bool) -> Iterator[Sandbox]:
    """Make the sandbox for one run, and take it away afterwards.

    Args:
        environment: The whole environment that gar-publish was started with.
        console: Hears a warning when root's build cannot run as `nobody`.
        insist: Fail rather than build as root. True in the container: there it is our own mistake.

    Raises:
        BuildFailure: Root's build cannot run as `nobody`, and `insist`.
    """
    scratch = Path(tempfile.mkdtemp(prefix="gar-publish-"))
    user = None
    try:
        user = _unprivileged(scratch, environment, console=console, insist=insist)
        if user is not None:
            adopt_orphans()
        with _shut(environment if insist else {}, scratch):
            yield Sandbox(scratch, user, environment, alone=insist)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _own(folder: Path, user: User) -> None:
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files):
            os.chown(Path(parent, name), *user, follow_symlinks=False)
    os.chown(folder, *user, follow_symlinks=False)


def open_regular(file: Path) -> IO[bytes]:
    """Open a file that other people's code made: never through a link, and never a pipe that blocks.

    Raises:
        OSError: It is no regular file, or cannot be read.
    """
    flags = (getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    descriptor = os.open(file, functools.reduce(operator.or_, flags, os.O_RDONLY))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "It is not a regular file", str(file))
    return os.fdopen(descriptor, "rb")


def _unprivileged(scratch: Path, environment: Mapping[str, str], *, console: Console, insist: bool) -> User | None:
    """`nobody`, where gar-publish runs as root; tried out, since Python may be below /root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # not there on Windows

    scratch.chmod(0o755)
    try:
        entry = pwd.getpwnam("nobody")
        user = User(entry.pw_uid, entry.pw_gid)
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import os, sys; os.listdir(sys.argv[1]); open(sys.argv[2])",
                scratch,
                _HOOK_SCRIPT,
            ],
            env=variables.for_backend(environment, personal=False),
            cwd="/",
            capture_output=True,
            check=True,
            text=True,
            **as_user(user),
        )
    except (KeyError, OSError, subprocess.CalledProcessError) as error:
        if insist:
            raise BuildFailure(
                "The build cannot run as the user nobody, and it must not run as root.",
                cause=f"That user cannot run {sys.executable}, or cannot reach the temporary folder {scratch}.",
                fix="Use an image in which every user can run Python, and leave TMPDIR at its default.",
                anchor="build-as-root",
                detail=str(getattr(error, "stderr", None) or error),
            ) from error
        console.warning(
            f"The build runs as root: the user nobody, who would else run it, cannot run {sys.executable}."
            " A build runs other people's code; start gar-publish as a user without rights, or with a Python that"
            " every user can run."
        )
        return None
    return user


@contextlib.contextmanager
def _shut(environment: Mapping[str, str], scratch: Path) -> Iterator[None]:
    """Close the folders above the workspace and the runner's files to all but root, as long as a build runs.

    In a container action they are mounted below `/github`, readable for everybody: the workspace with the
    token of actions/checkout, the runner's temporary folder with that of its newer versions.
    """
    needed = [scratch, Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), _HOOK_SCRIPT]
    files = [Path(environment[f"GITHUB_{name}"]) for name in _RUNNERS_FILES if environment.get(f"GITHUB_{name}")]
    with contextlib.ExitStack() as stack:
        for folder in {file.resolve().parent for file in files}:
            if not any(path.resolve().is_relative_to(folder) for path in needed) and folder.is_dir():
                stack.callback(folder.chmod, stat.S_IMODE(folder.stat().st_mode))
                folder.chmod(0o700)
        yield
