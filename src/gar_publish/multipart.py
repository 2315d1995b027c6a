"""A form with a file in it, sent as it is read (RFC 7578)."""

import os
import secrets
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import IO

from urllib3 import encode_multipart_formdata


class FileChanged(Exception):
    """A file has become longer or shorter while it was sent."""


class FormWithFile:
    """The body of a request.

    Args:
        fields: The form's fields but the file's.
        name: The field with the file.
        filename: What the file is called.
        content: The file, from its beginning to where it ends now.

    Attributes:
        content_type: The header that goes with the body.
        len: How many bytes it has; requests looks for that name.
        show: Is told how many of them have been read.
    """

    def __init__(self, fields: Iterable[tuple[str, str]], name: str, filename: str, content: IO[bytes]) -> None:
        mark = secrets.token_bytes(16)
        file = (filename, mark, "application/octet-stream")
        form, self.content_type = encode_multipart_formdata([*fields, (name, file)])
        before, _, after = form.partition(mark)
        self._parts = [BytesIO(before), content, BytesIO(after)]
        self._read = 0
        self.len = len(before) + os.fstat(content.fileno()).st_size + len(after)
        self.show: Callable[[int], None] = lambda _: None

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none at the end.

        Raises:
            FileChanged: More came than was announced, or less.
        """
        piece = b""
        while self._parts and not (piece := self._parts[0].read(size)):
            del self._parts[0]
        self._read += len(piece)
        if self._read > self.len or (self._read < self.len and not piece):
            raise FileChanged("it has become longer or shorter")
        self.show(self._read)
        return piece
