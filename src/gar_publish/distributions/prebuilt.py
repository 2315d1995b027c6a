"""Files that are built already: those that the `dist` input names."""

import filecmp
from collections.abc import Iterable, Sequence
from pathlib import Path

from gar_publish.distributions.filenames import is_distribution
from gar_publish.errors import BadInput
from gar_publish.projects.globs import is_glob, matches


def collect(patterns: Sequence[str], root: Path) -> list[Path]:
    """The wheels and sdists that the `dist` input names.

    What lies beside them (checksums, signatures, attestations, other folders) is passed over.

    Args:
        patterns: Files, folders or globs of either, relative to `root` unless absolute.
        root: The folder that the user stands in.

    Raises:
        BadInput: A pattern names no distribution, or two different files have one name.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        try:
            named = matches(pattern, root) if is_glob(pattern, root) else [root / pattern]
            files = _among(named) or _among([file for folder in named if folder.is_dir() for file in folder.iterdir()])
        except (OSError, ValueError) as error:
            raise BadInput(
                f"{pattern[:100]!r} in `dist` cannot be looked up: {getattr(error, 'strerror', None) or error}.",
                fix="give files (*.whl, *.tar.gz), folders or globs in `dist`, one per line",
                anchor="no-distributions",
            ) from None
        if not files:
            raise BadInput(
                f"{pattern!r} in `dist` names no wheel and no sdist.",
                cause=f"It was looked up in {root}. A spelling mistake, or the step that builds did not run in this"
                " job: actions/download-artifact brings the files of another.",
                fix="Give files (*.whl, *.tar.gz), folders or globs in `dist`, one per line.",
                anchor="no-distributions",
            )
        for file in files:
            other = found.setdefault(file.name, file)
            if other != file and not filecmp.cmp(other, file, shallow=False):
                raise BadInput(
                    f"Two different files are called {file.name}: {other} and {file}.",
                    fix="Name only one of them in `dist`.",
                    anchor="same-name-twice",
                )
    return list(found.values())


def _among(files: Iterable[Path]) -> list[Path]:
    return sorted(file for file in files if file.is_file() and is_distribution(file.name))
