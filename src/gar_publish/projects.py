"""What is to be published: the project folders."""

import glob
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from gar_publish.errors import BadInput


@dataclass(frozen=True)
class Project:
    """A folder that a build backend can make distributions from.

    Args:
        folder: Where it is, absolute.
        label: How the user called it, for messages.
        name: The name that its pyproject.toml declares, normalised; None where only the backend knows it.
    """

    folder: Path
    label: str
    name: str | None = None


def find(patterns: Sequence[str], root: Path) -> list[Project]:
    """The projects that folders and globs name, in their order, each once.

    A glob passes over what is no project (`packages/*` may hold a README too); a folder that is named must be
    one.

    Args:
        patterns: Folders or globs, relative to `root` unless absolute. `**` goes through all folders below.
        root: The folder that the user stands in: the workspace or the current folder.

    Raises:
        BadInput: A folder is not there or holds no project, a glob matches no project, or a pyproject.toml is
            not TOML.
    """
    found: dict[Path, Project] = {}
    for pattern in patterns:
        try:
            folders = _matching(pattern, root) if is_glob(pattern, root) else [_named(pattern, root)]
        except (OSError, ValueError) as error:
            raise BadInput(
                f"{pattern[:100]!r} in `packages` cannot be looked up: {getattr(error, 'strerror', None) or error}.",
                fix="give project folders or globs in `packages`, one a line",
                anchor="no-project",
            ) from None
        for folder in folders:
            label = str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder)
            found.setdefault(folder.resolve(), Project(folder.resolve(), label, _declared_name(folder, label)))
    return list(found.values())


def is_glob(pattern: str, root: Path) -> bool:
    """Whether a pattern is one, rather than the name of something that is there."""
    return glob.has_magic(pattern) and not (root / pattern).exists()


def matches(pattern: str, root: Path) -> list[Path]:
    """What a glob matches, in order of name; hidden files and folders only where it names them."""
    # Path.glob takes no absolute pattern and goes into hidden folders.
    return [root / match for match in sorted(glob.glob(pattern, root_dir=root, recursive=True))]  # noqa: PTH207 - see above


def _is_project(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() or (folder / "setup.py").is_file()


def _matching(pattern: str, root: Path) -> list[Path]:
    matched = matches(pattern, root)
    folders = [match for match in matched if match.is_dir() and _is_project(match)]
    if not folders:
        raise BadInput(
            f"The pattern {pattern!r} matches no Python project.",
            cause=f"It is looked up from {root}, and matches {len(matched)} files or folders; none of them is a folder"
            " with a pyproject.toml or a setup.py.",
            fix="Correct the pattern in `packages`. If the source is not there at all, check it out first"
            " (actions/checkout).",
            anchor="no-project",
        )
    return folders


def _named(name: str, root: Path) -> Path:
    folder = root / name
    if folder.name in {"pyproject.toml", "setup.py"}:
        folder = folder.parent
    if not folder.is_dir():
        raise BadInput(
            f"There is no folder {name!r} in {root}.",
            cause="A spelling mistake, or the source was not checked out before this step (actions/checkout).",
            fix="Give project folders or globs in `packages`, one a line.",
            anchor="no-project",
        )
    if not _is_project(folder):
        raise BadInput(
            f"The folder {name!r} holds no Python project: it has neither a pyproject.toml nor a setup.py.",
            cause=f"It was looked up in {root}.",
            fix="Give the project's own folder in `packages` (a glob such as `packages/*` is fine), or what is built"
            " already in `dist`.",
            anchor="no-project",
        )
    return folder


def _declared_name(folder: Path, label: str) -> str | None:
    """What `[project]` says (https://packaging.python.org/en/latest/specifications/pyproject-toml/)."""
    file = folder / "pyproject.toml"
    if not file.is_file():
        return None
    try:
        declared = tomllib.loads(file.read_bytes().decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{Path(label) / 'pyproject.toml'} is not valid TOML: {error}.",
            fix="Correct the file at that place.",
            anchor="invalid-pyproject",
        ) from error
    project = declared.get("project")
    name = project.get("name") if isinstance(project, dict) else None
    return canonicalize_name(name) if isinstance(name, str) else None
