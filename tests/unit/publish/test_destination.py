import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gar_publish.distributions import distribution
from gar_publish.errors import RegistryRefused
from gar_publish.projects.find import Project
from gar_publish.registry.outcomes import Evidence
from gar_publish.settings.credential import KeyPassword
from gar_publish.settings.repository import Repository
from tests.unit.publish.registry import Bench
from tests.unit.servers import Reply
from tests.wheels import make_wheel

HOST = "/us-python.pkg.dev/demo-project/python/"
API = "/artifactregistry.googleapis.com/v1/projects/demo-project/locations/us/repositories"
FOUND = Reply(200, json.dumps({"format": "PYTHON", "mode": "STANDARD_REPOSITORY"}))
CREATED = Reply(200, json.dumps({"name": "operations/1", "done": True}))
GOOGLE = {"repository": "us/demo-project/python"}
EMPTY = Reply(200, "<html>")
LIB = Project(Path("lib"), "lib", "lib", "1.0")


def test_the_index_pages_of_projects_are_requested_once(bench: Bench) -> None:
    bench.server.on(f"{API}/python", FOUND)
    bench.server.on(f"{HOST}simple/", Reply(200, '<a href="/f/lib-1.0.tar.gz">'))
    destination = bench.destination(bench.settings(**GOOGLE), [LIB, Project(Path("x"), "x")])
    for _ in range(2):
        assert list(destination.files("lib")) == ["lib-1.0.tar.gz"]
    assert len(bench.server.asked(f"{HOST}simple/lib/")) == 1
    destination.files("other")
    assert len(bench.server.asked(f"{HOST}simple/")) == 2


def test_a_missing_repository_has_no_files(bench: Bench) -> None:
    bench.server.on("/", Reply(404))
    destination = bench.destination(bench.settings(**GOOGLE), [LIB])
    with pytest.raises(RegistryRefused, match="The repository us/demo-project/python does not exist"):
        destination.files("lib")


def test_a_new_repository_is_asked_until_its_servers_know_it(bench: Bench, tmp_path: Path) -> None:
    bench.server.on(f"{API}/python", Reply(404), FOUND)
    bench.server.on(f"{API}?", CREATED)
    bench.server.on(f"{HOST}simple/", EMPTY)
    destination = bench.destination(bench.settings(create_repository="true", **GOOGLE), [LIB])
    destination._checked.result()
    bench.server.on(f"{HOST}simple/", Reply(403), EMPTY)
    assert destination.files("lib") == {}
    assert bench.time.slept == [0.5]
    bench.server.on(HOST, Reply(404), Reply(200))
    assert destination.upload(distribution.read(make_wheel(tmp_path, "lib"))).status == "uploaded"
    assert bench.time.slept == [0.5, 0.5]


def test_an_old_repository_is_not_asked_again(bench: Bench, tmp_path: Path) -> None:
    bench.server.on(f"{API}/python", FOUND)
    bench.server.on(HOST, Reply(403, "no"))
    destination = bench.destination(bench.settings(**GOOGLE), [LIB])
    for call in (
        lambda: destination.files("lib"),
        destination.check,
        lambda: destination.upload(distribution.read(make_wheel(tmp_path, "lib"))),
    ):
        with pytest.raises(RegistryRefused, match="This identity may not upload to us/demo-project/python"):
            call()
    assert bench.time.slept == []
    assert [each.method for each in bench.server.asked(f"{API}/python")].count("POST") == 1  # asked for a reason once


def test_a_dry_run_creates_no_repository(bench: Bench) -> None:
    bench.server.on(HOST, EMPTY)
    settings = bench.settings(create_repository="true", dry_run="true", **GOOGLE)
    assert bench.destination(settings).files("lib") == {}
    assert bench.console.said == ["us/demo-project/python does not exist; it would be created."]
    assert {each.method for each in bench.server.seen} == {"GET"}


def test_the_api_is_not_asked_where_a_key_is_the_password(bench: Bench) -> None:
    bench.server.on(HOST, EMPTY)
    settings = replace(bench.settings(**GOOGLE), credential=KeyPassword("a2V5"))
    assert bench.destination(settings).files("lib") == {}
    assert bench.server.asked(API) == []


def test_another_index_has_no_api(bench: Bench) -> None:
    assert bench.destination(bench.settings()).files("lib") == {}
    assert [each.path for each in bench.server.seen] == ["/upload/simple/lib/"]


def test_if_exists_decides_about_another_runs_file(bench: Bench, tmp_path: Path) -> None:
    wheel = distribution.read(make_wheel(tmp_path, "lib"))
    bench.registry.files[wheel.filename] = b"different"
    bench.registry.refused[wheel.filename] = 409
    assert bench.destination(bench.settings(if_exists="skip")).upload(wheel).status == "skipped"


def test_a_source_is_read_as_the_same_identity(bench: Bench) -> None:
    bench.server.on(f"{API}/dev", FOUND)
    bench.server.on(f"{API}/python", FOUND)
    bench.server.on("/us-python.pkg.dev/demo-project/dev/simple/", EMPTY)
    destination = bench.destination(bench.settings(**GOOGLE))
    dev = Repository.parse("us/demo-project/dev", endpoints=bench.context.endpoints)
    access = destination.open_source(dev)
    assert access.source is destination.access.source
    assert access.files("lib") == {}


@pytest.mark.parametrize(
    ("missing", "says"), [("dev", "to promote from, does not exist"), ("python", "does not exist")]
)
def test_a_source_or_destination_that_is_missing(bench: Bench, missing: str, says: str) -> None:
    bench.server.on(API, FOUND)
    bench.server.on(f"{API}/{missing}", Reply(404))
    destination = bench.destination(bench.settings(**GOOGLE))
    with pytest.raises(RegistryRefused, match=f"us/demo-project/{missing}.*{says}"):
        destination.open_source(Repository.parse("us/demo-project/dev", endpoints=bench.context.endpoints))


def test_evidence_is_attached_to_the_repository(bench: Bench) -> None:
    bench.server.on(f"{API}/python/", Reply(403, "no"))
    attachments: Any = bench.destination(bench.settings(**GOOGLE)).attachments()
    with pytest.raises(RegistryRefused, match=r"us/demo-project/python does not let this identity attach f") as caught:
        attachments.attach(Evidence("sbom", "f", b"{}"), "lib", "1.0", verify=False)
    assert "--member=MEMBER --role=" in caught.value.fix
