"""`gar-publish run`: runs a program that can install from the repository.

The login is in a netrc file, in a folder that only this user can enter, and which is removed afterwards. So tools that
write the URLs of their indexes into files (pip-compile, Pipenv) write no token.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from gar_publish.configure import files, netrc, places
from gar_publish.configure.environment import variables
from gar_publish.configure.machine import this_machine
from gar_publish.context import Context
from gar_publish.errors import BadInput
from gar_publish.settings.index_url import Login
from gar_publish.settings.repository import Repository

_PREFIX = "gar-publish-run-"
_NETRC = "netrc"
_LOCK = "lock"


def run(command: Sequence[str], repository: Repository, login: Login, context: Context) -> int:
    """Run a command to its end with variables for pip, uv, Poetry and PDM, and pass signals on to it.

    Returns:
        Its exit code; 128 and the number of the signal that ended it.

    Raises:
        BadInput: The program is not found, or a settings file cannot be read.
    """
    program = shutil.which(command[0], path=context.environment.get("PATH"))
    if program is None:
        raise BadInput(
            f"There is no program {command[0]}.",
            cause="it is not installed, or not in a folder of PATH",
            fix="write the command after `--`\n  gar-publish run --repository … -- pip install my-package",
            anchor="run",
        )
    machine = this_machine(context.environment)
    with _folder(context.environment) as folder:
        given = variables(repository.index_url, folder / _NETRC, Path.cwd(), machine)
        own = Path(places.netrc_file(machine))
        add = partial(netrc.with_login, host=repository.host, login=login)
        files.write(folder / _NETRC, files.parsed(own, add), secret=True)
        return _follow([program, *command[1:]], {**context.environment, **given})


@contextlib.contextmanager
def _folder(environment: Mapping[str, str]) -> Iterator[Path]:
    """Make a private folder, and remove it afterwards, with those of runs that were killed."""
    given = environment.get("XDG_RUNTIME_DIR", "")
    place = Path(given if os.access(given, os.W_OK) else tempfile.gettempdir())  # after sudo, it is another user's
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    for other in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            if other.lstat().st_uid == folder.stat().st_uid and (other / _NETRC).exists():
                with FileLock(other / _LOCK, blocking=False):
                    pass
                shutil.rmtree(other)
    try:
        with FileLock(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _follow(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program to its end. What the terminal sends to all of its processes is not sent twice."""
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []
    # On Windows, Ctrl-C goes to all processes of the console, and SIGINT cannot be sent.
    in_terminal = sys.platform == "win32" or (os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp())

    def pass_on(number: int, _: FrameType | None) -> None:
        if process is None:
            early.append(number)
        elif not (in_terminal and number == signal.SIGINT):
            process.send_signal(number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if number := getattr(signal, name, None):
            signal.signal(number, pass_on)
    process = subprocess.Popen(command, env=environment)
    for number in early:
        process.send_signal(number)
    code = process.wait()
    if code >> 31 and sys.platform == "win32":
        return code - (1 << 32)  # the code of a crash, or of Ctrl-C: `os._exit` takes it with a sign
    return 128 - code if code < 0 else code
