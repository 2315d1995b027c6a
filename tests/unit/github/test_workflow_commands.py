import re

import pytest

from gar_publish.errors import BadInput
from gar_publish.github.workflow_commands import RunnerConsole


@pytest.fixture
def console() -> RunnerConsole:
    return RunnerConsole()


def commands(printed: str) -> list[str]:
    """The lines that the runner would take as commands: none between `stop-commands` and its token."""
    taken, token = [], None
    for line in printed.splitlines():
        if token:
            if line == f"::{token}::":
                token = None
        elif found := re.fullmatch(r"::stop-commands::(\w+)", line):
            token = found[1]
        elif line.lstrip().startswith("::") or "##[" in line:
            taken.append(line)
    assert token is None, "the fence was left up"
    return taken


def test_what_other_code_prints_is_no_command(console: RunnerConsole, capfd: pytest.CaptureFixture[str]) -> None:
    with console.foreign() as say:
        say("::add-mask::e")
        say("##[set-output name=x]y")
    assert commands(capfd.readouterr().out) == []


def test_a_line_of_ours_that_looks_like_a_command_is_none(
    console: RunnerConsole, capfd: pytest.CaptureFixture[str]
) -> None:
    console.info("the server said ::set-output name=x::y")
    console.info("##[error]no")
    console.info("plain")
    out = capfd.readouterr().out
    assert commands(out) == []
    assert "plain\n" in out


def test_a_token_that_comes_while_a_build_prints_is_masked(
    console: RunnerConsole, capfd: pytest.CaptureFixture[str]
) -> None:
    with console.foreign() as say:
        say("::add-mask::e")
        console.mask("ya29.token/=")
        console.warning("careful")
        say("::add-mask::e")
    taken = commands(capfd.readouterr().out)
    assert taken == [
        "::add-mask::b2F1dGgyYWNjZXNzdG9rZW46eWEyOS50b2tlbi89",
        "::add-mask::eWEyOS50b2tlbi89",
        "::add-mask::ya29.token%252F%253D",
        "::add-mask::ya29.token/=",
        "::warning::careful",
    ]


def test_fences_cannot_be_guessed(console: RunnerConsole, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with console.foreign():
            pass
    tokens = re.findall(r"stop-commands::(\w{32})\n", capfd.readouterr().out)
    assert len(set(tokens)) == 2


def test_an_error_is_one_annotation_with_its_sentence_as_title(
    console: RunnerConsole, capfd: pytest.CaptureFixture[str]
) -> None:
    console.error(BadInput("`jobs` is 'x'.", fix="jobs: 0", anchor="choices", detail="a\n::b"))
    (line,) = commands(capfd.readouterr().out)
    assert line.startswith("::error title=`jobs` is 'x'.::")
    assert "%0AFix: jobs: 0" in line


def test_groups(console: RunnerConsole, capfd: pytest.CaptureFixture[str]) -> None:
    with console.group("Build x"):
        console.info("inside")
    assert capfd.readouterr().out == "::group::Build x\ninside\n::endgroup::\n"
