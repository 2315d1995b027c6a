import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gar_emulator import Emulator
from gar_publish.builder import builds
from gar_publish.builder.builds import Built
from gar_publish.console import Unit
from gar_publish.context import Context, RetryPolicy
from gar_publish.errors import BadInput
from gar_publish.projects import plan
from gar_publish.projects.find import Project
from gar_publish.publish import pipeline
from gar_publish.publish.pipeline import publish
from gar_publish.report.report import Report
from gar_publish.settings.credential import Federation
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import INPUTS, IndexToken, Settings
from gar_publish.transport import session
from tests.unit.publish.registry import Bench
from tests.unit.servers import Memory, Reply
from tests.wheels import make_wheel

PUBLISHER = "publisher@demo-project.iam.gserviceaccount.com"
Run = Callable[..., Report]


@pytest.fixture
def run(emulator: Emulator, tmp_path: Path) -> Run:
    """Return a function that publishes a, and b, which requires a."""
    make_wheel(tmp_path / "dist", "a")
    make_wheel(tmp_path / "dist", "b", requires=["a"])
    environment = {"GAR_EMULATOR_HOST": emulator.url, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    endpoints = Endpoints.from_environment(environment)
    inputs = {each.name: each.default for each in INPUTS} | {
        "repository": "us-central1/demo-project/python",
        "access-token": emulator.access_token(PUBLISHER),
        "dist": "dist",
    }

    def run(console: Memory, settled: Callable[[], None] = lambda: None, **given: str) -> Report:
        settings = Settings.from_inputs(inputs | given, environment=environment, endpoints=endpoints)
        return publish(settings, Context(tmp_path, environment, endpoints, console, RetryPolicy(), settled=settled))

    return run


class Broken(Memory):
    """A console that fails at the second file."""

    def progress(self, what: str, total: int, unit: Unit = "bytes") -> nullcontext[Callable[[int], None]]:
        if what.startswith("b"):
            raise KeyError("made-up-secret")
        return super().progress(what, total, unit)


def test_an_internal_error_is_reported_with_the_published_files(run: Run, emulator: Emulator) -> None:
    report = run(Broken())
    assert [(each.distribution.name, each.status) for each in report.files] == [("a", "uploaded"), ("b", "unknown")]
    assert [each.filename for each in emulator.files()] == ["a-1.0-py3-none-any.whl"]
    assert report.failure
    assert (report.failure.exit_code, report.failure.anchor) == (1, "internal-error")
    assert "(KeyError)" in report.failure.what
    assert "raise KeyError" in report.failure.detail
    assert not report.verified
    assert not report.index_token


BACKEND = """
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/p-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("p-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: p\\nVersion: 1.0\\n")
        wheel.writestr("p-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr("p-1.0.dist-info/RECORD", "")
        wheel.writestr("p.py", "")
    return "p-1.0-py3-none-any.whl"
"""


def test_the_outcome_is_settled_before_the_cleanup(run: Run, tmp_path: Path) -> None:
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    scratch: list[Path] = []

    def settled() -> None:
        scratch.extend(Path(tempfile.gettempdir()).glob("gar-publish-*/1/p-1.0-py3-none-any.whl"))

    report = run(Memory(), settled, dist="")
    assert report.published
    (wheel,) = scratch
    assert not wheel.exists()


class Recorder:
    """Takes the place of slow parts, and records their order and arguments."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = bench
        self.events: list[str] = []
        self.built: dict[str, Any] = {}
        self.counts: list[Mapping[str, int]] = []
        self.taken: Any = None
        new_session = session.new_session

        def open_session(policy: RetryPolicy, *, take: Any) -> session.Session:
            self.events.append("session")
            self.taken = take
            return new_session(policy)

        monkeypatch.setattr(session, "new_session", open_session)
        monkeypatch.setattr(builds, "building", self.building)
        monkeypatch.setattr(pipeline, "Preconnector", lambda *_: self)

    @contextmanager
    def building(self, projects: Sequence[Project], **arguments: Any) -> Iterator[Iterator[Built]]:
        self.events.append("build")
        self.built = {"projects": [each.name for each in projects], **arguments}
        wheels = [make_wheel(arguments["out"], each.name or "unnamed") for each in projects]
        yield iter([Built(each, (wheel,)) for each, wheel in zip(projects, wheels, strict=True)])

    def connect(self, counts: Mapping[str, int]) -> None:
        self.counts.append(counts)

    def take(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        self.events.append("close")


@pytest.fixture
def recorder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(bench, monkeypatch)


def project(folder: Path, name: str | None, version: str = "1.0") -> str:
    """Write a project, and return its folder's name."""
    path = folder / (name or "unnamed")
    path.mkdir()
    table = f'[project]\nname = "{name}"\nversion = "{version}"\n' if name else "[build-system]\nrequires = []\n"
    (path / "pyproject.toml").write_text(table)
    return path.name


@pytest.mark.parametrize(
    ("inputs", "container", "events"),
    [
        ({}, False, ["build", "session"]),
        ({}, True, ["session", "build"]),
        ({"if_exists": "skip"}, False, ["session", "build"]),
    ],
)
def test_builds_begin_early(
    bench: Bench, recorder: Recorder, inputs: dict[str, str], *, container: bool, events: list[str]
) -> None:
    packages = "\n".join([project(bench.folder, "b"), project(bench.folder, None), project(bench.folder, "a")])
    context = replace(bench.context, container=container)
    settings = bench.settings(packages=packages, jobs="3", formats="wheel", **inputs)
    report = publish(settings, context)
    assert [each.status for each in report.files] == ["uploaded"] * 3
    assert recorder.events == [*events, "close"]
    assert recorder.taken == recorder.take
    built = recorder.built
    assert built["projects"] == [None, "b", "a"]
    assert (built["formats"], built["jobs"], built["context"]) == ({"wheel"}, 3, context)
    assert built["private_index"](["a"]).result().endswith("/upload/simple/")
    assert not built["out"].exists()


def test_another_index_is_not_connected_to_early(bench: Bench, recorder: Recorder) -> None:
    packages = "\n".join([project(bench.folder, "a"), project(bench.folder, "b")])
    publish(bench.settings(packages=packages), bench.context)
    assert recorder.counts == [{}]


@pytest.mark.parametrize(("names", "uploads"), [(["a"], []), (["a", "b"], [2])])
def test_connections_to_google(bench: Bench, recorder: Recorder, names: list[str], uploads: list[int]) -> None:
    bench.server.on("/artifactregistry.googleapis.com/", Reply(200, "{}"))
    bench.server.on("/us-python.pkg.dev/", Reply(200, "<html>"))
    packages = "\n".join(project(bench.folder, name) for name in names)
    settings = bench.settings(repository="us/demo-project/python", packages=packages, verify="false")
    publish(settings, bench.context)
    upload_url, endpoints = settings.repository.upload_url, bench.context.endpoints
    assert recorder.counts == [
        {f"{upload_url}simple/": 2, endpoints.artifact_registry: 1},
        *({upload_url: count} for count in uploads),
    ]


@pytest.mark.parametrize(("index_token", "exchanges"), [("auto", 2), ("read-only", 2), ("publisher", 1), ("none", 1)])
def test_connections_for_workload_identity(
    index_token: IndexToken, exchanges: int, bench: Bench, recorder: Recorder
) -> None:
    federation = Federation("provider", None, "https://runner.example/token", "request-token")
    settings = replace(bench.settings(), credential=federation, index_token=index_token)
    with pipeline._connecting(settings, bench.context):
        assert recorder.counts == [{"https://runner.example/token": 1, bench.context.endpoints.sts: exchanges}]


def test_nothing_has_changed(bench: Bench, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def select(*_: object, **arguments: Any) -> list[Project]:
        asked.update(arguments)
        return []

    monkeypatch.setattr(plan, "select", select)
    context = replace(bench.context, settled=lambda: recorder.events.append("settled"))
    report = publish(bench.settings(changed_since="v1", dry_run="true"), context)
    assert bench.console.said == ["Nothing has changed since v1: there is nothing to do."]
    assert (report.files, report.dry_run, report.verified, report.index_token) == ((), True, False, "")
    assert report.token_expires_at is None
    assert asked == {
        "changed_since": "v1",
        "environment": bench.context.environment,
        "warn": bench.context.console.warning,
        "complete": False,
    }
    assert recorder.events == ["settled", "close"]


def test_another_version_is_refused_before_the_build(bench: Bench, recorder: Recorder) -> None:
    packages = project(bench.folder, "a", "2.0")
    with pytest.raises(BadInput, match=r"a \(2\.0\)"):
        publish(bench.settings(packages=packages, expected_version="1.0"), bench.context)
    assert recorder.events == ["close"]


def test_plain_http_is_refused(bench: Bench, recorder: Recorder) -> None:
    settings = replace(bench.settings(), repository=Repository("http://index.example/", "http://index.example/simple/"))
    with pytest.raises(BadInput, match="is not encrypted"):
        publish(settings, bench.context)
    assert recorder.events == []
