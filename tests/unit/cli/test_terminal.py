import io
import time

import pytest

from gar_publish.cli.terminal import TerminalConsole
from gar_publish.errors import BadInput


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(stream: io.StringIO) -> TerminalConsole:
    return TerminalConsole(stream)


def test_a_masked_secret_never_shows(console: TerminalConsole, stream: io.StringIO) -> None:
    console.mask("ya29.a/b=")
    console.info("https://oauth2accesstoken:ya29.a%2Fb%3D@host/")
    with console.untrusted() as say:
        say("Authorization: Basic b2F1dGgyYWNjZXNzdG9rZW46eWEyOS5hL2I9")
    console.error(BadInput("ya29.a/b= is wrong.", anchor="x"))
    said = stream.getvalue()
    assert said.count("***") == 3
    assert "a/b" not in said
    assert "a%2Fb" not in said


def test_each_kind_of_line_says_what_it_is(console: TerminalConsole, stream: io.StringIO) -> None:
    console.notice("one")
    console.warning("two")
    with console.group("three"), console.untrusted() as say:
        say("four")
    assert stream.getvalue() == "note: one\nwarning: two\nthree\n  four\n"


class Screen(io.StringIO):
    """A terminal that only remembers."""

    def isatty(self) -> bool:
        return True


def upload(console: TerminalConsole, seconds: float) -> None:
    """Sends a tenth every tenth of the time, and says something in the middle."""
    with console.progress("big-1.0.whl", 1000) as show:
        for tenth in range(1, 11):
            time.sleep(seconds / 10)
            show(tenth * 100)
            if tenth == 9:
                console.info("trying again [not markup]")


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Screen()


def test_a_slow_upload_has_a_bar_below_what_is_said(screen: Screen) -> None:
    upload(TerminalConsole(screen), 1.6)
    shown = screen.getvalue()
    assert "big-1.0.whl" in shown
    assert "%" in shown
    assert "trying again [not markup]\n" in shown
    assert shown.rpartition("\x1b[2K")[2].strip() == "\x1b[?25h", "nothing but the cursor after the line is wiped"


def test_a_quick_upload_has_no_bar(screen: Screen) -> None:
    upload(TerminalConsole(screen), 0.1)
    assert screen.getvalue() == "trying again [not markup]\n"


def test_where_nobody_watches_there_is_no_bar(console: TerminalConsole, stream: io.StringIO) -> None:
    upload(console, 1.6)
    assert stream.getvalue() == "trying again [not markup]\n"


def test_a_bar_that_nobody_waits_for_goes_before_the_report(screen: Screen) -> None:
    console = TerminalConsole(screen)
    with console.progress("big-1.0.whl", 1000) as show:
        time.sleep(1.1)
        show(100)
        console.end_progress()
        console.info("The run was cancelled.")
        time.sleep(0.2)
        show(200)
    assert screen.getvalue().endswith("The run was cancelled.\n")
