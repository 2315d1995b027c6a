"""Work in other threads, which the main thread waits for without missing signals."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

from gar_publish.process import check_signals

TICK = 0.5
"""Seconds between two checks for a signal. On Windows, a signal does not end a wait without a timeout."""

Item = TypeVar("Item")


def in_background(call: Callable[[], Item]) -> "Future[Item]":
    """Run a call in a daemon thread of its own, and return its future."""
    future: Future[Item] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - the caller of `result` gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def result(future: Future[Item]) -> Item:
    """Return the result of a future. Signals are checked while it is waited for."""
    while not wait([future], TICK).done:
        check_signals()
    return future.result()


class TaskGroup:
    """Tasks in thread pools, which one thread waits for.

    Args:
        advance: Starts the tasks that can start. Called with the lock when a task has ended and when the wait begins.

    Attributes:
        changed: The lock, notified when a task has ended.
    """

    def __init__(self, advance: Callable[[], None]) -> None:
        self.changed = threading.Condition()
        self._advance = advance
        self._running = 0
        self._error: BaseException | None = None

    def start(self, pool: Executor, call: Callable[[Item], None], item: Item) -> None:
        def run() -> None:
            try:
                call(item)
            except BaseException as error:  # noqa: BLE001 - `wait` raises it
                self._error = self._error or error
            with self.changed:
                self._running -= 1
                self._advance()
                self.changed.notify_all()

        with self.changed:
            self._running += 1
        pool.submit(run)

    def wait(self) -> None:
        """Wait until no task runs. The caller has the lock.

        Raises:
            Exception: The exception of the first task that failed.
        """
        self._advance()
        while self._running:
            self.changed.wait(TICK)
            check_signals()
        if self._error:
            raise self._error
