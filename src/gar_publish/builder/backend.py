"""Build the distributions of one project with its own build backend (PEP 517)."""

import contextlib
import json
import re
import subprocess
import sys
import warnings
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import build
from build import ProjectBuilder

from gar_publish.build_failures import KINDS, FailedBuild
from gar_publish.builder.environment import Environment
from gar_publish.builder.environments import Environments
from gar_publish.builder.process import Show
from gar_publish.builder.sandbox import Sandbox
from gar_publish.builder.templates import HOOK_SCRIPT
from gar_publish.errors import BadInput, Failure
from gar_publish.files import open_regular
from gar_publish.projects import git

Kind = Literal["wheel", "sdist"]

_FILENAMES = {
    "wheel": re.compile(r"[a-z0-9][\w.+!-]*\.whl", re.ASCII | re.IGNORECASE),
    "sdist": re.compile(r"[a-z0-9][\w.+!-]*\.(tar\.gz|zip)", re.ASCII | re.IGNORECASE),
}

_EXTRA_CONFIG = "DIST_EXTRA_CONFIG"
_LINES_KEPT = 60
_LONGEST_LINE_KEPT = 2000  # characters; patterns take quadratic time to search a line
_LONGEST_FILE = 4 * 1024 * 1024
# Python 3.11 has no filters before 3.11.4.
_UNPACK = """
import sys, tarfile
how = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
tarfile.open(sys.argv[1]).extractall(sys.argv[2], **how)
"""
_FRAME = re.compile(r'\s+File "(?P<file>.*)", line \d+, in ')


def requirements(tree: Path, label: str) -> set[str]:
    """Return the build requirements in the pyproject.toml of a source tree.

    Raises:
        BadInput: The [build-system] table is malformed.
    """
    with _reading(tree, label):
        return ProjectBuilder(tree).build_system_requires


@dataclass
class Backend:
    """The build backend of one source tree, which no code changes while this object is made.

    Attributes:
        tree: The source tree for the build.
        label: The project's label, for messages.
        extra: Variables on top of the sandbox's.
        show: Gets each line of output as it comes.
        withheld: The variables that the build does not get.
        left_out: The files and folders that its tree does not have, and why.
        sdist_of: The tree that the sdist of this one was built from; None if it was not unpacked from an sdist.

    Raises:
        BadInput: The [build-system] table is malformed.
    """

    tree: Path
    label: str
    sandbox: Sandbox
    environments: Environments
    extra: Mapping[str, str]
    show: Show
    withheld: AbstractSet[str]
    left_out: Mapping[Path, str]
    sdist_of: Path | None = None
    _output: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))
    _builder: ProjectBuilder = field(init=False)
    _environment: Environment = field(init=False)
    _is_hidden: bool = False

    def __post_init__(self) -> None:
        with _reading(self.tree, self.label):
            self._builder = ProjectBuilder(self.tree, runner=self._run_hook)

    def make(self, kind: Kind) -> Path:
        """Build one distribution.

        Returns:
            The file that the backend made, and could still change.

        Raises:
            BuildFailure: The backend cannot be installed, or it failed.
        """
        requires = self._builder.build_system_requires
        self._environment = self._environment_of(requires)
        with self._running(kind):
            more = self._builder.get_requires_for_build(kind)
        if not more <= requires:
            self._environment = self._environment_of(requires | more)
        folder = self.sandbox.folder("built")
        with self._running(kind):
            name = Path(self._builder.build(kind, folder)).name
            if not _FILENAMES[kind].fullmatch(name):
                raise TypeError(f"the backend returned {name[:100]!r}, which is not the name of {KINDS[kind]}")
            open_regular(folder / name).close()
        return folder / name

    @contextlib.contextmanager
    def _running(self, kind: Kind) -> Iterator[None]:
        """Turn what a hook raises into a failure with its cause."""
        try:
            yield
        except (build.BuildBackendException, OSError, TypeError) as error:
            raise self._failure(kind, error) from error

    def unpacked(self, sdist: Path) -> "Backend":
        """Unpack an sdist that this backend made, and return the backend of its source tree.

        It is unpacked in the sandbox, where a hostile archive can do no more than the backend that wrote it.
        """
        self.sandbox.end()  # or it could let another project into the folder, which could change it while it is read
        folder = self.sandbox.folder("unpacked")
        command = [sys.executable, "-I", "-S", "-c", _UNPACK, str(sdist), str(folder)]
        try:
            self.sandbox.run(command, cwd=folder, show=self._print)
            (tree,) = (each for each in folder.iterdir() if not each.is_symlink())
            settings = (tree / "pyproject.toml").resolve()
            settings.relative_to(folder.resolve())
            with contextlib.suppress(FileNotFoundError), open_regular(settings, _LONGEST_FILE):
                pass
        except (subprocess.CalledProcessError, ValueError, OSError, RuntimeError) as error:  # a loop of links is one
            raise self._failure("sdist", error) from error
        return replace(self, tree=tree, sdist_of=self.tree)

    def _environment_of(self, requires: Collection[str]) -> Environment:
        return self.environments.get(requires, project=self.label, sandbox=self.sandbox)

    def _run_hook(
        self, cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None
    ) -> None:
        """Call a hook, as the runner of `build`.

        The hook answers in a folder of its own, so that gar-publish reads no link and no pipe. Warnings in the answer
        are shown here; pyproject_hooks would raise them in this process.
        """
        *_, hook, control = cmd
        given = {**self._environment.variables, **(extra_environ or {}), **self.extra}
        tree = Path(cwd or self.tree)
        if hook.endswith("_wheel") and _EXTRA_CONFIG not in self.sandbox.variables:
            given |= self._build_base(tree)
        folder = self.sandbox.call(self._environment, tree, hook, Path(control), given=given, show=self._print)
        answer = _read_answer(folder / "output.json")
        for warning in answer.pop("warnings", ()):
            self._print(str(warning.get("message")))
        Path(control, "output.json").write_text(json.dumps(answer))

    def _build_base(self, tree: Path) -> dict[str, str]:
        """Let setuptools build in an empty folder: it would publish what an earlier build has left in `build/lib`.

        Its path is relative, as some projects join it to their tree's; and through `/`, as some build in a copy. It is
        deep, as objects of sources above the tree are as far above it (https://github.com/pypa/distutils/pull/177).
        """
        folder = self.sandbox.closed_folder("build")
        deep = folder / "_/_/_/_/_"
        to_root = "../" * (len(tree.parts) + 10)
        base = str(deep) if deep.drive != tree.drive else to_root + deep.relative_to(deep.anchor).as_posix()
        settings = folder / "setup.cfg"
        settings.write_text(f"[build]\nbuild_base = {base.replace('%', '%%')}\n", encoding="utf-8")
        self.sandbox.give(folder)
        return {_EXTRA_CONFIG: str(settings)}

    def _print(self, line: str) -> None:
        """Show a line of output, unless it is the frame of the script that calls hooks, in a traceback."""
        if frame := _FRAME.match(line):
            self._is_hidden = frame["file"] == str(HOOK_SCRIPT)
        elif not line.startswith("    "):
            self._is_hidden = False
        if not self._is_hidden:
            self._output.append(line[:_LONGEST_LINE_KEPT])
            self.show(line)

    def _failure(self, kind: Kind, error: Exception) -> Failure:
        self.sandbox.end()  # from now on, the tree does not change
        failed = FailedBuild(
            self.label,
            kind,
            output="\n".join(self._output),
            settings="\n".join(self._settings()),
            withheld=self.withheld,
            left_out=self.left_out,
            submodules=git.empty_submodules(self.sdist_of or self.tree),
            is_isolated=bool(self.sandbox.user),
            tree=self.tree,
            sdist_of=self.sdist_of,
        )
        return failed.explain(error.exception if isinstance(error, build.BuildBackendException) else error)

    def _settings(self) -> Iterator[str]:
        for name in ("pyproject.toml", "setup.py", "setup.cfg") if self.tree.resolve() == self.tree else ():
            with contextlib.suppress(OSError), open_regular(self.tree / name, _LONGEST_FILE) as file:
                yield file.read().decode(errors="replace")


@contextlib.contextmanager
def _reading(tree: Path, label: str) -> Iterator[None]:
    """Explain what is wrong in a pyproject.toml, which a hook may have changed since it was checked."""
    file = tree / "pyproject.toml"
    if file.exists() and not file.is_file():
        raise BadInput(f"{file.name} of {label} is not a file.", anchor="invalid-pyproject")
    with warnings.catch_warnings(record=True) as typos:
        warnings.simplefilter("always")
        try:
            yield
        except (build.BuildException, ValueError, RecursionError) as error:
            raise BadInput(
                f"The [build-system] table of {label} is malformed: {error}.",
                fix=f"correct the [build-system] table in the pyproject.toml of {label}",
                anchor="invalid-pyproject",
                detail="\n".join(str(typo.message) for typo in typos),
            ) from error


def _read_answer(file: Path) -> dict[str, Any]:
    """Return a hook's answer, which untrusted code wrote. Raise ValueError or OSError if it is none."""
    with open_regular(file) as stream:
        answer = json.loads(stream.read(_LONGEST_FILE))
    if not isinstance(answer, dict):
        raise ValueError("the answer of a hook is not a JSON object")  # noqa: TRY004 - the JSON is wrong, not an argument
    return answer
