"""One project's distributions, made by its own build backend (PEP 517)."""

import json
import re
import shutil
import stat
import subprocess
import warnings
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import build
from build import ProjectBuilder

from gar_publish.build.environment import Environments
from gar_publish.build.sandbox import Sandbox, Show, open_regular
from gar_publish.errors import BadInput, BuildFailure, Failure

Kind = Literal["wheel", "sdist"]

_LINES_KEPT = 40
_LONGEST_ANSWER = 4 * 1024 * 1024
# Python 3.11 has no filters before 3.11.4.
_UNPACK = """
import sys, tarfile
how = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
tarfile.open(sys.argv[1]).extractall(sys.argv[2], **how)
"""
_NO_COMPILER = re.compile(
    r"""error:\ command\ '\S*?(gcc|cc|clang|g\+\+|c\+\+|cl\.exe)'\ failed:\ No\ such\ file |
    (gcc|cc|clang|g\+\+|c\+\+|gfortran|rustc|cargo|cmake|ninja|make):\ (command\ )?not\ found |
    No\ such\ file\ or\ directory:\ '(\S*/)?(gcc|cc|clang|g\+\+|c\+\+|gfortran|rustc|cargo|cmake|make)' |
    Microsoft\ Visual\ C\+\+\ 14 | can't\ find\ Rust\ compiler | Unknown\ compiler\(s\) |
    (rustc,\ the\ rust\ compiler,\ is\ not\ installed) | Cargo,\ the\ Rust\ package\ manager,\ is\ not\
    installed | No\ CMAKE_C(XX)?_COMPILER\ could\ be\ found | Could\ not\ find\ compiler | unable\ to\
    execute\ '\S+' |
    fatal\ error:\ Python\.h""",
    re.VERBOSE | re.IGNORECASE,
)


class Backend:
    """The build backend of one source tree.

    Args:
        tree: The source tree, as the build may see it.
        label: How the user calls the project, for messages.
        extra: Variables for the backend on top of the sandbox's.
        show: Is given each line that the backend writes.
    """

    def __init__(
        self,
        tree: Path,
        *,
        label: str,
        sandbox: Sandbox,
        environments: Environments,
        extra: Mapping[str, str],
        show: Show,
    ) -> None:
        self._tree = tree
        self._label = label
        self._sandbox = sandbox
        self._environments = environments
        self._extra = extra
        self._show = show
        self._said: deque[str] = deque(maxlen=_LINES_KEPT)

    def make(self, kind: Kind) -> Path:
        """Build one distribution.

        Returns:
            Where the backend put it: a file that it could still change.

        Raises:
            BadInput: The [build-system] table is malformed.
            BuildFailure: The backend cannot be had, or it failed.
        """
        try:
            return self._make(kind)
        except build.BuildBackendException as error:
            raise self._failure(kind, error) from error
        except build.BuildException as error:
            raise BadInput(
                f"The [build-system] table of {self._label} is malformed: {error}.",
                fix="Correct its pyproject.toml.",
                anchor="invalid-pyproject",
            ) from error

    def _make(self, kind: Kind) -> Path:
        with warnings.catch_warnings(record=True) as typos:
            warnings.simplefilter("always")
            requires = ProjectBuilder(self._tree).build_system_requires
        for typo in typos:
            self._show(str(typo.message))
        more = self._strings(self._builder(requires).get_requires_for_build(kind))
        folder = self._sandbox.folder("built")
        made = Path(self._builder(requires | more).build(kind, folder))
        if made.parent != folder or not stat.S_ISREG(made.lstat().st_mode):
            raise BuildFailure(
                f"The build backend of {self._label} did not make the {kind} where it was asked to.",
                fix="Report it to the backend's authors.",
                anchor="build-failed",
            )
        return made

    def unpack(self, sdist: Path) -> Path:
        """The source tree inside an sdist that this backend made.

        Unpacked in the sandbox, where a hostile archive can do no more than the backend that wrote it.
        """
        folder = self._sandbox.folder("unpacked")
        python = self._builder(set()).python_executable
        command = [python, "-I", "-c", _UNPACK, str(sdist), str(folder)]
        try:
            self._sandbox.run(command, cwd=folder, show=self._hear)
            (tree,) = folder.iterdir()
        except (subprocess.CalledProcessError, ValueError) as error:
            raise self._failure("sdist", error) from error
        return tree

    def _builder(self, requires: Collection[str]) -> ProjectBuilder:
        environment = self._environments.get(requires, project=self._label)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ProjectBuilder.from_isolated_env(environment, self._tree, self._run_hook)

    def _run_hook(
        self, cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None
    ) -> None:
        """The runner that build calls. The hook works in a folder of its own, so that what gar-publish reads
        is no link or pipe, and holds none of the warnings that pyproject_hooks would raise in this process.
        """
        *command, control = cmd
        folder = self._sandbox.folder("hook")
        given = Path(shutil.copy(Path(control, "input.json"), folder))
        self._sandbox.give(given)
        self._sandbox.run(
            [*command, folder],
            cwd=Path(cwd or self._tree),
            extra={**(extra_environ or {}), **self._extra},
            show=self._hear,
        )
        answer = _read_answer(folder / "output.json")
        for warning in answer.pop("warnings", ()):
            self._hear(str(warning.get("message")))
        Path(control, "output.json").write_text(json.dumps(answer))

    def _hear(self, line: str) -> None:
        self._said.append(line)
        self._show(line)

    def _strings(self, values: Collection[Any]) -> set[str]:
        return {str(value) for value in values}

    def _failure(self, kind: Kind, error: Exception) -> Failure:
        said = "\n".join(self._said)
        cause = error.exception if isinstance(error, build.BuildBackendException) else error
        if _NO_COMPILER.search(said):
            return BuildFailure(
                f"{self._label} needs a compiler, and there is none here.",
                cause="It has code in C, C++, Rust or the like, which is built for one platform at a time.",
                fix="Build its wheels with cibuildwheel in a step before, and name them in `dist`.",
                anchor="needs-a-compiler",
                detail=said,
            )
        if type(cause).__name__ == "BackendUnavailable":
            return BuildFailure(
                f"The build backend of {self._label} could not be imported.",
                cause="`build-backend` is misspelt, or the package that holds it is missing in `requires`.",
                fix="Correct the [build-system] table of its pyproject.toml.",
                anchor="build-backend",
                detail=str(cause),
            )
        if type(cause).__name__ == "UnsupportedOperation":
            return BuildFailure(
                f"The build backend of {self._label} says that it cannot make a {kind} here.",
                fix="Ask for the other kind in `formats`.",
                anchor="build-failed",
                detail=said,
            )
        return BuildFailure(
            f"The build of {self._label} failed ({kind}).",
            fix="Its last lines say why. `python -m build` in the project's folder may show the same.",
            anchor="build-failed",
            detail=said if isinstance(cause, subprocess.CalledProcessError) else f"{said}\n{cause}",
        )


def _read_answer(file: Path) -> dict[str, Any]:
    """A hook's answer, which other people's code wrote.

    Raises:
        ValueError: It is no JSON object, or too long.
        OSError: It cannot be read.
    """
    with open_regular(file) as stream:
        answer = json.loads(stream.read(_LONGEST_ANSWER))
    if not isinstance(answer, dict):
        raise ValueError("the answer of a hook is not a JSON object")  # noqa: TRY004
    return answer
