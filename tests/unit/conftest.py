"""Fixtures for the unit tests of many modules."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from gar_publish.context import Context, RetryPolicy
from gar_publish.distributions import distribution
from gar_publish.errors import RegistryRefused
from gar_publish.registry.outcomes import AttachedEvidence, Evidence, PublishedFile
from gar_publish.report.report import Report
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from gar_publish.transport.session import new_session
from tests.unit.servers import Memory, ScriptedServer, Time, serve
from tests.wheels import make_wheel


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Yield a server that stands in for all hosts, like an emulator."""
    with serve() as server:
        yield server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with new_session() as session:
        yield session


@pytest.fixture
def console() -> Memory:
    return Memory()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def retry_policy(time: Time) -> RetryPolicy:
    """Return the default retry policy with a clock that moves only by sleeping."""
    return RetryPolicy(sleep=time.sleep, clock=time.clock)


@pytest.fixture
def context(tmp_path: Path, server: ScriptedServer, console: Memory, retry_policy: RetryPolicy) -> Context:
    return Context(tmp_path, {}, Endpoints(server.url), console, retry_policy)


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Return the report of a run that uploaded one package; the other one was in the registry."""
    one = distribution.read(make_wheel(tmp_path, "one", "1.0"))
    other = distribution.read(make_wheel(tmp_path, "other", "2.0"))
    return Report(
        repository=Repository.parse("us/demo-project/python", endpoints=Endpoints()),
        files=(
            PublishedFile(other, "identical", other.sha256, "https://host/other"),
            PublishedFile(one, "uploaded", one.sha256, "https://host/one"),
        ),
        dry_run=False,
        verified=True,
        index_token="ya29.secret",
        token_expires_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


@pytest.fixture
def proved(report: Report) -> Report:
    """Return the report with evidence. One piece of it was not attached."""
    sbom, statement = Evidence("sbom", "one.whl.cdx.json", b"{}"), Evidence("provenance", "p.intoto.json", b"{}")
    refused = RegistryRefused("Not attached.", anchor="evidence-refused")
    evidence = (
        AttachedEvidence(sbom, "one", "1.0", "dist/one.whl.cdx.json", "a/sbom-1"),
        AttachedEvidence(statement, "one", "1.0", "dist/p.intoto.json", "a/provenance-1"),
        AttachedEvidence(statement, "other", "2.0", "dist/p.intoto.json", failure=refused),
    )
    return replace(report, evidence=evidence)
