import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gar_publish import distributions
from gar_publish.access import Access
from gar_publish.credentials import TokenSource
from gar_publish.credentials.source import GivenSource
from gar_publish.delivery import Delivery, compare_all, in_waves
from gar_publish.distributions import Distribution
from gar_publish.errors import Failure
from gar_publish.http import new_session
from gar_publish.index import Index
from gar_publish.patience import Patience
from gar_publish.report import PublishedFile
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
        self.refused: set[str] = set()
        server.on("/upload/", self.take)
        server.on("/simple/", self.show)
        server.on("/f/", lambda seen: Reply(200, self.files[seen.path.rpartition("/")[2]]))

    def take(self, seen: Seen) -> Reply:
        part = re.search(rb'filename="([^"]+)".*?\r\n\r\n(.*)\r\n--', seen.body, re.DOTALL)
        assert part
        name = part[1].decode()
        if name in self.refused:
            return Reply(403, "no")
        self.order.append(name)
        self.files[name] = part[2]
        return Reply(200)

    def show(self, _: Seen) -> Reply:
        if self.lag:
            self.lag -= 1
            return Reply(404)
        return Reply(200, "".join(f'<a href="/f/{name}">' for name in self.files))


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
            patience=patience,
            on_wait=lambda _: None,
        )

    def deliver(self, found: list[Distribution], *, verify: bool = True) -> tuple[dict[str, str], Failure | None]:
        files = compare_all(found, access=self.access, if_exists="skip-identical", pool=self.pool)
        done, failure = Delivery(self.access, self.uploader, verify, self.pool).carry_out(files)
        return {each.distribution.name: each.status for each in done}, failure


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
    statuses, failure = bench.deliver(chain)
    assert failure is None
    assert set(statuses.values()) == {"uploaded"}
    assert [name.partition("-")[0] for name in bench.registry.order] == ["zz_core", "lib", "app"]


def test_a_second_run_uploads_nothing(bench: Bench, chain: list[Distribution]) -> None:
    bench.deliver(chain)
    statuses, failure = bench.deliver(chain)
    assert failure is None
    assert set(statuses.values()) == {"identical"}
    assert len(bench.registry.order) == 3


def test_nothing_that_needs_a_failed_package_is_tried(bench: Bench, chain: list[Distribution]) -> None:
    bench.registry.refused.add(chain[1].filename)
    statuses, failure = bench.deliver(chain)
    assert statuses == {"zz-core": "uploaded", "lib": "failed", "app": "not tried"}
    assert failure is not None
    assert failure.exit_code == 6


def test_an_index_that_lags_is_waited_for(bench: Bench, chain: list[Distribution]) -> None:
    bench.registry.lag = 4  # one look before the upload, three after it
    statuses, failure = bench.deliver(chain[2:])
    assert (statuses, failure) == ({"zz-core": "uploaded"}, None)
    assert bench.time.slept == [0.5, 1.0, 2.0]


def test_an_index_that_never_lists_the_file_is_no_success(bench: Bench, chain: list[Distribution]) -> None:
    bench.registry.lag = 99
    statuses, failure = bench.deliver(chain[2:])
    assert statuses == {"zz-core": "failed"}
    assert failure is not None
    assert "does not list it" in failure.what


def test_other_bytes_that_come_back_are_no_success(bench: Bench, chain: list[Distribution]) -> None:
    bench.server.on("/upload/", lambda seen: _corrupted(bench.registry, seen))
    statuses, failure = bench.deliver(chain[2:])
    assert statuses == {"zz-core": "failed"}
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
    (file,) = compare_all([ours], access=bench.access, if_exists="skip", pool=bench.pool)
    url = f"{bench.registry.url}/f/{ours.filename}"
    assert file == PublishedFile(ours, "skipped", theirs.sha256, url)
