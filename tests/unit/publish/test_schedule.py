from pathlib import Path

import pytest

from gar_publish.distributions import distribution
from gar_publish.errors import BadInput
from gar_publish.publish.schedule import Package, Schedule
from tests.wheels import make_wheel


class Scheduled:
    """A schedule of wheels that were compared."""

    def __init__(self, folder: Path, requires: dict[str, list[str]], unnamed: int = 0) -> None:
        self.schedule = Schedule(requires, unnamed)
        for name, required in requires.items():
            package = Package.of([distribution.read(make_wheel(folder, name, requires=required))])
            self.schedule.add(package)
            self.schedule.wait(package)

    def released(self) -> dict[str, str | None]:
        return {package.name: failed for package, failed in self.schedule.released()}


def test_a_package_goes_after_its_requirements(tmp_path: Path) -> None:
    scheduled = Scheduled(tmp_path, {"app": ["lib", "requests"], "lib": []})
    assert scheduled.released() == {"lib": None}
    assert scheduled.released() == {}
    scheduled.schedule.finish_file("lib")
    assert scheduled.released() == {"app": None}


def test_the_dependents_of_a_failed_package_fail(tmp_path: Path) -> None:
    scheduled = Scheduled(tmp_path, {"app": ["lib"], "lib": ["core"], "docs": []})
    scheduled.schedule.leave_out("core", landed=False)
    assert scheduled.released() == {"lib": "core", "docs": None, "app": "lib"}
    assert scheduled.schedule.failed == {"app", "lib", "core"}


def test_a_failed_package_that_only_an_extra_requires_fails_nothing(tmp_path: Path) -> None:
    """It still comes first where it can."""
    scheduled = Scheduled(tmp_path, {"core": ["leaf; extra == 'all'", "other; extra == 'all'"], "other": []})
    scheduled.schedule.leave_out("leaf", landed=False)
    assert scheduled.released() == {"other": None}
    scheduled.schedule.finish_file("other")
    assert scheduled.released() == {"core": None}
    assert scheduled.schedule.failed == {"leaf"}


def test_a_broken_leaf_of_an_extra_that_names_everything(tmp_path: Path) -> None:
    """Each leaf requires the core, whose extra requires all leaves."""
    leaves = {name: ["core"] for name in ("one", "two")}
    scheduled = Scheduled(tmp_path, {"core": [f"{name}; extra == 'all'" for name in ("one", "two", "bad")], **leaves})
    scheduled.schedule.leave_out("bad", landed=False)
    assert scheduled.released() == {"core": None}
    scheduled.schedule.finish_file("core")
    assert scheduled.released() == {"one": None, "two": None}


def test_nothing_goes_before_all_names_are_known(tmp_path: Path) -> None:
    scheduled = Scheduled(tmp_path, {"app": []}, unnamed=1)
    assert scheduled.released() == {}
    scheduled.schedule.leave_out(None, landed=False)
    assert scheduled.released() == {"app": None}


def test_a_package_that_is_no_longer_expected_blocks_nothing(tmp_path: Path) -> None:
    scheduled = Scheduled(tmp_path, {"app": ["lib"]})
    scheduled.schedule.expect(["lib"])
    assert scheduled.released() == {}
    scheduled.schedule.expect_nothing()
    assert scheduled.released() == {"app": None}


def test_a_package_has_landed_with_its_last_file(tmp_path: Path) -> None:
    files = [distribution.read(make_wheel(tmp_path, "lib", tag=tag)) for tag in ("py3-none-any", "py3-none-win32")]
    schedule = Schedule(["lib"], 0)
    schedule.add(Package.of(files))
    schedule.finish_file("lib")
    assert schedule.landed == set()
    schedule.finish_file("lib")
    assert schedule.landed == {"lib"}


def test_the_cycle_of_an_extra_opens(tmp_path: Path) -> None:
    scheduled = Scheduled(tmp_path, {"a": ["b"], "b": ["a; extra == 'all'"]})
    assert scheduled.released() == {"b": None}


def test_the_cycle_of_an_extra_opens_before_all_packages_have_come(tmp_path: Path) -> None:
    """What comes later, and closes no cycle, is waited for."""
    packages = {"b": ["a; extra == 'all'"], "c": ["a; extra == 'all'"], "d": ["late; extra == 'all'"], "a": ["b"]}
    scheduled = Scheduled(tmp_path, packages)
    scheduled.schedule.expect(["late"])
    assert scheduled.released() == {"b": None}
    scheduled.schedule.finish_file("b")
    assert scheduled.released() == {"a": None}
    scheduled.schedule.finish_file("a")
    assert scheduled.released() == {"c": None}


def test_a_cycle_is_refused(tmp_path: Path) -> None:
    scheduled = Scheduled(tmp_path, {"a": ["b"], "b": ["a"]})
    assert scheduled.released() == {}
    with pytest.raises(BadInput) as caught:
        scheduled.schedule.refuse_cycles()
    assert caught.value.anchor == "cycle"
