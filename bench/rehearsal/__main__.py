"""Rehearse 100 popular wheels as they are, and look for false alarms; or measure something else.

A finding is a false alarm unless an environment that venv and pip made shows it, too.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import uv

from bench.rehearsal import cost, planted
from gar_publish.context import Context, new_context
from gar_publish.distributions import distribution, wheel_checks
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BuildFailure
from gar_publish.rehearsal.outcome import Rehearsal
from gar_publish.rehearsal.rehearse import Plan, rehearsing
from tests.recording import RecordingConsole

HERE = Path(__file__).parent
NAMES = (HERE / "popular.txt").read_text(encoding="utf-8").split()
_LOADED = re.compile(r"(?:[\w.-]+: .* = )?(?P<module>[\w.]+)(?::(?P<attribute>[\w.]+))?")
_LONGEST = 600
_LOAD = "import importlib, sys; m = importlib.import_module(sys.argv[1])\nfor a in sys.argv[2:]: m = getattr(m, a)"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.rehearsal", description=__doc__)
    parser.add_argument("--planted", action="store_true", help="measure the planted defects, and write the results")
    parser.add_argument("--cost", action="store_true", help="measure what the rehearsal of 50 packages takes")
    parser.add_argument("--rounds", type=int, default=9, help="how often --cost publishes with and without rehearsal")
    parser.add_argument("--wheels", type=Path, help="keep the wheels in this folder")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the number of the first wheel")
    parser.add_argument("--count", type=int, default=len(NAMES), help="the number of wheels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.planted:
            return _measure_planted(Path(folder))
        if options.cost:
            return cost.measure(Path(folder), options.rounds)
        return _popular(NAMES[options.first :][: options.count], options.wheels or Path(folder))


def _popular(names: Sequence[str], folder: Path) -> int:
    """Print what is found in popular wheels."""
    context = new_context(dict(os.environ), RecordingConsole(), workspace=folder)
    wheels = [distribution.read(_download(name, folder)) for name in names]
    good = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # Each is a run of its own: in one run, the others would be its only versions.
        for wheel, outcomes in zip(wheels, pool.map(partial(_rehearsed, context), wheels), strict=True):
            good += _is_good(wheel, outcomes)
    print(f"{good} of {len(wheels)} without a false alarm")
    return int(good < len(wheels))


def _rehearsed(context: Context, wheel: Distribution) -> Sequence[Rehearsal]:
    plan = Plan([wheel], {}, {}, "", lambda: False, asked=[planted.HERE], seconds=300)
    with rehearsing(plan, context) as rehearser:
        return rehearser.rehearse()[wheel.name]


def _is_good(wheel: Distribution, outcomes: Sequence[Rehearsal]) -> bool:
    """Print what is found in a wheel. Return whether it was tried, and none of it is a false alarm."""
    findings, others = [], list[str]()
    try:
        others += wheel_checks.check(wheel)
    except BuildFailure as failure:
        findings.append(failure.what)
    for each in outcomes:
        findings += each.problems
        others += [*each.warnings, *each.notes]
    false = [finding for finding in findings if not _is_true(wheel, finding)]
    for finding in findings:
        print(f"{wheel.filename}: {'FALSE' if finding in false else 'true'}: {finding}")
    for warning in others:
        print(f"{wheel.filename}: warning: {warning}", flush=True)
    return not false and all(each.state != "not tried" for each in outcomes)


def _download(name: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if not _found(name, folder):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "-d", folder, name], check=True)
    return _found(name, folder)[0]


def _found(name: str, folder: Path) -> list[Path]:
    start = name.replace("-", "_") + "-"
    return [each for each in sorted(folder.glob("*.whl")) if each.name.lower().replace(".", "_").startswith(start)]


def _is_true(wheel: Distribution, finding: str) -> bool:
    """Return whether an environment that venv and pip made shows a finding, too."""
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/bin/python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        installed = subprocess.run([python, "-m", "pip", "install", "-q", wheel.path], check=False, capture_output=True)
        if finding.startswith("cannot be installed"):
            return installed.returncode != 0
        tried = _LOADED.match(finding)
        if not tried:
            return False
        parts = (tried["attribute"] or "").split(".") if tried["attribute"] else []
        loaded = subprocess.run(
            [python, "-I", "-c", _LOAD, tried["module"], *parts],
            check=False,
            capture_output=True,
            timeout=_LONGEST,
        )
        return loaded.returncode != 0


def _measure_planted(folder: Path) -> int:
    """Measure what gar-publish, twine and check-wheel-contents find, and write it."""
    variables = {**os.environ, "UV_DEFAULT_INDEX": (folder / "index").as_uri()}
    context: Context = new_context(variables, RecordingConsole(), workspace=folder)
    said = planted.find(context, folder)
    measured = []
    for each in planted.DEFECTS:
        (wheel,) = (folder / "wheels").glob(f"{each.name}-*.whl")
        twine = [sys.executable, "-m", "twine", "check", "--strict"]
        refused = subprocess.run([*twine, wheel], check=False, capture_output=True).returncode
        contents = subprocess.run(
            [uv.find_uv_bin(), "tool", "run", "check-wheel-contents", wheel],
            check=False,
            capture_output=True,
            text=True,
        )
        codes = sorted(set(re.findall(r": (W\d{3}): ", contents.stdout)))
        measured.append(
            {
                "defect": each.title,
                "gar-publish": said[each.name].partition(":")[0],
                "twine check --strict": "refused" if refused else "not found",
                "check-wheel-contents": ", ".join(codes) or "not found",
            }
        )
        print(f"{each.title}: {said[each.name]}")
    (HERE / "planted.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    found = [each["gar-publish"] for each in measured]
    print(f"{found.count('refused')} of {len(found)} refused, {found.count('not found')} not found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
