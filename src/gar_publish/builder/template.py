"""A script that forks itself for each order, and either calls a hook or becomes a program there (Linux).

    python template.py SOCKET HOOK_SCRIPT [MODULE...]

With modules, which belong to a build backend, it imports them once, and calls a hook in each fork. Without any, each
fork becomes a program. It reads nothing of any project before the fork has become the project's user. gar-publish is
not installed where it runs.

Each message on the socket has a file descriptor of a file with an `Order`, one for the output, and perhaps one that the
program gets as its `GIVEN`. The answers are the process id of the fork, and its exit code. A fork ends as Python ends,
but does not destroy its modules, which takes longer than builds.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import signal
import site
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from types import CodeType, ModuleType
from typing import NoReturn, TypedDict

GIVEN = 3
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


class Order(TypedDict):
    """What a fork does."""

    user: int
    """The user id and group id of the fork; 0 to keep those of this process."""
    processes: int
    """The most processes of that user."""
    folder: str
    arguments: list[str]
    """Those of the hook script; without a backend, a program and its arguments."""
    environment: dict[str, str]


def main(descriptor: str, script: str, *modules: str) -> None:
    sys.path[0] = os.path.dirname(script)  # as if Python had started the hook script
    with open(script, encoding="utf-8") as file:
        code = compile(file.read(), script, "exec")
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception:  # noqa: BLE001, S112 - the hook fails in the same way, and its output is shown
            continue
    gc.collect()
    gc.freeze()
    channel = socket.socket(fileno=int(descriptor))
    parent = os.getpid()
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 8, 3)
        if not message:
            return
        if child := os.fork():
            for each in descriptors:
                os.close(each)
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # before it is reaped, while nothing else gets its id
            channel.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            continue
        with open(descriptors.pop(0), "rb") as file:
            file.seek(0)
            order: Order = json.load(file)
        _prepare(order, parent, descriptors, channel)
        if modules:
            os.environ.update(order["environment"])
            tempfile.tempdir = site.USER_BASE = site.USER_SITE = None
            time.tzset()
            _end(_called(script, code, order["arguments"]))
        _become_program(order)


def _prepare(order: Order, parent: int, descriptors: Sequence[int], channel: socket.socket) -> None:
    os.setsid()
    channel.send(b"pid %d" % os.getpid())
    channel.close()
    output, *given = descriptors
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    for each in given:
        os.dup2(each, GIVEN)  # the program inherits this one alone
    _die_with_parent()
    if order["user"]:
        _become_user(order["user"], order["processes"])
        _die_with_parent()  # the change of the user has undone it
    if os.getppid() != parent:
        os._exit(1)
    os.chdir(order["folder"])


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _become_user(user: int, processes: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    os.umask(0o022)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 1)  # as after exec; otherwise its files in /proc belong to root


def _become_program(order: Order) -> NoReturn:
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execvpe(order["arguments"][0], order["arguments"], order["environment"])  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{order['arguments'][0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(127)


def _called(script: str, code: CodeType, arguments: Sequence[str]) -> int:
    """Run the hook script, and return the exit code."""
    sys.argv = [script, *arguments]
    sys.modules["__main__"] = main_module = ModuleType("__main__")
    main_module.__file__ = script
    try:
        exec(code, main_module.__dict__)  # noqa: S102 - pyproject_hooks' own script
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)  # noqa: T201 - as Python does
        return 1
    except BaseException as error:  # noqa: BLE001 - as at the end of a process
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without this file's own
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


def _end(code: int) -> NoReturn:
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - what Python calls at its end
    atexit._run_exitfuncs()  # noqa: SLF001
    for each in (sys.stdout, sys.stderr, *gc.get_objects()):  # all files that the fork has opened
        if issubclass(type(each), io.IOBase) and not each.closed:
            try:
                each.flush()
            except (OSError, ValueError):
                code = code or (120 if each in (sys.stdout, sys.stderr) else 0)  # as Python does
    os._exit(code & 0xFF)


if __name__ == "__main__":
    main(*sys.argv[1:])
