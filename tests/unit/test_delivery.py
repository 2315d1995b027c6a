import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from gar_publish import distributions
from gar_publish.access import Access
from gar_publish.credentials import TokenSource
from gar_publish.credentials.source import GivenSource
from gar_publish.delivery import Delivery, in_waves, needs
from gar_publish.distributions import Distribution
from gar_publish.errors import Failure, RegistryRefused
from gar_publish.http import new_session
from gar_publish.index import Index
from gar_publish.patience import Patience
from gar_publish.report import PublishedFile
from gar_publish.settings import IfExists
from gar_publish.upload import Uploader
from tests.unit.servers import Memory, Reply, ScriptedServer, Seen, Time, serve
from tests.wheels import make_wheel


class Registry:
    """A registry over a scripted server: takes uploads, and lists them after `lag` looks."""

    def __init__(self, server: ScriptedServer) -> None:
        self.url = server.url
        self.files: dict[str, bytes] = {}
        self.order: list[str] = []
        self.lag = 0
        self.refused: dict[str, int] = {}
        server.on("/upload/", self.take)
        server.on("/simple/", self.show)
        server.on("/f/", lambda seen: Reply(200, self.files[seen.path.rpartition("/")[2]]))

    def take(self, seen: Seen) -> Reply:
        part = re.search(rb'filename="([^"]+)".*?\r\n\r\n(.*)\r\n--', seen.body, re.DOTALL)
        assert part
        name = part[1].decode()
        if name in self.refused:
            return Reply(self.refused[name], "no")
        self.order.append(name)
        self.files[name] = part[2]
        return Reply(200)

    def show(self, _: Seen) -> Reply:
        if self.lag:
            self.lag -= 1
            return Reply(404)
        return Reply(200, "".join(f'<a href="/f/{name}">' for name in self.files), {"Content-Type": "text/html"})


class Bench:
    """Everything that a delivery needs, on one registry."""

    def __init__(self, server: ScriptedServer, pool: ThreadPoolExecutor) -> None:
        self.server = server
        self.time = Time()
        self.registry = Registry(server)
        self.pool = pool
        patience = Patience(tries=2, sleep=self.time.sleep, clock=self.time.clock)
        source = GivenSource("ya29.given")

        def open_index(reader: TokenSource) -> Index:
            return Index(
                f"{server.url}/simple/",
                session=new_session(),
                source=reader,
                patience=patience,
                on_wait=lambda _: None,
            )

        self.access = Access(source, "publisher", open_index, Memory())
        self.uploader = Uploader(
            f"{server.url}/upload/",
            session=new_session(),
            source=source,
            index=self.access.index,
            if_exists="skip-identical",
            patience=patience,
            console=Memory(),
        )

    def publish(
        self, found: list[Distribution], *, verify: bool = True, if_exists: IfExists = "skip-identical"
    ) -> tuple[PublishedFile, ...]:
        delivery = Delivery(found, self.pool)
        delivery.compare(self.access, if_exists)
        delivery.carry_out(self.access, self.uploader, verify=verify)
        return delivery.end(dry_run=False)

    def deliver(self, found: list[Distribution], *, verify: bool = True) -> tuple[dict[str, str], Failure | None]:
        """The status of each package, and the first failure."""
        done = self.publish(found, verify=verify)
        return (
            {each.distribution.name: each.status for each in done},
            next((each.failure for each in done if each.failure), None),
        )


@pytest.fixture
def bench() -> Iterator[Bench]:
    with serve() as server, ThreadPoolExecutor(4) as pool:
        yield Bench(server, pool)


@pytest.fixture
def chain(tmp_path: Path) -> list[Distribution]:
    """App needs lib, lib needs core; named so that the alphabet is no help."""
    wheels = [
        make_wheel(tmp_path, "app", requires=["lib>=1", "requests"]),
        make_wheel(tmp_path, "lib", requires=["Zz_Core[x]==1.0; python_version > '3'"]),
        make_wheel(tmp_path, "zz-core"),
    ]
    return [distributions.read(each) for each in wheels]


def test_dependencies_come_first(chain: list[Distribution]) -> None:
    assert [[each.name for each in wave] for wave in in_waves(chain)] == [["zz-core"], ["lib"], ["app"]]


def test_packages_in_a_circle_come_together(tmp_path: Path) -> None:
    found = [
        distributions.read(make_wheel(tmp_path, "a", requires=["b"])),
        distributions.read(make_wheel(tmp_path, "b", requires=["a"])),
    ]
    assert list(in_waves(found)) == [found]


def test_everything_is_uploaded_in_order_and_read_back(bench: Bench, chain: list[Distribution]) -> None:
    found, failure = bench.deliver(chain)
    assert failure is None
    assert set(found.values()) == {"uploaded"}
    assert [name.partition("-")[0] for name in bench.registry.order] == ["zz_core", "lib", "app"]


def test_a_second_run_uploads_nothing(bench: Bench, chain: list[Distribution]) -> None:
    bench.deliver(chain)
    found, failure = bench.deliver(chain)
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


def test_what_a_package_needs_is_followed_to_the_end(shop: dict[str, Distribution]) -> None:
    assert needs(list(shop.values())) == {
        "web": {"web", "api", "ui", "db"},
        "api": {"api", "db"},
        "ui": {"ui"},
        "db": {"db"},
        "docs": {"docs"},
    }


def test_only_what_needs_a_refused_file_is_not_tried(bench: Bench, shop: dict[str, Distribution]) -> None:
    found = list(shop.values())
    bench.registry.refused[shop["api-1.0-py3-none"].filename] = 400
    done = bench.publish(found)
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


def test_a_conflict_holds_up_its_package_and_what_needs_it(bench: Bench, shop: dict[str, Distribution]) -> None:
    conflicting = shop["db-1.0-py3-none"].filename
    bench.registry.files[conflicting] = b"other bytes"
    done = bench.publish(list(shop.values()))
    assert statuses(done) == {
        "web-any": "not tried",
        "api-any": "not tried",
        "ui-any": "uploaded",
        "db-any": "failed",
        "db-linux_x86_64": "not tried",
        "docs-any": "uploaded",
    }
    assert [each.failure.exit_code for each in done if each.failure] == [5]


def test_a_dry_run_says_the_same_of_a_conflict(bench: Bench, shop: dict[str, Distribution]) -> None:
    bench.registry.files[shop["db-1.0-py3-none"].filename] = b"other bytes"
    delivery = Delivery(list(shop.values()), bench.pool)
    delivery.compare(bench.access, "skip-identical")
    assert statuses(delivery.end(dry_run=True)) == {
        "web-any": "not tried",
        "api-any": "not tried",
        "ui-any": "would upload",
        "db-any": "failed",
        "db-linux_x86_64": "not tried",
        "docs-any": "would upload",
    }


def test_in_a_circle_nobody_goes_on_without_the_other(bench: Bench, tmp_path: Path) -> None:
    ring = [
        distributions.read(make_wheel(tmp_path, name, requires=[other]))
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"))
    ]
    bench.registry.files[ring[1].filename] = b"other bytes"
    assert set(statuses(bench.publish(ring)).values()) == {"failed", "not tried"}
    assert bench.registry.order == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_once_the_identity_is_refused_nothing_else_is_tried(bench: Bench, tmp_path: Path, status: int) -> None:
    found = [distributions.read(make_wheel(tmp_path, f"p{number:02}")) for number in range(30)]
    bench.registry.refused = dict.fromkeys((each.filename for each in found), status)
    done = list(statuses(bench.publish(found)).values())
    assert 1 <= done.count("failed") <= 4, "at most those that were sent side by side"
    assert done.count("failed") + done.count("not tried") == 30


def test_once_nobody_answers_nothing_else_is_tried(bench: Bench, tmp_path: Path) -> None:
    found = [distributions.read(make_wheel(tmp_path, f"p{number:02}")) for number in range(30)]
    bench.registry.refused = dict.fromkeys((each.filename for each in found), 503)
    done = list(statuses(bench.publish(found)).values())
    assert 2 <= done.count("failed") <= 5, "two in a row, and those that were sent beside them"
    assert done.count("failed") + done.count("not tried") == 30


def test_one_file_that_is_never_answered_fails_alone(bench: Bench, shop: dict[str, Distribution]) -> None:
    bench.registry.refused[shop["ui-1.0-py3-none"].filename] = 504
    done = statuses(bench.publish(list(shop.values())))
    assert done.pop("ui-any") == "failed"
    assert done.pop("web-any") == "not tried"
    assert set(done.values()) == {"uploaded"}


def test_an_index_that_refuses_everybody_stops_the_run_before_it_begins(
    bench: Bench, shop: dict[str, Distribution]
) -> None:
    bench.server.on("/simple/", Reply(403, "no"))
    with pytest.raises(RegistryRefused, match="refuses to read"):
        bench.publish(list(shop.values()))
    assert bench.registry.order == []


def test_a_run_that_ends_in_the_middle_knows_what_is_on_its_way(bench: Bench, tmp_path: Path) -> None:
    """Core has landed, lib is being sent, app is to come."""
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
    delivery = Delivery(found, bench.pool)
    delivery.compare(bench.access, "skip-identical")
    with ThreadPoolExecutor(1) as elsewhere:
        running = elsewhere.submit(delivery.carry_out, bench.access, bench.uploader, verify=False)
        assert arrived.wait(10)
        ended = statuses(delivery.end(dry_run=False))
        go_on.set()
        running.result()
    assert ended == {"app-any": "not tried", "lib-any": "unknown", "core-any": "uploaded"}
    assert found[0].filename not in bench.registry.order, "nothing begins after the end"


def test_an_index_that_lags_is_waited_for(bench: Bench, chain: list[Distribution]) -> None:
    bench.registry.lag = 4  # one look before the upload, three after it
    found, failure = bench.deliver(chain[2:])
    assert (found, failure) == ({"zz-core": "uploaded"}, None)
    assert bench.time.slept == [0.5, 1.0, 2.0]


def test_an_index_that_never_lists_the_file_is_no_success(bench: Bench, chain: list[Distribution]) -> None:
    bench.registry.lag = 99
    found, failure = bench.deliver(chain[2:])
    assert found == {"zz-core": "uploaded"}
    assert failure is not None
    assert "does not list it" in failure.what


def test_other_bytes_that_come_back_are_no_success(bench: Bench, chain: list[Distribution]) -> None:
    bench.server.on("/upload/", lambda seen: _corrupted(bench.registry, seen))
    found, failure = bench.deliver(chain[2:])
    assert found == {"zz-core": "uploaded"}
    assert failure is not None
    assert "other bytes" in failure.what


def _corrupted(registry: Registry, seen: Seen) -> Reply:
    reply = registry.take(seen)
    registry.files = {name: content + b"!" for name, content in registry.files.items()}
    return reply


def test_without_verify_nothing_is_read_back(bench: Bench, chain: list[Distribution]) -> None:
    bench.registry.lag = 99
    assert bench.deliver(chain[2:], verify=False) == ({"zz-core": "uploaded"}, None)


def test_a_skipped_file_has_the_hash_of_the_registry(bench: Bench, tmp_path: Path) -> None:
    theirs = distributions.read(make_wheel(tmp_path / "theirs", content="x = 1"))
    ours = distributions.read(make_wheel(tmp_path / "ours", content="x = 2"))
    bench.deliver([theirs])
    (file,) = bench.publish([ours], if_exists="skip")
    url = f"{bench.registry.url}/f/{ours.filename}"
    assert file == PublishedFile(ours, "skipped", theirs.sha256, url)
