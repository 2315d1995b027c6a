import re
from collections.abc import Callable
from contextlib import suppress

import pytest

from gar_publish import console as console_module
from gar_publish.errors import DOCS, BadInput, Failure
from gar_publish.github.workflow_commands import RunnerConsole, run_step
from tests.runner import commands
from tests.unit.github.conftest import Runner

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def console() -> RunnerConsole:
    return RunnerConsole()


@pytest.mark.parametrize(
    ("write", "printed"),
    [
        (lambda console: console.info("a\x1b\n%b"), "a\n%b\n"),
        (lambda console: console.notice("a\x1b\n%b"), "::notice::a%0A%25b\n"),
        (lambda console: console.warning("a\x1b\n%b"), "::warning::a%0A%25b\n"),
        (
            lambda console: console.error(BadInput("No\x1b.", cause="why", fix="do", anchor="x", detail="they\x1b")),
            f"::error::No.\nFix: do\nLikely cause: why\n  they\nMore: {DOCS}#x\n",
        ),
        (lambda console: console.mask("ya29"), "::add-mask::b2F1dGgyYWNjZXNzdG9rZW46eWEyOQ==\n"),
    ],
)
def test_each_kind_of_output(write: Callable[[RunnerConsole], None], printed: str, capfd: Capture) -> None:
    write(RunnerConsole())
    assert capfd.readouterr().out.startswith(printed)


def test_a_group_ends_also_after_an_exception(console: RunnerConsole, capfd: Capture) -> None:
    with suppress(KeyError), console.group("Build\x1b x"):
        console.info("inside")
        raise KeyError
    assert capfd.readouterr().out == "::group::Build x\ninside\n::endgroup::\n"


def test_progress_is_a_line(console: RunnerConsole, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_module, "_INTERVAL", 0.0)
    with console.progress("a.whl", 200) as show:
        show(50)
    assert capfd.readouterr().out.startswith("a.whl: 50 B of 200 B, 25 %, ")


def test_other_programs_give_no_commands(console: RunnerConsole, capfd: Capture) -> None:
    with console.untrusted() as show:
        show("::add-mask::e\x1b")
        show("##[set-output name=x]y")
    out = capfd.readouterr().out
    assert [*commands(out)] == []
    assert "::add-mask::e\n##[set-output name=x]y\n" in out


@pytest.mark.parametrize("text", ["the server sent ::set-output name=x::y", "##[error]no", ":\x1b:x"])
def test_a_line_that_looks_like_a_command_is_none(console: RunnerConsole, capfd: Capture, text: str) -> None:
    console.info(text)
    out = capfd.readouterr().out
    assert [*commands(out)] == []
    assert len(out.splitlines()) == 3


def test_a_plain_line_stops_no_commands(console: RunnerConsole, capfd: Capture) -> None:
    console.info("a: b ## [c]")
    assert capfd.readouterr().out == "a: b ## [c]\n"


def test_a_mask_and_a_warning_while_a_build_prints(console: RunnerConsole, capfd: Capture) -> None:
    with console.untrusted() as show:
        show("::add-mask::e")
        console.mask("ya29.token/=")
        console.warning("careful")
        with console.untrusted() as inner:
            inner("::add-mask::e")
        show("::add-mask::e")
    assert [*commands(capfd.readouterr().out)] == [
        ("add-mask", "b2F1dGgyYWNjZXNzdG9rZW46eWEyOS50b2tlbi89"),
        ("add-mask", "eWEyOS50b2tlbi89"),
        ("add-mask", "ya29.token%252F%253D"),
        ("add-mask", "ya29.token/="),
        ("warning", "careful"),
    ]


def test_stop_tokens_are_random(console: RunnerConsole, capfd: Capture) -> None:
    for _ in range(2):
        with console.untrusted():
            pass
    tokens = re.findall(r"stop-commands::(\w{32})\n", capfd.readouterr().out)
    assert len(set(tokens)) == 2


def test_commands_are_obeyed_again_after_an_exception(console: RunnerConsole, capfd: Capture) -> None:
    with pytest.raises(KeyError), console.untrusted():
        raise KeyError
    console.notice("again")
    assert [*commands(capfd.readouterr().out)] == [("notice", "again")]


def test_a_step_returns_its_exit_code(runner: Runner, capfd: Capture) -> None:
    def step(console: RunnerConsole) -> int:
        console.info("done")
        return 5

    assert run_step(step) == 5
    assert runner.calls == ["raise_on_signals", "hide_this_process"]
    assert capfd.readouterr().out == "done\n"


@pytest.mark.parametrize(
    ("error", "code", "what", "anchor"),
    [
        (BadInput("No.", fix="do", anchor="x"), 2, "No.", "x"),
        (Failure("No.", anchor="x"), 1, "No.", "x"),
        (KeyboardInterrupt(), 130, "The run was cancelled.", "interrupted"),
        (KeyError("secret"), 1, "Internal error (KeyError); please report it.", "internal-error"),
    ],
)
def test_a_step_that_raises_shows_one_annotation(  # noqa: PLR0917 - a table
    error: BaseException, code: int, what: str, anchor: str, runner: Runner, capfd: Capture
) -> None:
    def fail(_: RunnerConsole) -> int:
        raise error

    assert run_step(fail) == code
    assert runner.calls == ["raise_on_signals", "hide_this_process", "ignore_signals"]
    out = capfd.readouterr().out
    assert [*commands(out)] == [("error", what)]
    assert out.endswith(f"\nMore: {DOCS}#{anchor}\n")
    assert "secret" not in out
