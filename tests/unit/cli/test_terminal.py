import io
import re
import time

import pytest

from gar_publish.cli import terminal
from gar_publish.cli.terminal import TerminalConsole, as_options, coloured
from gar_publish.errors import BadInput, BuildFailure


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(stream: io.StringIO) -> TerminalConsole:
    return TerminalConsole(stream)


def test_a_masked_secret_is_hidden(stream: io.StringIO) -> None:
    console = TerminalConsole(stream, verbose=True)
    console.mask("ya29.a/b=")
    console.info("https://oauth2accesstoken:ya29.a%2Fb%3D@host/")
    with console.untrusted() as say:
        say("Authorization: Basic b2F1dGgyYWNjZXNzdG9rZW46eWEyOS5hL2I9")
    console.error(BadInput("ya29.a/b= is wrong.", anchor="x"))
    shown = stream.getvalue()
    assert shown.count("***") == 3
    assert "a/b" not in shown
    assert "a%2Fb" not in shown


@pytest.fixture
def verbose(stream: io.StringIO) -> TerminalConsole:
    return TerminalConsole(stream, verbose=True)


def test_each_kind_of_line_has_its_prefix(verbose: TerminalConsole, stream: io.StringIO) -> None:
    console = verbose
    console.notice("one `dry-run`")
    console.warning("two `dry-run`")
    with console.group("three"), console.untrusted() as say:
        say("four")
    assert stream.getvalue() == "note: one `--dry-run`\nwarning: two `--dry-run`\nthree\n  four\n"


def test_a_build_is_silent_unless_it_fails(console: TerminalConsole, stream: io.StringIO) -> None:
    with console.group("Build hello"), console.untrusted() as say:
        say("one")
    assert stream.getvalue() == ""
    console.error(BuildFailure("It failed.", anchor="build-failed", detail="one"))
    assert "error: It failed.\n  one\n" in stream.getvalue()


def test_quiet_hides_all_but_notes_warnings_and_errors(stream: io.StringIO) -> None:
    console = TerminalConsole(stream, quiet=True)
    console.info("uploaded  hello")
    console.notice("one")
    console.warning("two")
    console.error(BadInput("three", anchor="x"))
    assert stream.getvalue().splitlines()[:-1] == ["note: one", "warning: two", "error: three"]


def test_output_of_a_build_is_not_shown_again_with_its_failure(verbose: TerminalConsole, stream: io.StringIO) -> None:
    console = verbose
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
        ("add `!libs/a` to `packages`, or remove `!`", "add `'!libs/a'` to `FOLDER`, or remove `!`"),
        ("`promote-from` and `promote-from: us/p/r`", "`--from` and `--from us/p/r`"),
        ("pass it as `access-token`", "pass it as `--access-token FILE`"),
        ("`outdir`", "`--outdir`"),
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
    """Return a terminal, in which a bar comes after a tenth of a second."""
    monkeypatch.setattr(terminal, "_BAR_AFTER", 0.1)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    return Screen()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("uploaded  hello-1.0.whl", "\x1b[32muploaded\x1b[0m  hello-1.0.whl"),
        ("failed     a.whl\nnot tried  b.whl", "\x1b[31mfailed\x1b[0m     a.whl\n\x1b[33mnot tried\x1b[0m  b.whl"),
        ("x Repository: broken", "x Repository: \x1b[31mbroken\x1b[0m"),
        *((text, text) for text in ("  uploaded by a build", "failed.", "uploads", "The state: broken pipe")),
    ],
)
def test_statuses_have_colours_in_a_terminal(text: str, shown: str, screen: Screen) -> None:
    assert coloured(text, screen) == shown
    assert coloured(text, io.StringIO()) == text


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_turned_off(name: str, value: str, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    console = TerminalConsole(screen)
    console.warning("one")
    monkeypatch.setenv(name, value)
    console.warning("two")
    assert screen.getvalue() == "\x1b[33mwarning:\x1b[0m one\nwarning: two\n"


def test_a_bar_fits_60_columns_and_long_names(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    console = TerminalConsole(screen)
    with (
        console.progress("read a_package_with_a_very_long_name-1.0.0-cp314-cp314-linux_x86_64.whl", 10**9) as one,
        console.progress("Build", 12, "builds") as two,
    ):
        time.sleep(0.2)
        one(25 * 10**7)
        two(3)
        time.sleep(0.3)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue()).replace("\r", "\n").splitlines()
    bars = [line for line in lines if "left" in line]
    assert all(len(line) <= 60 for line in lines)
    assert any(re.fullmatch(r"read a_pack\S*\u2026 \S+ +25 %, 1?\d\.\d GB/s, 0:0\d left *", line) for line in bars), (
        bars
    )
    assert any(re.fullmatch(r"Build +\S+ +25 %, \d+\.\d/min, 0:0\d left *", line) for line in bars), bars


def test_a_slow_upload_has_a_bar_below_all_lines(screen: Screen) -> None:
    upload(TerminalConsole(screen), 0.5)
    shown = screen.getvalue()
    assert "big-1.0.whl" in shown
    assert "%" in shown
    assert "trying again [not markup]\n" in shown
    assert shown.rpartition("\x1b[2K")[2].strip() == "\x1b[?25h", "nothing but the cursor after the line is wiped"


def test_a_quick_upload_has_no_bar(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_BAR_AFTER", 60)
    upload(TerminalConsole(screen), 0.1)
    assert screen.getvalue() == "trying again [not markup]\n"


@pytest.mark.usefixtures("screen")
def test_a_file_has_no_bar(console: TerminalConsole, stream: io.StringIO) -> None:
    upload(console, 0.5)
    assert stream.getvalue() == "trying again [not markup]\n"


def test_the_bar_of_an_abandoned_upload_is_removed(screen: Screen) -> None:
    console = TerminalConsole(screen)
    with console.progress("big-1.0.whl", 1000) as show:
        time.sleep(0.4)
        show(100)
        console.end_progress()
        console.info("The run was cancelled.")
        time.sleep(0.2)
        show(200)
    assert screen.getvalue().endswith("The run was cancelled.\n")
