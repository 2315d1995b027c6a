"""The upload form: its fields are read into memory, its file to disk."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import python_multipart
from anyio import to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

FIELDS_LIMIT = 16 * 1024 * 1024
WRITE_SIZE = 1024 * 1024


class BadForm(Exception):
    """The request body is not a valid upload form."""


@dataclass
class Form:
    """The part of a form that has arrived so far.

    Attributes:
        fields: The text fields; of repeated fields, the last one.
        filename: The name of the file part, once its header has arrived.
        size: Bytes of the file part so far.
    """

    fields: dict[str, str] = field(default_factory=dict)
    filename: str = ""
    size: int = 0
    _hashes: Mapping[str, Any] = field(
        default_factory=lambda: {
            "sha256": hashlib.sha256(),
            "md5": hashlib.md5(usedforsecurity=False),
            "blake2_256": hashlib.blake2b(digest_size=32),
        }
    )

    def digests(self) -> dict[str, str]:
        """Return the hexadecimal digests of the file part, by the names of the form's fields."""
        return {name: digest.hexdigest() for name, digest in self._hashes.items()}

    def hash(self, data: bytes) -> None:
        for digest in self._hashes.values():
            digest.update(data)


async def read(content_type: str, body: AsyncIterator[bytes], draft: Path) -> AsyncGenerator[Form, None]:
    """Write the file part to a draft. Yield the form after each chunk, and once more when it is complete.

    Raises:
        BadForm: The body is not multipart/form-data, is cut short, or its fields are too large.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise BadForm("An upload is multipart/form-data.")
    form = Form()
    parts = _Parts(form)
    parser = python_multipart.MultipartParser(options[b"boundary"], parts.callbacks())
    with draft.open("wb") as stream:

        def flush() -> None:
            data = bytes(parts.pending)
            parts.pending.clear()
            form.hash(data)
            stream.write(data)

        try:
            async for chunk in body:
                parser.write(chunk)
                if len(parts.pending) >= WRITE_SIZE:
                    await to_thread.run_sync(flush)
                yield form
            parser.finalize()
        except FormParserError as error:
            raise BadForm("The form cannot be read.") from error
        await to_thread.run_sync(flush)
    if not parts.complete:
        raise BadForm("The form is cut short.")
    yield form


class _Parts:
    """Turns the parser's events into a form's fields and the bytes to write."""

    def __init__(self, form: Form) -> None:
        self.pending = bytearray()
        self.complete = False
        self._form = form
        self._name = ""
        self._is_file = False
        self._value = bytearray()
        self._header = bytearray()
        self._header_value = bytearray()
        self._fields_size = 0

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._name, self._is_file = "", False
        self._value.clear()

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._header_value))
            self._name = options.get(b"name", b"").decode(errors="replace")
            self._is_file = self._name == "content" and b"filename" in options
            if self._is_file:
                self._form.filename = options[b"filename"].decode(errors="replace")
        self._header.clear()
        self._header_value.clear()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._form.size += end - start
            self.pending += data[start:end]
            return
        self._fields_size += end - start
        if self._fields_size > FIELDS_LIMIT:
            raise BadForm("The form's fields are too large.")
        self._value += data[start:end]

    def _end(self) -> None:
        if not self._is_file:
            self._form.fields[self._name] = self._value.decode(errors="replace")

    def _finish(self) -> None:
        self.complete = True
