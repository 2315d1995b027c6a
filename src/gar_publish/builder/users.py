"""The users of root's builds, and the end of everything that they run (Linux).

Each project has a user id that no account and no other project has. One more id is that of the keeper of all.
"""

import contextlib
import os
import pwd
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Lock

from gar_publish.builder.sandbox import NotEnded
from gar_publish.errors import BuildFailure

_UNUSED = range(1_900_000_000, 2_100_000_000)  # no account should have them: https://systemd.io/UIDS-GIDS/
_PLACES = 100_000
_BELOW_NOBODY = range(65_533, 10_000, -1)  # for containers with a user namespace, which often has only 65,536
_SECONDS = 20.0
_MOST_PROCESSES = 4096
_PIDS_MAX = (Path("/sys/fs/cgroup/pids.max"), Path("/sys/fs/cgroup/pids/pids.max"))
_STATUS = re.compile(rb"^PPid:\t(\d+)$.*?^Uid:\t(\d+)\t(\d+)\t(\d+)\t", re.MULTILINE | re.DOTALL)


def new_ids() -> Iterator[int]:
    """Yield ids from a random one on, each once; then raise BuildFailure. Two runs at once hardly get the same."""
    if _is_mapped(_UNUSED[0]) and _is_mapped(_UNUSED[-1]):
        yield from count(_UNUSED[secrets.randbelow(_PLACES) * (len(_UNUSED) // _PLACES)])
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    free = [each for each in _BELOW_NOBODY if each not in taken]
    start = secrets.randbelow(len(free))
    yield from filter(_is_mapped, free[start:] + free[:start])
    raise _no_users()


def most_processes(builds: int) -> int:
    """Return how many processes a project may have, so that this many at once leave some to others."""
    for file in _PIDS_MAX:
        with contextlib.suppress(OSError, ValueError):
            return max(32, min(_MOST_PROCESSES, int(file.read_text()) // (builds + 1)))
    return _MOST_PROCESSES


class Keeper:
    """Ends all processes of a user. It is one process for all users. While it kills, `own` is its real id.

    Raises:
        BuildFailure: It could not be started.
    """

    def __init__(self, own: int) -> None:
        self._lock = Lock()
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", Path(__file__).with_name("keeper.py"), str(own)],
                cwd="/",
                env={},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        if not (self._answers(_SECONDS) and self._kill(own, _SECONDS)):
            self.close()
            raise _no_users()

    def end_all(self, user: int) -> None:
        """Kill the processes of a user until none is left.

        Raises:
            NotEnded: One is left after 20 seconds, or the keeper was lost.
        """
        until = time.monotonic() + _SECONDS
        pause = 0.001
        while self._kill(user, until - time.monotonic()):
            if not list(self._left(user)):
                return
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        raise NotEnded(
            "The processes of a build could not be ended.",
            cause="the build resists, or this machine is too busy",
            fix="look at what the build starts, and run again",
            anchor="build-not-ended",
        )

    def close(self) -> None:
        """End the keeper."""
        self._process.kill()
        self._process.wait()
        self._channel.close()

    def _kill(self, user: int, seconds: float) -> bool:
        """Let the keeper kill once. Return whether it did, in time."""
        with contextlib.suppress(OSError), self._lock:
            self._channel.send(b"%d" % user)
            return self._answers(seconds)
        return False

    def _answers(self, seconds: float) -> bool:
        with contextlib.suppress(OSError):
            self._channel.settimeout(max(seconds, 0.001))
            return bool(self._channel.recv(1))
        return False

    def _left(self, user: int) -> Iterator[int]:
        """Yield the processes of a user that are left. Reap those that have ended.

        The owner of a folder in /proc does not tell: that of a process that is not dumpable is root.
        """
        for name in os.listdir("/proc"):  # noqa: PTH208 - names alone
            if not name.isdigit() or int(name) == self._process.pid:
                continue
            try:
                status = _STATUS.search(Path("/proc", name, "status").read_bytes())
            except OSError:  # it has ended
                continue
            if status and b"%d" % user in status.groups()[1:]:
                if int(status[1]) == os.getpid():
                    with contextlib.suppress(ChildProcessError):
                        if os.waitpid(int(name), os.WNOHANG)[0]:
                            continue
                yield int(name)


def _no_users() -> BuildFailure:
    return BuildFailure(
        "No user of its own could be made for the build.",
        cause="gar-publish runs as root, but may not become other users (setresuid)",
        fix="run the container with the capabilities SETUID, SETGID and KILL, which Docker gives by default",
        anchor="build-as-root",
    )


def _is_mapped(number: int) -> bool:
    """Return whether this namespace has the id, as a user and as a group (`man 7 user_namespaces`)."""
    for file in ("/proc/self/uid_map", "/proc/self/gid_map"):
        lines = [[int(each) for each in line.split()] for line in Path(file).read_text().splitlines()]
        if not any(first <= number < first + length for first, _, length in lines):
            return False
    return True
