"""The command `gar-emulator`: serve until it is told to stop."""

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from gar_emulator.errors import EmulatorError
from gar_emulator.server.server import Emulator
from gar_emulator.world.world import World


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 after SIGINT or SIGTERM, 2 where an option, a world file, the data folder or the port cannot be used.
    """
    options = new_parser().parse_args(arguments)
    try:
        run(**vars(options), out=lambda line: print(line, flush=True))
    except EmulatorError as error:
        print(f"gar-emulator: {error.what}\nFix: {error.fix}", file=sys.stderr)
        return 2
    return 0


def new_parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
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
    plain_port: int = 0,
    out: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM; first say, line by line, what connects a shell: `export NAME='value'`.

    Args:
        port: 0 for any free one.
        host: The address to listen on.
        data: The folder for packages, keys and certificates.
        world: A world file; None for the default world.
        tls: Serve HTTPS, with a certificate for every Google host.
        plain_port: With `tls`, the port of the metadata server.
        out: Takes each line as soon as it is known.

    Raises:
        EmulatorError: The world file cannot be used, or the port is taken.
    """
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        described = World.load(world) if world else World.default()
        try:
            data.mkdir(parents=True, exist_ok=True)
            emulator = Emulator(described, data=data.resolve(), port=port, host=host, tls=tls, plain_port=plain_port)
        except OSError as error:
            raise EmulatorError(
                f"The emulator cannot keep its state in {data}: {error.strerror}.",
                fix="name a folder of your own with --data",
                anchor="emulator-data",
            ) from None
        with emulator:
            for name, value in sorted(emulator.exports().items()):
                out(f"export {name}={_quoted(value)}")
            while not stop.wait(1):  # on Windows, a wait without end hears no signal
                pass
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
