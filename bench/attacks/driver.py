"""Build one attack's projects, or rehearse its wheels, as root, and judge what happened.

    python -m bench.attacks.driver < ORDERS

It is its own process, which needs only the standard library and gar-publish. ORDERS and the last line that it prints
are JSON.
"""

import contextlib
import json
import os
import re
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.attacks.attack import Attack
from bench.attacks.room import TAG, Room
from bench.attacks.table import named
from gar_publish.builder.builds import Built, building
from gar_publish.builder.sandbox import NotEnded
from gar_publish.console import Unit
from gar_publish.context import Context, new_context
from gar_publish.distributions import distribution
from gar_publish.errors import Failure
from gar_publish.process import hide_this_process, ignore_signals, raise_on_signals
from gar_publish.projects import find
from gar_publish.rehearsal.rehearse import Plan, rehearsing
from gar_publish.threads import in_background, result

AFTERWARDS = 1.5
"""Seconds from the moment when the job's files have a new secret until the search for it."""
UNDER_WAY = 30.0
MOST_MEMORY = 500
"""Megabytes of this process."""
_FIRST_ID = 10_000
_USERS = re.compile(r"^Name:\t([^\n]*)$.*^Uid:\t([\d\t]+)$", re.MULTILINE | re.DOTALL)


class InTheMiddleError(Exception):
    """Raised while builds are under way."""


class SearchingConsole:
    """Shows nothing, and remembers whether a secret was shown."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.leaked = ""

    def info(self, text: str) -> None:
        if self._secret in text:
            self.leaked = text

    notice = warning = info

    def mask(self, secret: str) -> None: ...

    @contextlib.contextmanager
    def group(self, title: str) -> Iterator[None]:
        self.info(title)
        yield

    def progress(
        self,
        what: str,  # noqa: ARG002 - a console's
        total: int,  # noqa: ARG002 - a console's
        unit: Unit = "bytes",  # noqa: ARG002 - a console's
    ) -> contextlib.nullcontext[Callable[[int], None]]:
        return contextlib.nullcontext(lambda _: None)

    @contextlib.contextmanager
    def untrusted(self) -> Iterator[Callable[[str], None]]:
        yield self.info


class EmptyIndex(BaseHTTPRequestHandler):
    """An index that has nothing."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


class Run:
    """One run of gar-publish's builder, or of its rehearsal.

    Attributes:
        problems: What the attack achieved.
        notes: What else is worth to know.
        wheels: The hashes of the harmless wheels.
    """

    def __init__(self, attack: Attack, room: Room, expected: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.wheels: dict[str, str] = {}
        self._attack = attack
        self._room = room
        self._expected = expected
        self._console = SearchingConsole(room.secret)
        self._built: list[Built] = []

    def run(self) -> None:
        """Build or rehearse, and judge."""
        before, processes = self._room.contents(), set(_processes())
        threading.excepthook = lambda error: self.problems.append(f"a thread ended with {error.exc_value!r}")
        is_shut = self._attempt()
        ignore_signals()
        if not is_shut:
            if left := self._left(processes):
                self.problems.append(f"processes are left: {left}")
            self._publish_token()
            self._judge_files(before)
        self._judge_wheels()
        self._judge_loot()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        if memory > MOST_MEMORY:
            self.problems.append(f"gar-publish took {memory} MB")

    def _attempt(self) -> bool:
        """Return whether the job's files stay shut, since not all processes were ended."""
        try:
            if self._attack.is_imported:
                self._rehearse()
            else:
                self._build()
        except NotEnded:
            self.notes.append("not ended")
            if self._room.github.stat().st_mode & 0o077:
                self.problems.append("not all was ended, but the job's files were opened")
            return True
        except Failure as failure:
            self.problems.append(f"the run failed: {failure.explain()}")
        except (InTheMiddleError, KeyboardInterrupt):
            if self._attack.end == "builds":
                raise
        except Exception:  # noqa: BLE001 - it is what the attack achieved
            self.problems.append(f"the run ended with {traceback.format_exc()}")
        return False

    def _build(self) -> None:
        attack = self._attack
        with building(
            find.find([*attack.folders, *attack.neighbours], self._room.workspace),
            formats=attack.formats,
            out=self._room.out,
            context=self._context(os.environ),
            private_index=_no_index,
            jobs=attack.jobs,
        ) as builds:
            self._collect(builds)

    def _rehearse(self) -> None:
        attack, room = self._attack, self._room
        server = ThreadingHTTPServer(("127.0.0.1", 0), EmptyIndex)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        index = f"127.0.0.1:{server.server_port}/simple/"
        environment = {**os.environ, "UV_DEFAULT_INDEX": f"http://{index}", "UV_OFFLINE": "0"}
        wheels = [distribution.read(room.wheel(name)) for name in (*attack.folders, *attack.neighbours)]
        private = f"http://oauth2accesstoken:{room.secret}@{index}"
        plan = Plan(wheels, {}, {}, private, lambda: False, seconds=attack.seconds, jobs=attack.jobs)
        if attack.end == "SIGINT":
            threading.Thread(target=self._interrupt, daemon=True).start()
        with rehearsing(plan, self._context(environment)) as rehearser:
            running = in_background(rehearser.rehearse)
            if attack.end.startswith("exception"):
                self._raise_in_the_middle()
            outcomes = result(running)
        for name, (outcome, *_) in outcomes.items():
            said = f"{name}: {outcome.state}: {' '.join(outcome.problems)}"
            if room.secret in said:
                self.problems.append(f"an outcome has a secret: {said}")
            if name not in attack.neighbours:
                self.notes.append(f"{name}: {outcome.state}")
            elif outcome.state != "passed" and not attack.disk:
                self.problems.append(said)

    def _context(self, environment: Mapping[str, str]) -> Context:
        return new_context(environment, self._console, workspace=self._room.workspace, container=True)

    def _raise_in_the_middle(self) -> None:
        self._wait_until_under_way()
        if self._attack.end == "exception and SIGINT":
            threading.Thread(target=self._interrupt_the_end, daemon=True).start()
        raise InTheMiddleError

    def _collect(self, builds: Iterator[Built]) -> None:
        attack = self._attack
        if attack.end == "SIGINT":
            threading.Thread(target=self._interrupt, daemon=True).start()
        for built in builds:
            self._built.append(built)
            if attack.end.startswith("exception"):
                self._raise_in_the_middle()
        hostile = {str(each) for each in attack.folders}
        for built in self._built:
            label = built.project.label
            if built.failure and self._room.secret in built.failure.explain():
                self.problems.append(f"a failure has a secret: {built.failure.explain()}")
            if built.failure and label in hostile:
                self.notes.append(f"{label}: {built.failure.anchor}")
            elif built.failure and not attack.disk:
                self.problems.append(f"the harmless build of {label} failed: {built.failure.explain()}")

    def _interrupt(self) -> None:
        self._wait_until_under_way()
        os.kill(os.getpid(), signal.SIGINT)

    def _interrupt_the_end(self) -> None:
        """Send a signal as soon as the first process of the builds is killed."""
        stat = Path("/proc", (self._room.tmp / "ready").read_text(), "stat")
        sys.setswitchinterval(0.0001)
        with contextlib.suppress(OSError):
            while ") Z " not in stat.read_text():
                pass
        os.kill(os.getpid(), signal.SIGINT)

    def _wait_until_under_way(self) -> None:
        until = time.monotonic() + UNDER_WAY
        while not (self._room.tmp / "ready").exists():
            if time.monotonic() > until:
                self.problems.append("the attack did not begin")
                break
            time.sleep(0.01)

    def _left(self, before: "set[tuple[int, str]]") -> list[str]:
        """Return the processes of the builds' users and keepers that are there, and do not end within a second."""
        until = time.monotonic() + 1
        while left := sorted({each for pid, each in set(_processes()) - before}):
            if time.monotonic() > until:
                break
            time.sleep(0.05)
        return left

    def _publish_token(self) -> None:
        """Write what a run writes at its end: options to install with a token."""
        file = Path(os.environ["GITHUB_OUTPUT"])
        file.write_text(f"extra-index-url=https://oauth2accesstoken:{self._room.secret}@example.com\n")
        time.sleep(AFTERWARDS)
        file.write_text("")

    def _judge_wheels(self) -> None:
        files = [file for built in self._built for file in built.files]
        self.problems += [f"a secret is in {each.name}" for each in files if self._room.secret.encode() in _read(each)]
        for built in self._built:
            if built.project.label not in self._attack.neighbours:
                continue
            for file in built.files:
                if file.suffix != ".whl":
                    continue
                text = file.read_bytes()
                self.wheels[file.name] = sha256(text).hexdigest()
                if self._expected and self._expected.get(file.name) != self.wheels[file.name]:
                    self.problems.append(f"{file.name} differs: {text!r}")
                if "sdist" not in self._attack.formats and TAG.encode() not in text:
                    self.problems.append(f"{file.name} does not know the tag of its checkout")

    def _judge_files(self, before: Mapping[str, object]) -> None:
        made = {str(built.project.folder / "dist") for built in self._built}
        made |= {str(built.project.folder / "dist" / file.name) for built in self._built for file in built.files}
        if self._attack.end != "builds":  # perhaps it was built, and not taken
            made |= {str(self._room.workspace / f"one/dist{name}") for name in ("", "/one-1.0-py3-none-any.whl")}
        made.add(os.environ["GITHUB_OUTPUT"])
        after = self._room.contents()
        for path in sorted(before.keys() | after.keys()):
            if path not in made and before.get(path) != after.get(path):
                self.problems.append(f"{path!r} changed: {before.get(path)} {after.get(path)}")
        for built in self._built:
            for file in built.files:
                copy = built.project.folder / "dist" / file.name
                if copy.exists() and _read(copy) != _read(file):
                    self.problems.append(f"{copy} is not what was built")
        for folder in (self._room.links, self._room.cache):
            for each in folder.rglob("*"):
                if each.lstat().st_uid:
                    self.problems.append(f"{each} belongs to another user")

    def _judge_loot(self) -> None:
        if self._console.leaked:
            self.problems.append(f"a secret was shown: {self._console.leaked}")
        for file in sorted((self._room.tmp / "loot").iterdir()):
            self.problems += _read(file).decode(errors="replace").splitlines()


def _no_index(_names: Collection[str]) -> "Future[str | None]":
    nothing: Future[str | None] = Future()
    nothing.set_result(None)
    return nothing


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(10**7)


def _processes() -> Iterator[tuple[int, str]]:
    """Yield the processes of users that no account has."""
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - names alone
        with contextlib.suppress(OSError):
            found = _USERS.search(Path("/proc", name, "status").read_text(errors="replace"))
            if found and any(int(each) >= _FIRST_ID for each in found[2].split()):
                yield int(name), f"{found[1]} of {found[2]}"


def main() -> None:
    orders: dict[str, Any] = json.load(sys.stdin)
    attack = named(orders["attack"])
    room = Room(Path(orders["room"]), os.environ["GITHUB_TOKEN"])
    room.fill(attack, Path(orders["program"]).read_bytes())
    raise_on_signals()
    hide_this_process()
    run = Run(attack, room, orders["expected"])
    began = time.monotonic()
    run.run()
    seconds = time.monotonic() - began
    print(json.dumps({"problems": run.problems, "notes": run.notes, "wheels": run.wheels, "seconds": seconds}))


if __name__ == "__main__":
    main()
