"""Copies of a workspace, and trees of links to them."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gar_publish.builder import tree
from gar_publish.builder.tree import Trees, root_of

SECRET = "canary-8c1f0e"
USER = 1_899_999_999
NO_OTHER = -1
"""The user who stays the owner (`man 2 chown`)."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only root's builds get trees, on Linux")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "checkout"
    (folder / "package").mkdir(parents=True)
    (folder / "package/setup.py").write_text("setup()")
    subprocess.run(["git", "init", "-q", folder], check=True)
    yield folder
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)  # too deep for Python in one test


Make = Callable[..., tuple[Path, Trees]]


@pytest.fixture(params=["the only project", "one of several"])
def make(request: pytest.FixtureRequest) -> Make:
    return make_only if request.param == "the only project" else make_one


def make_only(
    workspace: Path, project: str = "package", *others: str, user: int = NO_OTHER, **environment: str
) -> tuple[Path, Trees]:
    """The tree of a project, and what made it."""
    copies = workspace.parent / "copies"
    copies.mkdir()
    trees = Trees(workspace, [workspace / each for each in (project, *others)], copies, environment)
    return trees.make(workspace / project, workspace.parent / "place", user), trees


def make_one(workspace: Path, project: str = "package", **options: Any) -> tuple[Path, Trees]:
    """The tree of one of several projects, and what made it."""
    return make_only(workspace, project, "elsewhere", **options)


def contents(folder: Path) -> dict[str, tuple[object, ...]]:
    """What a build can see of a tree."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        of = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        times = 0 if path.is_symlink() else status.st_mtime_ns
        found[str(path.relative_to(folder))] = (oct(status.st_mode), status.st_uid, times, of, os.listxattr(path))
    return found


def spoil_neighbour(tree: Path) -> None:
    (tree / "beside/text").unlink()
    (tree / "beside/text").write_text("y")
    (tree / "beside").chmod(0o2777)


def spoil_folders(tree: Path) -> None:
    shutil.rmtree(tree / "beside/inner")
    (tree / "beside/inner").symlink_to("/")
    shutil.rmtree(tree / "other")
    (tree / "other").write_text("")
    os.utime(tree, (0, 0))


def spoil_files(tree: Path) -> None:
    (tree / "beside/link").unlink()
    os.mkfifo(tree / "beside/link")
    (tree / "beside/text").unlink()
    (tree / "beside/text").mkdir()


def spoil_names(tree: Path) -> None:
    for number in range(100):
        (tree / f"beside/{number}").symlink_to("text")
    (tree / ".gitignore").write_text("*")


def spoil_own(tree: Path) -> None:
    (tree / "package/setup.py").write_text("evil()")
    (tree / "package/evil.egg-info").mkdir()


def spoil_all(tree: Path) -> None:
    """The caller does not remove the whole tree in its place."""
    shutil.rmtree(tree)
    tree.symlink_to("/")


def spoil_rights(tree: Path) -> None:
    """Give an access control list, which new files get: their owner must not read them (`man 5 acl`)."""
    entries = [(0x01, 0, -1), (0x04, 7, -1), (0x20, 7, -1)]
    text = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *each) for each in entries)
    try:
        os.setxattr(tree / "beside", "system.posix_acl_default", text)
    except OSError as error:
        pytest.skip(f"this file system has no access control lists: {error}")


@pytest.mark.parametrize(
    "spoil",
    [spoil_neighbour, spoil_folders, spoil_files, spoil_names, spoil_own, spoil_all, spoil_rights],
    ids=lambda spoil: spoil.__name__,
)
def test_a_tree_that_is_used_again_is_like_a_new_one(workspace: Path, spoil: Callable[[Path], None]) -> None:
    for file in ("beside/text", "beside/inner/deep/text", "other/setup.py"):
        (workspace / file).parent.mkdir(parents=True, exist_ok=True)
        (workspace / file).write_text("x")
    (workspace / "beside/link").symlink_to("text")
    places = [workspace.parent / name for name in ("new", "used", "again")]
    copies = workspace.parent / "copies"
    copies.mkdir()
    trees = Trees(workspace, [workspace / "package", workspace / "other"], copies, {})
    trees.make(workspace / "other", places[0], NO_OTHER)
    trees.make(workspace / "package", places[1], NO_OTHER)
    spoil(places[1] / "checkout")
    trees.take_back(workspace / "package", places[1])
    own = trees.make(workspace / "other", places[2], NO_OTHER)
    assert list(places[1].iterdir()) == []
    assert contents(own.parent) == contents(places[0] / "checkout")
    assert (workspace / "beside/text").read_text() == "x"


def test_a_tree_is_used_again_as_it_is(workspace: Path) -> None:
    (workspace / "other").mkdir()
    own, trees = make_one(workspace)
    before = {path.name: path.stat().st_ino for path in own.parent.iterdir()}
    trees.take_back(workspace / "package", workspace.parent / "place")
    own = trees.make(workspace / "package", workspace.parent / "again", NO_OTHER)
    after = {path.name: path.stat().st_ino for path in own.parent.iterdir()}
    assert {name for name, inode in before.items() if after[name] == inode} >= {"other", ".git"}


def test_the_root_of_a_project(workspace: Path, tmp_path: Path) -> None:
    assert root_of(workspace / "package", tmp_path / "elsewhere", None) == workspace
    assert root_of(workspace, tmp_path / "elsewhere", None) == workspace
    assert root_of(workspace / "package", workspace / "package", None) == workspace
    assert root_of(workspace / "package", tmp_path, None) == tmp_path, "the workspace is larger"


def test_the_root_of_a_project_outside_of_git(tmp_path: Path) -> None:
    assert root_of(tmp_path / "a", tmp_path / "b", None) == tmp_path / "a"
    assert root_of(tmp_path / "a", tmp_path, None) == tmp_path


def test_the_root_is_never_a_folder_with_the_home(workspace: Path, tmp_path: Path) -> None:
    for home in (workspace, workspace / "home"):
        assert root_of(workspace / "package", workspace, home) == workspace / "package"
    assert root_of(tmp_path / "a", Path("/"), None) == tmp_path / "a"


def test_the_root_of_a_submodule_is_the_checkout_around_it(workspace: Path) -> None:
    (workspace / "package/.git").write_text("gitdir: ../.git/modules/package\n")
    assert root_of(workspace / "package", workspace / "package", None) == workspace


def test_the_root_of_a_worktree_is_the_worktree(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /elsewhere/.git/worktrees/x\n")
    (tmp_path / "package").mkdir()
    assert root_of(tmp_path / "package", tmp_path / "package", None) == tmp_path


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_project_owns_its_folder_and_all_folders(make: Make, workspace: Path) -> None:
    (workspace / "beside").mkdir()
    (workspace / "beside/text").write_text("x")
    (workspace / "beside/text").chmod(0o666)
    (workspace / "package2").mkdir()
    (workspace / "package2/text").touch()
    outside = workspace.parent / "outside"
    outside.touch()
    (workspace / "package/link").symlink_to(outside)
    own, _ = make(workspace, user=USER)
    tree = workspace.parent / "place/checkout"
    assert own == tree / "package"
    owners = {
        str(path.relative_to(tree)): path.lstat().st_uid for path in (tree, own, own / "setup.py", tree / "beside")
    }
    assert set(owners.values()) == {USER}
    other = (tree / "beside/text").stat()
    assert (other.st_uid, oct(other.st_mode)) == (0, "0o100644")
    assert (outside.stat().st_uid, (tree / "package2/text").stat().st_uid) == (0, 0)
    assert tree.parent.stat().st_mode & 0o777 == 0o711
    assert (own / "setup.py").stat().st_nlink == 1
    assert tree.stat().st_mode & 0o777 == 0o700


def test_credentials_are_left_out(make: Make, workspace: Path) -> None:
    key = workspace / "package/key.json"
    for file in (workspace / "gha-creds-0a1b2c.json", workspace / "package/gha-creds-0a1b2c.json", key):
        file.write_text(SECRET)
    (workspace / "package/data.json").write_text("{}")
    own, trees = make(workspace, GOOGLE_APPLICATION_CREDENTIALS=str(key))
    assert sorted(path.name for path in own.iterdir()) == ["data.json", "setup.py"]
    assert trees.left_out[key] == "it has credentials"
    assert len(trees.left_out) == 3


def test_environments_and_caches_are_left_out(make: Make, workspace: Path) -> None:
    signature = "Signature: 8a477f597d28d172789f06886806bc55\n"
    for file in (".venv/bin/python", ".venv/pyvenv.cfg", "package/.mypy_cache/CACHEDIR.TAG"):
        (workspace / file).parent.mkdir(parents=True, exist_ok=True)
        (workspace / file).write_text(signature)
    (workspace / "package/ignored.py").touch()
    (workspace / ".gitignore").write_text("ignored.py\n")
    own, trees = make(workspace)
    assert sorted(path.name for path in own.iterdir()) == ["ignored.py", "setup.py"]
    assert set(trees.left_out) == {workspace / ".venv", workspace / "package/.mypy_cache"}


def test_what_only_looks_like_an_environment_or_a_cache_is_kept(make: Make, workspace: Path) -> None:
    for file in ("package/template/pyvenv.cfg", "package/cache/CACHEDIR.TAG"):
        (workspace / file).parent.mkdir()
        (workspace / file).touch()
    (workspace / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")  # above a project
    own, trees = make(workspace)
    assert sorted(path.name for path in own.iterdir()) == ["cache", "setup.py", "template"]
    assert not trees.left_out


def test_what_the_last_run_left_is_left_out(make: Make, workspace: Path) -> None:
    (workspace / "package/dist").mkdir()
    (workspace / "package/dist/a-1.0-py3-none-any.whl").touch()
    own, _ = make(workspace)
    assert not (own / "dist").exists()


def test_a_dist_folder_of_the_projects_own_stays(make: Make, workspace: Path) -> None:
    for file in ("dist/a-1.0.tar.gz", "dist/app.js", "web/dist/b.whl"):
        (workspace / "package" / file).parent.mkdir(parents=True, exist_ok=True)
        (workspace / "package" / file).touch()
    own, _ = make(workspace)
    assert {path.name for path in own.rglob("*") if path.is_file()} == {"setup.py", "app.js", "b.whl"}


def test_links_stay_links_and_pipes_are_left_out(make: Make, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text(SECRET)
    (workspace / "package/outside").symlink_to(tmp_path / "outside")
    (workspace / "package/broken").symlink_to("nowhere")
    (workspace / "package/absolute").symlink_to(workspace / "shared")
    (workspace / "shared").mkdir()
    (workspace / "shared/module.py").write_text("x = 1")
    os.mkfifo(workspace / "package/pipe")
    own, _ = make(workspace)
    assert (own / "outside").readlink() == tmp_path / "outside"
    assert (own / "broken").readlink() == Path("nowhere")
    assert (own / "absolute").readlink() == Path("../shared")
    assert (own / "absolute/module.py").read_text() == "x = 1"
    assert not (own / "pipe").exists()


def test_times_modes_and_holes_are_kept(make: Make, workspace: Path) -> None:
    script, hole = workspace / "package/run.sh", workspace / "package/hole"
    script.write_text("x")
    script.chmod(0o750)
    with hole.open("wb") as file:
        file.seek(10**9)
        file.write(b"end")
    for path in (script, workspace / "package"):
        os.utime(path, (1_700_000_000, 1_700_000_001))
    own, _ = make(workspace)
    assert [path.stat().st_mtime for path in (own / "run.sh", own)] == [1_700_000_001] * 2
    assert (own / "run.sh").stat().st_mode & 0o777 == 0o755
    copied = (own / "hole").stat()
    assert copied.st_size == 10**9 + 3
    assert copied.st_blocks * 512 < 10**6
    with (own / "hole").open("rb") as file:
        file.seek(10**9 - 1)
        assert file.read() == b"\0end"


def test_strange_names_and_deep_folders(make: Make, workspace: Path) -> None:
    os.mkdir(os.fsencode(workspace / "package") + b"/\xff\n")  # noqa: PTH102 - bytes
    deep = workspace / "package"
    for _ in range(1200):
        deep = deep / "d"
        deep.mkdir()
    own, trees = make(workspace)
    find = subprocess.run(["find", own, "-type", "d"], capture_output=True, check=True).stdout
    assert find.count(b"/d\n") == 1200
    assert b"/\xff\n\n" in find
    assert trees.left_out == {}


def test_a_repository_inside_has_no_credentials_either(make: Make, workspace: Path) -> None:
    config = f"[http]\n\textraheader = {SECRET}\n"
    for place in ("package/.git", "bare.git"):
        (workspace / place / "refs").mkdir(parents=True)
        (workspace / place / "objects").mkdir()
        (workspace / place / "HEAD").write_text("ref: refs/heads/main\n")
        (workspace / place / "config").write_text(config)
    (workspace / "bare.git/logs").mkdir()
    for name in ("FETCH_HEAD", "config.worktree", "logs/HEAD"):
        (workspace / "bare.git" / name).write_text(SECRET)
    own, _ = make(workspace)
    assert (own / ".git/HEAD").exists()
    files = [file for file in own.parent.rglob("*") if file.is_file()]
    assert [file for file in files if SECRET in file.read_text(errors="replace")] == []


@pytest.mark.parametrize("others", [[], ["other"]])
def test_a_tree_that_cannot_be_copied(tmp_path: Path, others: list[str]) -> None:
    (tmp_path / "copies").mkdir()
    trees = Trees(tmp_path / "elsewhere", [tmp_path / each for each in ("nothing", *others)], tmp_path / "copies", {})
    for place in ("one", "two"):  # the second is told the same
        with pytest.raises(FileNotFoundError, match="nothing"):
            trees.make(tmp_path / "nothing", tmp_path / place, NO_OTHER)


def test_of_many_files_those_that_git_tracks_are_linked(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's own folder is still whole: it may have generated modules."""
    for file in ("beside/tracked.txt", "beside/other.txt", "package/module.py", "apart/other.txt"):
        (workspace / file).parent.mkdir(exist_ok=True)
        (workspace / file).touch()
    subprocess.run(["git", "add", "beside/tracked.txt", "package/setup.py"], cwd=workspace, check=True)
    monkeypatch.setattr(tree, "_MOST_FILES", 5)
    own, trees = make_one(workspace)
    top = own.parent
    found = {str(path.relative_to(top)) for path in top.rglob("*") if ".git" not in path.parts}
    assert found == {"package", "package/setup.py", "package/module.py", "beside", "beside/tracked.txt"}
    listed = subprocess.run(["git", "ls-files"], cwd=top, capture_output=True, text=True, check=True).stdout
    assert listed.split() == ["beside/tracked.txt", "package/setup.py"]
    assert "a build gets those that git tracks" in trees.left_out[workspace]


def test_many_files_are_copied_in_parts(make: Make, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in "abc":
        (workspace / folder).mkdir()
        for name in "xyz":
            (workspace / folder / name).write_text(name)
    monkeypatch.setattr(tree, "_MOST_AT_ONCE", 2)
    own, _ = make(workspace)
    assert {(own.parent / folder / name).read_text() for folder in "abc" for name in "xyz"} == set("xyz")


def test_an_only_project_gets_all_of_many_files(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "beside").mkdir()
    (workspace / "beside/other.txt").touch()
    monkeypatch.setattr(tree, "_MOST_FILES", 1)
    own, trees = make_only(workspace)
    assert (own.parent / "beside/other.txt").exists()
    assert trees.left_out == {}


def test_of_many_files_without_git_all_are_linked(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in ("workspace/package/setup.py", "workspace/beside/text"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    monkeypatch.setattr(tree, "_MOST_FILES", 1)
    own, trees = make(tmp_path / "workspace")
    assert (own.parent / "beside/text").exists()
    assert trees.left_out == {}
