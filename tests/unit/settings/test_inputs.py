import dataclasses
from typing import Any

import pytest
from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.settings.inputs import Input, flag, inputs_of, read_fields

LINES = Input("lines", "", kind="lines")
FLAG = Input("flag", "", "false", "flag")
NUMBER = Input("number", "", "0", "number")
WORD = Input("word", "", "skip", "word", ("fail", "skip"))
WORDS = Input("words", "", "wheel", "words", ("wheel", "sdist"))
VERSION = Input("version", "", kind="version")
NAME = Input("name", "", kind="index-name")


def read(which: Input, text: str) -> Any:
    return which.read({which.name: text})


@pytest.mark.parametrize("given", [{}, {"words": ""}, {"words": " \n"}, {"words": " wheel "}])
def test_a_blank_input_has_its_default(given: dict[str, str]) -> None:
    assert WORDS.text(given) == "wheel"
    assert WORDS.read(given) == {"wheel"}


def test_an_absent_text_is_none() -> None:
    assert Input("text", "").read({"other": "x"}) is None
    assert Input("text", "").text({}) == ""


@pytest.mark.parametrize(
    ("which", "text", "value"),
    [
        (Input("text", ""), " a b\n", "a b"),
        (Input("secret", "", kind="secret"), "x\n", "x"),
        (LINES, "libs/*\n\n  my app \n", ("libs/*", "my app")),
        (LINES, "", ()),
        *((FLAG, word, True) for word in ("true", "True", "TRUE")),
        *((FLAG, word, False) for word in ("false", "False", "FALSE")),
        *((NUMBER, text, value) for text, value in (("0", 0), (" 7 ", 7), ("999", 999))),
        (WORD, "fail", "fail"),
        (WORDS, "sdist", {"sdist"}),
        *((WORDS, text, {"wheel", "sdist"}) for text in ("wheel, sdist", "wheel\nsdist", "sdist,wheel,wheel,")),
        (VERSION, "v1.2.3", Version("1.2.3")),
        (VERSION, "", None),
        *((NAME, text, text) for text in ("a", "A9", "my-index_2")),
        (NAME, "", None),
    ],
)  # fmt: skip
def test_each_kind_is_read(which: Input, text: str, value: object) -> None:
    assert read(which, text) == value


@pytest.mark.parametrize(
    ("which", "texts", "takes", "fix", "anchor"),
    [
        (FLAG, ("yes", "1", "ture", "on", "tRuE"), "true or false", "true", "booleans"),
        (FLAG, ("no", "OFF", "0"), "true or false", "false", "booleans"),
        (NUMBER, ("-1", "1000", "1.5", "many", "٣"), "a number from 0 to 999", "0", "choices"),
        (WORD, ("Skip", "skip, fail"), "one of fail, skip", "fail", "choices"),
        (WORDS, (",", "wheels", "wheel sdist"), "one of wheel, sdist", "wheel", "choices"),
        (NAME, ("-a", "a-", "_", "a b", "ä"), "letters, digits, - and _", "my-index", "choices"),
    ],
)
def test_other_text_is_refused(which: Input, texts: tuple[str, ...], takes: str, fix: str, anchor: str) -> None:
    for text in texts:
        with pytest.raises(BadInput) as caught:
            read(which, text)
        assert caught.value.what == f"`{which.name}` is {text!r}; it takes {takes}."
        assert caught.value.fix == f"use `{which.name}: {fix}`"
        assert caught.value.anchor == anchor


def test_one_wrong_word_is_named() -> None:
    with pytest.raises(BadInput, match="`words` is 'egg'; it takes one of wheel, sdist"):
        read(WORDS, "wheel, egg")


@pytest.mark.parametrize("text", ["main", "1..2", "9" * 5000])
def test_what_is_not_a_version_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(VERSION, text)
    assert caught.value.what == f"`version` is not a version: {text}"
    assert caught.value.fix == "use `version: 1.2.3`"
    assert caught.value.anchor == "expected-version"
    assert caught.value.cause == "a version looks like 1.2.3 or v1.2.3; the name of a branch is not a version"


@dataclasses.dataclass
class Example:
    other: int = 5
    jobs: int = Input("my-jobs", "", "3", "number").field()
    verify: bool = flag("verify", "Verify.", "true")
    doctor: bool = flag("doctor", "Diagnose.")


def test_fields_are_read_from_their_inputs() -> None:
    assert Example() == Example(other=5, jobs=3, verify=True, doctor=False)
    assert read_fields(Example, {"my-jobs": "4", "doctor": "true"}) == {"jobs": 4, "verify": True, "doctor": True}
    jobs, verify, doctor = inputs_of(Example)
    assert (jobs.name, verify, doctor.default) == ("my-jobs", Input("verify", "Verify.", "true", "flag"), "false")
