"""Kills publishing runs (SIGKILL) at random moments and runs the same command again: `python -m bench.kill`."""

import argparse
import json
import random
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
from gar_publish.emulator import Emulator
from tests.wheels import make_wheel

AT_ONCE = 2
LARGE = 8 * 1024 * 1024
"""Bytes of the largest wheel: its upload takes a while that a kill can hit."""

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
        ]:
            wheel.writestr(zipfile.ZipInfo(path), text)
    return name
"""


@dataclass
class Killer:
    """Kills runs against one emulator.

    Attributes:
        emulator: Where they publish to.
        folder: Each run has a folder of its own in it.
        chances: Draws the moments.
        killed: How many runs had not ended by themselves before their moment came.
    """

    emulator: Emulator
    folder: Path
    chances: random.Random
    killed: int = 0
    _durations: dict[bool, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def check(self, number: int) -> list[str]:
        """Publish, kill, and publish again.

        Returns:
            What is wrong afterwards.
        """
        builds = number % 4 == 0
        duration = self._durations.get(builds) or self._measure(builds=builds)
        with self._lock:
            moment = self.chances.uniform(0, 0.9 * duration)
        folder = self.folder / f"run-{number}"
        sources = _project(folder, number) if builds else _wheels(folder, number)
        started = self._start(folder, sources)
        try:
            started.wait(moment)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
            with self._lock:
                self.killed += 1
        (folder / "report.json").unlink(missing_ok=True)
        again = self._start(folder, sources)
        if again.wait():
            return [f"the second run ended with {again.returncode}: {(folder / 'log').read_text()}"]
        expected = [folder / "project" / "dist" / f"kill_built-1.{number}-py3-none-any.whl"] if builds else sources
        return self._differences(json.loads((folder / "report.json").read_text()), expected, number)

    def _measure(self, *, builds: bool) -> float:
        folder = self.folder / f"measure-{builds}"
        sources = _project(folder, 100_000) if builds else _wheels(folder, 100_001)
        began = time.monotonic()
        if self._start(folder, sources).wait():
            raise RuntimeError("publishing fails even when nobody kills it")
        return self._durations.setdefault(builds, time.monotonic() - began)

    def _start(self, folder: Path, sources: list[Path]) -> "subprocess.Popen[str]":
        dist = [f"--dist={each}" for each in sources if each.suffix == ".whl"]
        packages = [str(each) for each in sources if each.is_dir()]
        return subprocess.Popen(
            [*COMMAND, *DIRECT, "--json", str(folder / "report.json"), *dist, *packages],
            cwd=folder,
            env=process_environment(self.emulator, folder),
            stdin=subprocess.DEVNULL,
            stdout=(folder / "log").open("w"),
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _differences(self, report: dict[str, object], expected: list[Path], number: int) -> list[str]:
        wrong = []
        hashes = {path.name: sha256(path.read_bytes()).hexdigest() for path in expected}
        held = [stored.filename for stored in self.emulator.files() if f"-1.{number}-" in stored.filename]
        if sorted(held) != sorted(hashes):
            wrong.append(f"the registry holds {held}")
        wrong += [
            f"the registry holds other bytes of {name}"
            for name in set(held) & set(hashes)
            if sha256(self.emulator.read(name)).hexdigest() != hashes[name]
        ]
        packages = report["packages"]
        assert isinstance(packages, list)
        said = {file["filename"]: file for package in packages for file in package["files"]}
        if {name: file["sha256"] for name, file in said.items()} != hashes or report["verified"] is not True:
            wrong.append(f"the report says {report}")
        wrong += [
            f"{name} is reported as {file['status']}"
            for name, file in said.items()
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
    """Kill, and count what is right.

    Returns:
        1 where anything is wrong.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gar-publish-bench-") as scratch:
        right, killed = kill(options.runs, options.seed, Path(scratch))
    print(f"{killed} runs were killed before their end")
    print(f"{right} of {options.runs} right")
    return int(right != options.runs)


def kill(runs: int, seed: int, folder: Path) -> tuple[int, int]:
    """Kill so many runs.

    Returns:
        How many are right once the same command was run again, and how many really were killed.
    """
    with Emulator(data=folder / "emulator") as emulator, ThreadPoolExecutor(AT_ONCE) as pool:
        killer = Killer(emulator, folder, random.Random(seed))
        right = 0
        for number, problems in enumerate(pool.map(killer.check, range(runs))):
            right += not problems
            for problem in problems:
                print(f"run {number}: {problem}")
    return right, killer.killed


if __name__ == "__main__":
    sys.exit(main())
