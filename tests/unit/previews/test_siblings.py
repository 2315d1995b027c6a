"""Waiting for the versions of siblings."""

from datetime import UTC, datetime
from pathlib import Path

from packaging.version import Version

from gar_publish.previews.origin import Preview
from gar_publish.previews.siblings import Held, Siblings
from gar_publish.previews.stamp import Wheel

PREVIEW = Preview("pr42", "abc1234", datetime(2026, 11, 29, tzinfo=UTC), None)


def held(name: str, *requires: str, unnamed: bool = False) -> Held:
    wheel = Wheel(Path(f"{name}-1.0-py3-none-any.whl"), name, Version("1.0"), b"", frozenset(requires))
    return Held(f"libs/{name}", [wheel], unnamed)


def ready(siblings: Siblings) -> list[tuple[str, str | None]]:
    return [(each.label, lost) for each, lost in siblings.ready()]


def test_a_package_waits_until_all_that_it_requires_are_built() -> None:
    siblings = Siblings(PREVIEW, ["a", "b"], 0)
    siblings.add(held("a", "b", "public"))
    assert (ready(siblings), list(siblings.held)) == ([], ["a"])
    siblings.add(held("b"))
    assert ready(siblings) == [("libs/a", None), ("libs/b", None)]
    assert siblings.versions == dict.fromkeys("ab", PREVIEW.version(Version("1.0")))
    assert (ready(siblings), siblings.held) == ([], {})


def test_packages_may_require_each_other() -> None:
    siblings = Siblings(PREVIEW, ["a", "b"], 0)
    siblings.add(held("a", "b"))
    siblings.add(held("b", "a"))
    assert ready(siblings) == [("libs/a", None), ("libs/b", None)]


def test_all_wait_for_packages_whose_names_are_not_known() -> None:
    siblings = Siblings(PREVIEW, ["a"], 2)
    siblings.add(held("a", "b"))
    siblings.lose(None)
    assert ready(siblings) == []
    siblings.add(held("b", unnamed=True))
    assert ready(siblings) == [("libs/a", None), ("libs/b", None)]


def test_what_requires_a_lost_package_is_lost_and_the_rest_is_not() -> None:
    siblings = Siblings(PREVIEW, ["a", "b", "c", "d"], 0)
    for each in (held("a", "b", "c"), held("b"), held("d", "a")):
        siblings.add(each)
    assert ready(siblings) == [("libs/b", None), ("libs/d", None)]
    siblings.lose("c")
    assert ready(siblings) == [("libs/a", "c")]
