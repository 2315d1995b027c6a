"""Files of the emulator's data folder that somebody, or a full disk, has damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gar_emulator.errors import EmulatorError


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Blame a file for whatever goes wrong while it is read.

    Raises:
        EmulatorError: It cannot be read, or what it holds is not what the emulator wrote.
    """
    try:
        yield
    except OSError as error:
        raise _unusable(file, error.strerror or "it cannot be read") from None
    except (ValueError, KeyError, TypeError):
        raise _unusable(file, "it is damaged") from None


def _unusable(file: Path, why: str) -> EmulatorError:
    return EmulatorError(
        f"The emulator cannot use {file.name} of its data folder: {why}.",
        fix=f"remove {file}, or name another folder with --data",
        anchor="emulator-data",
    )
