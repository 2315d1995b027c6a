"""The command `gar-emulator`."""

import argparse
import contextlib
import os
import queue
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from gar_emulator.errors import EmulatorError
from gar_emulator.server.server import Emulator
from gar_emulator.world.world import World


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 after SIGINT or SIGTERM; 1 if the output was closed; 2 if an option, the world file, the data folder, the
        address or the output is not usable.
    """
    options = new_parser().parse_args(arguments)
    try:
        run(**vars(options), out=lambda line: print(line, flush=True))
    except EmulatorError as error:
        print(f"gar-emulator: error: {error.what}\nFix: {error.fix}", file=sys.stderr)
        return 2
    except OSError as error:
        # At exit, Python would try to write the rest again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"gar-emulator: error: The output cannot be written: {error.strerror}.", file=sys.stderr)
        return 1 if isinstance(error, BrokenPipeError) else 2
    return 0


def new_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="gar-emulator", description="A local Google Artifact Registry for Python packages."
    )
    parser.add_argument("--version", action="version", version=f"gar-emulator {version('gar-emulator')}")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8085, help="the port; 0 = any free one (default: %(default)s)")
    parser.add_argument(
        "--data", type=Path, default=Path(".gar-emulator"), help="the folder for its state (default: %(default)s)"
    )
    parser.add_argument("--world", type=Path, metavar="FILE", help="a world file (TOML) in place of the default world")
    parser.add_argument(
        "--tls", action="store_true", help="serve every Google host name over TLS, with a CA of its own"
    )
    return parser


def run(
    *,
    port: int,
    data: Path,
    host: str = "127.0.0.1",
    world: Path | None = None,
    tls: bool = False,
    out: Callable[[str], None],
) -> None:
    """Print one `export NAME='value'` line for each variable, and serve until SIGINT or SIGTERM.

    Args:
        port: The port to listen on; 0 = any free one.
        data: The folder for packages, keys and certificates.
        host: The address to listen on.
        world: A world file; None = the default world.
        tls: Whether to serve HTTPS, with a certificate for every Google host.
        out: Prints a line.

    Raises:
        EmulatorError: The world file, the data folder or the port is not usable.
    """
    signals = queue.SimpleQueue[int]()  # an event would wait for its own lock if a signal comes while it is looked at
    before = {
        number: signal.signal(number, lambda number, _: signals.put(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        described = World.load(world) if world else World.default()
        try:
            data.mkdir(parents=True, exist_ok=True)
            emulator = Emulator(described, data=data.resolve(), port=port, host=host, tls=tls)
        except OSError as error:
            raise EmulatorError(
                f"The emulator cannot write to the data folder {data}: {error.strerror}.",
                fix="choose another folder with `--data`",
                anchor="emulator-data",
            ) from None
        with emulator:
            for name, value in sorted({**emulator.exports(), **emulator.gcloud()}.items()):
                out(f"export {name}={_quoted(value)}")
            while True:
                with contextlib.suppress(queue.Empty):
                    signals.get(timeout=1)  # on Windows, no signal interrupts a wait without a timeout
                    break
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _quoted(value: str) -> str:
    quoted = shlex.quote(value)
    return quoted if quoted.startswith("'") else f"'{quoted}'"


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 16:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)
