"""Call the hooks of build backends, in processes that are kept for further calls."""

import sys
from collections.abc import Mapping
from pathlib import Path

from gar_publish.builder.environment import Environment
from gar_publish.builder.hook_process import Forking, Serving, call_of
from gar_publish.builder.process import Show
from gar_publish.builder.sandbox import HOOK_SCRIPT, Sandbox
from gar_publish.builder.zygotes import BACKEND_VARIABLE, Imported, Zygotes

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
"""Backends that start no thread and open no file when they are imported, so that a fork works like a new process."""


class Hooks:
    """Calls hooks in one sandbox. Threads must not share it.

    Each source tree has a process in which all of its hooks are called. If several projects have the same environment,
    and the backend can be forked, it is a fork of a process that has imported the backend.
    """

    def __init__(self, sandbox: Sandbox, zygotes: Zygotes) -> None:
        self._sandbox = sandbox
        self._zygotes = zygotes
        self._kept: Forking | None = None
        self._imported: Imported | None = None
        self._own: tuple[Environment, Path] | None = None
        self._own_process: Serving | None = None

    def call(
        self, environment: Environment, tree: Path, hook: str, control: Path, *, given: Mapping[str, str], show: Show
    ) -> Path:
        """Call a hook.

        Args:
            environment: The environment of the backend.
            tree: The source tree.
            hook: The hook's name.
            control: The folder of pyproject_hooks, with the hook's input.
            given: Variables on top of the sandbox's own.
            show: Gets each line of output as it comes.

        Returns:
            The folder with the hook's result.

        Raises:
            subprocess.CalledProcessError: The hook failed.
            OSError: No process could be started.
        """
        folder = control if self._sandbox.user is None else self._sandbox.folder("hook", control / "input.json")
        if sys.platform != "linux":
            command = [environment.python_executable, HOOK_SCRIPT, hook, folder]
            self._sandbox.run(command, cwd=tree, extra=given, show=show)
            return folder
        if self._own_process is None or self._own != (environment, tree):
            self.end_project()
            self._own_process, self._own = self._process(environment, given), (environment, tree)
        self._own_process.call(call_of(hook, tree, folder, {**self._sandbox.variables, **given}), show)
        return folder

    def end_project(self) -> None:
        """End the process of the current project."""
        if self._own_process:
            self._own_process.close()
            self._own_process = self._own = None
            self._sandbox.sweep()

    def close(self) -> None:
        """End all processes."""
        self.end_project()
        self._end_kept()

    def _process(self, environment: Environment, given: Mapping[str, str]) -> Serving:
        if environment.wanted <= 1 or given[BACKEND_VARIABLE] not in _FORKABLE or IN_TREE_VARIABLE in given:
            return environment.hook_process(self._sandbox).begin()
        imported = Imported.of(environment, given)
        if self._kept is None or self._imported != imported or self._kept.has_ended():
            self._end_kept()
            self._kept, self._imported = self._zygotes.take(imported, self._sandbox), imported
            self._sandbox.kept = self._kept
        return self._kept.fork()

    def _end_kept(self) -> None:
        if self._kept and self._imported:
            self._zygotes.give_back(self._imported, self._kept)
        self._sandbox.kept = self._kept = self._imported = None
