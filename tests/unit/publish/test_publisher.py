import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gar_publish.distributions import distribution
from gar_publish.errors import BadInput, RegistryRefused
from gar_publish.projects.find import Project
from gar_publish.publish.publisher import Publisher, readers
from gar_publish.publish.schedule import Package
from gar_publish.report.report import Report
from gar_publish.transport.session import new_session
from tests.unit.publish.registry import Bench
from tests.unit.servers import Memory, Reply
from tests.wheels import make_wheel

PYTHON = "us/demo-project/python"
HOST = "/us-python.pkg.dev/demo-project/python/"
API = "/artifactregistry.googleapis.com/v1/projects/demo-project/locations/us/repositories"


def package(bench: Bench, name: str, *requires: str, tag: str = "py3-none-any") -> Package:
    return Package.of([distribution.read(make_wheel(bench.folder, name, requires=requires, tag=tag))])


def run(bench: Bench, packages: Iterable[Package], *projects: Project, **inputs: str) -> Report:
    publisher = Publisher(bench.settings(**inputs), bench.context, projects, new_session())
    try:
        return publisher.publish(packages)
    finally:
        publisher.close()


def statuses(report: Report) -> list[tuple[str, str]]:
    return [(each.distribution.name, each.status) for each in report.files]


@pytest.mark.parametrize(
    ("inputs", "count"),
    [({}, 16), ({"jobs": "3"}, 6), ({"if_exists": "skip"}, 32), ({"jobs": "1", "if_exists": "skip"}, 4)],
)
def test_the_number_of_readers(bench: Bench, inputs: dict[str, str], count: int) -> None:
    assert readers(bench.settings(**inputs)) == count


def test_a_report(bench: Bench) -> None:
    settled: list[bool] = []
    bench.context = replace(bench.context, settled=lambda: settled.append(True))
    report = run(bench, [package(bench, "app", "lib"), package(bench, "lib")])
    assert statuses(report) == [("app", "uploaded"), ("lib", "uploaded")]
    assert report.repository
    assert report.repository.upload_url == f"{bench.server.url}/upload/"
    assert (report.verified, report.dry_run, report.failure) == (True, False, None)
    assert (report.index_token, report.token_expires_at) == ("ya29.given", None)
    assert (report.promoted_from, report.evidence, report.not_built) == ("", (), ())
    assert settled == [True]


def test_files_are_in_the_order_of_the_projects(bench: Bench) -> None:
    projects = [Project(Path(name), name, name, "1.0") for name in ("b", "a")]
    bench.registry.files["a-1.0-py3-none-any.whl"] = b"published"
    publisher = Publisher(bench.settings(if_exists="skip"), bench.context, projects, new_session())
    assert publisher.sources.to_build() == projects[:1]
    report = publisher.publish([package(bench, "b")])
    publisher.close()
    assert statuses(report) == [("b", "uploaded"), ("a", "skipped")]
    assert not report.verified, "a skipped file was not read back"


def test_uploads_begin_when_the_last_name_is_known(bench: Bench) -> None:
    before: list[int] = []

    def packages() -> Iterator[Package]:
        yield package(bench, "b")
        before.append(len(bench.registry.order))
        yield replace(package(bench, "a"), unnamed=True)
        for _ in range(300):
            if len(bench.registry.order) == 2:
                break
            time.sleep(0.01)
        before.append(len(bench.registry.order))

    run(bench, packages(), Project(Path("b"), "b", "b", "1.0"), Project(Path("a"), "a", None, "1.0"))
    assert before == [0, 2]


def test_what_a_package_requires_of_this_run_is_uploaded_before_it(bench: Bench) -> None:
    before: list[int] = []

    def packages() -> Iterator[Package]:
        yield package(bench, "app", "lib")
        time.sleep(0.2)
        before.append(len(bench.registry.order))
        yield package(bench, "lib")

    run(bench, packages(), *(Project(Path(name), name, name, "1.0") for name in ("app", "lib")))
    assert before == [0]
    assert [name.partition("-")[0] for name in bench.registry.order] == ["lib", "app"]


@pytest.mark.parametrize(("published", "status"), [([], "failed"), (["lib-2.0-py3-none-any.whl"], "uploaded")])
def test_a_requirement_on_another_version_than_that_of_the_run(bench: Bench, published: list[str], status: str) -> None:
    """The repository must have it."""
    bench.registry.files |= dict.fromkeys(published, b"published")
    packages = [package(bench, "lib"), package(bench, "app", "lib>=2"), package(bench, "top", "app")]
    report = run(bench, packages, *(Project(Path(name), name, name, "1.0") for name in ("lib", "app", "top")))
    last = "uploaded" if status == "uploaded" else "not tried"
    assert statuses(report) == [("lib", "uploaded"), ("app", status), ("top", last)]
    assert [each.anchor for each in report.failures] == ([] if published else ["unmet-requirement"])


@pytest.mark.parametrize("pool", ["_senders", "_readers"])
def test_a_closed_publisher_waits_for_nothing(bench: Bench, pool: str) -> None:
    publisher = Publisher(bench.settings(jobs="1"), bench.context, [], new_session())
    go_on = threading.Event()
    for _ in range(8):
        getattr(publisher, pool).submit(go_on.wait, 5)
    began = time.monotonic()
    publisher.close()
    assert time.monotonic() - began < 4
    go_on.set()


@pytest.mark.parametrize("inputs", [{"verify": "false"}, {"dry_run": "true"}])
def test_without_reading_back_a_run_is_not_verified(bench: Bench, inputs: dict[str, str]) -> None:
    report = run(bench, [package(bench, "lib")], **inputs)
    assert not report.verified
    assert report.index_token == "ya29.given"


def test_no_token_is_handed_out_after_a_failure(bench: Bench) -> None:
    bench.registry.refused["lib-1.0-py3-none-any.whl"] = 400
    report = run(bench, [package(bench, "lib")])
    assert statuses(report) == [("lib", "failed")]
    assert (report.index_token, report.verified) == ("", False)


def test_another_version_than_the_expected_one(bench: Bench) -> None:
    with pytest.raises(BadInput, match=r"lib-1\.0-py3-none-any\.whl \(1\.0\)"):
        run(bench, [package(bench, "lib")], expected_version="2.0")
    assert bench.registry.order == []
    assert statuses(run(bench, [package(bench, "lib")], expected_version="v1.0")) == [("lib", "uploaded")]


def test_a_build_waits_for_a_package_of_the_expected_version(bench: Bench) -> None:
    before: list[list[str]] = []

    def packages() -> Iterator[Package]:
        yield package(bench, "lib")
        until = time.monotonic() + 5
        while not bench.registry.order and time.monotonic() < until:
            time.sleep(0.01)
        before.append(list(bench.registry.order))
        yield package(bench, "app")

    app = Project(Path("app"), "app", "app", "1.0", build_requires=frozenset({"lib"}))
    run(bench, packages(), Project(Path("lib"), "lib", "lib", "1.0"), app, expected_version="1.0")
    assert before == [["lib-1.0-py3-none-any.whl"]]


def test_a_wheel_for_this_machine_is_warned_about(bench: Bench) -> None:
    run(bench, [package(bench, "lib", tag="py3-none-linux_x86_64")])
    assert any("compiled for this machine" in each for each in bench.console.said)


def test_a_failure_before_the_first_upload_is_raised(bench: Bench) -> None:
    bench.server.on("/upload/simple/", Reply(403))
    with pytest.raises(RegistryRefused):
        run(bench, [package(bench, "lib")])


def failing(bench: Bench, error: BaseException) -> Iterator[Package]:
    """Yield a package, and fail when it has been uploaded."""
    yield package(bench, "lib")
    while not bench.registry.order:
        bench.context.retry_policy.sleep(0)
    raise error


def test_a_failure_after_the_first_upload_is_reported(bench: Bench) -> None:
    report = run(bench, failing(bench, KeyError("made-up-secret")))
    assert report.failure
    assert (report.failure.anchor, report.index_token, report.verified) == ("internal-error", "", False)


def test_an_interruption_is_reported(bench: Bench) -> None:
    settled: list[bool] = []
    bench.context = replace(bench.context, settled=lambda: settled.append(True))
    report = run(bench, failing(bench, KeyboardInterrupt()))
    assert report.failure
    assert (report.failure.anchor, report.files[0].distribution.name) == ("interrupted", "lib")
    assert settled == []


def test_a_missing_install_token_is_reported(bench: Bench) -> None:
    class Broken(Memory):
        def info(self, text: str) -> None:
            if "install options" in text:
                raise KeyError(text)

        notice = warning = info

    bench.context = replace(bench.context, console=Broken())
    report = run(bench, [package(bench, "lib")], index_token="auto")
    assert report.failure
    assert report.failure.anchor == "internal-error"
    assert statuses(report) == [("lib", "uploaded")]


def google(bench: Bench, *listed: Package) -> None:
    links = "".join(f'<a href="/{file.filename}#sha256={file.sha256}">' for each in listed for file in each.files)
    bench.server.on(API, Reply(404, "{}"))
    bench.server.on(f"{API}/python", Reply(200, "{}"))
    bench.server.on(HOST, Reply(200))
    bench.server.on(f"{HOST}simple/", Reply(200, f"<html>{links}"))


@pytest.mark.parametrize(
    ("inputs", "has", "state"),
    [
        ({}, True, "not attached"),
        ({"if_exists": "skip"}, True, "not attached"),
        ({"dry_run": "true"}, False, "would attach"),
        ({"verify": "false"}, False, "attached"),
    ],
)
def test_evidence_of_published_files(bench: Bench, inputs: dict[str, str], state: str, *, has: bool) -> None:
    lib = package(bench, "lib")
    google(bench, *([lib] if has else []))
    bench.server.on(f"/{lib.files[0].filename}", Reply(200, lib.files[0].path.read_bytes()))
    report = run(bench, [lib], repository=PYTHON, provenance="true", **inputs)
    assert [(each.name, each.state) for each in report.evidence] == [("lib", state)]


def test_a_skipped_file_with_different_contents_has_no_evidence(bench: Bench) -> None:
    lib = package(bench, "lib")
    other = replace(lib, files=[replace(lib.files[0], sha256="00" * 32)])
    google(bench, other)
    report = run(bench, [lib], repository=PYTHON, sbom="true", if_exists="skip")
    assert statuses(report) == [("lib", "skipped")]
    assert report.evidence == ()


def test_a_failed_file_has_no_evidence(bench: Bench) -> None:
    google(bench)
    bench.server.on(HOST, Reply(400, "no"))
    report = run(bench, [package(bench, "lib")], repository=PYTHON, provenance="true")
    assert statuses(report) == [("lib", "failed")]
    assert report.evidence == ()


def test_evidence_that_cannot_be_made_is_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("made-up-secret")

    google(bench)
    monkeypatch.setattr("gar_publish.publish.provenance.statement", fail)
    report = run(bench, [package(bench, "lib")], repository=PYTHON, provenance="true", verify="false")
    assert statuses(report) == [("lib", "uploaded")]
    assert report.failure
    assert (report.failure.anchor, report.index_token) == ("internal-error", "")


def test_a_promotion_is_reported_with_its_source(bench: Bench) -> None:
    google(bench)
    inputs = {"repository": PYTHON, "promote_from": "us/demo-project/dev", "packages": "lib==1.0", "verify": "false"}
    publisher = Publisher(bench.settings(**inputs), bench.context, (), new_session())
    report = publisher.publish([package(bench, "lib")])
    publisher.close()
    assert (statuses(report), report.promoted_from) == ([("lib", "uploaded")], "us/demo-project/dev")
