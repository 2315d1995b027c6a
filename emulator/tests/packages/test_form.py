import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import requests

from gar_emulator.packages import form

CONTENT = bytes(range(256)) * 9000


def _request(content: bytes = CONTENT) -> tuple[str, bytes]:
    files = {"content": ("a-1.0.tar.gz", content), "gpg_signature": ("a.asc", b"signature")}
    prepared = requests.Request("POST", "http://x/", data={"name": "ä", "version": "1.0"}, files=files).prepare()
    assert isinstance(prepared.body, bytes)
    return prepared.headers["Content-Type"], prepared.body


def _read(kind: str, body: bytes, draft: Path, size: int) -> list[tuple[str, int]]:
    """Read a body in chunks, and return what is known of the file after each."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    async def run() -> list[tuple[str, int]]:
        seen = []
        async for growing in form.read(kind, chunks(), draft):
            seen.append((growing.filename, growing.size))
            last.append(growing)
        return seen

    last: list[form.Form] = []
    seen = asyncio.run(run())
    assert last[-1].fields["name"] == "ä"
    assert last[-1].fields["version"] == "1.0"
    assert last[-1].digests()["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert last[-1].digests()["md5"] == hashlib.md5(CONTENT).hexdigest()
    return seen


@pytest.mark.parametrize("size", [7919, 65536, 10**7])
def test_file_is_written_as_it_arrives(tmp_path: Path, size: int) -> None:
    kind, body = _request()
    seen = _read(kind, body, tmp_path / "draft", size)
    assert seen[-1] == ("a-1.0.tar.gz", len(CONTENT))
    assert (tmp_path / "draft").read_bytes() == CONTENT
    if size < len(body):
        assert seen[0][1] < len(CONTENT)


def test_truncated_body(tmp_path: Path) -> None:
    kind, body = _request()
    with pytest.raises(form.BadForm):
        _read(kind, body[:-10], tmp_path / "draft", 65536)


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data"])
def test_other_content_types(tmp_path: Path, kind: str) -> None:
    with pytest.raises(form.BadForm):
        _read(kind, b"{}", tmp_path / "draft", 10)


def test_garbage(tmp_path: Path) -> None:
    kind, body = _request()
    with pytest.raises(form.BadForm):
        _read(kind, b"garbage" + body, tmp_path / "draft", 65536)


def test_fields_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "FIELDS_LIMIT", 2)
    with pytest.raises(form.BadForm, match="too large"):
        _read(*_request(), tmp_path / "draft", 65536)
