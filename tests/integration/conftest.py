"""Fixtures for the integration tests."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gar_emulator import Emulator, World
from tests.integration.frontdoors import Doors
from tests.integration.laptop import laptop, public_index
from tests.wheels import make_wheel

__all__ = ["laptop", "public_index"]


@pytest.fixture
def doors(emulator: Emulator, clean_env: dict[str, str], tmp_path: Path) -> Doors:
    """Return the command and the action, in an empty folder and connected to the emulator."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Doors(folder, {**clean_env, **emulator.exports()})


@pytest.fixture
def hello(doors: Doors) -> Doors:
    """Return `doors` with one wheel in `dist`."""
    make_wheel(doors.folder / "dist", "hello")
    return doors


@pytest.fixture
def world() -> World:
    return World.default()


@pytest.fixture
def production(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(world, data=tmp_path_factory.mktemp("tls"), tls=True, production_names=True) as running:
        yield running


@pytest.fixture
def connected() -> set[str]:
    """Return a set. The proxy adds the hosts that clients ask for."""
    return set()


@pytest.fixture
def proxy(production: Emulator, connected: set[str]) -> Iterator[str]:
    """Yield the URL of a proxy (RFC 9110, section 9.3.6) that connects every host name to the emulator."""
    target = int(production.url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as listening, contextlib.ExitStack() as stack:

        def end(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # otherwise a thread that reads from it waits forever

        def pump(source: socket.socket, sink: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = listening.accept()[0]
                    stack.callback(end, client)
                    asked = b""
                    while not asked.endswith(b"\r\n\r\n"):
                        asked += client.recv(1024)
                    assert asked.startswith(b"CONNECT ")
                    connected.add(asked.split()[1].decode().rpartition(":")[0])
                    server = socket.create_connection(("127.0.0.1", target))
                    stack.callback(end, server)
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    for pair in ((client, server), (server, client)):
                        threads.append(threading.Thread(target=pump, args=pair))
                        threads[-1].start()

        threads: list[threading.Thread] = [threading.Thread(target=serve)]
        threads[0].start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        threads[0].join()
        stack.close()
        for thread in threads:
            thread.join(5)
