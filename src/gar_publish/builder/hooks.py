"""Which process calls a hook of a build backend: each is kept for as long as it is of use."""

import sys
from collections.abc import Mapping
from pathlib import Path

from gar_publish.builder.environment import Environment
from gar_publish.builder.hook_process import Forking, HookProcess, Serving, call_of
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
"""Backends that start no thread and open no file when they are imported, so that a fork of theirs is as good as new."""


class Hooks:
    """Calls hooks in one sandbox. Not to be shared by threads.

    Each source tree has a process, in which all of its hooks are called. Where a backend can be forked, and several
    projects have the same environment, that is a fork of one that has imported it.
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
        """End what serves one project alone."""
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
            return HookProcess.of(self._sandbox, environment).begin()
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
