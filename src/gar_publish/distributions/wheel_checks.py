"""Find what is wrong with the files inside a wheel, without running any of them."""

import ast
import contextlib
import hashlib
import re
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from packaging.specifiers import SpecifierSet

from gar_publish.distributions import archives
from gar_publish.distributions.distribution import Distribution, lowest_python
from gar_publish.errors import BuildFailure
from gar_publish.files import open_regular
from gar_publish.projects import git

_LARGEST_MODULE = 1024 * 1024
_MOST_SOURCE = 32 * 1024 * 1024
_OLDEST_GRAMMAR = 9  # of Python 3; for older ones, `ast` refuses valid `with` statements

_NEWER = (
    re.compile(rb"[\n\r][ \t\f]*((match|type)\s|(async\s+)?(def|class)\s+\w+\s*\[|except(\s*\*|\s+[\w.]+\s*,))"),
    re.compile(rb"""t["'](?<=\bt.)"""),
)
"""What may be newer grammar than that of Python 3.9."""

_CONDITION = re.compile(rb"version_info|SyntaxError")
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_LONGEST_POINTER = 200  # the specification allows 1024; without extensions, they are shorter
_NAMESPACE = re.compile(rb"\b(extend_path|declare_namespace)\(")
_TEMPLATE = re.compile(rb"\{\{|\{%|<%|\$\{")
_NOT_IMPORTED = {"tests", "test", "testing", "examples", "example", "docs", "doc", "templates", "template"}
_OF_ONE_PYTHON = re.compile(r"(^|_|py_?|python_?|cp_?)[23](_?\d{1,2})?(k|plus)?(\.py)?$")
_TEST_FILE = re.compile(r"(conftest|test_.*|.*_tests?|.+Tests?)\.py")
_IN_WHEEL = re.compile(r"(?:[^/]+\.data/(?:purelib|platlib)/)?(?P<path>.+)")
_NOT_INSTALLED_THERE = re.compile(r"[^/]+\.(dist-info|data)/")
_SHARED_NAMES = {"tests", "test", "docs", "examples"}
_LEFT_OVER = {"setup.py", "conftest.py", "noxfile.py"}
_MODULES = (".py", ".pyi", ".pyc", ".so", ".pyd", ".dylib", ".dll", ".pth")
_DATA = {
    ".json",
    ".yaml",
    ".yml",
    ".toml",
    ".html",
    ".css",
    ".js",
    ".txt",
    ".csv",
    ".sql",
    ".xml",
    ".ini",
    ".cfg",
    ".j2",
    ".jinja2",
    ".tmpl",
    ".graphql",
}
_SOURCE_FOLDERS = ("", "src", "lib", "python")
_MOST_NAMED = 5
_GOOD: set[tuple[bytes, int]] = set()
"""The SHA-256 of each module that was found to be right, and for which Python: several wheels may have it."""


def check(wheel: Distribution) -> list[str]:
    """Check the files inside a wheel.

    Returns:
        Warnings, as sentences.

    Raises:
        BuildFailure: It has nothing to install, or a module that no Python can import.
    """
    found = _Wheel(wheel)
    if not found.has_files and not wheel.package.metadata.get("requires_dist"):
        raise _empty(wheel, "it has no file to install, and requires nothing")
    _check_syntax(found)
    return [*_misplaced(found), *_pointers(found)]


def check_against_source(
    wheel: Distribution, folder: Path, environment: Mapping[str, str], from_tree: Path | None = None
) -> list[str]:
    """Compare a wheel with the source tree of its project, and with a wheel that was built from it.

    What git ignores and what belongs to tests, or to a project in a package's folder, does not count; data count only
    if the wheel's own code names them.

    Args:
        wheel: The wheel.
        folder: The project's folder.
        environment: All variables, for git.
        from_tree: The wheel that was built from the source tree, if this one was built from an sdist.

    Returns:
        Warnings about what the wheel lacks, if anything.

    Raises:
        BuildFailure: The wheel has no file at all, and the source has the package.
    """
    found = _Wheel(wheel)
    own = wheel.name.replace("-", "_")
    if not found.has_files and any((folder / each / own / "__init__.py").is_file() for each in _SOURCE_FOLDERS):
        raise _empty(wheel, f"it has no file to install, and the source has the package {own}")
    missing = archives.missing(wheel.path, from_tree) if from_tree else []
    lacking = {path: name for path, name in _lacking(found, folder) if name not in missing}
    tops = {folder / path.partition("/")[0] for path in lacking}
    ignored = git.ignored(tops, folder, environment) if lacking else set()
    if names := sorted(name for path, name in lacking.items() if folder / path not in ignored):
        lacks = f"{wheel.filename} lacks {_listed(names)}, which the source has."
        lacks += " Add what is needed to the packages or package data in the settings of the build backend."
        return [lacks, *_not_in_sdist(wheel, missing)]
    return _not_in_sdist(wheel, missing)


def _not_in_sdist(wheel: Distribution, missing: Sequence[str]) -> list[str]:
    """Return a warning about what a wheel lacks because the sdist does, if that is anything but tests.

    Many projects leave these out of the sdist on purpose.
    """
    names = [
        name
        for name in missing
        if not _TEST_FILE.fullmatch(name.rpartition("/")[2]) and {"test", "tests"}.isdisjoint(name.split("/"))
    ]
    lacks = f"{wheel.filename} is built from the sdist, which lacks {_listed(names)}."
    return [f"{lacks} A wheel that is built without the sdist has them. Add them to the sdist."] if names else []


def may_be_broken(wheel: Distribution, path: str) -> bool:
    """Return whether a module of a wheel that some Python cannot compile may be right all the same.

    This is so for a template of a module, for a file of a folder that is no package, and for a module that is imported
    under a condition: another one that names it looks at the version of Python, or catches SyntaxError.
    """
    found = _Wheel(wheel)
    folders = path.split("/")[:-1]
    above = ["/".join(folders[: number + 1]) for number in range(len(folders))]
    is_package = [f"{each}/__init__.py" in found.members for each in above]
    if any(is_package) and not all(is_package[is_package.index(True) :]):
        return True
    names = {part.encode() for part in path.removesuffix(".py").split("/")[1:]} - {b"__init__"}
    return any(
        bool(_TEMPLATE.search(source))
        if each == path
        else bool(_CONDITION.search(source)) and any(name in source for name in names)
        for each, source in found.sources()
    )


class _Wheel:
    """The members of a wheel, by the paths at which they are installed beside those of other packages.

    Attributes:
        has_files: Whether it has any file besides its metadata.
    """

    def __init__(self, wheel: Distribution) -> None:
        self.wheel = wheel
        with zipfile.ZipFile(wheel.path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
        self.has_files = any(".dist-info/" not in each.filename for each in members) or any(
            each.filename.endswith(".dist-info/entry_points.txt") for each in members
        )
        self.members = {
            path: info
            for info in members
            if (path := _IN_WHEEL.sub(r"\g<path>", info.filename)) and not _NOT_INSTALLED_THERE.match(path)
        }

    def sources(self) -> Iterator[tuple[str, bytes]]:
        """Yield the path and the content of each module, up to a bound.

        Raises:
            BuildFailure: One is damaged.
        """
        left = _MOST_SOURCE
        with zipfile.ZipFile(self.wheel.path) as archive:
            for path, info in self.members.items():
                if path.endswith(".py") and info.file_size <= min(_LARGEST_MODULE, left):
                    left -= info.file_size
                    try:
                        yield path, archives.read(archive, info, _LARGEST_MODULE)
                    except archives.UNREADABLE as error:
                        raise _broken(self.wheel, path, f"it is damaged: {error}") from error


def _check_syntax(found: _Wheel) -> None:
    lowest = _lowest_minor(found.wheel.requires_python)
    if all(tag.startswith(("py2", "cp2")) for tag in found.wheel.filename.split("-")[-3].split(".")):
        return
    if lowest is None or lowest > sys.version_info.minor:
        return  # this Python does not know that one's grammar
    for path, source in found.sources():
        *folders, name = path.split("/")
        if (
            _NOT_IMPORTED.isdisjoint(folders)
            and all(each.isidentifier() for each in (*folders, name.removesuffix(".py")))
            and not any(_OF_ONE_PYTHON.search(each) for each in (*folders, name))
            and (problem := _syntax_error(source, max(lowest, _OLDEST_GRAMMAR)))
            and not may_be_broken(found.wheel, path)
        ):
            raise _broken(found.wheel, path, problem)


def _syntax_error(source: bytes, minor: int) -> str:
    """Return what is wrong with a module for Python 3.`minor`, as far as this Python knows; empty if nothing is."""
    key = hashlib.sha256(source).digest(), minor
    if key in _GOOD:
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "", "exec", dont_inherit=True)
            if minor < sys.version_info.minor and any(each.search(b"\n" + source) for each in _NEWER):
                ast.parse(source, feature_version=(3, minor))
    except SyntaxError as error:
        if "encoding" in error.msg:  # a requirement may bring it
            return ""
        return f"{error.msg} (line {error.lineno}, for Python 3.{minor})"
    except (ValueError, RecursionError, MemoryError):  # a null byte; an expression that is nested too deeply
        pass
    _GOOD.add(key)
    return ""


def _lowest_minor(requires_python: str | None) -> int | None:
    """Return the lowest 3.x that a specifier accepts, or this Python's if there is none; None if there is no such x."""
    if not requires_python:
        return sys.version_info.minor
    lowest = lowest_python(SpecifierSet(requires_python))
    return lowest.minor if lowest else None


def _misplaced(found: _Wheel) -> Iterator[str]:
    top = {path.partition("/")[0] for path in found.members if "/" in path and path.endswith(".py")}
    if shared := sorted(top & (_SHARED_NAMES - {found.wheel.name})):
        yield (
            f"{found.wheel.filename} installs {', '.join(shared)} as top-level packages, where other packages may "
            "have theirs. Exclude them in the settings of the build backend."
        )
    files = {path for path in found.members if "/" not in path}
    if left_over := sorted(each for each in files if each in _LEFT_OVER or not each.endswith(_MODULES)):
        yield (
            f"{found.wheel.filename} installs {_listed(left_over)} beside all packages, outside of its own. Exclude "
            "what does not belong there in the settings of the build backend."
        )


def _pointers(found: _Wheel) -> Iterator[str]:
    names = []
    with zipfile.ZipFile(found.wheel.path) as archive:
        for path, info in found.members.items():
            if len(_POINTER) < info.file_size <= _LONGEST_POINTER:
                with contextlib.suppress(*archives.UNREADABLE):
                    if archives.read(archive, info, _LONGEST_POINTER).startswith(_POINTER):
                        names.append(path)
    if names:
        yield (
            f"{found.wheel.filename} has pointers of Git LFS instead of files: {_listed(names)}. Set `lfs: true` for "
            "actions/checkout, or run `git lfs pull`."
        )


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _lacking(found: _Wheel, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what the source has of the wheel's packages and the wheel lacks: its paths in the source, and in wheels."""
    tops = {path.split("/")[0] for path in found.members if "/" in path and path.endswith(".py")}
    texts: bytes | None = None
    for top in sorted(tops):
        place = next((each for each in _SOURCE_FOLDERS if (folder / each / top).is_dir()), None)
        if place is None:
            continue
        for path in (folder / place / top).rglob("*"):
            name = path.relative_to(folder / place).as_posix()
            *folders, last = name.split("/")
            if (
                path.suffix not in {".py", *_DATA}
                or name in found.members
                or not _NOT_IMPORTED.isdisjoint(folders)
                or not all(map(str.isidentifier, folders))
                or _TEST_FILE.fullmatch(last)
                or not path.is_file()
                or (last == "__init__.py" and _is_of_a_namespace(path))
                or any(_is_another_project(each, folder / place, found) for each in path.parents[: len(folders)])
            ):
                continue
            if path.suffix in _DATA:
                texts = b"\n".join(source for _, source in found.sources()) if texts is None else texts
                if last.encode() not in texts:
                    continue
            yield path.relative_to(folder).as_posix(), name


def _is_another_project(folder: Path, base: Path, found: _Wheel) -> bool:
    """Return whether a folder in a package has a project of its own: a `setup.py` in the wheel is a module."""
    files = (folder / name for name in ("pyproject.toml", "setup.py"))
    return any(each.is_file() and each.relative_to(base).as_posix() not in found.members for each in files)


def _is_of_a_namespace(file: Path) -> bool:
    """Return whether an `__init__.py` lets distributions share its package, which they do without it, too."""
    with contextlib.suppress(OSError), open_regular(file, _LARGEST_MODULE) as opened:
        return _NAMESPACE.search(opened.read()) is not None
    return False


def _empty(wheel: Distribution, what: str) -> BuildFailure:
    return BuildFailure(
        f"{wheel.filename} is empty: {what}.",
        cause="the build backend did not find the project's packages",
        fix="name the packages in the settings of the build backend, and build again",
        anchor="empty-wheel",
    )


def _broken(wheel: Distribution, path: str, problem: str) -> BuildFailure:
    return BuildFailure(
        f"{wheel.filename} has a module that cannot be imported, {path}: {problem}.",
        cause="the module was never run with the lowest Python that `requires-python` allows, or the file is damaged",
        fix="correct the module, or raise `requires-python`; build again",
        anchor="broken-module",
    )
