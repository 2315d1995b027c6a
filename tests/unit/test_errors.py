import re
from collections.abc import Callable

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
def test_the_exit_code_of_each_kind(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code


def test_the_docstring_lists_every_kind() -> None:
    assert {each.__name__ for each in Failure.__subclasses__()} == set(CODES)
    listed = dict(re.findall(r"(\w+) +(\d+)\b", errors.__doc__ or ""))
    assert listed == {"Failure": "1", "FileRefused": "6", **{name: str(code) for name, code in CODES.items()}}


def test_a_failure_explains_itself_in_order() -> None:
    failure = errors.BadInput("What.", cause="why", fix="do", anchor="place", detail="they\nsaid")
    assert failure.explain().splitlines() == [
        "What.",
        "Fix: do",
        "Likely cause: why",
        "  they",
        "  said",
        f"More: {errors.DOCS}#place",
    ]


def test_empty_parts_are_left_out() -> None:
    assert errors.BadInput("What.", anchor="place").explain() == f"What.\nMore: {errors.DOCS}#place"


def test_the_same_failure_with_another_cause_or_in_other_words() -> None:
    failure = errors.Conflict("What.", cause="why", fix="do", anchor="place", detail="they")
    other = failure.because(cause="fact", fix="change", anchor="elsewhere")
    assert vars(other) == vars(failure) | {"cause": "fact", "fix": "change", "anchor": "elsewhere"}
    translated = failure.translated(str.upper)
    assert vars(translated) == vars(failure) | {"what": "WHAT.", "cause": "WHY", "fix": "DO"}
    assert type(other) is type(translated) is errors.Conflict


@pytest.mark.parametrize(
    ("error", "what", "code"),
    [
        (KeyboardInterrupt(), "The run was cancelled.", 130),
        (KeyError("secret"), "Internal error (KeyError); please report it.", 1),
    ],
)
def test_exceptions_as_failures(error: BaseException, what: str, code: int) -> None:
    failure = errors.as_failure(error)
    assert (failure.what, failure.exit_code) == (what, code)
    assert errors.as_failure(failure) is failure


class Signalled:
    def __set_name__(self, owner: type, name: str) -> None:
        raise KeyboardInterrupt


def unreadable() -> None:
    try:
        type("Module", (), {"attribute": Signalled()})
    except RuntimeError as error:  # Python 3.11
        raise errors.BuildFailure("It cannot be read.", anchor="bad-metadata") from error


@pytest.mark.parametrize("deed", [lambda: type("Module", (), {"attribute": Signalled()}), unreadable])
def test_a_signal_during_an_import_is_no_internal_error(deed: Callable[[], object]) -> None:
    with pytest.raises(BaseException) as caught:
        deed()
    assert errors.as_failure(caught.value).what == "The run was cancelled."


def test_an_internal_error_has_the_last_calls_and_not_the_message() -> None:
    def call(depth: int) -> None:
        again(depth)

    def again(depth: int) -> None:
        if not depth:
            message = "secret"
            raise ValueError(message)
        call(depth - 1)

    with pytest.raises(ValueError, match="secret") as caught:
        call(3)
    detail = errors.as_failure(caught.value).detail
    assert (detail.count("in call"), detail.count("in again")) == (2, 3)
    assert "raise ValueError(message)" in detail
