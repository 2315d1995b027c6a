"""The command: `python -m conformance`."""

import argparse
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from conformance.adopt import adopt
from conformance.calls import NotObserved, Unusable
from conformance.lab import Place, say
from conformance.records import comparison, default, differences, measure, read, shown
from conformance.targets import emulated, owned, public
from gar_publish.errors import BadInput

ROOT = Path(__file__).parent.parent
INTERRUPTED = 130


def new_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Measure how a target behaves, and print one JSON record per check.",
    )
    targets = parser.add_mutually_exclusive_group()
    targets.add_argument("--emulator", action="store_true", help="an emulator in this process (default)")
    targets.add_argument("--public", action="store_true", help="a public repository, without an account")
    targets.add_argument("--project", metavar="PROJECT", help="a project that gcloud's login owns; about 15 minutes")
    parser.add_argument("--location", default="us-central1", help="of the repositories that it makes in the project")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, what in (
        ("compare", "print which checks of a record differ from the emulator's defaults"),
        ("adopt", "write a record into docs/fidelity.md and the emulator's defaults"),
    ):
        commands.add_parser(name, help=what, description=what).add_argument("record", type=Path)
    return parser


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run a command.

    Args:
        arguments: By default those of the process.
        root: The checkout that `adopt` changes.

    Returns:
        The exit code: 0; 1 if `compare` finds a difference; 2 if the target or the record cannot be used; 130 after an
        interruption.
    """
    options = new_parser().parse_args(arguments)
    try:
        if options.command == "compare":
            records = read(options.record)
            print(comparison(records))
            return 1 if differences(records) else 0
        if options.command == "adopt":
            for row in adopt(read(options.record), root):
                print(f"Reword in docs/fidelity.md: {row}")
            return 0
        _measure(options)
    except (Unusable, NotObserved, BadInput) as error:
        say(f"conformance: {error}")
        return 2
    except KeyboardInterrupt:
        say("conformance: interrupted; what this run made is removed")
        return INTERRUPTED
    return 0


def _measure(options: argparse.Namespace) -> None:
    target = "project" if options.project else "public" if options.public else "emulator"
    place: AbstractContextManager[Place]
    if options.project:
        place = owned(options.project, options.location, os.environ)
    else:
        place = nullcontext(public(os.environ)) if options.public else emulated()
    with place as opened:
        for record in measure(opened, target):
            print(record.line(), flush=True)
            if record.value is None:
                say(f"{record.id}: not observed: {record.why}")
            elif record.value == default(record.switch):
                say(f"{record.id}: {shown(record.value)}")
            else:
                say(f"{record.id}: {shown(record.value)}, not {shown(default(record.switch))}")


if __name__ == "__main__":
    sys.exit(main())
