"""The versions of previews."""

from datetime import UTC, datetime
from itertools import product

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from gar_publish.errors import BadInput
from gar_publish.previews.versions import branch_label, label_of, next_release, preview_version, pull_request_label

COMMIT = "abc1234" + "0" * 33
TIME = datetime(2026, 11, 29, 10, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.0.0", "1.0.1"),
        ("1.0", "1.0.1"),
        ("3", "3.0.1"),
        ("1.2.3.4", "1.2.3.5"),
        ("2026.11.9", "2026.11.10"),
        ("1.0.0rc1", "1.0.1"),
        ("1.0.0.post2", "1.0.1"),
        ("0.1.dev7+gabc1234.d20261129", "0.1.1"),
        ("2!1.0.0", "2!1.0.1"),
    ],
)
def test_next_release(version: str, expected: str) -> None:
    assert str(next_release(Version(version))) == expected
    assert next_release(Version(version)) > Version(version)


@pytest.mark.parametrize("range_", [">=1.0", ">=1.0,<1.1", "~=1.0.0", "==1.0.*"])
@pytest.mark.parametrize("base", ["1.0", "1.0.0", "1.0.7"])
def test_a_preview_fits_the_ranges_of_its_base(base: str, range_: str) -> None:
    version = preview_version(Version(base), TIME, "pr42", COMMIT)
    assert SpecifierSet(range_).contains(version, prereleases=True)


def test_version_of_a_pull_request() -> None:
    version = preview_version(Version("1.0.0"), TIME, pull_request_label(42), COMMIT)
    assert version == "1.0.1.dev1795946401+pr42.gabc1234"
    assert str(Version(version)) == version


def test_a_later_commit_is_higher() -> None:
    later = TIME.replace(second=2)
    first, second = (Version(preview_version(Version("1.0"), time, "pr42", COMMIT)) for time in (TIME, later))
    assert first < second < Version("1.0.1")


@pytest.mark.parametrize(
    ("branch", "slug"),
    [
        ("main", ".main"),
        ("feature/Login_2", ".feature.login.2"),
        ("release-007", ".release.7"),
        ("dependabot/npm_and_yarn/thing", ".dependabot.npm.a"),
        ("---", ""),
        ("función", ".funci.n"),
        ("修正", ""),
    ],
)
def test_label_of_a_branch(branch: str, slug: str) -> None:
    label = branch_label(branch)
    start, _, hash_ = label.rpartition(".")
    assert (start, len(hash_)) == (f"b{slug}", 7)
    version = preview_version(Version("1.0"), TIME, label, COMMIT)
    assert label_of(version) == label
    assert str(Version(version)) == version


def test_branches_that_look_alike_have_different_labels() -> None:
    assert branch_label("a/b") != branch_label("a-b")


def test_refuses_a_version_that_is_too_long() -> None:
    label = branch_label("a-very-long-branch")
    assert len(preview_version(Version("2026.11.29.1"), TIME, label, COMMIT)) <= 64
    with pytest.raises(BadInput, match="longer than 64 characters"):
        preview_version(Version("2026.11.29.20261129100001"), TIME, label, COMMIT)


@pytest.mark.parametrize(("label", "commit"), [("pr042", COMMIT), ("b.x", COMMIT), ("", COMMIT), ("pr42", "HEAD")])
def test_refuses_what_is_no_label_or_no_commit(label: str, commit: str) -> None:
    with pytest.raises(ValueError):
        preview_version(Version("1.0"), TIME, label, commit)


def test_thousands_of_versions_have_a_label_exactly_if_they_are_previews() -> None:
    labels = [pull_request_label(number) for number in (4, 42, 421)] + [branch_label("main"), branch_label("pr42")]
    public = [
        "".join(parts)
        for parts in product(
            ("", "1!"), ("0", "1.0", "1.0.1", "2026.11.29"), ("", "a1", "rc2"), ("", ".post1", ".post0")
        )
    ]
    developments = ("", ".dev0", ".dev1795946401")
    locals_ = [
        "",
        *labels,
        *(f"{label}.gabc1234" for label in labels),
        *("gabc1234", "pr.gabc1234", "42.gabc1234", "pr0.gabc1234", "pr42.gabc123", "pr42.gabc12345", "pr42.gxyz1234"),
        *("pr42.gabc1234.d20261129", "x.pr42.gabc1234", "b.main.gabc1234", "b.main.h123.gabc1234", "pr42.b.gabc1234"),
    ]
    count = 0
    for version, development, local in product(public, developments, locals_):
        text = f"{version}{development}{local and '+'}{local}"
        label = next((each for each in labels if local == f"{each}.gabc1234"), None)
        is_preview = development and not any(part in version for part in ("a1", "rc2", "post"))
        assert label_of(text) == (label if is_preview else None), text
        assert not label_of(text) or Version(text).is_prerelease
        count += 1
    assert count > 4000


@pytest.mark.parametrize("text", ["", "one", "1.0.dev1+pr42.gabc1234/..", "1.0.dev1+pr42.gabc1234\n1.0"])
def test_what_is_no_version_has_no_label(text: str) -> None:
    with pytest.raises(InvalidVersion):
        Version(text)
    assert label_of(text) is None
