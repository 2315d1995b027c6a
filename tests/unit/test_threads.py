import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gar_publish.threads import TaskGroup, in_background, result


def test_it_happens_in_another_thread() -> None:
    assert result(in_background(threading.get_ident)) != threading.get_ident()


def test_whoever_asks_for_the_result_gets_the_failure() -> None:
    def fail() -> None:
        raise SystemExit("no")

    with pytest.raises(SystemExit, match="no"):
        result(in_background(fail))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_a_group_waits_for_what_its_tasks_start_as_well(pool: ThreadPoolExecutor) -> None:
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


def test_whoever_waits_for_a_group_gets_its_first_failure(pool: ThreadPoolExecutor) -> None:
    def fail(number: int) -> None:
        raise ValueError(number)

    group = TaskGroup(lambda: None)
    group.start(pool, fail, 1)
    with pytest.raises(ValueError, match="1"), group.changed:
        group.wait()
