"""The command `python3 -m release check|notes|tag VERSION …`, which .github/workflows/release.yml runs."""

import argparse
import sys
from pathlib import Path

from release import changelog, reference, version
from release.repository import Repository
from release.version import Refused, Version


def main(arguments: list[str], source: Path) -> int:
    """Run one command.

    Args:
        arguments: The arguments after `python3 -m release`.
        source: A checkout of the commit to release.

    Returns:
        The exit code: 0 on success, 2 if the release is refused.
    """
    given = new_parser().parse_args(arguments)
    try:
        wanted = Version.parse(given.version)
        notes = changelog.notes((source / "CHANGELOG.md").read_text(encoding="utf-8"), wanted)
        if given.command == "notes":
            print(notes, end="")
            return 0
        repository = Repository(source, given.remote)
        version.check(wanted, version.declared(source), repository.tags())
        repository.check_clean()
        if given.command == "tag":
            _tag(wanted, source, repository, given.image, push=not given.dry_run)
    except Refused as refused:
        print(f"release: {refused}", file=sys.stderr)
        return 2
    return 0


def new_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m release", description="Release the commit that is checked out.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, does in (
        ("check", "check that the version can be released"),
        ("notes", "print the notes from CHANGELOG.md"),
        ("tag", "commit both actions with the image's digest, and push the tags"),
    ):
        command = commands.add_parser(name, help=does, description=does)
        command.add_argument("version", help="MAJOR.MINOR.PATCH")
        if name == "tag":
            command.add_argument("image", help="REGISTRY/NAME@sha256:DIGEST")
            command.add_argument("--dry-run", action="store_true", help="show what would be committed; push nothing")
        if name != "notes":
            command.add_argument("--remote", default="origin", help="the git remote with the tags (default: origin)")
    return parser


def _tag(wanted: Version, source: Path, repository: Repository, image: str, *, push: bool) -> None:
    files = {
        name: reference.with_image((source / name).read_text(encoding="utf-8"), image) for name in reference.ACTIONS
    }
    commit = repository.commit(files, f"Release {wanted}")
    print(repository.difference(commit))
    if push:
        repository.push(commit, wanted)
    print(f"{wanted.tag}, {wanted.major_tag}: {commit}{'' if push else ' (not pushed)'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path.cwd()))
