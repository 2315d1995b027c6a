"""Damaged files in the data folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gar_emulator.errors import EmulatorError


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn errors while a file is read into one that names the file.

    Raises:
        EmulatorError: The file cannot be read or is damaged.
    """
    try:
        yield
    except OSError as error:
        raise _unusable(file, error.strerror or "it cannot be read") from None
    except (ValueError, KeyError, TypeError):
        raise _unusable(file, "it is damaged") from None


def _unusable(file: Path, why: str) -> EmulatorError:
    return EmulatorError(
        f"The emulator cannot use {file.name} in its data folder: {why}.",
        fix=f"remove {file}, or choose another folder with `--data`",
        anchor="emulator-data",
    )
