"""Kill publishing runs (SIGKILL) at random moments, and run the same command again: `python -m bench.kill`."""

import argparse
import itertools
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Lock

from bench.publisher import COMMAND, DIRECT, process_environment
from gar_emulator import Emulator
from tests.wheels import make_wheel

AT_ONCE = 2
LONGEST = 10.0
"""Seconds within which a run is killed, until one has ended by itself and shown how long it takes."""

SOON = 0.1
"""Seconds within which a run is killed after a file was uploaded."""

_VERSIONS_APART = 1_000_000
LARGE = 8 * 1024 * 1024
"""Bytes of the largest wheel, whose upload takes long enough to be killed."""

_BACKEND = """
import time, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    time.sleep(0.2)
    name = "{name}-{version}-py3-none-any.whl"
    info = "{name}-{version}.dist-info"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        for path, text in [
            (info + "/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"),
            (info + "/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"),
            (info + "/RECORD", ""),
            ("{name}.py", ""),
        ]:
            wheel.writestr(zipfile.ZipInfo(path), text)
    return name
"""


@dataclass
class Killer:
    """Kills runs against one emulator.

    Attributes:
        emulator: The emulator that they publish to.
        folder: The folder for the folders of the runs.
        chances: Chooses the moments.
    """

    emulator: Emulator
    folder: Path
    chances: random.Random
    _durations: dict[bool, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def check(self, number: int) -> list[str]:
        """Publish, kill, and publish again. If the run ended before it was killed, repeat with another version.

        Returns:
            The problems found afterwards.
        """
        builds = number % 4 == 0
        for version in itertools.count(number, _VERSIONS_APART):
            folder = self.folder / f"run-{version}"
            sources = _project(folder, version) if builds else _wheels(folder, version)
            started = self._start(folder, sources)
            # Every third run is killed while it uploads or reads back, which is a small part of its time.
            killed = (
                self._is_killed_between(started, version)
                if number % 3 == 1
                else self._is_killed(started, builds=builds)
            )
            if killed:
                return self._again(folder, sources, version)
        raise AssertionError

    def _is_killed_between(self, started: "subprocess.Popen[str]", number: int) -> bool:
        """Kill a run soon after some of its files were uploaded."""
        with self._lock:
            some, moment = self.chances.randint(1, 2), self.chances.uniform(0, SOON)
        while started.poll() is None:
            if len(self._stored(number)) >= some:
                time.sleep(moment)
                break
            time.sleep(0.005)
        started.kill()
        return started.wait() == -signal.SIGKILL

    def _is_killed(self, started: "subprocess.Popen[str]", *, builds: bool) -> bool:
        with self._lock:
            moment = self.chances.uniform(0, self._durations.get(builds, LONGEST))
        began = time.monotonic()
        try:
            started.wait(moment)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
            return True
        with self._lock:
            self._durations[builds] = time.monotonic() - began
        return False

    def _again(self, folder: Path, sources: list[Path], number: int) -> list[str]:
        builds = sources[0].is_dir()
        (folder / "report.json").unlink(missing_ok=True)
        again = self._start(folder, sources)
        if again.wait():
            return [f"the second run ended with {again.returncode}: {(folder / 'log').read_text()}"]
        expected = [folder / "project" / "dist" / f"kill_built-1.{number}-py3-none-any.whl"] if builds else sources
        return self._differences(json.loads((folder / "report.json").read_text()), expected, number)

    def _stored(self, number: int) -> list[str]:
        return [stored.filename for stored in self.emulator.files() if f"-1.{number}-" in stored.filename]

    def _start(self, folder: Path, sources: list[Path]) -> "subprocess.Popen[str]":
        dist = [f"--dist={each}" for each in sources if each.suffix == ".whl"]
        packages = [str(each) for each in sources if each.is_dir()]
        with (folder / "log").open("w") as log:
            return subprocess.Popen(
                [*COMMAND, *DIRECT, "--json", str(folder / "report.json"), *dist, *packages],
                cwd=folder,
                env=process_environment(self.emulator, folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def _differences(self, report: dict[str, object], expected: list[Path], number: int) -> list[str]:
        wrong = []
        hashes = {path.name: sha256(path.read_bytes()).hexdigest() for path in expected}
        stored = self._stored(number)
        if sorted(stored) != sorted(hashes):
            wrong.append(f"the registry has {stored}")
        wrong += [
            f"the registry has different contents of {name}"
            for name in set(stored) & set(hashes)
            if sha256(self.emulator.read(name)).hexdigest() != hashes[name]
        ]
        packages = report["packages"]
        assert isinstance(packages, list)
        reported = {file["filename"]: file for package in packages for file in package["files"]}
        if {name: file["sha256"] for name, file in reported.items()} != hashes or report["verified"] is not True:
            wrong.append(f"the report says {report}")
        wrong += [
            f"{name} is reported as {file['status']}"
            for name, file in reported.items()
            if file["status"] not in {"uploaded", "identical"}
        ]
        return wrong


def _wheels(folder: Path, number: int) -> list[Path]:
    version = f"1.{number}"
    return [
        make_wheel(folder / "dist", "kill-first", version, content="x = 1\n"),
        make_wheel(folder / "dist", "kill-second", version, requires=["kill-first"]),
        make_wheel(folder / "dist", "kill-large", version, content="#" * LARGE, requires=["kill-second"]),
    ]


def _project(folder: Path, number: int) -> list[Path]:
    project = folder / "project"
    project.mkdir(parents=True)
    version = f"1.{number}"
    (project / "backend.py").write_text(_BACKEND.format(name="kill_built", version=version))
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "kill-built"\nversion = "{version}"\n'
    )
    return [project]


def main() -> int:
    """Kill runs, and count how many the same command completed.

    Returns:
        1 if any was not completed.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gar-publish-bench-") as scratch:
        right = kill(options.runs, options.seed, Path(scratch))
    print(f"{right} of {options.runs} right")
    return int(right != options.runs)


def kill(runs: int, seed: int, folder: Path) -> int:
    """Kill runs, and return how many of them the same command completed."""
    with Emulator(data=folder / "emulator") as emulator, ThreadPoolExecutor(AT_ONCE) as pool:
        killer = Killer(emulator, folder, random.Random(seed))
        right = 0
        for number, problems in enumerate(pool.map(killer.check, range(runs))):
            right += not problems
            for problem in problems:
                print(f"run {number}: {problem}")
    return right


if __name__ == "__main__":
    sys.exit(main())
