import os
import stat
from pathlib import Path

import pytest

from gar_publish.configure import files
from gar_publish.configure.files import Edit, Malformed
from gar_publish.errors import BadInput


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _new_files_are_readable_by_all() -> None:
    os.umask(0o022)


def test_a_new_file_is_private(tmp_path: Path) -> None:
    files.write(tmp_path / "new/folder/file", "a\n", secret=False)
    assert mode(tmp_path / "new/folder/file") == 0o600


@pytest.mark.parametrize(("secret", "expected"), [(True, 0o600), (False, 0o644)])
def test_a_file_with_a_secret_becomes_private(tmp_path: Path, *, secret: bool, expected: int) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o644)
    files.write(file, "new", secret=secret)
    assert (file.read_text(), mode(file)) == ("new", expected)


def test_the_temporary_file_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, ...]] = []

    def watch(self: Path, target: Path) -> None:
        seen.append((self.read_text(), mode(self), self.parent == target.parent))

    monkeypatch.setattr(Path, "chmod", lambda self, _: seen.append((self.read_text(), mode(self))))
    monkeypatch.setattr(Path, "replace", watch)
    files.write(tmp_path / "file", "secret", secret=True)
    assert seen == [("secret", 0o600), ("secret", 0o600, True)]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles/pypirc").write_text("old")
    (tmp_path / ".pypirc").symlink_to("dotfiles/pypirc")
    files.write(tmp_path / ".pypirc", "new", secret=True)
    assert (tmp_path / ".pypirc").is_symlink()
    assert (tmp_path / "dotfiles/pypirc").read_text() == "new"
    assert mode(tmp_path / "dotfiles/pypirc") == 0o600


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(BadInput, match=r"file cannot be written: No space left on device\."):
        files.write(tmp_path / "file", "new", secret=True)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


def test_a_missing_file_is_empty(tmp_path: Path) -> None:
    assert files.read(tmp_path / "nowhere/file") == ""


@pytest.mark.parametrize("path", [os.devnull, "."])
def test_refuses_what_is_not_a_file(path: str) -> None:
    with pytest.raises(BadInput, match="is not a file"):
        files.read(Path(path))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig"])
def test_a_file_in_another_encoding(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("café", encoding=encoding)
    with pytest.raises(BadInput, match="not UTF-8, or begins with a byte order mark") as caught:
        files.read(tmp_path / "file")
    assert "save the file as UTF-8" in caught.value.fix


def test_keeps_line_ends(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\r\nb\r\n")
    edit = Edit(tmp_path / "file", lambda text: text.replace("b\n", "b\nc\n"))
    assert files.changed(edit, files.read(edit.path)) == "a\r\nb\r\nc\r\n"


def test_names_a_malformed_file(tmp_path: Path) -> None:
    def parse(_: str) -> str:
        raise Malformed(3)

    with pytest.raises(BadInput, match=r"file cannot be parsed \(line 3\); nothing was changed\."):
        files.changed(Edit(tmp_path / "file", parse), "")


@pytest.mark.parametrize(
    "line",
    [
        'password = "made-up-secret"',
        "password: made-up-secret",
        "extra-index-url = https://me:made-up-secret@host/simple/",
        '{ username = "me", password = "made-up-secret" }',
        "api_token = 'made-up-secret'",
        "[pypi]\nsecret-key=made-up-secret",
        "password = correct made-up battery",
        'password = "a\\"made-up"',
        "password =\n\n    made-up",
        'password = """\nmade-up\n"""',
        "https://made-up@index.example.com/simple/",
        "https://me:pa/ss@made-up@index.example.com/simple/",
        "https://_json_key_base64:made-up@index.example.com/simple/",
    ],
)
def test_a_difference_shows_neither_old_nor_new_secret(line: str) -> None:
    shown = files.difference(Path("file"), f"a\n{line}\nb\n", f"a\n{line.replace('made-up', 'made-down')}\nb\n")
    assert shown.count("***") >= 2
    assert "made-" not in shown
    assert "\n a" not in shown


def test_a_difference_shows_the_rest() -> None:
    url = "https://oauth2accesstoken@us-python.pkg.dev/p/r/simple/"
    shown = files.difference(Path("file"), "a = 1\npassword = x\nb = 2\n", f"a = 1\npassword = x\nurl = {url}\n")
    assert shown.splitlines()[3:] == ["-b = 2", f"+url = {url}"]


def test_makes_a_file_private_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("secret")
    (tmp_path / "file").chmod(0o640)
    assert files.make_private(tmp_path / "file")
    assert mode(tmp_path / "file") == 0o600
    assert not files.make_private(tmp_path / "file")
