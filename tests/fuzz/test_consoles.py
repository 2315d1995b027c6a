"""Text from servers, builds and file names never acts as a command for the runner or a terminal."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gar_publish.cli.terminal import TerminalConsole
from gar_publish.errors import BadInput
from gar_publish.github.workflow_commands import RunnerConsole
from tests.fuzz.strategies import words

KINDS = ("info", "notice", "warning", "error", "group", "untrusted")
COMMANDS = {"notice", "warning", "error", "group", "endgroup"}
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

pieces = st.sampled_from(
    [":", "::", "\0", "\x1b", "\u202e", "\n", "\r", "#", "##[", "[", "add-mask", "error", "stop-commands", "%0A"]
)
texts = st.lists(st.one_of(pieces, words), max_size=10).map("".join)


def say(console: RunnerConsole | TerminalConsole, how: str, what: str) -> None:
    match how:
        case "group":
            with console.group(what):
                console.info("inside")
        case "untrusted":
            with console.untrusted() as line:
                line(what)
        case "error":
            console.error(BadInput(what, cause=what, fix=what, detail=what, anchor="choices"))
        case _:
            getattr(console, how)(what)


def obeyed(log: str) -> list[str]:
    """Return the commands that the runner would obey.

    https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs: `::name …::` at the start of a
    line, after spaces, and `##[name …]` anywhere in a line. After `stop-commands`, only the token that resumes them.
    """
    found, fence = [], ""
    for line in log.split("\n"):
        new = re.match(r"\s*::([^\s:]+)[^:]*?::(.*)", line)
        old = re.search(r"##\[([^\s\]]+)", line)
        name = new[1] if new else old[1] if old else ""
        if fence:
            fence = "" if name == fence else fence
        elif name == "stop-commands" and new:
            fence = new[2]
        elif name:
            found.append(name)
    return found


@given(st.sampled_from(KINDS), texts)
def test_the_runner_obeys_only_our_commands(capsys: pytest.CaptureFixture[str], how: str, what: str) -> None:
    say(RunnerConsole(), how, what)
    log = capsys.readouterr().out
    meant = {"info": [], "untrusted": [], "group": ["group", "endgroup"]}.get(how, [how])
    assert obeyed(log) == meant
    assert not UNSEEN.search(log)


@given(st.sampled_from(KINDS), texts)
def test_a_terminal_gets_no_control_characters(how: str, what: str) -> None:
    stream = io.StringIO()
    say(TerminalConsole(stream), how, what)
    assert not UNSEEN.search(stream.getvalue())


@given(st.lists(st.sampled_from(["\0", "\x1b", "\u202e", "x"]), max_size=6).map("".join))
def test_a_secret_with_control_characters_inside_is_hidden(between: str) -> None:
    stream = io.StringIO()
    console = TerminalConsole(stream)
    console.mask("ya29.secret")
    console.info(f"ya29.{between}secret")
    assert "ya29.secret" not in stream.getvalue()
