import threading

import pytest

from gar_publish.aside import aside, result


def test_it_happens_in_another_thread() -> None:
    assert result(aside(threading.get_ident)) != threading.get_ident()


def test_whoever_asks_for_the_result_gets_the_failure() -> None:
    def fail() -> None:
        raise SystemExit("no")

    with pytest.raises(SystemExit, match="no"):
        result(aside(fail))
