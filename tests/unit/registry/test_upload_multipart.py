from pathlib import Path

import pytest

from gar_publish.registry.upload import FileChanged, FormWithFile

PIECE = 10


def pieces(form: FormWithFile) -> list[bytes]:
    return list(iter(lambda: form.read(PIECE), b""))


@pytest.mark.parametrize("size", [0, 1, PIECE, 3 * PIECE + 1])
def test_it_is_as_long_as_it_says_and_tells_how_far_it_is(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"\xff" * size)
    told: list[int] = []
    with (tmp_path / "file").open("rb") as content:
        form = FormWithFile([("name", "Größe"), ("name", "again")], "content", "a file", content)
        form.show = told.append
        read = pieces(form)
    body = b"".join(read)
    assert max(map(len, read)) <= PIECE
    assert len(body) == form.len == told[-1]
    assert told == sorted(told)
    boundary = form.content_type.partition("boundary=")[2].encode()
    parts = body.split(b"--" + boundary)
    assert [part.partition(b"\r\n\r\n")[2] for part in parts[1:-1]] == [
        "Größe\r\n".encode(),
        b"again\r\n",
        b"\xff" * size + b"\r\n",
    ]
    assert b'name="content"; filename="a file"\r\nContent-Type: application/octet-stream' in parts[3]
    assert parts[-1] == b"--\r\n"


@pytest.mark.parametrize("size", [0, 2 * PIECE, 5 * PIECE])
def test_a_file_that_changes_meanwhile_is_not_passed_off_as_whole(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3 * PIECE)
    with (tmp_path / "file").open("rb") as content:
        form = FormWithFile([], "content", "file", content)
        (tmp_path / "file").write_bytes(b"x" * size)
        with pytest.raises(FileChanged):
            pieces(form)
