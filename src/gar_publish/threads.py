"""Work in other threads."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

from gar_publish.process import check_signals

TICK = 0.5
"""Seconds between two looks for a signal: on Windows, a wait without end hears none."""

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
    """A future's result. It is waited for in ticks, between which signals are heard."""
    while not wait([future], TICK).done:
        check_signals()
    return future.result()


class TaskGroup:
    """Tasks in pools of threads, all of which one thread waits for.

    Args:
        advance: Starts what can be started; called with the lock, whenever a task has ended or somebody begins to wait.

    Attributes:
        changed: The lock, notified when a task has ended.
    """

    def __init__(self, advance: Callable[[], None]) -> None:
        self.changed = threading.Condition()
        self._advance = advance
        self._running = 0
        self._mistake: BaseException | None = None

    def start(self, pool: Executor, call: Callable[[Item], None], item: Item) -> None:
        def run() -> None:
            try:
                call(item)
            except BaseException as error:  # noqa: BLE001 - the thread that waits gets it
                self._mistake = self._mistake or error
            with self.changed:
                self._running -= 1
                self._advance()
                self.changed.notify_all()

        with self.changed:
            self._running += 1
        pool.submit(run)

    def wait(self) -> None:
        """Wait, with the lock, until no task runs.

        Raises:
            Exception: What the first task that failed has raised.
        """
        self._advance()
        while self._running:
            self.changed.wait(TICK)
            check_signals()
        if self._mistake:
            raise self._mistake
