"""`gar-publish emulator`: serves until it is told to stop."""

import shlex
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from gar_publish.emulator.server import Emulator
from gar_publish.emulator.world import World
from gar_publish.errors import BadInput


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
        BadInput: The world file cannot be used, or the port is taken.
    """
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        described = World.load(world) if world else World.default()
        try:
            data.mkdir(parents=True, exist_ok=True)
            emulator = Emulator(described, data=data.resolve(), port=port, host=host, tls=tls, plain_port=plain_port)
        except OSError as error:
            raise BadInput(
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
