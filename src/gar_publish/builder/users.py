"""Choose the user who runs a build: the user who started gar-publish, or `nobody` instead of root."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gar_publish.builder import variables
from gar_publish.builder.process import User, as_user
from gar_publish.console import Console
from gar_publish.errors import BuildFailure
from gar_publish.process import become_subreaper


def choose(
    scratch: Path,
    environment: Mapping[str, str],
    *,
    needed: Sequence[Path],
    console: Console,
    insist: bool,
    most: int,
) -> Sequence[User | None]:
    """Return the users who run the builds, one for each sandbox; None for the user who started gar-publish.

    Args:
        scratch: A folder of this run that they must be able to enter.
        environment: All variables that gar-publish was started with.
        needed: Files that they must be able to read.
        console: Shows a warning if root's build cannot run as `nobody`.
        insist: Fail rather than build as root, and give each sandbox a user of its own.
        most: The most sandboxes.

    Raises:
        BuildFailure: Root's build cannot run as `nobody`, and `insist`.
    """
    user = _nobody(scratch, environment, needed=needed, console=console, insist=insist)
    if user is None:
        return [None] * most
    become_subreaper()
    return [user, *(_others(user, most - 1) if insist else ())]


def _nobody(
    scratch: Path, environment: Mapping[str, str], *, needed: Sequence[Path], console: Console, insist: bool
) -> User | None:
    """Return `nobody` if gar-publish runs as root and `nobody` can run Python, which may be below /root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # not available on Windows

    scratch.chmod(0o755)
    try:
        entry = pwd.getpwnam("nobody")
        user = User(entry.pw_uid, entry.pw_gid)
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import os, sys; os.listdir(sys.argv[1]); [open(file) for file in sys.argv[2:]]",
                scratch,
                *needed,
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
                "The build cannot run as the user `nobody`, and must not run as root.",
                cause=f"the user `nobody` cannot run {sys.executable}, or cannot reach the temporary folder {scratch}",
                fix="use an image in which every user can run Python, and unset TMPDIR",
                anchor="build-as-root",
                detail=str(getattr(error, "stderr", None) or error),
            ) from error
        console.warning(
            f"The build runs untrusted code as root, because the user `nobody` cannot run {sys.executable}. "
            "Start gar-publish as an unprivileged user, or with a Python that every user can run."
        )
        return None
    return user


def _others(nobody: User, count: int) -> Iterator[User]:
    """Yield more users without a name, as far as this container has them (it may have a user namespace)."""
    for number in range(1, count + 1):
        user = User(nobody.uid - number, nobody.gid - number)
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["/bin/true"], cwd="/", env={}, check=True, **as_user(user))
            yield user
