"""Find files that are built already: those of the `dist` input."""

import filecmp
from collections.abc import Iterable, Sequence
from pathlib import Path

from gar_publish.distributions.filenames import is_distribution
from gar_publish.errors import BadInput
from gar_publish.projects.globs import is_glob, matches

_FIX = "give files (*.whl, *.tar.gz), folders or globs as `dist`"


def collect(patterns: Sequence[str], root: Path) -> list[Path]:
    """Return the wheels and sdists of the `dist` input.

    Other files beside them (checksums, signatures, attestations) and folders are ignored.

    Args:
        patterns: Files, folders or globs, relative to `root` or absolute.
        root: The workspace or the current folder.

    Raises:
        BadInput: A pattern matches no distribution, or two different files have the same name.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        try:
            named = matches(pattern, root) if is_glob(pattern, root) else [root / pattern]
            files = _among(named) or _among([file for folder in named if folder.is_dir() for file in folder.iterdir()])
            for file in files:
                other = found.setdefault(file.name, file)
                if other != file and not filecmp.cmp(other, file, shallow=False):
                    raise BadInput(
                        f"Two different files have the name {file.name}: {other} and {file}.",
                        fix="remove one of the two files from `dist`",
                        anchor="same-name-twice",
                    )
        except (OSError, ValueError) as error:
            raise BadInput(
                f"`dist`: cannot read {pattern[:100]!r}: {getattr(error, 'strerror', None) or error}.",
                fix=_FIX,
                anchor="no-distributions",
            ) from None
        if not files:
            raise BadInput(
                f"{pattern!r} in `dist` matches no wheel and no sdist in {root}.",
                cause="the path is misspelt, or the files of another job were not downloaded "
                "(actions/download-artifact)",
                fix=_FIX,
                anchor="no-distributions",
            )
    return list(found.values())


def _among(files: Iterable[Path]) -> list[Path]:
    return sorted(file for file in files if file.is_file() and is_distribution(file.name))
