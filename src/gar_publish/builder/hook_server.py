"""A script that calls the hooks of a build backend inside the backend's environment; `hook_process.py` starts it.

It uses only the standard library, because gar-publish is not installed in that environment. Calls come through a
socket, each with two file descriptors: one to read the `Call` from (JSON), one for the hook's output. The answer is the
exit code that a separate process would have.

It can also be told to fork. A fork does the same through a socket of its own. So a backend is imported once for many
projects, and whatever a project changes in its process ends with its fork.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import re
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from types import ModuleType
from typing import TypedDict

CALL = b"call"

SWEEP = b"sweep"
"""Order: kill every other process of this user, and end if another process has changed this one's limits."""

FORK = b"fork"
"""Order: fork, with a socket for the fork. The answers are its process id and, after its end, its exit code."""

TWIN = b"twin"
"""Order: fork, with a socket for the fork, which takes orders beside this process. The answer is its process id."""

_LONGEST = 16
_LONGEST_ORDERS = 65_536
_PR_SET_DUMPABLE = 4


class Orders(TypedDict):
    """The first message.

    Attributes:
        backend: The backend to import at once, for forks; empty for none.
        habits: The file with the backend's `Habits`; it is written if it does not exist.
        sample: A file with a call that builds a sample project, to observe the habits.
        variables: Variables to add before the import.
    """

    backend: str
    habits: str
    sample: str
    variables: dict[str, str]


class Call(TypedDict):
    """A call of a hook in a source tree, with the folder of pyproject_hooks and all variables."""

    hook: str
    tree: str
    control: str
    environment: dict[str, str]


class Habits(TypedDict):
    """The modules that a backend imports, and the regular expressions it compiles, in each build and not before."""

    modules: list[str]
    patterns: list[tuple[str, int]]


def main(descriptor: str, hook_script: str, hide: str) -> None:
    """Take orders until the socket is closed.

    Args:
        descriptor: The socket.
        hook_script: The script of pyproject_hooks that calls a hook.
        hide: Not empty to keep other processes of the same user from reading the memory of this one.
    """
    if hide:
        _hide(hidden=True)
    channel = socket.socket(fileno=int(descriptor))
    hooks = _load(hook_script)
    text = channel.recv(_LONGEST_ORDERS)
    if not text:
        return
    orders: Orders = json.loads(text)
    os.environ.update(orders["variables"])
    if orders["backend"]:
        _prepare_to_work(hooks, orders)
    _serve(channel, hooks, hide=bool(hide))


def _serve(channel: socket.socket, hooks: ModuleType, *, hide: bool) -> None:
    limits = _limits()
    channel.send(b"ready")
    while True:
        order, descriptors, _, _ = socket.recv_fds(channel, _LONGEST, 2)
        if not order:
            return
        if order == SWEEP:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # on Linux, all but the caller (man 2 kill)
            if _limits() != limits:
                return
            channel.send(b"swept")
        elif order == CALL:
            channel.send(b"%d" % _outcome(hooks, *descriptors))
        elif child := os.fork():
            os.close(descriptors[0])
            channel.send(b"%d" % child)
            if order == FORK:
                channel.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        else:
            os.setsid()
            channel.close()
            if hide:  # other processes of this user may read the memory of a fork
                _hide(hidden=False)
            channel = socket.socket(fileno=descriptors[0])


def _load(hook_script: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("_in_process", hook_script)
    if spec is None or spec.loader is None:
        raise ImportError(hook_script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _call(hooks: ModuleType, call: Call) -> None:
    os.environ.clear()
    os.environ.update(call["environment"])
    tempfile.tempdir = None  # it may be cached from the variables before
    os.chdir(call["tree"])
    sys.argv = [str(hooks.__file__), call["hook"], call["control"]]
    hooks.main()


def _outcome(hooks: ModuleType, call: int, output: int) -> int:
    """Make a call, and return the exit code that a separate process would have."""
    with os.fdopen(call, encoding="utf-8") as file:
        wanted = json.load(file)
    _print_to(output)
    code = 0
    try:
        _call(hooks, wanted)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
    except BaseException:  # noqa: BLE001 - as at the end of a process
        sys.stdout.flush()
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    _print_to(os.open(os.devnull, os.O_WRONLY))
    return code


def _print_to(descriptor: int) -> None:
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _prepare_to_work(hooks: ModuleType, orders: Orders) -> None:
    """Import the backend, and repeat its habits."""
    _import(orders["backend"].partition(":")[0])
    habits = _known_habits(orders) or _observed_habits(hooks, orders)
    for name in habits["modules"]:
        _import(name)
    for pattern, flags in habits["patterns"]:
        re.compile(pattern, flags)


def _import(name: str) -> None:
    with contextlib.suppress(Exception):  # the hook will fail in the same way
        importlib.import_module(name)


def _known_habits(orders: Orders) -> Habits | None:
    try:
        known: Habits = json.loads(Path(orders["habits"]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known


def _observed_habits(hooks: ModuleType, orders: Orders) -> Habits:
    """Build the sample project in a fork, so that its other effects end with the fork, and return the habits."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        modules, patterns = set(sys.modules), set(_compiled())
        with contextlib.suppress(Exception):
            _call(hooks, json.loads(Path(orders["sample"]).read_text(encoding="utf-8")))
        habits: Habits = {
            "modules": sorted(set(sys.modules) - modules),
            "patterns": sorted(set(_compiled()) - patterns),
        }
        os.write(writer, json.dumps(habits).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.wait()
    file = Path(orders["habits"])
    with contextlib.suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)  # it may be a hard link to the kept file
        file.write_text(text, encoding="utf-8")
    observed: Habits = json.loads(text)
    return observed


def _compiled() -> list[tuple[str, int]]:
    return [(pattern, flags) for kind, pattern, flags in getattr(re, "_cache", ()) if kind is str]


def _limits() -> object:
    """Return what other processes of the same user can change in this one (man 2 prlimit) and its forks inherit."""
    import resource  # not available on Windows

    limits = [resource.getrlimit(value) for name, value in vars(resource).items() if name.startswith("RLIMIT_")]
    return limits, os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)


def _hide(*, hidden: bool) -> None:
    import ctypes  # needed only if builds run as another user

    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0 if hidden else 1, 0, 0, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
