"""What a run as root leaves behind."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def left() -> Iterator[str]:
    """Yield the commands of the other processes, except the first, and what removes files in the background."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        if int(file.parent.name) not in {1, os.getpid()}:
            with suppress(OSError):
                command = file.read_text()
                if command and not command.startswith("/bin/rm\0-rf\0"):
                    yield command
