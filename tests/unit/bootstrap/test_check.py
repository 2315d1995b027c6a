"""Checks of a setup in the emulator, which each test breaks in one place."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gar_emulator import Emulator, World
from gar_emulator.cloud.cloud import Cloud
from gar_emulator.world.iam import Binding
from gar_emulator.world.world import Account, Pool, Project, Provider
from gar_publish.auth.tokens import GivenSource
from gar_publish.bootstrap.check import Check, Finding
from gar_publish.bootstrap.setup import IMPERSONATOR, ISSUER, Setup
from gar_publish.context import Context, RetryPolicy
from gar_publish.errors import RegistryRefused
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.refusals import WRITER
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import DELETER
from gar_publish.transport.session import new_session
from tests.unit.bootstrap.examples import IDS, make_setup
from tests.unit.servers import Memory

OWNER = "user:owner@example.com"
READER = "user:reader@example.com"
PROJECT = "projects/demo-project"
PYTHON = f"{PROJECT}/locations/us-central1/repositories/python"
SETUP = make_setup(repository="us-central1/demo-project/python", account="releases", **IDS)
POOL = Pool("demo-project", SETUP.pool)
PROVIDER = Provider("demo-project", SETUP.pool, "github", ISSUER, SETUP.mapping, SETUP.condition("11", "22"))
ACCOUNT = Account("releases@demo-project.iam.gserviceaccount.com")
JOBS = SETUP.member(f"projects/123456789012/locations/global/workloadIdentityPools/{SETUP.pool}", "11", "22")
PARTS = ["APIs", "repository", "pool", "provider", "account", WRITER, IMPERSONATOR]

Break = Callable[[Cloud], Any]


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """An emulator with the complete setup."""
    world = World.default()
    roles = (
        Binding(OWNER, "roles/owner", PROJECT),
        Binding(READER, "roles/artifactregistry.reader", PROJECT),
    )
    world = replace(world, keys=(), bindings=roles)
    with Emulator(world, data=tmp_path / "data") as running:
        for item in (POOL, PROVIDER, ACCOUNT):
            running.cloud.put(item)
        running.cloud.set_policy(PYTHON, [Binding(f"serviceAccount:{ACCOUNT.email}", WRITER, PYTHON)])
        running.cloud.set_policy(ACCOUNT.resource, [Binding(JOBS, IMPERSONATOR, ACCOUNT.resource)])
        yield running


def check(emulator: Emulator, setup: Setup = SETUP, principal: str = OWNER, **options: Any) -> list[Finding]:
    api = GoogleApi(
        Context(Path(), {}, Endpoints(emulator.url), Memory(), RetryPolicy(tries=1)),
        new_session(),
        GivenSource(emulator.access_token(principal, **options)),
    )
    return list(Check(setup, api).findings())


def test_a_complete_setup(emulator: Emulator) -> None:
    findings = check(emulator)
    assert [finding.what.split()[0] for finding in findings] == PARTS
    assert {finding.state for finding in findings} == {"ok"}
    asked = {seen.method for seen in emulator.requests if not seen.path.endswith(":getIamPolicy")}
    assert asked == {"GET"}


def test_the_issuer_of_an_enterprise(emulator: Emulator) -> None:
    issuer = f"{ISSUER}/octo-org"
    emulator.cloud.put(replace(PROVIDER, issuer=issuer))
    assert {finding.state for finding in check(emulator, replace(SETUP, issuer=issuer))} == {"ok"}


def test_a_login_without_a_quota_project(emulator: Emulator) -> None:
    """Nothing is missing: Google only counts the requests for another project."""
    with pytest.raises(RegistryRefused, match="764086051850") as caught:
        check(emulator, attributes={"client_project": "764086051850"})
    assert caught.value.fix.endswith("gcloud auth application-default set-quota-project demo-project")


def test_jobs_without_an_account(emulator: Emulator) -> None:
    direct = replace(SETUP, account=None)
    assert [finding.state for finding in check(emulator, direct)] == [*["ok"] * 4, "missing"]
    emulator.cloud.set_policy(PYTHON, [Binding(JOBS, WRITER, PYTHON)])
    assert [finding.state for finding in check(emulator, direct)] == ["ok"] * 5


@pytest.mark.parametrize(
    ("part", "state", "why", "spoil"),
    [
        ("APIs", "missing", "sts.googleapis.com", lambda it: it.put(_project("sts.googleapis.com"))),
        ("pool", "differs", "disabled", lambda it: it.put(replace(POOL, disabled=True))),
        ("pool", "differs", "deleted", lambda it: it.put(replace(POOL, deleted=True))),
        ("provider", "differs", "disabled", lambda it: it.put(replace(PROVIDER, disabled=True))),
        ("provider", "differs", "condition is true", lambda it: it.put(replace(PROVIDER, condition="true"))),
        ("provider", "differs", "issuer", lambda it: it.put(replace(PROVIDER, issuer=f"{ISSUER}/octo-org"))),
        ("provider", "differs", "audiences", lambda it: it.put(replace(PROVIDER, allowed_audiences=("x",)))),
        (
            "provider",
            "differs",
            "mapping",
            lambda it: it.put(replace(PROVIDER, mapping={"google.subject": "assertion.sub"})),
        ),
        ("account", "differs", "disabled", lambda it: it.put(replace(ACCOUNT, disabled=True))),
        (WRITER, "missing", "", lambda it: it.set_policy(PYTHON, [])),
        (IMPERSONATOR, "missing", "", lambda it: it.set_policy(ACCOUNT.resource, [])),
    ],
)
def test_reports_only_the_part_that_is_wrong(emulator: Emulator, part: str, state: str, why: str, spoil: Break) -> None:
    spoil(emulator.cloud)
    (finding,) = (finding for finding in check(emulator) if finding.state != "ok")
    assert (finding.what.split()[0], finding.state) == (part, state)
    assert why in finding.why


def test_an_empty_project(emulator: Emulator) -> None:
    other = make_setup("octo-org/other", "us-central1/demo-project/packages", account="somebody", **IDS)
    findings = check(emulator, other)
    assert [finding.state for finding in findings] == ["ok", *["missing"] * 6]
    assert "not found" in findings[1].why


def test_a_repository_of_another_format(emulator: Emulator) -> None:
    found = emulator.cloud.world.repositories[0]
    emulator.cloud.world = replace(emulator.cloud.world, repositories=(replace(found, format="DOCKER"),))
    (finding,) = (finding for finding in check(emulator) if finding.state != "ok")
    assert (finding.state, finding.why) == ("differs", "it is a STANDARD_REPOSITORY of format DOCKER")


def test_a_repository_for_previews(emulator: Emulator) -> None:
    setup, repository = replace(SETUP, previews=True), emulator.cloud.world.repositories[0]
    emulator.cloud.set_policy(PYTHON, [Binding(f"serviceAccount:{ACCOUNT.email}", DELETER, PYTHON)])
    labelled = replace(repository, labels={"gar-publish": "previews"})
    policies = {"old-previews": {"action": "DELETE", "condition": {"olderThan": "86400s"}}}
    for found, why in (
        (repository, "it lacks the label gar-publish=previews"),
        (labelled, "it has no cleanup policy that deletes by age"),
        (replace(labelled, cleanup_policies=policies, cleanup_policy_dry_run=True), "it has no cleanup policy"),
    ):
        emulator.cloud.store.create(found)
        (finding,) = (finding for finding in check(emulator, setup) if finding.state != "ok")
        assert finding.state == "differs"
        assert why in finding.why
    emulator.cloud.store.create(replace(labelled, cleanup_policies=policies))
    assert {finding.state for finding in check(emulator, setup)} == {"ok"}


def test_resources_of_a_disabled_api_are_missing(emulator: Emulator) -> None:
    emulator.cloud.put(_project("iam.googleapis.com"))
    states = {finding.what.split()[0]: finding for finding in check(emulator)}
    assert states["pool"].state == "missing"
    assert "has not been used in project" in states["pool"].why
    assert states["repository"].state == "ok"


def test_a_part_without_permission_is_unknown(emulator: Emulator) -> None:
    states = {finding.what.split()[0]: finding for finding in check(emulator, principal=READER)}
    assert states["repository"].state == "ok"
    assert states["pool"].state == "unknown"
    assert "iam.workloadIdentityPools.get" in states["pool"].why


def _project(*disabled: str) -> Project:
    return Project("demo-project", 123456789012, disabled)
