"""Which versions are deleted with the previews of a pull request."""

import random
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from packaging.version import InvalidVersion, Version

from gar_publish.errors import BadInput
from gar_publish.previews.clean_up import Selection, read_selection
from gar_publish.previews.versions import branch_label, label_of
from gar_publish.registry.versions_api import ListedVersion

NOW = datetime.now(UTC)
LABELS = ("pr4", "pr42", "pr421", branch_label("pr42"), branch_label("42"))
RELEASES = ("0", "3", "0.0.1", "1.0", "1.0.1", "2026.11.29", "1!1.0", "01.0", "v1.0")
SUFFIXES = ("", "a1", "rc2", ".post1", ".dev1", ".dev1795946401", "rc1.dev3", ".post1.dev3", "-1", "dev", ".DEV5")
LOCALS = (
    "",
    *(f"+{label}.gabc1234" for label in LABELS),
    *(f"+{label}" for label in LABELS),
    *("+PR42.GABC1234", "+pr42-gabc1234", "+pr42_gabc1234", "+pr042.gabc1234", "+pr42.gabc1234.1", "+x.pr42.gabc1234"),
    *("+pr42.gabc123", "+pr42.gabc12345", "+pr42.gxyz1234", "+pr 42.gabc1234", "+pr42.gabc1234\n", "+pr42.*"),
)


def listed(version: str, created: datetime | None = NOW) -> ListedVersion:
    return ListedVersion(f"projects/p/locations/us/repositories/r/packages/a/versions/{version}", "a", version, created)


def versions() -> list[str]:
    """Return thousands of strings: versions in all their forms, and what only looks like one."""
    written = ["".join(parts) for parts in product(RELEASES, SUFFIXES, LOCALS)]
    chances = random.Random(23)
    spoilt = [
        text[:place] + chances.choice("+.-_gpr4201dev \n%*/") + text[place:]
        for text in written
        for place in [chances.randrange(len(text) + 1)]
    ]
    return [*written, *spoilt]


@pytest.mark.parametrize("label", [None, *LABELS])
@pytest.mark.parametrize("before", [None, NOW + timedelta(days=1)])
def test_only_development_versions_with_exactly_this_label_are_chosen(
    label: str | None, before: datetime | None
) -> None:
    every = versions()
    assert len(every) > 4000
    chosen = Selection(label, before).of(map(listed, every))
    assert chosen
    for each in chosen:
        version = Version(each.version)  # raises for anything else
        assert version.is_devrelease
        assert version.pre is None
        start, _, commit = str(version.local).rpartition(".")
        assert start == (label or label_of(each.version))
        assert commit[0] == "g"
        assert int(commit[1:], 16) >= 0
    for text in set(every) - {each.version for each in chosen}:
        try:
            parsed = Version(text)
        except InvalidVersion:
            continue
        ours = parsed.dev is not None and parsed.pre is None and parsed.post is None
        assert not (ours and label and parsed.local == f"{label}.gabc1234"), text


def test_age_counts_from_the_creation() -> None:
    old, new, unknown = (
        listed("1.0.1.dev1+pr42.gabc1234", created) for created in (NOW - timedelta(days=31), NOW, None)
    )
    assert read_selection(None, "30d").of([old, new, unknown]) == [old]
    assert read_selection("4", "30d").of([old]) == []
    assert read_selection("42", None).of([old, new, unknown]) == [old, new, unknown]


@pytest.mark.parametrize("whose", ["42", "pr42", branch_label("feature/x")])
def test_whose_previews(whose: str) -> None:
    assert read_selection(whose, None).label in {"pr42", branch_label("feature/x")}


@pytest.mark.parametrize(("whose", "older"), [("pr042", None), ("0", None), ("main", None), ("42.", None), ("", "0d")])
def test_refuses_what_is_no_pull_request(whose: str, older: str | None) -> None:
    with pytest.raises(BadInput, match="neither the number of a pull request nor a label"):
        read_selection(whose, older)


@pytest.mark.parametrize("older", ["30", "d", "-1d", "1w", "30d ", "99999d", "٣d"])
def test_refuses_what_is_no_number_of_days(older: str) -> None:
    with pytest.raises(BadInput, match="takes a number of days"):
        read_selection("42", older)
