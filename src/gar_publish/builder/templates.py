"""Processes that fork for each order, which saves the start of Python and the imports of a backend (Linux)."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyproject_hooks

from gar_publish.builder import template
from gar_publish.builder.process import Running, Works

HOOK_SCRIPT = Path(pyproject_hooks.__file__).parent / "_in_process" / "_in_process.py"
TEMPLATE_SCRIPT = Path(template.__file__)

_MODULES: Mapping[str, str] = {
    "flit_core.buildapi": "",
    "hatchling.build": """
        hatchling.builders.wheel hatchling.bridge.app hatchling.metadata.core email.headerregistry trove_classifiers
        packaging.requirements packaging.licenses
    """,
    "pdm.backend": "pdm.backend.base pdm.backend.config email.generator pickle importlib.metadata",
    "poetry.core.masonry.api": """
        poetry.core.factory poetry.core.json poetry.core.pyproject.toml poetry.core.poetry
        poetry.core.masonry.builders.wheel poetry.core.masonry.metadata poetry.core.packages.project_package
        poetry.core.packages.directory_dependency poetry.core.spdx.helpers poetry.core.vcs
    """,
    "setuptools.build_meta": """
        setuptools.config._validate_pyproject setuptools.config._apply_pyprojecttoml setuptools.command.bdist_wheel
        setuptools.command.bdist_egg setuptools.command.bdist_rpm setuptools.command.build_clib
        setuptools.command.build_ext setuptools.command.build_py setuptools.command.dist_info
        setuptools.command.editable_wheel setuptools.command.install_egg_info setuptools.command.install_lib
        setuptools.command.install_scripts
    """,
}
"""What each backend imports in every build, and nothing that reads a variable of the build when it is imported.

`pdm.backend.wheel` is left out for that: it reads SOURCE_DATE_EPOCH. None of them starts a thread or opens a file.
"""
_VERSION_TOOLS: Mapping[str, str] = {
    "hatchling.build": "hatch_vcs.hooks hatch_vcs.version_source setuptools_scm uv_dynamic_versioning.hooks"
}
"""What many builds with a backend import, if it is installed."""
_CODE = re.compile(rb"-?[0-9]{1,3}")
_MOST = 8  # templates that run at the same time


class Kind(NamedTuple):
    """The Python of templates, and the backend that they import (`build-backend`); none if they run programs."""

    python: str
    backend: str = ""


def has_template(backend: str) -> bool:
    """Return whether a backend can be imported once for several projects."""
    return sys.platform == "linux" and backend.partition(":")[0] in _MODULES


class Fork(Running):
    """A fork of a template, which waits for it. Nothing else may be ordered meanwhile.

    Args:
        channel: The socket of the template.
        order: What the fork does.
        given: A file descriptor for the program.
        is_ours: Whether the template and the fork are of the user who started gar-publish, and their answers are true.
    """

    def __init__(
        self, channel: socket.socket, order: template.Order, given: Sequence[int] = (), *, is_ours: bool
    ) -> None:
        self._channel = channel
        self._code: int | None = None
        self._lock = threading.Lock()
        reader, writer = os.pipe()
        output = os.fdopen(reader, "rb")
        try:
            os.fchmod(writer, 0o622)  # so that another user, too, can open /dev/stdout
            with os.fdopen(os.memfd_create("order"), "w") as file:  # a message has 208 kB at most
                json.dump(order, file)
                file.flush()
                socket.send_fds(channel, [b"order"], [file.fileno(), writer, *given])
        except OSError:
            output.close()
            raise
        finally:
            os.close(writer)
        kind, _, pid = channel.recv(32).partition(b" ")
        if kind != b"pid":
            output.close()
            raise ConnectionAbortedError("the template has ended")
        super().__init__(output)
        self._group = int(pid) if is_ours else 0

    def wait(self) -> int:
        with self._lock:
            if self._code is None:
                self._code = -signal.SIGKILL
                with contextlib.suppress(OSError):
                    answer = self._channel.recv(16)
                    self._code = int(answer) if _CODE.fullmatch(answer) else self._code
            return self._code

    def end(self) -> None:
        if self._group and self._code is None:  # those of another user are ended by the keeper
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)


class Template:
    """A running process of `template.py`, which has these variables alone, and serves several projects."""

    def __init__(self, kind: Kind, variables: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*_command(kind, theirs.fileno()), *_VERSION_TOOLS.get(kind.backend, "").split()],
                cwd="/",
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # its forks get other pipes, and see whether one can seek when they start
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )

    def order(self, order: template.Order, *given: int) -> Fork:
        """Return a fork that carries out an order. Raise OSError if the template has ended."""
        return Fork(self._channel, order, given, is_ours=not order["user"])

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def close(self) -> None:
        """End it. A fork ends with it."""
        self._process.kill()
        self._process.communicate()
        self._channel.close()


class ProjectTemplate:
    """A template that runs as the user of one project, whose hooks share it. Nothing that it answers is trusted.

    Args:
        kind: Its Python and its backend.
        start: Starts a program as the user, and gives it a file descriptor.
        works: The running work that it is added to.
    """

    def __init__(self, kind: Kind, start: Callable[[list[str], int], Fork], works: Works) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._program = start(_command(kind, template.GIVEN), theirs.fileno())
        threading.Thread(target=self._follow, args=(works,), daemon=True).start()

    def order(self, order: template.Order) -> Fork:
        """Return a fork that carries out an order. Raise OSError if the template has ended."""
        return Fork(self._channel, {**order, "user": 0}, is_ours=False)

    def close(self) -> None:
        """Wait for its end, after its user was ended."""
        self._channel.close()
        self._program.wait()

    def _follow(self, works: Works) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            works.follow(self._program, lambda _: None)


def _command(kind: Kind, descriptor: int) -> list[str]:
    backend = kind.backend.partition(":")[0]
    modules = [backend, *_MODULES[backend].split()] if backend else []
    return [kind.python, "-u", str(TEMPLATE_SCRIPT), str(descriptor), str(HOOK_SCRIPT), *modules]


class Templates:
    """The templates of a run. Threads may share it; each template serves one of them at a time."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._lock = threading.Lock()
        self._idle: list[tuple[Kind, Template]] = []
        self._all: set[Template] = set()
        self._closed = False

    @contextlib.contextmanager
    def one(self, kind: Kind) -> Iterator[Template]:
        """Lend a template. Raise OSError if it could not be started, or the run has ended."""
        taken = self._take(kind)
        try:
            yield taken
        finally:
            with self._lock:
                self._idle.append((kind, taken))

    def _take(self, kind: Kind) -> Template:
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError("the run has ended")
            for each in reversed(self._idle):
                if each[0] == kind and not each[1].has_ended():
                    self._idle.remove(each)
                    return each[1]
            if len(self._all) >= _MOST and self._idle:
                self._all.remove(self._idle[0][1])
                self._idle.pop(0)[1].close()
            new = Template(kind, self._variables)
            self._all.add(new)
            return new

    def close(self) -> None:
        """End all templates, those that are lent too."""
        with self._lock:
            self._closed = True
            while self._all:
                self._all.pop().close()
