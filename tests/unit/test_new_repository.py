from collections.abc import Callable

import pytest

from gar_publish.errors import RegistryRefused
from gar_publish.new_repository import once_known
from gar_publish.patience import Patience
from tests.unit.servers import Time


@pytest.fixture
def time() -> Time:
    return Time()


def failing(*anchors: str) -> Callable[[], str]:
    rest = iter(anchors)

    def call() -> str:
        for anchor in rest:
            raise RegistryRefused("no", anchor=anchor)
        return "done"

    return call


def test_a_new_repository_gets_some_time(time: Time) -> None:
    call = failing("repository-missing", "registry-403")
    assert once_known(call, Patience(sleep=time.sleep), lambda _: None) == "done"
    assert time.slept == [0.5, 1]


def test_but_not_for_ever(time: Time) -> None:
    with pytest.raises(RegistryRefused):
        once_known(failing(*["registry-403"] * 9), Patience(sleep=time.sleep), lambda _: None)
    assert sum(time.slept) == pytest.approx(30.5)


def test_and_not_for_anything_else(time: Time) -> None:
    with pytest.raises(RegistryRefused):
        once_known(failing("registry-refused"), Patience(sleep=time.sleep), lambda _: None)
    assert time.slept == []
