import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gar_publish import threads
from gar_publish.threads import TaskGroup, in_background, result


def test_a_call_in_the_background_runs_in_another_thread() -> None:
    assert result(in_background(threading.get_ident)) != threading.get_ident()


def test_the_exception_of_a_background_call_is_raised_by_result() -> None:
    def fail() -> None:
        raise SystemExit("no")

    with pytest.raises(SystemExit, match="no"):
        result(in_background(fail))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_a_group_also_waits_for_tasks_that_its_tasks_start(pool: ThreadPoolExecutor) -> None:
    done: list[int] = []

    def task(number: int) -> None:
        done.append(number)
        if number:
            group.start(pool, task, number - 1)

    group = TaskGroup(lambda: None)
    group.start(pool, task, 3)
    with group.changed:
        group.wait()
    assert done == [3, 2, 1, 0]


def test_a_group_advances_before_it_waits_and_after_each_task(pool: ThreadPoolExecutor) -> None:
    ahead, done = [1, 2, 3], list[int]()

    def advance() -> None:
        if ahead:
            group.start(pool, done.append, ahead.pop())

    group = TaskGroup(advance)
    with group.changed:
        group.wait()
    assert done == [3, 2, 1]


def test_waiting_for_a_group_raises_its_first_exception() -> None:
    def fail(number: int) -> None:
        raise ValueError(number)

    group = TaskGroup(lambda: None)
    with ThreadPoolExecutor(1) as pool:
        group.start(pool, fail, 1)
        group.start(pool, fail, 2)
    with pytest.raises(ValueError, match="1"), group.changed:
        group.wait()


def test_a_signal_ends_a_wait(pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    def waits(_: None) -> None:
        end.wait()

    end = threading.Event()
    monkeypatch.setattr(threads, "TICK", 0.01)
    monkeypatch.setattr(threads, "check_signals", interrupt)
    with pytest.raises(KeyboardInterrupt):
        result(in_background(end.wait))
    group = TaskGroup(lambda: None)
    group.start(pool, waits, None)
    with pytest.raises(KeyboardInterrupt), group.changed:
        group.wait()
    end.set()
