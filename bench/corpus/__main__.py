"""Build real projects with gar-publish and with `python -m build`, and compare the wheels: `python -m bench.corpus`.

With `--tools`, the projects are small ones that use version tools, and are compared with those of `uv build`.
It needs root and Linux: it builds as an ordinary user, as root, and in the image.
"""

import argparse
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from bench.attacks.places import Image as AttackedImage
from bench.attacks.places import python_for_every_user
from bench.corpus import versions
from bench.corpus.projects import Project, Repository, projects, sample
from bench.corpus.same import differences, packing
from bench.corpus.tools import CHECKOUTS, TOOLS, Checkout
from bench.corpus.ways import Host, Image, Outcome, Place, without_paths

_IMAGE = "gar-publish-test-image"
_WAYS = ("user", "root", "image")
_NAMES_A_PROGRAM = ("missing-program", "needs-a-compiler")
"""The anchors of failures that name what the image has not."""


def main() -> int:
    """Build, and print a table.

    Returns:
        1 if a build is not as `python -m build` makes it, 2 if there is no image.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of the label or the backend of projects")
    parser.add_argument("--ways", default=",".join(_WAYS), help="some of these, separated by commas")
    parser.add_argument("--sample", type=int, help="so many projects, of as many backends as possible")
    parser.add_argument("--clones", type=Path, help="a folder with git repositories, to build clones of them instead")
    parser.add_argument("--tools", action="store_true", help="try version tools in several kinds of checkouts instead")
    parser.add_argument("--write", action="store_true", help="write the results of --tools for `make docs`")
    parser.add_argument("--image", default=_IMAGE)
    options = parser.parse_args()
    ways = options.ways.split(",")
    if "image" in ways and not AttackedImage.exists(options.image):
        print(f"There is no image {options.image}: build it, or leave `image` out of --ways.")
        return 2
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="gar-publish-corpus-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        for name in ("downloads", "host", "image"):
            (folder / name).mkdir()
        host = Host(folder / "host", folder / "downloads", python_for_every_user(folder))
        image = Image(folder / "image", folder / "downloads", options.image)
        if options.tools:
            return _tools(options, ways, host, image)
        return _projects(options, ways, host, image)


def _tools(options: argparse.Namespace, ways: Sequence[str], host: Host, image: Image) -> int:
    tools = [each for each in TOOLS if options.only in each.name]
    places = {way: image if way == "image" else host for way in ways}
    good = 0
    print("| tool | checkout | uv build | user | root | image |\n| --- | --- | --- | --- | --- | --- |")
    for kind in CHECKOUTS:
        rows = list(versions.rows(Checkout(kind), tools, places, host))
        for row in rows:
            cells = [row["tool"], row["checkout"], row["uv"], *(row["ways"].get(way, "") for way in _WAYS)]
            print(f"| {' | '.join(cells)} |", flush=True)
            good += set(row["ways"].values()) == {versions.SAME}
        if options.write:
            versions.write(rows)
    count = len(CHECKOUTS) * len(tools)
    print(f"{good} of {count} as uv build makes them")
    return int(good < count)


def _projects(options: argparse.Namespace, ways: Sequence[str], host: Host, image: Image) -> int:
    of = map(Repository, sorted(options.clones.iterdir())) if options.clones else projects()
    chosen = [each for each in of if options.only in f"{each.label} {each.backend}"]
    if options.sample:
        chosen = sample(chosen, options.sample)
    print("| project | backend | user | root | image | reason |\n| --- | --- | --- | --- | --- | --- |")
    good = sum(is_as_built(project, ways, host, image) for project in chosen)
    print(f"{good} of {len(chosen)} as build makes them")
    return int(good < len(chosen))


def is_as_built(project: Project | Repository, ways: Collection[str], host: Host, image: Image) -> bool:
    """Build a project in these ways, print its row, and return whether all are as `python -m build` makes them."""
    cells, reasons, good = dict.fromkeys(_WAYS, ""), list[str](), True
    on_host: Outcome | None = None
    for place, names in ((host, ("user", "root")), (image, ("image",))):
        wanted = [name for name in names if name in ways]
        try:
            theirs = place.reference(project) if wanted else Outcome()
        except ValueError as error:
            good, reasons = False, [str(error)]
            break
        for name in wanted:
            ours = place.ours(project, is_root=name != "user")
            is_good, cells[name], reason = judged(project, place, ours, theirs)
            if name == "image" and is_good and not theirs.file and on_host and on_host.file:
                is_good = ours.anchor in _NAMES_A_PROGRAM
                reason += f" (anchor {ours.anchor})"
            good &= is_good
            if reason and reason not in reasons:
                reasons.append(reason)
        if wanted and place is host:
            on_host = theirs
    row = [project.label, project.backend, *cells.values(), "; ".join(reasons).replace("|", "\\|")]
    print(f"| {' | '.join(row)} |", flush=True)
    return good


def judged(project: Project | Repository, place: Place, ours: Outcome, theirs: Outcome) -> tuple[bool, str, str]:
    """Return whether gar-publish built what `python -m build` did, what came of it in a word, and the reason."""
    if ours.file and theirs.file:
        return _compared(project, place, ours.file, theirs.file)
    if ours.file:
        return False, "DIFFERS", f"only build fails: {theirs.error}"
    if theirs.file:
        return False, "DIFFERS", f"only gar-publish fails: {ours.error}"
    if theirs.error and theirs.error in without_paths(ours.said):
        return True, "fails", f"build fails, too: {theirs.error}"
    return False, "DIFFERS", f"build fails with {theirs.error!r}, gar-publish with {ours.error!r}"


def _compared(project: Project | Repository, place: Place, ours: Path, theirs: Path) -> tuple[bool, str, str]:
    if ours.name != theirs.name:
        return False, "DIFFERS", f"{ours.name} is {theirs.name}"
    if ours.read_bytes() == theirs.read_bytes():
        return True, "same", ""
    differing = differences(ours, theirs)
    if not differing:
        return True, "contents", f"other {packing(ours, theirs)}"
    again = place.reference(project, "elsewhere").file
    if again and set(differing) <= set(differences(again, theirs)):
        return True, "unstable", f"two runs of build differ, too: {'; '.join(differing)}"
    return False, "DIFFERS", "; ".join(differing)


if __name__ == "__main__":
    sys.exit(main())
