"""Run the command and the actions as processes, and read their output."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gar_emulator import Emulator
from gar_emulator.server.app import Seen
from gar_publish.settings.settings import INPUTS, SETUP_INPUTS
from tests.conftest import ROOT
from tests.runner import HOST_TEMP, read_file_command

REPOSITORY = "us-central1/demo-project/python"
PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
PUBLISHER = "publisher@demo-project.iam.gserviceaccount.com"
READER = "reader@demo-project.iam.gserviceaccount.com"
PUBLISH = ("publish", "--repository", REPOSITORY)
DIRECT = ("--workload-identity-provider", PROVIDER)
HELLO = "hello-1.0-py3-none-any.whl"

HURRIED = "import time; time.sleep = lambda _: None; from gar_publish.cli.main import run; run()"


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """Return each failure as the command shows it."""
        return re.findall(r"^error: (.*?^More: \S+)$", self.err, re.MULTILINE | re.DOTALL)

    @property
    def warnings(self) -> list[str]:
        return re.findall(r"^warning: (.*)$", self.err, re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """The result of a workflow step."""

    code: int
    log: str
    outputs: Mapping[str, str]
    summary: str
    exported: Mapping[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> list[str]:
        """Return each failure as the log shows it: the annotation and the lines below."""
        log = re.sub(r"^::(stop-commands::)?\w{32}(::)?\n", "", self.log, flags=re.MULTILINE)
        found = re.findall(r"^::error::(.*?^More: \S+)$", log, re.MULTILINE | re.DOTALL)
        return [text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%") for text in found]


@dataclass(frozen=True)
class Doors:
    """The command and the actions, in one folder and one environment."""

    folder: Path
    environment: Mapping[str, str]

    def command(
        self,
        *arguments: str | Path,
        given: str | None = None,
        variables: Mapping[str, str] | None = None,
        hurried: bool = False,
    ) -> Done:
        """Run the command.

        Args:
            arguments: The command line.
            given: Standard input.
            variables: Additional environment variables.
            hurried: Whether to retry without waits.
        """
        start = ["-c", HURRIED] if hurried else ["-m", "gar_publish.cli.main"]
        done = self._run([*start, *arguments], given, variables or {})
        return Done(done.returncode, done.stdout, done.stderr)

    def action(self, inputs: Mapping[str, str], variables: Mapping[str, str] | None = None) -> Step:
        """Run the action as the runner does, with every input that action.yml declares."""
        return self._step(
            [ROOT / "entrypoint.py", "action", HOST_TEMP],
            {**{each.name: each.default for each in INPUTS}, **inputs},
            variables or {},
        )

    def setup(self, inputs: Mapping[str, str], variables: Mapping[str, str] | None = None) -> Step:
        """Run setup/action.yml as the runner does, and read the variables that it exports through GITHUB_ENV."""
        given = {**{each.name: each.default for each in SETUP_INPUTS}, **inputs}
        return self._step([ROOT / "setup" / "main.py", HOST_TEMP], given, variables or {})

    def _step(self, start: Sequence[str | Path], inputs: Mapping[str, str], variables: Mapping[str, str]) -> Step:
        names = ("OUTPUT", "STEP_SUMMARY", "ENV", "STATE")
        files = {name: self.folder.parent / f"runner-{name.lower()}" for name in names}
        for file in files.values():
            file.write_text("")
        done = self._run(
            start,
            None,
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(self.folder),
                **{f"GITHUB_{name}": str(file) for name, file in files.items()},
                **{f"INPUT_{name.upper()}": value for name, value in inputs.items()},
                **variables,
            },
        )
        assert done.stderr == ""
        outputs, exported = (read_file_command(files[name].read_text()) for name in ("OUTPUT", "ENV"))
        return Step(done.returncode, done.stdout, outputs, files["STEP_SUMMARY"].read_text(), exported)

    def _run(
        self, arguments: Sequence[str | Path], given: str | None, more: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        where: dict[str, Any] = {"stdin": subprocess.DEVNULL} if given is None else {"input": given}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **where,
        )


def rows(text: str) -> int:
    """Return how many rows a text takes on a screen of 100 columns; the runner's log does not show masks."""
    shown = [line for line in text.splitlines() if not line.startswith("::add-mask::")]
    return sum(max(1, math.ceil(len(line) / 100)) for line in shown)


def uploads(emulator: Emulator) -> list[Seen]:
    """Return the uploads that the emulator accepted, in order."""
    return [
        seen
        for seen in emulator.requests
        if seen.method == "POST" and seen.host.endswith("-python.pkg.dev") and seen.status < 300
    ]


def install(doors: Doors, line: str, *requirements: str, options: Sequence[str] = ()) -> Path:
    """Install into a new folder with real pip and an install option, and return the folder.

    The option is in a requirements file, so that no argument contains its token. pip does not get the variables of
    the emulator.
    """
    target = doors.folder.parent / "installed"
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-cache-dir",
        "--target",
        target,
        *options,
    ]
    done = subprocess.run(
        [*command, "-r", "/dev/stdin"],
        input="\n".join([line, *requirements]),
        env={name: value for name, value in doors.environment.items() if not name.startswith("ACTIONS_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def publish(doors: Doors, *more: str, who: Sequence[str] = DIRECT, **options: Any) -> tuple[Done, dict[str, Any]]:
    """Run `gar-publish publish`, and return the result and its report."""
    done = doors.command(*PUBLISH, *who, "--json", "-", *more, **options)
    return done, json.loads(done.out)


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {file["filename"]: file["status"] for package in report["packages"] for file in package["files"]}
