"""Calls the hooks of a build backend, inside its environment; started by `hook_process.py`.

A script of the standard library alone, for nothing of gar-publish is installed where it runs. Through a socket come
calls, each with two descriptors: of what is to be called (`Call`, in JSON), and of what the hook prints to. Back goes
the exit code that a process would have.

It can also be asked for a fork, which does the same through a socket of its own: so a backend is imported once for many
projects, and what one of them leaves behind in the process ends with its fork.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import re
import select
import signal
import site
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from types import ModuleType
from typing import TypedDict

CALL = b"call"

SWEEP = b"sweep"
"""An order to end every process of this user but this one; and this one, too, where another has changed its limits."""

FORK = b"fork"
"""An order to fork, with a socket for the fork. Back go its process id, and its exit code when it has ended."""

TWIN = b"twin"
"""An order to fork, with a socket for a process that serves as this one does, beside it. Back goes its id."""

_LONGEST = 16
_LONGEST_ORDERS = 65_536
_OFTEN_IMPORTED = (
    "csv",
    "dataclasses",
    "email.message",
    "hashlib",
    "importlib.metadata",
    "logging",
    "platform",
    "subprocess",
    "sysconfig",
    "tomllib",
    "zipfile",
)
"""Of the standard library, by one backend or another."""
_PR_SET_DUMPABLE = 4


class Orders(TypedDict):
    """What comes first.

    Attributes:
        backend: What to import at once, and to fork from; empty for nothing.
        habits: A file with its `Habits`. Where it is not there, it is made.
        sample: A file with a call that shows them.
        variables: What to add to the variables before that.
        early: Whether this process was started before the environment was filled.
    """

    backend: str
    habits: str
    sample: str
    variables: dict[str, str]
    early: bool


class Call(TypedDict):
    """What is to be called: a hook in a source tree, with a folder of pyproject_hooks' and all of its variables."""

    hook: str
    tree: str
    control: str
    environment: dict[str, str]


class Habits(TypedDict):
    """What a backend does only when it works, and each time: modules that it imports, expressions that it compiles."""

    modules: list[str]
    patterns: list[tuple[str, int]]


def main(descriptor: str, hook_script: str, hide: str) -> None:
    """Serve until the socket is closed.

    Args:
        descriptor: The socket.
        hook_script: The script of pyproject_hooks that calls a hook.
        hide: Not empty: keep other processes of the same user out of this one's memory.
    """
    if hide:
        _hide(hidden=True)
    channel = socket.socket(fileno=int(descriptor))
    hooks = _load(hook_script)
    _import_while_waiting(channel)
    text = channel.recv(_LONGEST_ORDERS)
    if not text:
        return
    orders: Orders = json.loads(text)
    os.environ.update(orders["variables"])
    if orders["early"]:
        _look_again()
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
            if hide:  # from now on, others of this user may look into it
                _hide(hidden=False)
            channel = socket.socket(fileno=descriptors[0])


def _import_while_waiting(channel: socket.socket) -> None:
    for name in _OFTEN_IMPORTED:
        if select.select([channel], [], [], 0)[0]:
            return
        _import(name)


def _look_again() -> None:
    """See what was installed meanwhile, as if this process began now (docs.python.org/3/library/site.html)."""
    importlib.invalidate_caches()
    for folder in site.getsitepackages():
        site.addsitedir(folder)
    site.execsitecustomize()


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
    tempfile.tempdir = None  # it may be known already, from the variables of before
    os.chdir(call["tree"])
    sys.argv = [str(hooks.__file__), call["hook"], call["control"]]
    hooks.main()


def _outcome(hooks: ModuleType, call: int, output: int) -> int:
    """Make a call; the exit code that a process of its own would have."""
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
    except BaseException:  # noqa: BLE001 - as it would be at the end of a process
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
    """Import the backend, and do what it does when it works."""
    _import(orders["backend"].partition(":")[0])
    habits = _known_habits(orders) or _observed_habits(hooks, orders)
    for name in habits["modules"]:
        _import(name)
    for pattern, flags in habits["patterns"]:
        re.compile(pattern, flags)


def _import(name: str) -> None:
    with contextlib.suppress(Exception):  # the hook will tell
        importlib.import_module(name)


def _known_habits(orders: Orders) -> Habits | None:
    try:
        known: Habits = json.loads(Path(orders["habits"]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known


def _observed_habits(hooks: ModuleType, orders: Orders) -> Habits:
    """Have a child build a sample. Whatever else that leaves in a process ends with the child."""
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
        file.unlink(missing_ok=True)  # it may be a link to what is kept
        file.write_text(text, encoding="utf-8")
    observed: Habits = json.loads(text)
    return observed


def _compiled() -> list[tuple[str, int]]:
    return [(pattern, flags) for kind, pattern, flags in getattr(re, "_cache", ()) if kind is str]


def _limits() -> object:
    """What any process of the same user can change here (man 2 prlimit), and forks inherit."""
    import resource  # there is none on Windows

    limits = [resource.getrlimit(value) for name, value in vars(resource).items() if name.startswith("RLIMIT_")]
    return limits, os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)


def _hide(*, hidden: bool) -> None:
    import ctypes  # only where another user's builds run here

    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0 if hidden else 1, 0, 0, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
