"""A proxy that connects every host name to one port of this machine."""

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def proxy_to(target: int, connected: set[str]) -> Iterator[str]:
    """Yield the URL of a proxy (RFC 9110, section 9.3.6), which adds the hosts that clients ask for to a set."""
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
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            threads[0].join()
            stack.close()
            for thread in threads:
                thread.join(5)
