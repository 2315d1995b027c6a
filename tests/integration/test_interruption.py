"""Cancelled runs end at once, whatever they wait for, and report what was published."""

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gar_emulator import Emulator, Fault
from gar_publish.settings.settings import INPUTS
from tests.conftest import ROOT
from tests.integration.frontdoors import DIRECT, PROVIDER, REPOSITORY, Doors, uploads
from tests.runner import read_file_command
from tests.wheels import make_wheel

AT_ONCE = 7.0
"""Seconds; GitHub sends its second signal after 7.5, and a request may last 90."""

INPUT = {"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "dist": "dist"}


@dataclass(frozen=True)
class Stopped:
    """A run that was cancelled."""

    code: int
    seconds: float
    log: str
    report: Mapping[str, object]
    statuses: Mapping[str, str]


def through_command(doors: Doors, inputs: Mapping[str, str]) -> "subprocess.Popen[str]":
    options = [part for name, value in inputs.items() for part in (f"--{name}", value)]
    return start(doors, ["-m", "gar_publish.cli.main", "publish", *options, "--json", "report.json"], {})


def through_action(doors: Doors, inputs: Mapping[str, str]) -> "subprocess.Popen[str]":
    files = {f"GITHUB_{name}": doors.folder / name for name in ("OUTPUT", "STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    given = {f"INPUT_{each.name.upper()}": inputs.get(each.name, each.default) for each in INPUTS}
    more = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(doors.folder), **given}
    return start(doors, [ROOT / "entrypoint.py"], {**more, **{name: str(file) for name, file in files.items()}})


def start(doors: Doors, arguments: list[str | Path], more: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=doors.folder,
        env={**doors.environment, **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def cancel(process: "subprocess.Popen[str]", *signals: signal.Signals, once: Callable[[], bool]) -> tuple[float, str]:
    """Send signals as soon as a condition is true; return the seconds until the end, and the log."""
    try:
        deadline = time.monotonic() + 60
        while not once():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        started = time.monotonic()
        for number in signals:
            process.send_signal(number)
            time.sleep(0.02)
        log = process.communicate(timeout=60)[0]
        return time.monotonic() - started, log
    finally:
        process.kill()
        process.wait()


def outcome(doors: Doors, process: "subprocess.Popen[str]", seconds: float, log: str) -> Stopped:
    report = json.loads((doors.folder / "report.json").read_text())
    statuses = {
        file["filename"][:1]: file["status"] for package in report.get("packages", []) for file in package["files"]
    }
    return Stopped(process.returncode, seconds, log, report, statuses)


@pytest.fixture
def chain(doors: Doors) -> Doors:
    """Make three wheels: c requires b, and b requires a."""
    make_wheel(doors.folder / "dist", "c", requires=["b"])
    make_wheel(doors.folder / "dist", "b", requires=["a"])
    make_wheel(doors.folder / "dist", "a")
    return doors


STAGES = [
    pytest.param(Fault("github", "silence", times=0), "nnn", id="identity token"),
    pytest.param(Fault("sts", "silence", times=0), "nnn", id="exchange"),
    pytest.param(Fault("repository", "silence", times=0), "nnn", id="repository"),
    pytest.param(Fault("index", "silence", times=0), "nnn", id="compare"),
    pytest.param(Fault("upload", "silence", after=1, times=0), "u?n", id="upload"),
    pytest.param(Fault("upload", "503", after=1, times=0, seconds=50), "u?n", id="retry wait"),
    pytest.param(Fault("index", "silence", after=4, times=0), "uun", id="read back: listing"),
    pytest.param(Fault("download", "silence", after=2, times=0), "uuu", id="read back: download"),
]
EARLY = {"github", "sts", "repository", "index"}
"""Endpoints that are asked before all files are read: a report may name some files, or none."""
LETTERS = {"n": "not tried", "u": "uploaded", "?": "unknown"}


@pytest.mark.parametrize(("fault", "wanted"), STAGES)
def test_command(chain: Doors, emulator: Emulator, fault: Fault, wanted: str) -> None:
    emulator.inject(fault)
    process = through_command(chain, INPUT)
    number = signal.SIGTERM if fault.endpoint in EARLY else signal.SIGINT  # one handler serves both
    seconds, log = cancel(process, number, once=lambda: emulator.struck[fault] > 0)
    stopped = outcome(chain, process, seconds, log)
    assert stopped.code == 130, log
    assert stopped.seconds < AT_ONCE
    expected = dict(zip("abc", map(LETTERS.__getitem__, wanted), strict=True))
    assert stopped.statuses == {name: expected[name] for name in stopped.statuses}
    assert stopped.statuses == expected or fault.endpoint in EARLY
    assert stopped.report.get("published", False) is ("u" in wanted)
    assert "error: The run was cancelled." in log
    assert ("Run the same command again to find out." in log) is ("?" in wanted)
    assert "Traceback" not in log

    emulator.inject()
    done = chain.command("publish", *(part for name, value in INPUT.items() for part in (f"--{name}", value)))
    assert done.code == 0, done.err
    assert [seen.status for seen in uploads(emulator) if seen.status] == [200, 200, 200], "each file once"


@pytest.mark.parametrize(("fault", "wanted"), [STAGES[0], STAGES[4]])
def test_action(chain: Doors, emulator: Emulator, fault: Fault, wanted: str) -> None:
    """As GitHub does it, but faster: SIGINT, then SIGTERM. Neither interrupts the output."""
    emulator.inject(fault)
    process = through_action(chain, INPUT)
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGTERM]
    seconds, log = cancel(process, *signals, once=lambda: emulator.struck[fault] > 0)
    assert process.returncode == 130, log
    assert seconds < AT_ONCE
    assert log.count("::error::The run was cancelled.\n") == 1
    assert "Traceback" not in log
    summary = (chain.folder / "STEP_SUMMARY").read_text()
    assert "### The run was cancelled." in summary
    outputs = read_file_command((chain.folder / "OUTPUT").read_text())
    if not outputs and fault.endpoint in EARLY:
        return  # another thread was faster than the main thread, which had not begun to publish
    statuses = [file["status"] for package in json.loads(outputs["packages"]) for file in package["files"]]
    expected = [LETTERS[letter] for letter in wanted]
    assert statuses == expected[: len(statuses)]
    assert statuses == expected or fault.endpoint in EARLY
    assert outputs["published"] == ("true" if "u" in wanted else "false")
    assert outputs["extra-index-url"] == ""
    assert summary.startswith("### Did not finish publishing to")
    assert all(f"| {status} |" in summary for status in statuses)


@contextmanager
def slow_registry() -> Iterator[tuple[str, threading.Event]]:
    """Serve an empty index that reads uploads slowly and without end; yield its URL, and whether an upload began."""
    begun, over = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def do_POST(self) -> None:
            while self.rfile.read(10_000) and not over.wait(0.05):
                begun.set()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", begun
        over.set()
        server.shutdown()
        thread.join()


def test_a_slow_upload(doors: Doors) -> None:
    make_wheel(doors.folder / "dist", "a", content="#" * 50_000_000)
    (doors.folder / "token").write_text("ya29.given-token-of-a-test")
    with slow_registry() as (url, begun):
        process = through_command(doors, {"repository": url, "access-token": "token", "dist": "dist"})
        seconds, log = cancel(process, signal.SIGTERM, once=begun.is_set)
    stopped = outcome(doors, process, seconds, log)
    assert (stopped.code, stopped.statuses) == (130, {"a": "unknown"}), log
    assert stopped.seconds < AT_ONCE


def test_a_failed_build_does_not_wait_for_a_token(doors: Doors, emulator: Emulator) -> None:
    emulator.inject(Fault("github", "silence", times=0))
    (doors.folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (doors.folder / "backend.py").write_text("def build_wheel(*_):\n    raise SystemExit('no')\n")
    started = time.monotonic()
    process = through_command(doors, {name: value for name, value in INPUT.items() if name != "dist"})
    log = process.communicate(timeout=60)[0]
    assert process.returncode == 4, log
    assert time.monotonic() - started < 30, "the request for a token times out after 90 s"


def test_in_a_rehearsal(doors: Doors) -> None:
    """The threads that fill environments end before these are removed."""
    temporary = doors.folder.parent / "temporary"
    temporary.mkdir()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)  # as root, the code of the wheels has a user of its own
        for number in range(20):
            mark = f"open({str(Path(name, 'mark'))!r}, 'w')" if number == 8 else ""
            make_wheel(doors.folder / "dist", f"part-{number:02}", content=f"import time\n{mark}\ntime.sleep(0.05)\n")
        options = ["--dist", "dist", "--rehearse", "--rehearse-python", f"3.{sys.version_info.minor}"]
        command = ["-m", "gar_publish.cli.main", "publish", "--repository", REPOSITORY, *DIRECT, *options]
        process = start(doors, [*command], {"TMPDIR": str(temporary)})
        seconds, log = cancel(process, signal.SIGINT, once=Path(name, "mark").exists)
    assert process.returncode == 130, log
    assert seconds < AT_ONCE
    assert list(temporary.glob("gar-publish-*")) == []
