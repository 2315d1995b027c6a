"""A connection that faults can reset."""

import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """uvicorn's connection, which the application gets as `scope["state"]["connection"]`.

    Attributes:
        held: Whether a fault delays the answer. The emulator does not wait for it when it stops.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app_state = {**self.app_state, "connection": self}
        self.held = False

    def reset(self) -> None:
        """Close the connection with a RST instead of a FIN, so the client gets ECONNRESET."""
        plain: socket.socket = self.transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def stop(self) -> None:
        if self.held:
            self.transport.abort()
        elif not self.transport.is_closing():
            self.shutdown()
