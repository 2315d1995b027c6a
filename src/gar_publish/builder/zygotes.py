"""Zygotes: processes that have imported a build backend and are forked for each project."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from gar_publish.builder.environment import Environment
from gar_publish.builder.hook_process import Forking, HookProcess, call_of
from gar_publish.builder.sandbox import Sandbox

BACKEND_VARIABLE = "_PYPROJECT_HOOKS_BUILD_BACKEND"

_READ_AT_IMPORT = ("SOURCE_DATE_EPOCH",)
"""Variables that a backend may read when it is imported: pdm-backend reads the time of its wheels' files."""

_SAMPLE = {
    "pyproject.toml": '[build-system]\nrequires = []\n[project]\nname = "sample"\nversion = "0"\ndescription = "x"\n',
    "sample/__init__.py": "",
}


class Imported(NamedTuple):
    """A backend as a process has imported it.

    Attributes:
        environment: The backend's environment.
        backend: Its name in pyproject.toml.
        early: The variables that it may have read during the import.
    """

    environment: Environment
    backend: str
    early: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, environment: Environment, given: Mapping[str, str]) -> "Imported":
        early = [(name, given[name]) for name in _READ_AT_IMPORT if name in given]
        return cls(environment, given[BACKEND_VARIABLE], tuple(early))


class Zygotes:
    """The zygotes of a run. Threads may share it.

    If all builds run as one user, they share a process, and each forks from a twin of it. Otherwise each has its own.
    """

    def __init__(self) -> None:
        self._shared: dict[Imported, HookProcess] = {}
        self._twins: Counter[Imported] = Counter()

    def take(self, imported: Imported, sandbox: Sandbox) -> Forking:
        """Return a process that only this sandbox forks.

        Raises:
            OSError: No process could be started.
        """
        with imported.environment.first_import:
            if sandbox.user is not None:
                return _new(imported, sandbox)
            if imported in self._shared and self._shared[imported].has_ended():
                self._shared.pop(imported).close()
            if imported not in self._shared:
                self._shared[imported] = _new(imported, sandbox)
            twin = self._shared[imported].twin()
            self._twins[imported] += 1
            return twin

    def give_back(self, imported: Imported, taken: Forking) -> None:
        """End a process that was taken; after the last twin, also the process it was forked from."""
        taken.close()
        with imported.environment.first_import:
            self._twins[imported] -= 1
            if imported in self._shared and not self._twins[imported]:
                self._shared.pop(imported).close()


def _new(imported: Imported, sandbox: Sandbox) -> HookProcess:
    environment, backend, early = imported
    fresh = not environment.has_byte_code
    if fresh:  # before any project's code runs
        sandbox.give(environment.folder)
    process = environment.hook_process(sandbox).begin(
        backend,
        habits=str(environment.habits(backend)),
        sample=_sample(imported, sandbox),
        variables=dict(early),
    )
    if fresh:
        process.wait()
        sandbox.take(environment.folder)
        environment.has_byte_code = True
    return process


def _sample(imported: Imported, sandbox: Sandbox) -> str:
    """Write a small project, and return the file with a call that builds it."""
    folder = sandbox.folder("sample")
    for name, text in _SAMPLE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    given = {**sandbox.variables, **imported.environment.make_extra_environ(), BACKEND_VARIABLE: imported.backend}
    arguments: dict[str, object] = {"wheel_directory": str(folder), "config_settings": {}, "metadata_directory": None}
    (folder / "input.json").write_text(json.dumps({"kwargs": arguments}), encoding="utf-8")
    file = folder / "call.json"
    file.write_text(json.dumps(call_of("build_wheel", folder, folder, given)), encoding="utf-8")
    sandbox.give(folder)
    return str(file)
