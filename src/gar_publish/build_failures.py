"""Find the cause of a failed build in its output, which is text that untrusted code wrote."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from pyproject_hooks import BackendUnavailable, UnsupportedOperation

from gar_publish.errors import BuildFailure, Failure, Unreachable

KINDS = {"wheel": "a wheel", "sdist": "an sdist"}

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_TOOL = r"(?:\S*/)?(?P<tool>[\w.+-]+)"
_COMPILER = r"(?P<tool>([\w.-]+-)?(gcc|g\+\+|cc|c\+\+|clang|gfortran|rustc|cargo|cmake|make)(-[\d.]+)?)"
_MISSING = [
    re.compile(pattern)
    for pattern in (
        rf"_execute_child(?s:.{{0,400}}?)(?:No such file or directory|Permission denied): '{_TOOL}'",
        rf"No such file or directory: '{_COMPILER}'",
        rf"(?:command|execute) '{_TOOL}'(?: failed)?: No such file",
        rf"(?m)^(?:\S*sh: (?:line )?(?:\d+: )?)?{_TOOL}: (?:command not found|not found|Permission denied)$",
        rf"linker `{_TOOL}` not found",
        r"Microsoft Visual (?P<tool>C\+\+) 14",
        r"can't find (?P<tool>Rust) compiler|(?P<cargo>Cargo), the Rust package manager, is not installed",
        r"Do you have (?P<tool>cargo) in your PATH|puccinialin\W+_setup_(?P<of_maturin>rust)\.py",
        rf"Could not find (?:the )?compiler [^\n]*:\s+{_COMPILER}",
        r"Unknown (?P<tool>compiler)\(s\)|(?:No )?CMAKE_\w+_(?P<of_cmake>COMPILER) (?:could be found|not set)",
        r"Unsupported (?P<of_pybind11>compiler) -- at least",
        r"(?i)Please install (?P<of_jlpm>node\.?js) and npm",
        r"fatal error: '?(?P<tool>Python\.h)",
        r"not find (?:the )?['\"`](?P<tool>[\w.+-]+)['\"`] (?:binary|command|executable|program)\b",
    )
]
_NO_SERVER = re.compile(
    r"Name or service not known|Temporary failure in name resolution|Network is unreachable|getaddrinfo failed|"
    r"nodename nor servname provided|Could not resolve host"
)
_ELSEWHERE = "build the files in an earlier step, and set `dist` to them"
_LACKS = (
    (
        re.compile(r"\bfatal error: '?([\w./+-]+\.h(?:pp|h|xx)?)'?(?:: No such file| file not found)"),
        "there is no {}: a library or a build requirement is missing, or the project is incomplete or too old",
        f"install the development package of the library, or {_ELSEWHERE}",
    ),
    (
        re.compile(r"ModuleNotFoundError: No module named 'pkg_resources'\s*\Z"),
        "it imports pkg_resources, which setuptools 82 has no more",
        'set `requires = ["setuptools<82"]` in the [build-system] table of pyproject.toml',
    ),
    (
        re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'\s*\Z"),
        "it imports {}, which neither its build requirements nor Python {python} have",
        "add the package with this module, in a version that has it, to `requires` of [build-system]",
    ),
)
"""The output of a build that lacks something, the likely cause, and the fix."""

_MODULE = re.compile(r"ModuleNotFoundError: No module named '(\w+)[\w.]*'\s*\Z")
_ABSENT = re.compile(r"(?:No such file or directory: '|not exist: |No module named ')([^'\n]+?)'?\s*\Z")
_CLOSED = re.compile(r"Permission denied: '(/[^']+)'")
_WORD = re.compile(r"\b[A-Z][A-Z0-9_]{3,}\b")


@dataclass(frozen=True)
class FailedBuild:
    """What is known of a failed build.

    Attributes:
        label: The project's label.
        kind: What was built: a key of `KINDS`.
        output: The last lines of the build.
        settings: The content of the files that say how the project is built.
        withheld: The variables that the build did not get.
        left_out: The files and folders that its tree did not have, and why.
        submodules: The git submodules that are not checked out.
        is_isolated: Whether it ran as a user of its own.
        tree: The source tree of the build.
        sdist_of: The source tree that the sdist of this tree was built from; None if it was not unpacked from one.
    """

    label: str
    kind: str
    output: str
    settings: str
    withheld: AbstractSet[str]
    left_out: Mapping[Path, str]
    submodules: Sequence[str]
    is_isolated: bool
    tree: Path
    sdist_of: Path | None

    def explain(self, error: Exception) -> BuildFailure:
        """Return the failure with its cause, where `error` is what the call of the backend raised."""
        if isinstance(error, BackendUnavailable):
            return BuildFailure(
                f"The build backend of {self.label} could not be imported.",
                cause="`build-backend` is misspelt, or the backend's package is missing in `requires`",
                fix=f"correct the [build-system] table in the pyproject.toml of {self.label}",
                anchor="build-backend",
                detail=str(error),
            )
        if isinstance(error, UnsupportedOperation):
            return BuildFailure(
                f"The build backend of {self.label} does not support building {KINDS[self.kind]}.",
                fix=f"set `formats: {'sdist' if self.kind == 'wheel' else 'wheel'}`",
                anchor="build-failed",
                detail=self.output,
            )
        if isinstance(error, subprocess.CalledProcessError) and error.returncode < 0:
            number = -error.returncode
            name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
            return BuildFailure(
                f"The build of {self.label} was ended by {name} ({self.kind}).",
                cause="there was not enough memory" if number == signal.SIGKILL else "a program of the build crashed",
                fix="set `jobs: 1`, or use a machine with more memory",
                anchor="build-killed",
                detail=self.output,
            )
        found = next(filter(None, (pattern.search(self.output) for pattern in _MISSING)), None)
        if found:
            tool = next(text for text in found.groupdict().values() if text).replace("COMPILER", "compiler")
            return BuildFailure(
                f"The build of {self.label} needs {tool}, and cannot run or find it.",
                cause=f"{tool} is not here, or the build may not use it: {self._how}",
                fix="build the files in an earlier step (with cibuildwheel, for example), and set `dist` to them",
                anchor="missing-program",
                detail=self.output,
            )
        because, fix = next(self._lacks(), ("", ""))
        beside = ", and the wheel is built from what the sdist has" if self.sdist_of else ""
        return BuildFailure(
            f"The build of {self.label} failed ({self.kind}).",
            cause=because or f"the last lines of the build's output show why{beside}",
            fix=fix or "run this in the project's folder, and correct what fails\n  python -m build",
            anchor="build-failed",
            detail=self.output if isinstance(error, subprocess.CalledProcessError) else f"{self.output}\n{error}",
        )

    @property
    def _how(self) -> str:
        user = "as a user of its own, on a copy of the workspace" if self.is_isolated else "as you"
        return f"it runs {user}, with Python {_PYTHON} ({sys.executable})"

    def _lacks(self) -> Iterator[tuple[str, str]]:
        """Yield what the build lacked, and the fix, the most likely first."""
        yield from self._not_in_sdist()
        for path, why in self.left_out.items():
            if re.search(rf"(?<![\w.-]){re.escape(path.name)}(?![\w-])", self.output):
                yield f"{path} is not in the copy of the workspace for builds: {why}", "keep it in another place"
        if self.is_isolated and (closed := _CLOSED.search(self.output)):
            yield f"the build may not use {closed[1]}: {self._how}", "let every user read it"
        if empty := ", ".join(filter(self._is_named, self.submodules)):
            fix = "set `submodules: recursive` for actions/checkout, or run\n  git submodule update --init --recursive"
            yield f"these git submodules are not checked out: {empty}", fix
        yield from self._own_module()
        for pattern, cause, fix in _LACKS:
            if found := pattern.findall(self.output):
                # The last one: before it, a build may have tried what the compiler has.
                yield cause.format(found[-1], python=_PYTHON), fix
        if names := sorted(self.withheld & set(_WORD.findall(f"{self.output}\n{self.settings}"))):
            yield f"it reads variables that builds do not get: {', '.join(names)}", f"set `build-env: {names[0]}`"
        if _NO_SERVER.search(self.output):
            fix = f"allow the connection (through a proxy: `build-env: HTTPS_PROXY`), or {_ELSEWHERE}"
            yield "it downloads something, and could not reach the server", fix

    def _not_in_sdist(self) -> Iterator[tuple[str, str]]:
        """Yield the file that the build did not find in the end, if the sdist lacks it, as the cause, and the fix."""
        found = _ABSENT.search(self.output)
        if not found or not self.sdist_of or self.sdist_of.resolve() != self.sdist_of:
            return
        cause, name = "the wheel is built from the sdist, which lacks {}", found[1]
        if name.startswith("../"):
            yield cause.format(name), "set `formats: wheel`"
        for each in (name, f"{name.replace('.', '/')}.py"):
            inside = os.path.relpath(self.tree / each, self.tree)
            is_there = _has(self.tree, inside) and not (self.tree / inside).is_symlink()  # one that leads nowhere
            if _has(self.sdist_of, inside) and not is_there:
                fix = "include it in the settings of the backend (setuptools: MANIFEST.in), or set `formats: wheel`"
                yield cause.format(inside), fix

    def _own_module(self) -> Iterator[tuple[str, str]]:
        """Yield a module of the project that the build did not find, as the cause, and the fix.

        A package with this name in an index would be somebody else's.
        """
        if found := _MODULE.search(self.output):
            for folder in (".", "src"):
                if any(_has(self.tree, f"{folder}/{found[1]}{end}") for end in (".py", "/__init__.py")):
                    cause = f"it imports {found[1]}, which is the project's own, and not on Python's path in a build"
                    yield cause, f'import nothing of the project, or run `sys.path.insert(0, "{folder}")` before'

    def _is_named(self, submodule: str) -> bool:
        """Return whether the project or its build names a submodule, or the output the folder around it."""
        *_, around, name = ("", *submodule.split("/"))
        named = re.escape(f"{around}/") if around else rf"{re.escape(name)}(?![\w.-])"
        text = self.output if around else f"{self.output}\n{self.settings}"
        return re.search(rf"(?<![\w.-]){named}", text) is not None


def _has(tree: Path, inside: str) -> bool:
    """Return whether a tree has a file. Its code chose the path and the links, which nothing follows."""
    path = tree / inside
    folders = [each for each in path.parents if each.is_relative_to(tree)]
    return not inside.startswith("..") and not any(map(os.path.islink, folders)) and os.path.lexists(path)


def not_installed(output: str, project: str) -> Failure:
    """Return the failure of an installer that could not install the build requirements of a project."""
    if "Failed to fetch" in output or "error sending request" in output:
        return Unreachable(
            f"The build requirements of {project} could not be downloaded.",
            cause="the package index is unreachable or denies access",
            fix="check the network, and HTTPS_PROXY and UV_DEFAULT_INDEX if these variables are set",
            anchor="build-requirements",
            detail=output,
        )
    if "Failed to initialize cache" in output:
        return BuildFailure(
            f"The build requirements of {project} could not be installed.",
            cause="uv cannot write to the folder of its cache",
            fix="set UV_CACHE_DIR to a folder that can be written",
            anchor="build-requirements",
            detail=output,
        )
    if "lack of valid authentication credentials" in output:
        return BuildFailure(
            f"The build requirements of {project} could not be installed.",
            cause="an index in UV_INDEX or UV_DEFAULT_INDEX has no login, or one that has expired or may not read",
            fix="get a new login right before this step, or empty that variable in its environment",
            anchor="build-requirements",
            detail=output,
        )
    return BuildFailure(
        f"The build requirements of {project} could not be installed.",
        cause=f"no package index has a name or a version in `requires` of [build-system] for this Python ({_PYTHON})",
        fix="correct `requires`; a private requirement must be a wheel in the repository that you publish to",
        anchor="build-requirements",
        detail=output,
    )
