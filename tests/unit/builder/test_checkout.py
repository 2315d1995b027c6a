"""Copying a source tree for a build as another user."""

import os
import subprocess
from pathlib import Path

import pytest

from gar_publish.builder.checkout import copy, top, without_credentials
from gar_publish.errors import BuildFailure

SECRET = "canary-8c1f0e"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "package").mkdir(parents=True)
    (folder / "package/setup.py").write_text("setup()")
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


def test_the_top_of_a_checkout(checkout: Path) -> None:
    assert top(checkout / "package") == checkout
    assert top(checkout) == checkout


def test_the_top_of_a_project_outside_of_git_is_itself(tmp_path: Path) -> None:
    assert top(tmp_path) == tmp_path


def test_the_top_of_a_submodule_is_the_checkout_around_it(checkout: Path) -> None:
    (checkout / "package/.git").write_text("gitdir: ../.git/modules/package\n")
    assert top(checkout / "package") == checkout


def test_the_top_of_a_worktree_is_the_worktree(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /elsewhere/.git/worktrees/x\n")
    (tmp_path / "package").mkdir()
    assert top(tmp_path / "package") == tmp_path


def test_does_not_copy_credentials(checkout: Path, tmp_path: Path) -> None:
    (checkout / "gha-creds-0a1b2c.json").write_text(SECRET)
    (checkout / "package/gha-creds-0a1b2c.json").write_text(SECRET)
    (checkout / "package/key.json").write_text(SECRET)
    (checkout / "package/data.json").write_text("{}")
    for name in ("extraheader", "extraHeader"):
        header = f"http.https://github.com/.{name}"
        subprocess.run(["git", "config", header, f"AUTHORIZATION: basic {SECRET}"], cwd=checkout, check=True)
    url = f"https://x-access-token:{SECRET}@github.com/octo-org/hello"
    subprocess.run(["git", "remote", "add", "origin", url], cwd=checkout, check=True)
    (checkout / ".git/modules/sub").mkdir(parents=True)
    (checkout / ".git/modules/sub/config").write_text(f"[http]\n\textraheader = {SECRET}\n")

    target = tmp_path / "copy"
    copy(checkout, target, leave_out={checkout / "package/key.json"})

    assert sorted(path.name for path in (target / "package").iterdir()) == ["data.json", "setup.py"]
    assert not [path for path in target.rglob("*") if path.is_file() and SECRET in path.read_text(errors="replace")]
    told = subprocess.run(["git", "remote", "-v"], cwd=target, capture_output=True, text=True, check=True)
    assert "https://github.com/octo-org/hello" in told.stdout


def test_copies_links_as_links_and_no_pipes(checkout: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text(SECRET)
    (checkout / "link").symlink_to(outside)
    (checkout / "broken").symlink_to("nowhere")
    os.mkfifo(checkout / "pipe")
    target = tmp_path / "copy"
    copy(checkout, target, leave_out=())
    assert (target / "link").readlink() == outside
    assert (target / "broken").is_symlink()
    assert not (target / "pipe").exists()


def test_a_tree_that_cannot_be_copied(tmp_path: Path) -> None:
    with pytest.raises(BuildFailure) as caught:
        copy(tmp_path / "nothing", tmp_path / "copy", leave_out=())
    assert caught.value.anchor == "source-not-copied"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b"\turl = git@github.com:o/r.git", b"\turl = git@github.com:o/r.git\n"),
        (b"\turl = https://token@github.com/o/r", b"\turl = https://github.com/o/r\n"),
        (b"\turl = https://me:token@host:8443/o/r", b"\turl = https://host:8443/o/r\n"),
        (b"\turl = https://me:to/ke@n@host/o/r", b"\turl = https://host/o/r\n"),
        (b"[core]\n\tbare = false", b"[core]\n\tbare = false\n"),
        (b'[http "https://github.com/"]\n\tExtraHeader = x', b""),
        (b"\textraheader = \\\nAUTHORIZATION: basic x", b""),
        (b"[include]\n\tpath = /runner/token.config", b""),
        (b"\thelper = !echo password=x", b""),
        (b"\tproxy = me:token@proxy:3128", b""),
        (b"\tfsmonitor = evil", b""),
    ],
)
def test_keeps_few_lines_of_a_git_configuration(line: bytes, kept: bytes) -> None:
    assert without_credentials(line) == kept


def test_removes_credentials_of_nested_checkouts(tmp_path: Path) -> None:
    for place in ("", "other", "other/.git/modules/x"):
        config = tmp_path / "top" / place / ("config" if "modules" in place else ".git/config")
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text("[http]\n\textraheader = TOKEN\n")
    copy(tmp_path / "top", tmp_path / "copy", leave_out=())
    assert {config.read_text() for config in (tmp_path / "copy").rglob("config")} == {""}


def test_ignores_a_checkout_that_contains_the_home(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    project = tmp_path / "home" / "project"
    project.mkdir(parents=True)
    assert top(project, home=str(tmp_path / "home")) == project
    assert top(project) == tmp_path
