"""Processes that call the hooks of build backends, kept for as long as they are of use."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import IO

from gar_publish.build import server
from gar_publish.build.environment import Environment
from gar_publish.build.process import Show, as_user, end_group
from gar_publish.build.sandbox import HOOK_SCRIPT, SERVER_SCRIPT, Sandbox

BACKEND_VARIABLE = "_PYPROJECT_HOOKS_BUILD_BACKEND"
IN_TREE_VARIABLE = "_PYPROJECT_HOOKS_BACKEND_PATH_JSON"

_FORKABLE = frozenset(
    {
        "flit_core.buildapi",
        "hatchling.build",
        "pdm.backend",
        "poetry.core.masonry.api",
        "setuptools.build_meta",
        "setuptools.build_meta:__legacy__",
    }
)
"""Backends that start no thread and open no file when they are imported, so that a fork of theirs is as good as new."""

_READ_AT_IMPORT = ("SOURCE_DATE_EPOCH",)
"""What a backend may read when it is imported: pdm-backend takes the time of its wheels' files from there."""

_SAMPLE = {
    "pyproject.toml": '[build-system]\nrequires = []\n[project]\nname = "sample"\nversion = "0"\ndescription = "x"\n',
    "sample/__init__.py": "",
}


class Hooks:
    """Calls hooks in one sandbox. Not to be shared by threads.

    A backend that can be forked is imported once for all projects that come here with the same environment, if several
    will. Any other gets a process for each source tree, in which all of its hooks are called.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._kept: tuple[Environment, str, Mapping[str, str]] | None = None
        self._own: tuple[Environment, Path] | None = None
        self._own_server: _Server | None = None

    def call(
        self, environment: Environment, tree: Path, hook: str, control: Path, *, given: Mapping[str, str], show: Show
    ) -> Path:
        """Call a hook.

        Args:
            environment: Where its backend is installed.
            tree: The source tree that it works in.
            hook: Its name.
            control: The folder of pyproject_hooks, with the hook's input.
            given: Variables on top of the sandbox's own.
            show: Is given each line that it writes, as it comes.

        Returns:
            The folder that it worked in, with its output.

        Raises:
            subprocess.CalledProcessError: It failed.
            OSError: No process could be started.
        """
        if sys.platform != "linux":
            folder = self._sandbox.folder("hook", control / "input.json")
            command = [environment.python_executable, HOOK_SCRIPT, hook, folder]
            self._sandbox.run(command, cwd=tree, extra=given, show=show)
            return folder
        call = _write_call(control, tree, hook, {**self._sandbox.variables, **given})
        folder = self._sandbox.folder("hook", control / "input.json", call)
        backend = given[BACKEND_VARIABLE]
        if environment.wanted <= 1 or backend not in _FORKABLE or IN_TREE_VARIABLE in given:
            self._own_of(environment, tree).call(folder, show)
            return folder
        try:
            self._kept_for(environment, backend, given).call(folder, show)
        finally:
            self._sandbox.sweep()
        return folder

    def end_project(self) -> None:
        """End what serves one project alone."""
        if self._own_server:
            self._own_server.close()
            self._own_server = self._own = None
            self._sandbox.sweep()

    def close(self) -> None:
        """End all processes."""
        self.end_project()
        self._end_kept()

    def _own_of(self, environment: Environment, tree: Path) -> "_Server":
        if self._own_server is None or self._own != (environment, tree):
            self.end_project()
            self._own_server, self._own = _Server(self._sandbox, environment), (environment, tree)
        return self._own_server

    def _kept_for(self, environment: Environment, backend: str, given: Mapping[str, str]) -> "_Server":
        kept = self._sandbox.kept
        early = {name: given[name] for name in _READ_AT_IMPORT if name in given}
        if isinstance(kept, _Server) and self._kept == (environment, backend, early) and kept.is_alive():
            return kept
        self._end_kept()
        with environment.first_import:
            fresh = not environment.has_byte_code
            if fresh:  # before any project's code runs
                self._sandbox.give(environment.folder)
            kept = _Server(self._sandbox, environment, backend, self._sample(environment, backend), early)
            self._sandbox.kept, self._kept = kept, (environment, backend, early)
            if fresh:
                kept.wait()
                self._sandbox.take(environment.folder)
                environment.has_byte_code = True
        return kept

    def _end_kept(self) -> None:
        if isinstance(kept := self._sandbox.kept, _Server):
            kept.close()
        self._sandbox.kept = self._kept = None

    def _sample(self, environment: Environment, backend: str) -> str:
        """The call that builds a project for nothing."""
        folder = self._sandbox.folder("sample")
        for name, text in _SAMPLE.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        given = {**self._sandbox.variables, **environment.make_extra_environ(), BACKEND_VARIABLE: backend}
        _write_call(folder, folder, "build_wheel", given)
        arguments: dict[str, object] = {
            "wheel_directory": str(folder),
            "config_settings": {},
            "metadata_directory": None,
        }
        (folder / "input.json").write_text(json.dumps({"kwargs": arguments}), encoding="utf-8")
        self._sandbox.give(folder)
        return str(folder)


class _Server:
    """The process of `server.py`."""

    def __init__(
        self,
        sandbox: Sandbox,
        environment: Environment,
        backend: str = "",
        sample: str = "",
        given: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._works = sandbox.works
        self._forks = bool(backend)
        self._ready = False
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        hide = "hide" if sandbox.user else ""
        with theirs:
            orders = server.Orders(str(theirs.fileno()), str(HOOK_SCRIPT), backend, sample, hide)
            self._process = subprocess.Popen(
                [environment.python_executable, "-P", SERVER_SCRIPT, *orders],
                cwd="/",
                env={**sandbox.variables, **environment.make_extra_environ(), **given},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
                **as_user(sandbox.user),
            )
        self.pid = self._process.pid
        self._works.add(self)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait until it has imported its backend."""
        self._ready = self._ready or bool(self._channel.recv(16))

    def call(self, folder: Path, show: Show) -> None:
        """Call a hook, and see it to its end.

        Raises:
            subprocess.CalledProcessError: It failed.
            OSError: The process is gone.
        """
        reader, writer = os.pipe()
        output = os.fdopen(reader, "rb")
        try:
            try:
                socket.send_fds(self._channel, [str(folder).encode()], [writer])
            finally:
                os.close(writer)
            self.wait()
            call = _Call(self._channel, self._process, output, forked=self._forks)
        except OSError:
            output.close()
            raise
        # Who reads the output closes it: here, that would wait for as long as a daemon holds the other end open.
        self._works.follow(call, show)

    def sweep(self) -> bool:
        """Have it kill every other process of its user; false where it is gone itself."""
        try:
            self.wait()
            self._channel.send(server.SWEEP.encode())
            return bool(self._channel.recv(16))
        except OSError:
            return False

    def end(self) -> None:
        end_group(self.pid)

    def close(self) -> None:
        self.end()
        self._process.wait()
        self._channel.close()
        self._works.discard(self)


class _Call:
    """A hook that runs (`gar_publish.build.process.Work`)."""

    def __init__(
        self, channel: socket.socket, process: "subprocess.Popen[bytes]", output: IO[bytes], *, forked: bool
    ) -> None:
        self.output = output
        self._channel = channel
        self._process = process
        self._forked = forked
        self._lock = Lock()
        self._code: int | None = None
        self._pid = int(channel.recv(16) or process.pid)

    def wait(self) -> int:
        with self._lock:
            if self._code is None:
                answer = self._channel.recv(16)
                self._code = int(answer) if answer else self._process.wait()
            return self._code

    def end(self) -> None:
        if self._forked or self._code is None:  # else the process waits for its next call
            end_group(self._pid)


def _write_call(folder: Path, tree: Path, hook: str, environment: Mapping[str, str]) -> Path:
    call = {"hook": hook, "folder": str(tree), "environment": environment}
    file = folder / "call.json"
    file.write_text(json.dumps(call), encoding="utf-8")
    return file
