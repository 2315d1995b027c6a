import io
import time

import pytest

from gar_publish.cli.terminal import TerminalConsole, as_options
from gar_publish.errors import BadInput, BuildFailure


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(stream: io.StringIO) -> TerminalConsole:
    return TerminalConsole(stream)


def test_a_masked_secret_is_hidden(console: TerminalConsole, stream: io.StringIO) -> None:
    console.mask("ya29.a/b=")
    console.info("https://oauth2accesstoken:ya29.a%2Fb%3D@host/")
    with console.untrusted() as say:
        say("Authorization: Basic b2F1dGgyYWNjZXNzdG9rZW46eWEyOS5hL2I9")
    console.error(BadInput("ya29.a/b= is wrong.", anchor="x"))
    shown = stream.getvalue()
    assert shown.count("***") == 3
    assert "a/b" not in shown
    assert "a%2Fb" not in shown


def test_each_kind_of_line_has_its_prefix(console: TerminalConsole, stream: io.StringIO) -> None:
    console.notice("one `dry-run`")
    console.warning("two `dry-run`")
    with console.group("three"), console.untrusted() as say:
        say("four")
    assert stream.getvalue() == "note: one `--dry-run`\nwarning: two `--dry-run`\nthree\n  four\n"


def test_output_of_a_build_is_not_shown_again_with_its_failure(console: TerminalConsole, stream: io.StringIO) -> None:
    with console.untrusted() as say:
        for line in ("one", "two"):
            say(line)
    console.error(BuildFailure("It failed.", anchor="build-failed", detail="one\ntwo"))
    assert stream.getvalue().count("one") == 1
    console.error(BuildFailure("It failed.", anchor="build-failed", detail="two\nthree"))
    assert "  two\n  three\n" in stream.getvalue()


def test_an_error_is_shown_once_with_options(stream: io.StringIO) -> None:
    failure = BadInput(
        "`packages` is empty.", cause="`dry-run: true`", fix="`verify: false`", anchor="x", detail="`sbom`"
    )
    TerminalConsole(stream, "promote").error(failure)
    assert stream.getvalue() == (
        "error: `NAME==VERSION` is empty.\nFix: `--no-verify`\nLikely cause: `--dry-run`\n  `sbom`\n"
        f"More: {failure.docs}\n"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`dry-run`", "`--dry-run`"),
        ("set `dry-run: true`, or `verify: false`", "set `--dry-run`, or `--no-verify`"),
        ("`dry-run: build`", "`gar-publish build`"),
        ("`index-token: none`", "`--index-token none`"),
        ("`formats: wheel, sdist`", "`--formats 'wheel, sdist'`"),
        ("`repository: us/p/r`", "`--repository us/p/r`"),
        ("`packages`", "`FOLDER`"),
        ("`packages: libs/*`", "`libs/*`"),
        ("`promote-from` and `promote-from: us/p/r`", "`--from` and `--from us/p/r`"),
        ("pass it as `access-token`", "pass it as `--access-token FILE`"),
        *((text, text) for text in ("`--dry-run`", "`id-token: write`", "`dry-runs`", "dry-run: true", "`jobs: 1\n`")),
    ],
)
def test_inputs_become_options(text: str, shown: str) -> None:
    assert as_options(text) == shown
    assert as_options(shown) == shown


def test_an_input_that_the_command_lacks_stays_as_it_is() -> None:
    text = "set `jobs: 1` or `index-token: none`"
    assert as_options(text, "index-url", ["index-token"]) == "set `jobs: 1` or `--index-token none`"


class Screen(io.StringIO):
    """A terminal that keeps its output."""

    def isatty(self) -> bool:
        return True


def upload(console: TerminalConsole, seconds: float) -> None:
    """Send a tenth every tenth of the time, and write a line before the end."""
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


def test_a_slow_upload_has_a_bar_below_all_lines(screen: Screen) -> None:
    upload(TerminalConsole(screen), 1.6)
    shown = screen.getvalue()
    assert "big-1.0.whl" in shown
    assert "%" in shown
    assert "trying again [not markup]\n" in shown
    assert shown.rpartition("\x1b[2K")[2].strip() == "\x1b[?25h", "nothing but the cursor after the line is wiped"


def test_a_quick_upload_has_no_bar(screen: Screen) -> None:
    upload(TerminalConsole(screen), 0.1)
    assert screen.getvalue() == "trying again [not markup]\n"


def test_a_file_has_no_bar(console: TerminalConsole, stream: io.StringIO) -> None:
    upload(console, 1.6)
    assert stream.getvalue() == "trying again [not markup]\n"


def test_the_bar_of_an_abandoned_upload_is_removed(screen: Screen) -> None:
    console = TerminalConsole(screen)
    with console.progress("big-1.0.whl", 1000) as show:
        time.sleep(1.1)
        show(100)
        console.end_progress()
        console.info("The run was cancelled.")
        time.sleep(0.2)
        show(200)
    assert screen.getvalue().endswith("The run was cancelled.\n")
