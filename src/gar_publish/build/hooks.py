"""Which process calls a hook of a build backend: each is kept for as long as it is of use."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from gar_publish.build.environment import Environment
from gar_publish.build.hook_process import HookProcess
from gar_publish.build.process import Show
from gar_publish.build.sandbox import HOOK_SCRIPT, Sandbox

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
        self._own_server: HookProcess | None = None

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

    def _own_of(self, environment: Environment, tree: Path) -> HookProcess:
        if self._own_server is None or self._own != (environment, tree):
            self.end_project()
            self._own_server, self._own = HookProcess(self._sandbox, environment), (environment, tree)
        return self._own_server

    def _kept_for(self, environment: Environment, backend: str, given: Mapping[str, str]) -> HookProcess:
        kept = self._sandbox.kept
        early = {name: given[name] for name in _READ_AT_IMPORT if name in given}
        if isinstance(kept, HookProcess) and self._kept == (environment, backend, early) and kept.is_alive():
            return kept
        self._end_kept()
        with environment.first_import:
            fresh = not environment.has_byte_code
            if fresh:  # before any project's code runs
                self._sandbox.give(environment.folder)
            kept = HookProcess(self._sandbox, environment, backend, self._sample(environment, backend), early)
            self._sandbox.kept, self._kept = kept, (environment, backend, early)
            if fresh:
                kept.wait()
                self._sandbox.take(environment.folder)
                environment.has_byte_code = True
        return kept

    def _end_kept(self) -> None:
        if isinstance(kept := self._sandbox.kept, HookProcess):
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


def _write_call(folder: Path, tree: Path, hook: str, environment: Mapping[str, str]) -> Path:
    call = {"hook": hook, "folder": str(tree), "environment": environment}
    file = folder / "call.json"
    file.write_text(json.dumps(call), encoding="utf-8")
    return file
