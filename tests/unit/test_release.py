"""A release: which version may come, its notes, and a commit that differs from its source in the image alone."""

from pathlib import Path

import pytest
import yaml

from gar_publish import __version__
from release import changelog, reference
from release.__main__ import main
from release.repository import Repository
from release.version import Refused, Version, check, declared
from tests.conftest import ROOT
from tests.git import git

IMAGE = f"registry.example/octo-org/gar-publish@sha256:{'0123456789abcdef' * 4}"
CHANGELOG = """\
# Changelog

## [Unreleased]

## [1.2.0] - 2026-01-31

### Added

- A thing. See [1.1.0].

## [1.1.0] - 2026-01-01

[1.2.0]: https://example.org/compare
"""


def declare(folder: Path, version: str, *, emulator: str = "", pin: str = "") -> None:
    """Write the two pyproject.toml of a version."""
    extra = f'[project.optional-dependencies]\nemulator = ["gar-emulator=={pin or version}"]\n'
    (folder / "emulator").mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n{extra}')
    (folder / "emulator/pyproject.toml").write_text(f'[project]\nversion = "{emulator or version}"\n')


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A bare repository, empty."""
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    return tmp_path / "remote.git"


@pytest.fixture
def source(remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of the two actions and what says the version, 1.2.0, with one commit on main."""
    folder = tmp_path / "source"
    for name in reference.ACTIONS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    declare(folder, "1.2.0")
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "remote", "add", "origin", str(remote))
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Start")
    git(folder, "push", "-q", "origin", "main")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "octocat")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "octocat@example.org")
    return folder


@pytest.mark.parametrize("text", ["1.2", "v1.2.3", "1.2.3rc1", "01.2.3", "1.2.3 "])
def test_a_version_has_three_numbers(text: str) -> None:
    with pytest.raises(Refused, match=r"not MAJOR\.MINOR\.PATCH"):
        Version.parse(text)


@pytest.mark.parametrize(
    ("version", "tags"),
    [("0.1.0", []), ("1.2.4", ["v1.2.3", "v1"]), ("1.10.0", ["v1.9.9"]), ("1.2.4", ["v1.2.3", "v2.0.0"])],
)
def test_the_next_version_comes_after_all_of_its_major(version: str, tags: list[str]) -> None:
    check(Version.parse(version), Version.parse(version), tags)


@pytest.mark.parametrize(("version", "tags"), [("1.2.3", ["v1.2.3"]), ("1.2.4", ["v1.10.0"])])
def test_no_version_twice_or_backwards(version: str, tags: list[str]) -> None:
    with pytest.raises(Refused, match="does not come after"):
        check(Version.parse(version), Version.parse(version), tags)


@pytest.mark.parametrize(
    ("others", "because"),
    [
        ({"emulator": "1.1.0"}, "emulator/pyproject.toml says 1.1.0, and pyproject.toml says 1.2.0"),
        ({"pin": "1.1.0"}, "does not require gar-emulator==1.2.0"),
    ],
)
def test_both_distributions_have_one_version(source: Path, others: dict[str, str], because: str) -> None:
    declare(source, "1.2.0", **others)
    with pytest.raises(Refused, match=because):
        declared(source)


def test_notes_are_the_versions_section() -> None:
    assert changelog.notes(CHANGELOG, Version(1, 2, 0)) == "### Added\n\n- A thing. See [1.1.0].\n"


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("## [Unreleased]\n\n- A thing.\n", "has no line"),
        ("## [1.2.0] - soon\n\n- A thing.\n", "no date"),
        ("## [1.2.0] - 2026-01-31\n\n## [1.1.0] - 2026-01-01\n\n- A thing.\n", "says nothing"),
    ],
)
def test_a_release_has_a_date_and_notes(text: str, because: str) -> None:
    with pytest.raises(Refused, match=because):
        changelog.notes(text, Version(1, 2, 0))


@pytest.mark.parametrize("name", reference.ACTIONS)
def test_only_the_line_of_the_image_changes(name: str) -> None:
    before = (ROOT / name).read_text(encoding="utf-8")
    after = reference.with_image(before, IMAGE)
    changed = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    assert [new for _, new in changed] == [f"  image: docker://{IMAGE}"]
    action = yaml.safe_load(before)
    action["runs"]["image"] = f"docker://{IMAGE}"
    assert yaml.safe_load(after) == action


@pytest.mark.parametrize("image", ["gar-publish:1.2.3", "registry.example/gar-publish:1.2.3", IMAGE[:-1]])
def test_an_image_is_named_by_digest(image: str) -> None:
    with pytest.raises(Refused, match="digest"):
        reference.with_image("runs:\n  image: Dockerfile\n", image)


def test_an_action_that_is_released_already_is_no_source() -> None:
    with pytest.raises(Refused, match="0 times"):
        reference.with_image(f"runs:\n  image: docker://{IMAGE}\n", IMAGE)


def test_a_release_is_a_commit_on_no_branch_with_two_tags(
    source: Path, remote: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = git(source, "rev-parse", "HEAD")
    assert main(["tag", "1.2.0", IMAGE], source) == 0

    commit = git(remote, "rev-parse", "v1.2.0")
    assert git(remote, "rev-parse", "v1") == git(remote, "rev-parse", f"{commit}^{{commit}}") == commit
    assert git(remote, "rev-parse", f"{commit}^") == git(remote, "rev-parse", "main") == before
    assert git(remote, "diff", "--numstat", "main", "v1.2.0") == "1\t1\taction.yml\n1\t1\tsetup/action.yml"
    assert git(remote, "log", "-1", "--format=%B", "v1") == "Release 1.2.0"
    assert git(source, "status", "--porcelain", "--branch") == "## main"
    assert commit in capsys.readouterr().out


def test_the_major_tag_moves_and_the_exact_one_does_not(source: Path, remote: Path) -> None:
    assert main(["tag", "1.2.0", IMAGE], source) == 0
    first = git(remote, "rev-parse", "v1.2.0")
    declare(source, "1.3.0")
    (source / "CHANGELOG.md").write_text(CHANGELOG.replace("1.2.0", "1.3.0"))
    git(source, "commit", "-qam", "Another")
    assert main(["tag", "1.3.0", IMAGE], source) == 0
    assert git(remote, "rev-parse", "v1.2.0") == first
    assert git(remote, "rev-parse", "v1") == git(remote, "rev-parse", "v1.3.0") != first


def test_git_itself_refuses_a_tag_that_is_there(source: Path, remote: Path) -> None:
    assert main(["tag", "1.2.0", IMAGE], source) == 0
    before = git(remote, "show-ref")
    repository = Repository(source, "origin")
    another = repository.commit({"action.yml": "another\n"}, "Another")
    with pytest.raises(Refused, match="git push failed"):
        repository.push(another, Version(1, 2, 0))
    assert git(remote, "show-ref") == before


def test_a_dry_run_pushes_nothing_and_shows_what_it_would(
    source: Path, remote: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tag", "1.2.0", IMAGE, "--dry-run"], source) == 0
    assert git(remote, "tag") == ""
    said = capsys.readouterr().out
    assert said.count(f"\n+  image: docker://{IMAGE}\n") == 2
    assert said.endswith(" (not pushed)\n")


def test_a_refusal_says_why_and_leaves_everything(
    source: Path, remote: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: str) -> str:
        assert main([*arguments], source) == 2
        assert git(remote, "tag") == ""
        return capsys.readouterr().err

    (source / "CHANGELOG.md").write_text(CHANGELOG.replace("1.2.0", "1.1.9"))
    assert "pyproject.toml says 1.2.0, not 1.1.9" in refuse("check", "1.1.9")
    git(source, "checkout", "-q", "CHANGELOG.md")
    assert "by its digest" in refuse("tag", "1.2.0", "registry.example/gar-publish:1.2.0")
    assert "CHANGELOG.md has no line" in refuse("check", "2.0.0")
    (source / "action.yml").write_text("changed")
    assert "not committed:\n M action.yml" in refuse("check", "1.2.0")
    assert "git ls-remote failed" in refuse("check", "1.2.0", "--remote", str(source / "nowhere"))


def test_the_steps_before_the_tags(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "1.2.0"], source) == 0
    assert capsys.readouterr().out == ""
    assert main(["notes", "1.2.0"], source) == 0
    assert capsys.readouterr().out.startswith("### Added\n")


def test_this_tree_says_its_version_where_a_release_looks() -> None:
    assert str(declared(ROOT)) == __version__
    assert "## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
