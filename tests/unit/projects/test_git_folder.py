"""Copies of git folders without credentials, read by real git."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from gar_publish.projects.git_folder import clean_config, copy
from tests.git import git

SECRET = "canary-8c1f0e"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only root's builds get copies, on Linux")


def commit(folder: Path, **files: str) -> Path:
    """A repository with one commit and the tag v1.2.3."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q")
    for name, text in files.items() or [("file", "text")]:
        (folder / name).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Begin")
    git(folder, "tag", "v1.2.3")
    return folder


def copied(checkout: Path, target: Path, workspace: Path | None = None) -> Path:
    """Copy the files of a checkout as they are, and its git folder as a build gets it."""
    shutil.copytree(checkout, target, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    copy(checkout / ".git", target / ".git", workspace or checkout)
    return target


def described(checkout: Path) -> str:
    return git(checkout, "describe", "--tags", "--dirty", "--long").rpartition("-g")[0]


def test_a_checkout(tmp_path: Path) -> None:
    checkout = commit(tmp_path / "checkout")
    assert described(copied(checkout, tmp_path / "copy")) == "v1.2.3-0"
    assert git(tmp_path / "copy", "ls-files") == "file"
    assert git(tmp_path / "copy", "status", "--porcelain") == ""
    (tmp_path / "copy/file").write_text("changed")
    assert git(tmp_path / "copy", "status", "--porcelain") == "M file"


def test_names_that_begin_like_a_configuration(tmp_path: Path) -> None:
    checkout = commit(tmp_path / "checkout")
    git(checkout, "tag", "config-v1.2.3")
    git(checkout, "branch", "configure-logging")
    copied(checkout, tmp_path / "copy")
    assert git(tmp_path / "copy", "tag").split() == ["config-v1.2.3", "v1.2.3"]
    assert "configure-logging" in git(tmp_path / "copy", "branch")


def test_packed_objects_and_refs(tmp_path: Path) -> None:
    checkout = commit(tmp_path / "checkout")
    git(checkout, "gc", "-q")
    assert described(copied(checkout, tmp_path / "copy")) == "v1.2.3-0"


def test_a_shallow_and_a_sparse_checkout(tmp_path: Path) -> None:
    first = commit(tmp_path / "first", a="1", b="2")
    git(tmp_path, "clone", "-q", "--depth=1", first.as_uri(), "shallow")
    git(tmp_path / "shallow", "sparse-checkout", "set", "--no-cone", "a")
    assert not (tmp_path / "shallow/b").exists()
    assert described(copied(tmp_path / "shallow", tmp_path / "copy")) == "v1.2.3-0"
    assert git(tmp_path / "copy", "status", "--porcelain") == ""


def test_objects_of_another_repository(tmp_path: Path) -> None:
    first = commit(tmp_path / "first")
    git(tmp_path, "clone", "-q", "--shared", str(first), "second")
    with pytest.raises(ValueError, match="leads out of the workspace"):
        copied(tmp_path / "second", tmp_path / "other")
    shutil.copytree(first / ".git/objects", tmp_path / "second/.git/objects", dirs_exist_ok=True)  # both have all
    copied(tmp_path / "second", tmp_path / "copy", workspace=tmp_path)
    shutil.rmtree(first)
    assert described(tmp_path / "copy") == "v1.2.3-0"


def test_links_out_of_a_git_folder(tmp_path: Path) -> None:
    """Root copies what they lead to, and the build could read it."""
    outside = tmp_path / "outside"
    (outside / "refs").mkdir(parents=True)
    for file in ("secret", "exclude", "refs/secret"):
        (outside / file).write_text("token")
    checkout = commit(tmp_path / "checkout")
    for name in ("refs", "info"):
        shutil.rmtree(checkout / ".git" / name)
        (checkout / ".git" / name).symlink_to(outside)
    (checkout / ".git/commondir").write_text(str(outside))
    copied(checkout, tmp_path / "copy")
    assert not [file for file in (tmp_path / "copy").rglob("*") if file.is_file() and b"token" in file.read_bytes()]


def test_a_worktree_becomes_a_checkout(tmp_path: Path) -> None:
    main = commit(tmp_path / "main")
    git(main, "worktree", "add", "-q", "../tree", "-b", "other")
    (tmp_path / "tree/new").write_text("x")
    git(tmp_path / "tree", "add", "new")
    git(tmp_path / "tree", "commit", "-qm", "Go on")
    copied(tmp_path / "tree", tmp_path / "copy")
    shutil.rmtree(main)
    assert described(tmp_path / "copy") == "v1.2.3-1"
    assert git(tmp_path / "copy", "branch", "--show-current") == "other"


def test_a_submodule_becomes_a_checkout(tmp_path: Path) -> None:
    inner = commit(tmp_path / "inner")
    outer = commit(tmp_path / "outer")
    git(outer, "submodule", "add", "-q", str(inner), "sub")
    assert (outer / "sub/.git").is_file()
    assert described(copied(outer / "sub", tmp_path / "copy", workspace=outer)) == "v1.2.3-0"


@pytest.mark.parametrize("text", ["gitdir: /etc", "gitdir: ../other/.git", "nonsense", "gitdir: "])
def test_a_file_that_names_another_git_folder(tmp_path: Path, text: str) -> None:
    commit(tmp_path / "other")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / ".git").write_text(text)
    copy(checkout / ".git", tmp_path / "copy", checkout)
    assert not (tmp_path / "copy").exists()


def test_a_link_is_followed_only_inside_the_workspace(tmp_path: Path) -> None:
    inside, outside = commit(tmp_path / "checkout/inside"), commit(tmp_path / "outside")
    before = (outside / ".git/config").read_bytes()
    for name, target in (("a", inside), ("b", outside)):
        (tmp_path / "checkout" / name).mkdir()
        (tmp_path / "checkout" / name / ".git").symlink_to(target / ".git")
        copy(tmp_path / "checkout" / name / ".git", tmp_path / name, tmp_path / "checkout")
    assert (tmp_path / "a/HEAD").exists()
    assert not (tmp_path / "b").exists()
    assert (outside / ".git/config").read_bytes() == before


def test_a_filter_that_is_missing_here_makes_no_file_dirty(tmp_path: Path) -> None:
    """The content of such a file in the checkout is not that in git: files of git-lfs, for example."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    git(checkout, "init", "-q")
    git(checkout, "config", "filter.upper.clean", "tr a-z A-Z")
    git(checkout, "config", "filter.upper.smudge", "tr A-Z a-z")
    (checkout / ".gitattributes").write_text("*.txt filter=upper\n")
    (checkout / "one.txt").write_text("text")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "Begin")
    git(checkout, "tag", "v1.2.3")
    assert git(checkout, "show", "HEAD:one.txt") == "TEXT"
    copied(checkout, tmp_path / "copy")
    assert described(tmp_path / "copy") == "v1.2.3-0"


def test_line_ends_that_git_converts_make_no_file_dirty(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    git(checkout, "init", "-q")
    git(checkout, "config", "core.autocrlf", "true")
    commit(checkout, file="one\r\ntwo\r\n")
    copied(checkout, tmp_path / "copy")
    os.utime(tmp_path / "copy/file")
    assert described(tmp_path / "copy") == "v1.2.3-0"


def test_credentials_are_not_copied(tmp_path: Path) -> None:
    checkout = commit(tmp_path / "checkout")
    for name, value in (
        ("http.https://github.com/.extraheader", f"AUTHORIZATION: basic {SECRET}"),
        ("remote.origin.url", f"https://x-access-token:{SECRET}@github.com/octo-org/hello?private_token={SECRET}"),
        ("remote.origin.proxy", f"http://me:{SECRET}@proxy"),
        ("branch.main.remote", f"https://x:{SECRET}@github.com/octo-org/hello"),
        ("credential.helper", f"!echo password={SECRET}"),
        ("include.path", f"/runner/{SECRET}"),
    ):
        git(checkout, "config", name, value)
    for name in ("credentials", "FETCH_HEAD", "hooks/pre-commit", "logs/HEAD", "info/refs-of-mine", "config.backup"):
        (checkout / ".git" / name).parent.mkdir(exist_ok=True)
        (checkout / ".git" / name).write_text(f"https://x:{SECRET}@github.com")
    copied(checkout, tmp_path / "copy")
    files = [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert git(tmp_path / "copy", "remote", "get-url", "origin") == "https://github.com/octo-org/hello"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('[remote "origin"]\n\turl = git@github.com:o/r.git', '[remote "origin"]\n\turl = git@github.com:o/r.git\n'),
        ('[remote "o"]\n\turl = https://me:to/ke@n@host:8443/o/r', '[remote "o"]\n\turl = https://host:8443/o/r\n'),
        ('[remote "o"]\n\turl = /srv/git/r', '[remote "o"]\n\turl = removed\n'),
        ("[core]\n\tbare = false\n\tfsmonitor = evil\n\tworktree = /x", "[core]\n\tbare = false\n"),
        ('[branch "main"]\n\tremote = origin\n\tmerge = refs/heads/main', None),
        ('[submodule "s"]\n\turl = https://host/s', ""),
        ("\turl = https://host/s", ""),
        ('[http "https://github.com/"]\n\tExtraHeader = x', ""),
        ("[core]\n\teol = \\\n\tbare = false", "[core]\n"),
        ("[extensions]\n\tpartialClone = origin\n\tobjectFormat = sha256", "[extensions]\n\tobjectformat = sha256\n"),
    ],
)
def test_few_lines_of_a_configuration_are_kept(text: str, kept: str | None) -> None:
    assert clean_config(text) == (f"{text}\n" if kept is None else kept)
