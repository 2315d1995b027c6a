"""Which process calls a hook of a build backend: each is kept for as long as it is of use."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from gar_publish.build.environment import Environment
from gar_publish.build.hook_process import HookProcess, Serving
from gar_publish.build.process import Show
from gar_publish.build.sandbox import HOOK_SCRIPT, Sandbox
from gar_publish.build.server import Call

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

    Each source tree has a process, in which all of its hooks are called. Where a backend can be forked, and several
    projects have the same environment, that is a fork of one that has imported it.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._kept: tuple[Environment, str, Mapping[str, str]] | None = None
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
        self._own_process.call(_call(hook, tree, folder, {**self._sandbox.variables, **given}), show)
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
        backend = given[BACKEND_VARIABLE]
        if environment.wanted <= 1 or backend not in _FORKABLE or IN_TREE_VARIABLE in given:
            return HookProcess(self._sandbox, environment)
        return self._kept_for(environment, backend, given).fork()

    def _kept_for(self, environment: Environment, backend: str, given: Mapping[str, str]) -> HookProcess:
        kept = self._sandbox.kept
        early = {name: given[name] for name in _READ_AT_IMPORT if name in given}
        if isinstance(kept, HookProcess) and self._kept == (environment, backend, early) and not kept.has_ended():
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
        """The file with a call that builds a project for nothing."""
        folder = self._sandbox.folder("sample")
        for name, text in _SAMPLE.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        given = {**self._sandbox.variables, **environment.make_extra_environ(), BACKEND_VARIABLE: backend}
        arguments: dict[str, object] = {
            "wheel_directory": str(folder),
            "config_settings": {},
            "metadata_directory": None,
        }
        (folder / "input.json").write_text(json.dumps({"kwargs": arguments}), encoding="utf-8")
        file = folder / "call.json"
        file.write_text(json.dumps(_call("build_wheel", folder, folder, given)), encoding="utf-8")
        self._sandbox.give(folder)
        return str(file)


def _call(hook: str, tree: Path, control: Path, environment: Mapping[str, str]) -> Call:
    return {"hook": hook, "tree": str(tree), "control": str(control), "environment": dict(environment)}
