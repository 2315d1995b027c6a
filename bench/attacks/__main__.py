"""Run each attack several times: `python -m bench.attacks --runs 20`. It needs root, Linux and a C compiler."""

import argparse
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.attacks.attack import Attack
from bench.attacks.places import Image, Outside, Place, Result, compiled, python_for_every_user
from bench.attacks.table import ATTACKS

_IMAGE = "gar-publish-test-image"
_OUTSIDE = "outside"
_WAYS = {"image": [], "image --init": ["--init"], "image --pids-limit": ["--pids-limit=200"]}
_AT_ONCE = 3


def main() -> int:
    """Attack, and print a line for each attack and place.

    Returns:
        1 if an attack succeeded, 2 if there is no image.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", default="", help="a part of the names of attacks")
    parser.add_argument("--place", choices=[_OUTSIDE, *_WAYS], action="append", help="only there; may be repeated")
    parser.add_argument("--python", help="a Python that every user can run, with gar-publish's dependencies")
    parser.add_argument("--image", default=_IMAGE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="gar-publish-attacks-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        program = compiled(folder)
        names = options.place or [_OUTSIDE, *_WAYS]
        if set(names) != {_OUTSIDE} and not Image.exists(options.image):
            print(f"There is no image {options.image}: build it, or give --place {_OUTSIDE}.")
            return 2
        places = [
            Image(name, options.image, _WAYS[name], program)
            if name in _WAYS
            else Outside(options.python or python_for_every_user(folder), program)
            for name in names
        ]
        chosen = [each for each in ATTACKS if options.only in each.name]
        tried = [(attack, place) for place in places for attack in chosen if place.allows(attack)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            tries = [pool.submit(_try, attack, place, options.runs) for attack, place in tried]
            succeeded = sum(each.result() for each in tries)
    print(f"{len(tried)} attacks, {succeeded} succeeded")
    return int(succeeded > 0)


def _try(attack: Attack, place: Place, runs: int) -> bool:
    """Return whether the attack succeeded in any run."""
    results = [place.run(attack) for _ in range(runs)]
    print(f"{attack.name} | {place.name} | {runs} | {_summary(results)}", flush=True)
    return any(each.problems for each in results)


def _summary(results: list[Result]) -> str:
    problems = Counter(problem[:2000] for each in results for problem in each.problems)
    notes = Counter(note for each in results for note in each.notes)
    said = "".join(f"; {count} x {note}" for note, count in notes.items())
    longest = f"{max(each.seconds for each in results):.1f} s at most{said}"
    if not problems:
        return f"held, {longest}"
    wrong = "".join(f"\n    {count} x {problem}" for problem, count in problems.items())
    return f"SUCCEEDED, {longest}{wrong}"


if __name__ == "__main__":
    sys.exit(main())
