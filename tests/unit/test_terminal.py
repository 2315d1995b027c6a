import io

import pytest

from gar_publish.errors import BadInput
from gar_publish.terminal import TerminalConsole


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(stream: io.StringIO) -> TerminalConsole:
    return TerminalConsole(stream)


def test_a_masked_secret_never_shows(console: TerminalConsole, stream: io.StringIO) -> None:
    console.mask("ya29.a/b=")
    console.info("https://oauth2accesstoken:ya29.a%2Fb%3D@host/")
    with console.foreign() as say:
        say("Authorization: Basic b2F1dGgyYWNjZXNzdG9rZW46eWEyOS5hL2I9")
    console.error(BadInput("ya29.a/b= is wrong.", anchor="x"))
    said = stream.getvalue()
    assert said.count("***") == 3
    assert "a/b" not in said
    assert "a%2Fb" not in said


def test_each_kind_of_line_says_what_it_is(console: TerminalConsole, stream: io.StringIO) -> None:
    console.notice("one")
    console.warning("two")
    with console.group("three"), console.foreign() as say:
        say("four")
    assert stream.getvalue() == "note: one\nwarning: two\nthree\n  four\n"
