"""A connection that can end before its request does."""

import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

CLOSING_SECONDS = 0.2
"""How long a connection stays open for the client to read an early answer."""


class Connection(H11Protocol):
    """uvicorn's connection, which the application gets as `scope["state"]["connection"]`.

    Attributes:
        held: Whether a fault delays the answer. The emulator does not wait for it when it stops.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app_state = {**self.app_state, "connection": self}
        self.held = False
        self._ending = ""

    def end_with_answer(self, *, reset: bool) -> None:
        """Read nothing more, and end the connection after the answer that follows.

        Args:
            reset: Whether to reset it at once; otherwise it is shut down first (FIN), and reset a moment later.
        """
        self._ending = "reset" if reset else "shut down"

    def on_response_complete(self) -> None:
        if not self._ending:
            super().on_response_complete()
            return
        self.held = True
        self.flow.pause_reading()
        if self._ending == "reset":
            self.reset()
        else:
            self._socket.shutdown(socket.SHUT_WR)
            self.loop.call_later(CLOSING_SECONDS, self.reset)

    def reset(self) -> None:
        """Close the connection with a RST instead of a FIN, so the client gets ECONNRESET."""
        if not self.transport.is_closing():
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def stop(self) -> None:
        if self.held:
            self.transport.abort()
        elif not self.transport.is_closing():
            self.shutdown()

    @property
    def _socket(self) -> socket.socket:
        plain: socket.socket = self.transport.get_extra_info("socket")
        return plain
