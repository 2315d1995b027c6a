"""How far an upload is, in lines for a log."""

import time
from collections.abc import Callable

_INTERVAL = 12.0
"""Seconds between two lines; an upload that takes less says nothing."""


class Lines:
    """Says a line now and then.

    Args:
        say: Takes a line.
        filename: What is being uploaded.
        total: Its size in bytes.
        clock: Seconds since some fixed point.
    """

    def __init__(
        self, say: Callable[[str], None], filename: str, total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._filename = filename
        self._total = total
        self._clock = clock
        self._started = self._said = clock()

    def show(self, sent: int) -> None:
        """Take note that `sent` bytes have left."""
        now = self._clock()
        if now - self._said < _INTERVAL:
            return
        self._said = now
        from gar_publish.units import human_size  # most uploads take less, and `--version` none

        speed = human_size(int(sent / (now - self._started)))
        self._say(
            f"{self._filename}: {human_size(sent)} of {human_size(self._total)}, "
            f"{sent * 100 // self._total} %, {speed}/s"
        )
