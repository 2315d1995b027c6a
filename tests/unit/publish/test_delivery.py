import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from threading import Event

import pytest

from gar_publish.auth.tokens import GivenSource
from gar_publish.context import Context, RetryPolicy
from gar_publish.distributions import distribution as distributions
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import Failure, RegistryRefused
from gar_publish.publish.delivery import Delivery
from gar_publish.registry.access import Access
from gar_publish.registry.index import Index, IndexFile
from gar_publish.registry.outcomes import PublishedFile
from gar_publish.registry.upload import Uploader
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import IfExists
from gar_publish.transport.session import new_session
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
        policy = RetryPolicy(tries=2, sleep=self.time.sleep, clock=self.time.clock)
        context = Context(Path(), {}, Endpoints(), Memory(), policy)
        repository = Repository(f"{server.url}/upload/", f"{server.url}/simple/")
        source, session = GivenSource("ya29.given"), new_session()
        self.access = Access(source, repository, "publisher", context, session)
        self.uploader = Uploader(repository, context, session, source, self.access.index, if_exists="skip-identical")

    def files(self, name: str) -> Mapping[str, IndexFile]:
        return self.access.files(name)

    def index(self) -> Index:
        return self.access.index

    def upload(self, distribution: Distribution) -> PublishedFile:
        return self.uploader.upload(distribution)

    def delivery(
        self,
        coming: Sequence[str] = (),
        *,
        unnamed: int = 0,
        verify: bool = True,
        dry_run: bool = False,
        if_exists: IfExists = "skip-identical",
    ) -> Delivery:
        return Delivery(
            self,
            self.pool,
            self.pool,
            if_exists=if_exists,
            dry_run=dry_run,
            verify=verify,
            coming=coming,
            unnamed=unnamed,
        )

    def publish(
        self,
        found: list[Distribution],
        *,
        verify: bool = True,
        dry_run: bool = False,
        if_exists: IfExists = "skip-identical",
    ) -> tuple[PublishedFile, ...]:
        names = [each.name for each in found]
        delivery = self.delivery(names, verify=verify, dry_run=dry_run, if_exists=if_exists)
        for files in packages(found):
            delivery.add(files)
        delivery.finish()
        return delivery.end()

    def deliver(self, found: list[Distribution], *, verify: bool = True) -> tuple[dict[str, str], Failure | None]:
        """The status of each package, and the first failure."""
        done = self.publish(found, verify=verify)
        return (
            {each.distribution.name: each.status for each in done},
            next((each.failure for each in done if each.failure), None),
        )


def packages(found: list[Distribution]) -> list[list[Distribution]]:
    return [list(files) for _, files in groupby(sorted(found, key=attrgetter("name")), key=attrgetter("name"))]


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
    bench.registry.files[conflicting] = b"different"
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
    bench.registry.files[shop["db-1.0-py3-none"].filename] = b"different"
    assert statuses(bench.publish(list(shop.values()), dry_run=True)) == {
        "web-any": "not tried",
        "api-any": "not tried",
        "ui-any": "would upload",
        "db-any": "failed",
        "db-linux_x86_64": "not tried",
        "docs-any": "would upload",
    }


def test_a_circle_is_refused_and_the_rest_is_published(
    bench: Bench, shop: dict[str, Distribution], tmp_path: Path
) -> None:
    ring = [
        distributions.read(make_wheel(tmp_path / "ring", name, requires=[other]))
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"))
    ]
    done = bench.publish([*ring, shop["docs-1.0-py3-none"]])
    assert statuses(done) == dict.fromkeys(("a-any", "b-any", "c-any", "d-any"), "not tried") | {"docs-any": "uploaded"}
    assert {each.failure.anchor for each in done if each.failure} == {"cycle"}
    assert len(bench.registry.order) == 1


def test_a_circle_that_only_an_extra_closes_is_none(bench: Bench, tmp_path: Path) -> None:
    found = [
        distributions.read(make_wheel(tmp_path, "a", requires=["b"])),
        distributions.read(make_wheel(tmp_path, "b", requires=["a; extra == 'all'"])),
    ]
    assert set(statuses(bench.publish(found)).values()) == {"uploaded"}
    assert [name[0] for name in bench.registry.order] == ["b", "a"]


def test_a_circle_that_an_extra_closes_changes_no_other_order(bench: Bench, tmp_path: Path) -> None:
    found = [
        distributions.read(make_wheel(tmp_path, name, requires=requires))
        for name, requires in {
            "a": ["b"],
            "b": ["a; extra == 'all'"],
            "c": ["a", "d; extra == 'all'"],
            "d": ["a"],
        }.items()
    ]
    bench.publish(found)
    assert [name[0] for name in bench.registry.order] == ["b", "a", "d", "c"]


def test_what_an_extra_requires_comes_first_as_well(bench: Bench, tmp_path: Path) -> None:
    found = [
        distributions.read(make_wheel(tmp_path, "a", requires=["b; extra == 'all'"])),
        distributions.read(make_wheel(tmp_path, "b")),
    ]
    bench.publish(found)
    assert [name[0] for name in bench.registry.order] == ["b", "a"]


def test_a_package_waits_for_those_that_are_still_to_come(bench: Bench, chain: list[Distribution]) -> None:
    app, lib, core = chain
    delivery = bench.delivery(["app", "lib", "zz-core"])
    for each in (app, lib, core):
        assert bench.registry.order == []
        delivery.add([each])
    delivery.finish()
    assert [name.partition("-")[0] for name in bench.registry.order] == ["zz_core", "lib", "app"]


def test_nothing_goes_while_a_name_is_unknown(bench: Bench, chain: list[Distribution]) -> None:
    app, lib, core = chain
    delivery = bench.delivery(["app", "lib"], unnamed=1)
    delivery.add([lib])
    delivery.add([app])
    assert bench.registry.order == []
    delivery.add([core], unnamed=True)
    delivery.finish()
    assert [name.partition("-")[0] for name in bench.registry.order] == ["zz_core", "lib", "app"]


def test_what_requires_a_package_that_was_left_out_is_told_why(bench: Bench, chain: list[Distribution]) -> None:
    app, lib, _ = chain
    delivery = bench.delivery(["app", "lib", "zz-core"])
    delivery.add([app])
    delivery.add([lib])
    delivery.leave_out("zz-core")
    delivery.finish()
    assert [(each.status, each.why) for each in delivery.end()] == [
        ("not tried", "requires lib, which was not published"),
        ("not tried", "requires zz-core, which was not published"),
    ]
    assert delivery.failed


def test_what_the_registry_holds_already_holds_nothing_up(bench: Bench, chain: list[Distribution]) -> None:
    delivery = bench.delivery(["lib", "zz-core"])
    delivery.add([chain[1]])
    delivery.leave_out("zz-core", landed=True)
    delivery.finish()
    assert statuses(delivery.end()) == {"lib-any": "uploaded"}


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
    delivery = bench.delivery(unnamed=1)
    for each in found:
        delivery.add([each])
    while len(delivery._schedule.waiting) < len(found):  # the index answers, and then nobody
        time.sleep(0.001)
    delivery.leave_out(None)
    delivery.finish()
    done = list(statuses(delivery.end()).values())
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
    delivery = bench.delivery(["app", "lib", "core"], verify=False)
    for each in found:
        delivery.add([each])
    assert arrived.wait(10)
    ended = statuses(delivery.end())
    go_on.set()
    delivery.finish()
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
    assert "different contents" in failure.what


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
