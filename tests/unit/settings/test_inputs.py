import pytest

from gar_publish.errors import BadInput
from gar_publish.settings.inputs import INPUTS, SETUP_INPUTS, Reader


def test_what_both_actions_take_means_the_same() -> None:
    defaults = {each.name: each for each in INPUTS}
    assert all(each == defaults.get(each.name, each) for each in SETUP_INPUTS)


@pytest.mark.parametrize("given", [{}, {"formats": ""}, {"formats": " \n"}, {"formats": " wheel "}])
def test_a_blank_input_takes_its_default(given: dict[str, str]) -> None:
    assert Reader(given).text("formats") == "wheel"
    assert Reader(given).is_default("formats")
    assert not Reader({"formats": "sdist"}).is_default("formats")


def test_lines_are_read_without_blanks() -> None:
    assert Reader({"packages": "libs/*\n\n  my app \n"}).lines("packages") == ("libs/*", "my app")
    assert Reader({}).lines("dist") == ()


@pytest.mark.parametrize(
    ("word", "flag"),
    [("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False)],
)
def test_flags_take_the_words_of_yaml(word: str, *, flag: bool) -> None:
    assert Reader({"dry-run": word}).flag("dry-run") is flag


@pytest.mark.parametrize("typo", ["yes", "1", "ture", "on", "tRuE"])
def test_a_typo_in_a_flag_is_an_error(typo: str) -> None:
    with pytest.raises(BadInput, match="true or false"):
        Reader({"dry-run": typo}).flag("dry-run")


@pytest.mark.parametrize(("text", "count"), [("0", 0), (" 7 ", 7), ("999", 999)])
def test_counts(text: str, count: int) -> None:
    assert Reader({"jobs": text}).count("jobs") == count


@pytest.mark.parametrize("text", ["-1", "1000", "1.5", "many", "٣"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(BadInput, match="a number from 0 to 999"):
        Reader({"jobs": text}).count("jobs")


def test_one_of_several_words() -> None:
    assert Reader({"if-exists": "skip"}).choice("if-exists", ("fail", "skip")) == "skip"
    with pytest.raises(BadInput, match="it takes one of fail, skip"):
        Reader({"if-exists": "Skip"}).choice("if-exists", ("fail", "skip"))


@pytest.mark.parametrize("text", ["wheel, sdist", "wheel\nsdist", "sdist,wheel,", "wheel,wheel,sdist"])
def test_some_of_several_words(text: str) -> None:
    assert Reader({"formats": text}).choices("formats", ("wheel", "sdist")) == {"wheel", "sdist"}


@pytest.mark.parametrize("text", ["wheels", ",", "wheel sdist", "wheel, egg"])
def test_a_word_that_is_none_of_them(text: str) -> None:
    with pytest.raises(BadInput, match="it takes one of wheel, sdist"):
        Reader({"formats": text}).choices("formats", ("wheel", "sdist"))
