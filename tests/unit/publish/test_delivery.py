import time
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from threading import Event

import pytest

from gar_publish.distributions import distribution as distributions
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import Failure, RegistryRefused
from gar_publish.publish.schedule import Package
from gar_publish.registry.outcomes import PublishedFile
from tests.unit.publish.registry import Bench, Registry
from tests.unit.servers import Reply, Seen
from tests.wheels import make_wheel


def publish(bench: Bench, found: list[Distribution], **inputs: str) -> tuple[PublishedFile, ...]:
    delivery = bench.delivery([each.name for each in found], unnamed=0, **inputs)
    for _, files in groupby(sorted(found, key=attrgetter("name")), key=attrgetter("name")):
        delivery.add(Package.of(list(files)))
    delivery.finish()
    return delivery.end()


def deliver(bench: Bench, found: list[Distribution], **inputs: str) -> tuple[dict[str, str], Failure | None]:
    """Return the status of each package, and the first failure."""
    done = publish(bench, found, **inputs)
    return (
        {each.distribution.name: each.status for each in done},
        next((each.failure for each in done if each.failure), None),
    )


@pytest.fixture
def chain(tmp_path: Path) -> list[Distribution]:
    """App needs lib, and lib needs core: the opposite of the alphabet."""
    wheels = [
        make_wheel(tmp_path, "app", requires=["lib>=1", "requests"]),
        make_wheel(tmp_path, "lib", requires=["Zz_Core[x]==1.0; python_version > '3'"]),
        make_wheel(tmp_path, "zz-core"),
    ]
    return [distributions.read(each) for each in wheels]


def test_packages_are_uploaded_in_order_and_read_back(bench: Bench, chain: list[Distribution]) -> None:
    found, failure = deliver(bench, chain)
    assert failure is None
    assert set(found.values()) == {"uploaded"}
    assert [name.partition("-")[0] for name in bench.registry.order] == ["zz_core", "lib", "app"]


def test_a_second_run_uploads_nothing(bench: Bench, chain: list[Distribution]) -> None:
    deliver(bench, chain)
    found, failure = deliver(bench, chain)
    assert failure is None
    assert set(found.values()) == {"identical"}
    assert len(bench.registry.order) == 3


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Distribution]:
    """Web needs api and ui, api needs db (a wheel and another for Linux); docs needs nothing."""
    wheels = [
        make_wheel(tmp_path, "web", requires=["api", "ui"]),
        make_wheel(tmp_path, "api", requires=["db"]),
        make_wheel(tmp_path, "ui"),
        make_wheel(tmp_path, "db"),
        make_wheel(tmp_path, "db", tag="py3-none-linux_x86_64"),
        make_wheel(tmp_path, "docs"),
    ]
    found = [distributions.read(each) for each in wheels]
    return {each.filename.removesuffix("-any.whl").removesuffix("_x86_64.whl"): each for each in found}


def statuses(done: tuple[PublishedFile, ...]) -> dict[str, str]:
    return {each.distribution.filename.replace("-1.0-py3-none", "").partition(".")[0]: each.status for each in done}


def test_only_the_dependents_of_a_refused_file_are_not_tried(bench: Bench, shop: dict[str, Distribution]) -> None:
    found = list(shop.values())
    bench.registry.refused[shop["api-1.0-py3-none"].filename] = 400
    done = publish(bench, found)
    assert statuses(done) == {
        "web-any": "not tried",
        "api-any": "failed",
        "ui-any": "uploaded",
        "db-any": "uploaded",
        "db-linux_x86_64": "uploaded",
        "docs-any": "uploaded",
    }
    (failed,) = [each for each in done if each.failure]
    assert failed.distribution.name == "api"
    assert failed.failure
    assert failed.failure.exit_code == 6


def test_a_conflict_keeps_back_its_package_and_the_dependents(bench: Bench, shop: dict[str, Distribution]) -> None:
    conflicting = shop["db-1.0-py3-none"].filename
    bench.registry.files[conflicting] = b"different"
    done = publish(bench, list(shop.values()))
    assert statuses(done) == {
        "web-any": "not tried",
        "api-any": "not tried",
        "ui-any": "uploaded",
        "db-any": "failed",
        "db-linux_x86_64": "not tried",
        "docs-any": "uploaded",
    }
    assert [each.failure.exit_code for each in done if each.failure] == [5]


def test_a_dry_run_reports_a_conflict(bench: Bench, shop: dict[str, Distribution]) -> None:
    bench.registry.files[shop["db-1.0-py3-none"].filename] = b"different"
    assert statuses(publish(bench, list(shop.values()), dry_run="true")) == {
        "web-any": "not tried",
        "api-any": "not tried",
        "ui-any": "would upload",
        "db-any": "failed",
        "db-linux_x86_64": "not tried",
        "docs-any": "would upload",
    }


def test_a_cycle_is_refused_and_the_rest_is_published(
    bench: Bench, shop: dict[str, Distribution], tmp_path: Path
) -> None:
    ring = [
        distributions.read(make_wheel(tmp_path / "ring", name, requires=[other]))
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"))
    ]
    done = publish(bench, [*ring, shop["docs-1.0-py3-none"]])
    assert statuses(done) == dict.fromkeys(("a-any", "b-any", "c-any", "d-any"), "not tried") | {"docs-any": "uploaded"}
    assert {each.failure.anchor for each in done if each.failure} == {"cycle"}
    assert len(bench.registry.order) == 1


def test_an_extra_does_not_close_a_cycle(bench: Bench, tmp_path: Path) -> None:
    found = [
        distributions.read(make_wheel(tmp_path, "a", requires=["b"])),
        distributions.read(make_wheel(tmp_path, "b", requires=["a; extra == 'all'"])),
    ]
    assert set(statuses(publish(bench, found)).values()) == {"uploaded"}
    assert [name[0] for name in bench.registry.order] == ["b", "a"]


def test_the_cycle_of_an_extra_changes_no_other_order(bench: Bench, tmp_path: Path) -> None:
    found = [
        distributions.read(make_wheel(tmp_path, name, requires=requires))
        for name, requires in {
            "a": ["b"],
            "b": ["a; extra == 'all'"],
            "c": ["a", "d; extra == 'all'"],
            "d": ["a"],
        }.items()
    ]
    publish(bench, found)
    assert [name[0] for name in bench.registry.order] == ["b", "a", "d", "c"]


def test_the_requirements_of_an_extra_come_first(bench: Bench, tmp_path: Path) -> None:
    found = [
        distributions.read(make_wheel(tmp_path, "a", requires=["b; extra == 'all'"])),
        distributions.read(make_wheel(tmp_path, "b")),
    ]
    publish(bench, found)
    assert [name[0] for name in bench.registry.order] == ["b", "a"]


def test_a_package_waits_for_expected_packages(bench: Bench, chain: list[Distribution]) -> None:
    app, lib, core = chain
    delivery = bench.delivery(["app", "lib", "zz-core"])
    for each in (app, lib, core):
        assert bench.registry.order == []
        delivery.add(Package.of([each]))
    delivery.finish()
    assert [name.partition("-")[0] for name in bench.registry.order] == ["zz_core", "lib", "app"]


def test_nothing_is_uploaded_while_a_name_is_unknown(bench: Bench, chain: list[Distribution]) -> None:
    app, lib, core = chain
    delivery = bench.delivery(["app", "lib"], unnamed=1)
    delivery.add(Package.of([lib]))
    delivery.add(Package.of([app]))
    assert bench.registry.order == []
    delivery.add(Package.of([core], unnamed=True))
    delivery.finish()
    assert [name.partition("-")[0] for name in bench.registry.order] == ["zz_core", "lib", "app"]


def test_the_dependents_of_a_package_that_was_left_out_are_not_tried(bench: Bench, chain: list[Distribution]) -> None:
    app, lib, _ = chain
    delivery = bench.delivery(["app", "lib", "zz-core"])
    delivery.add(Package.of([app]))
    delivery.add(Package.of([lib]))
    delivery.leave_out("zz-core")
    delivery.finish()
    assert [(each.status, each.why) for each in delivery.end()] == [
        ("not tried", "requires lib, which was not published"),
        ("not tried", "requires zz-core, which was not published"),
    ]
    assert delivery.failed


def test_a_package_that_the_registry_has_blocks_nothing(bench: Bench, chain: list[Distribution]) -> None:
    delivery = bench.delivery(["lib", "zz-core"])
    delivery.add(Package.of([chain[1]]))
    delivery.leave_out("zz-core", landed=True)
    delivery.finish()
    assert statuses(delivery.end()) == {"lib-any": "uploaded"}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_nothing_else_is_tried_once_the_identity_is_refused(bench: Bench, tmp_path: Path, status: int) -> None:
    found = [distributions.read(make_wheel(tmp_path, f"p{number:02}")) for number in range(30)]
    bench.registry.refused = dict.fromkeys((each.filename for each in found), status)
    done = list(statuses(publish(bench, found)).values())
    assert 1 <= done.count("failed") <= 4, "at most those that were sent at once"
    assert done.count("failed") + done.count("not tried") == 30


def test_nothing_else_is_tried_once_the_registry_does_not_answer(bench: Bench, tmp_path: Path) -> None:
    found = [distributions.read(make_wheel(tmp_path, f"p{number:02}")) for number in range(30)]
    bench.registry.refused = dict.fromkeys((each.filename for each in found), 503)
    delivery = bench.delivery(unnamed=1)
    for each in found:
        delivery.add(Package.of([each]))
    while len(delivery._schedule.waiting) < len(found):  # the index answers, and then nothing
        time.sleep(0.001)
    delivery.leave_out(None)
    delivery.finish()
    done = list(statuses(delivery.end()).values())
    assert 2 <= done.count("failed") <= 5, "two in a row, and those that were sent at once"
    assert done.count("failed") + done.count("not tried") == 30


def test_one_file_without_an_answer_fails_on_its_own(bench: Bench, shop: dict[str, Distribution]) -> None:
    bench.registry.refused[shop["ui-1.0-py3-none"].filename] = 504
    done = statuses(publish(bench, list(shop.values())))
    assert done.pop("ui-any") == "failed"
    assert done.pop("web-any") == "not tried"
    assert set(done.values()) == {"uploaded"}


def test_an_index_that_refuses_to_read_ends_the_run(bench: Bench, shop: dict[str, Distribution]) -> None:
    bench.server.on("/upload/simple/", Reply(403, "no"))
    with pytest.raises(RegistryRefused, match="refuses to read"):
        publish(bench, list(shop.values()))
    assert bench.registry.order == []


def test_a_file_that_is_being_sent_is_unknown(bench: Bench, tmp_path: Path) -> None:
    """Core has landed, lib is being sent, app waits."""
    found = [
        distributions.read(make_wheel(tmp_path, name, requires=requires))
        for name, requires in (("app", ["lib"]), ("lib", ["core"]), ("core", []))
    ]
    arrived, go_on = Event(), Event()

    def take(seen: Seen) -> Reply:
        if found[1].filename.encode() in seen.body:
            arrived.set()
            go_on.wait(10)
        return bench.registry.take(seen)

    bench.server.on("/upload/", take)
    delivery = bench.delivery(["app", "lib", "core"], verify="false")
    for each in found:
        delivery.add(Package.of([each]))
    assert arrived.wait(10)
    ended = statuses(delivery.end())
    go_on.set()
    delivery.finish()
    assert ended == {"app-any": "not tried", "lib-any": "unknown", "core-any": "uploaded"}
    assert found[0].filename not in bench.registry.order, "nothing begins after the end"


def test_an_index_that_lags_is_waited_for(bench: Bench, chain: list[Distribution]) -> None:
    bench.registry.lag = 4  # one look before the upload, three after it
    found, failure = deliver(bench, chain[2:])
    assert (found, failure) == ({"zz-core": "uploaded"}, None)
    assert bench.time.slept == [0.5, 1.0, 2.0]


def test_a_package_goes_while_its_requirement_is_still_downloaded(bench: Bench, chain: list[Distribution]) -> None:
    sent, found_sent = Event(), []

    def take(seen: Seen) -> Reply:
        if chain[1].filename.encode() in seen.body:
            sent.set()
        return bench.registry.take(seen)

    def serve(seen: Seen) -> Reply:
        name = seen.path.rpartition("/")[2]
        if name == chain[2].filename:
            found_sent.append(sent.wait(10))
        return Reply(200, bench.registry.files[name])

    bench.server.on("/upload/", take)
    bench.server.on("/f/", serve)
    assert deliver(bench, chain[1:]) == ({"lib": "uploaded", "zz-core": "uploaded"}, None)
    assert found_sent == [True]


def test_a_package_does_not_go_before_the_index_lists_its_requirement(bench: Bench, chain: list[Distribution]) -> None:
    lag = []

    def take(seen: Seen) -> Reply:
        lag.append(bench.registry.lag)
        return bench.registry.take(seen)

    bench.registry.lag = 6  # two looks before the first upload, four after it
    bench.server.on("/upload/", take)
    assert deliver(bench, chain[1:]) == ({"lib": "uploaded", "zz-core": "uploaded"}, None)
    assert lag[0] > 0
    assert lag[1] == 0


def test_a_package_does_not_go_if_the_index_lists_another_hash(bench: Bench, chain: list[Distribution]) -> None:
    listed = f'<a href="/f/{chain[2].filename}#sha256={"0" * 64}">'
    bench.server.on("/upload/simple/zz-core/", Reply(404), Reply(200, listed, {"Content-Type": "text/html"}))
    found, failure = deliver(bench, chain[1:])
    assert found == {"lib": "not tried", "zz-core": "uploaded"}
    assert failure is not None
    assert "does not match" in failure.what


def test_a_package_that_was_read_back_otherwise_has_not_landed(bench: Bench, chain: list[Distribution]) -> None:
    bench.server.on("/f/", Reply(200, b"different"))
    delivery = bench.delivery(["zz-core"])
    delivery.add(Package.of(chain[2:]))
    delivery.finish()
    assert not delivery.has_landed("zz-core")


def test_a_file_that_the_index_never_lists_is_a_failure(bench: Bench, chain: list[Distribution]) -> None:
    bench.registry.lag = 99
    found, failure = deliver(bench, chain[2:])
    assert found == {"zz-core": "uploaded"}
    assert failure is not None
    assert "does not list it" in failure.what


def test_different_contents_are_a_failure(bench: Bench, chain: list[Distribution]) -> None:
    bench.server.on("/upload/", lambda seen: _corrupted(bench.registry, seen))
    found, failure = deliver(bench, chain[2:])
    assert found == {"zz-core": "uploaded"}
    assert failure is not None
    assert "does not match the upload" in failure.what


def _corrupted(registry: Registry, seen: Seen) -> Reply:
    reply = registry.take(seen)
    registry.files = {name: content + b"!" for name, content in registry.files.items()}
    return reply


def test_without_verify_nothing_is_read_back(bench: Bench, chain: list[Distribution]) -> None:
    bench.registry.lag = 99
    assert deliver(bench, chain[2:], verify="false") == ({"zz-core": "uploaded"}, None)


def test_a_skipped_file_has_the_hash_of_the_registrys_file(bench: Bench, tmp_path: Path) -> None:
    theirs = distributions.read(make_wheel(tmp_path / "theirs", content="x = 1"))
    ours = distributions.read(make_wheel(tmp_path / "ours", content="x = 2"))
    deliver(bench, [theirs])
    (file,) = publish(bench, [ours], if_exists="skip")
    url = f"{bench.registry.url}/f/{ours.filename}"
    assert file == PublishedFile(ours, "skipped", theirs.sha256, url)
