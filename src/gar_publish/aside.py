"""Work in other threads."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from gar_publish.interruption import check_signals

_TICK = 0.5

Item = TypeVar("Item")


def aside(call: Callable[[], Item]) -> "Future[Item]":
    """Begin something that needs no turn in a pool; the process does not wait for it at its end."""
    future: Future[Item] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def result(future: Future[Item]) -> Item:
    """A future's result. It is waited for in ticks, for on Windows a wait without end hears no signal."""
    while not wait([future], _TICK).done:
        check_signals()
    return future.result()
