"""Changed projects, found with a real git."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from gar_publish.errors import BadInput
from gar_publish.projects.find import Project, find
from gar_publish.projects.git import changed, guessed, ignored
from tests.git import commit, git


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`app` requires `lib`, which requires `base`; `tool` requires nothing; `lib/inner` is a project inside another."""
    folder = tmp_path / "checkout"
    for name, required in {"app": ["lib"], "base": [], "lib": ["base"], "lib/inner": [], "tool": []}.items():
        (folder / name).mkdir(parents=True)
        declared = f'name = "{Path(name).name}"\nversion = "1"\ndependencies = {required}\n'
        (folder / name / "pyproject.toml").write_text(f"[project]\n{declared}")
    (folder / ".gitignore").write_text("*.pyc\n")
    commit(folder)
    return folder


def select(root: Path, since: str = "HEAD", patterns: Sequence[str] = ("**",)) -> list[str]:
    return [each.label for each in changed(find(patterns, root), since, root, os.environ)]


def write(root: Path, file: str) -> None:
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_text("changed\n")


@pytest.mark.parametrize(
    ("file", "selected"),
    [
        ("app/x.py", ["app"]),
        ("base/x.py", ["app", "base", "lib"]),
        ("lib/src/x.py", ["app", "lib"]),
        ("lib/inner/x.py", ["lib/inner"]),
        ("tool/a b\n\u00e9.py", ["tool"]),
        ("README.md", []),
        ("other/x.py", []),
    ],
)
@pytest.mark.parametrize("committed", [True, False], ids=["committed", "untracked"])
def test_the_innermost_project_and_what_requires_it(
    root: Path, file: str, selected: list[str], *, committed: bool
) -> None:
    write(root, file)
    if committed:
        commit(root)
    assert select(root, "HEAD~1" if committed else "HEAD") == selected


def test_an_extra_selects_nothing(root: Path) -> None:
    """An extra that names everything would always be selected."""
    text = '[project]\nname = "app"\nversion = "1"\noptional-dependencies = { all = ["tool"] }\n'
    (root / "app/pyproject.toml").write_text(text)
    commit(root)
    write(root, "tool/x.py")
    assert select(root) == ["tool"]


@pytest.mark.parametrize("link", ["addons/one", "addons"])
def test_what_a_link_leads_to_belongs_to_the_project(root: Path, link: str) -> None:
    (root / "addons").mkdir()
    write(root, "addons/one/x.py")
    (root / "tool/linked").symlink_to(f"../{link}")
    (root / "tool/loop").symlink_to("loop")
    commit(root)
    (root / "addons/one/x.py").write_text("changed again\n")
    assert select(root) == ["tool"]


def test_edits_removals_and_renames(root: Path) -> None:
    write(root, "tool/pyproject.toml")
    (root / "app/pyproject.toml").write_text("[project]\nname = 'app'\n")
    assert select(root, patterns=["app", "base", "lib"]) == ["app"]
    git(root, "checkout", "-q", ".")
    write(root, "base/x.py")
    commit(root)
    git(root, "mv", "base/x.py", "tool/x.py")
    assert select(root) == ["app", "base", "lib", "tool"]
    (root / "tool/x.py").unlink()
    assert select(root, "HEAD~1") == []


def test_nothing_has_changed(root: Path) -> None:
    (root / "app/pyproject.toml").touch()
    write(root, "app/x.pyc")
    write(root, "app/dist/app-1-py3-none-any.whl")
    assert select(root) == []


def test_writes_nothing_into_the_checkout(root: Path) -> None:
    os.utime(root / "base/pyproject.toml", (1, 1))
    (root / "app/x.py").touch()
    before = (root / ".git/index").read_bytes()
    assert select(root) == ["app"]
    assert (root / ".git/index").read_bytes() == before
    (root / ".git/index").unlink()
    assert select(root) == ["app", "base", "lib", "lib/inner", "tool"]


def test_commits_of_the_other_branch_are_no_changes(root: Path) -> None:
    git(root, "checkout", "-qb", "topic")
    write(root, "tool/x.py")
    commit(root)
    git(root, "checkout", "-q", "main")
    write(root, "base/x.py")
    commit(root)
    git(root, "checkout", "-q", "topic")
    git(root, "tag", "-am", "A tag", "v1")
    assert select(root, "main") == ["tool"]
    assert select(root, "v1") == []
    assert select(root, "v1~1") == ["tool"]


def test_from_a_folder_of_the_checkout(root: Path) -> None:
    write(root, "base/x.py")
    write(root, "lib/x.py")
    assert select(root / "lib", patterns=["../base", "inner", "."]) == ["../base", "."]


def test_a_submodule_is_one_file(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "deep").mkdir(parents=True)
    (other / "deep/pyproject.toml").write_text("[project]\nname = 'deep'\n")
    commit(other)
    git(root, "submodule", "--quiet", "add", "--", str(other), "sub")
    commit(root)
    assert select(root, "HEAD~1") == ["sub/deep"]
    assert select(root) == []


@pytest.mark.parametrize(
    "since", ["nowhere", "--output=stolen", "-", "0" * 40, "HEAD:app", "HEAD~9", "HEAD..HEAD", "\n"]
)
def test_no_such_commit(root: Path, since: str) -> None:
    with pytest.raises(BadInput, match="cannot compare the checkout") as caught:
        select(root, since)
    assert caught.value.anchor == "unknown-ref"
    assert "fetch-depth: 0" in caught.value.fix
    assert not (root / "stolen").exists()


def test_a_shallow_checkout(root: Path, tmp_path: Path) -> None:
    git(root, "branch", "topic")
    write(root, "base/x.py")
    commit(root)
    git(tmp_path, "clone", "-q", "--depth=1", "--no-single-branch", root.as_uri(), "shallow")
    with pytest.raises(BadInput) as caught:
        select(tmp_path / "shallow", "origin/topic")
    assert caught.value.anchor == "unknown-ref"


def test_two_branches_without_a_common_commit(root: Path) -> None:
    git(root, "checkout", "-q", "--orphan", "other")
    write(root, "app/x.py")
    commit(root)
    with pytest.raises(BadInput, match="cannot compare") as caught:
        select(root, "main")
    assert caught.value.anchor == "unknown-ref"


def test_no_checkout(root: Path, tmp_path: Path) -> None:
    project = find(["app"], root)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(BadInput, match="is not in a git checkout") as caught:
        changed(project, "HEAD", tmp_path / "elsewhere", {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path)})
    assert caught.value.anchor == "no-checkout"
    with pytest.raises(BadInput, match="Cannot run git") as caught:
        changed(project, "HEAD", root, {"PATH": str(tmp_path)})
    assert caught.value.anchor == "no-checkout"


def test_a_project_beside_the_checkout(root: Path, tmp_path: Path) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/setup.py").touch()
    with pytest.raises(BadInput, match=r"beside is not in the git checkout") as caught:
        select(root, patterns=["../beside"])
    assert caught.value.anchor == "no-checkout"


@pytest.mark.skipif(os.name == "nt", reason="the traps are shell scripts")
def test_starts_no_program_of_the_checkout(root: Path, tmp_path: Path) -> None:
    """Another user may have written the configuration, and gar-publish may be root."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    (root / ".gitattributes").write_text("*.py filter=a=b diff=trap\n*.txt filter=smudged\n")
    write(root, "app/x.py")
    write(root, "app/x.txt")
    commit(root)
    hooks = root / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "post-index-change").write_bytes(trap.read_bytes())
    (hooks / "post-index-change").chmod(0o755)
    for name in (
        *("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "diff.external", "diff.trap.command"),
        *("diff.trap.textconv", "filter.a=b.clean", "filter.smudged.process", "credential.helper"),
    ):
        git(root, "config", name, str(trap))
    git(root, "config", "filter.a=b.required", "true")
    git(root, "config", "filter.smudged.required", "true")
    for file in ("app/x.py", "app/x.txt"):
        (root / file).write_text("else\n")
    os.utime(root / "base/pyproject.toml", (1, 1))
    assert select(root) == ["app"]
    assert not (tmp_path / "sprung").exists()


def test_a_project_without_files_of_its_own(root: Path) -> None:
    alone = Project(root / "none", "none", "none")
    assert changed([alone], "HEAD", root, os.environ) == []


def test_ignored_files(root: Path) -> None:
    for name in ("app/x.pyc", "app/in/y.pyc", "base/z.pyc"):
        write(root, name)
    assert ignored([root / "app", root / "none"], root, os.environ) == {root / "app/x.pyc", root / "app/in/y.pyc"}


@pytest.mark.parametrize(
    ("version", "warnings"),
    [
        ("0.1.dev1+gfbdb6d234", 1),
        ("0.1.dev1", 1),
        ("0.0.0", 1),
        ("0.0.0.post1.dev0+fbdb6d2", 1),
        ("0+untagged.1.gfbdb6d2", 1),
        ("1.2.4.dev1+gfbdb6d2", 0),
        ("0.1", 0),
        ("0.0.1", 0),
        ("0.2", 0),
        ("0.1a1", 0),
        ("0.10", 0),
    ],
)
def test_a_version_that_looks_guessed(version: str, warnings: int, root: Path, tmp_path: Path) -> None:
    write(root, "lib/x.py")
    commit(root)  # with one commit alone, a clone is not shallow
    git(tmp_path, "clone", "-q", "--depth=1", root.as_uri(), "shallow")
    assert len(list(guessed("lib", version, tmp_path / "shallow/lib"))) == warnings
    assert list(guessed("lib", version, root / "lib")) == []
