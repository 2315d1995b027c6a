import pytest

from gar_publish import errors
from gar_publish.errors import Failure

CODES = {
    "BadInput": 2,
    "CredentialsFailure": 3,
    "BuildFailure": 4,
    "Conflict": 5,
    "RegistryRefused": 6,
    "Unreachable": 7,
    "Interrupted": 130,
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_exit_codes_are_those_of_the_contract(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code


def test_there_is_no_other_kind() -> None:
    assert {each.__name__ for each in Failure.__subclasses__()} == set(CODES)


def test_a_failure_explains_itself_in_order() -> None:
    failure = errors.BadInput("What.", cause="why", fix="do", anchor="place", detail="they\nsaid")
    assert failure.explain().splitlines() == [
        "What.",
        "  they",
        "  said",
        "Likely cause: why",
        "Fix: do",
        f"More: {errors.DOCS}#place",
    ]


def test_what_is_empty_is_left_out() -> None:
    assert errors.BadInput("What.", anchor="place").explain() == f"What.\nMore: {errors.DOCS}#place"
