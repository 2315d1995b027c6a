"""Real clients against the emulator."""

import hashlib
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from gar_emulator import Emulator, World
from gar_emulator.world.iam import Binding
from gar_publish.registry.attachments import FILE_NAME
from tests.gcloud import Gcloud, require
from tests.integration.frontdoors import PUBLISHER, READER
from tests.wheels import make_wheel

BIN = Path(sys.executable).parent
DEVELOPER = "user:dev@example.com"
HOST = "us-central1-python.pkg.dev"
PATH = "/demo-project/python/"
RESOURCE = "projects/demo-project/locations/us-central1/repositories/python"
PROJECT = """
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"

[project]
name = "Client-Check"
version = "1.0"
requires-python = ">=3.9"
description = "A test."

[tool.poetry]
packages = [{ include = "client_check" }]
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def world() -> World:
    default = World.default()
    developer = Binding(DEVELOPER, "roles/artifactregistry.admin", "projects/demo-project")
    return replace(default, bindings=(*default.bindings, developer))


@pytest.fixture
def emulator(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(world, data=tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def url(emulator: Emulator) -> str:
    return emulator.address(HOST) + PATH


@pytest.fixture
def publisher(emulator: Emulator) -> str:
    return emulator.access_token(PUBLISHER)


@pytest.fixture
def run(tmp_path: Path, clean_env: dict[str, str]) -> Run:
    """Return a function that runs a client in the test's folder."""

    def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [shutil.which(program, path=str(BIN)) or program, *arguments],
            env={**clean_env, "PYTHONWARNINGS": "", **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build a wheel and an sdist with a real backend."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "client_check").mkdir()
    (folder / "client_check/__init__.py").write_text("ANSWER = 42\n")
    build = [sys.executable, "-m", "build", "--no-isolation", "--quiet", str(folder)]
    subprocess.run(build, check=True, capture_output=True)
    files = sorted(str(file) for file in (folder / "dist").iterdir())
    assert [Path(file).name for file in files] == ["client_check-1.0-py3-none-any.whl", "client_check-1.0.tar.gz"]
    return files


def _with_token(url: str, token: str, user: str = "oauth2accesstoken") -> str:
    return url.replace("://", f"://{user}:{quote(token, safe='')}@", 1) + "simple/"


def _ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _names(emulator: Emulator) -> list[str]:
    return [stored.filename for stored in emulator.files()]


# twine, uv: publish


def _twine(run: Run, url: str, token: str, files: list[str], *options: str) -> subprocess.CompletedProcess[str]:
    common = ["--non-interactive", "--disable-progress-bar", "--verbose", "--repository-url", url]
    secret = {"TWINE_USERNAME": "oauth2accesstoken", "TWINE_PASSWORD": token}
    return run("twine", "upload", *common, *options, *files, **secret)


def test_twine(run: Run, emulator: Emulator, url: str, publisher: str, dist: list[str]) -> None:
    _ok(_twine(run, url, publisher, dist))
    assert _names(emulator) == [Path(file).name for file in dist]
    assert {stored.requires_python for stored in emulator.files()} == {">=3.9"}
    assert emulator.read(Path(dist[0]).name) == Path(dist[0]).read_bytes()
    again = _twine(run, url, publisher, dist)
    assert again.returncode == 1
    assert "Requested entity already exists" in again.stdout
    assert "400 Bad Request" in again.stdout


def test_uv_publish(run: Run, emulator: Emulator, url: str, publisher: str, *, dist: list[str], tmp_path: Path) -> None:
    arguments = ["publish", "--publish-url", url, "--check-url", _with_token(url, publisher)]
    secret = {"UV_PUBLISH_USERNAME": "oauth2accesstoken", "UV_PUBLISH_PASSWORD": publisher}
    _ok(run("uv", *arguments, *dist, **secret))
    assert _names(emulator) == [Path(file).name for file in dist]
    again = _ok(run("uv", *arguments, *dist, **secret))
    assert again.count("already exists, skipping") == 2
    other = make_wheel(tmp_path / "other", "client-check", "1.0")
    refused = run("uv", *arguments, str(other), **secret)
    assert refused.returncode != 0
    assert "Local file and index file do not match" in refused.stderr
    plain = run("uv", "publish", "--publish-url", url, dist[0], **secret)
    assert plain.returncode != 0
    assert "Requested entity already exists" in plain.stderr


# pip, uv: install


def _answer(folder: Path) -> int:
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); import client_check; print(client_check.ANSWER)"
    return int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)


@pytest.fixture
def published(run: Run, url: str, publisher: str, dist: list[str]) -> list[str]:
    _ok(_twine(run, url, publisher, dist))
    return dist


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("client", [("pip", "install"), ("uv", "pip", "install")])
def test_install_from_the_index_in_json(
    run: Run, emulator: Emulator, url: str, *, tmp_path: Path, client: tuple[str, ...]
) -> None:
    """The tests of `configure` install from the index in HTML."""
    emulator.cloud.switch(json_index=True)
    reader = emulator.access_token(READER)
    target = tmp_path / "target"
    common = ["--no-deps", "--target", str(target), "--index-url", _with_token(url, reader)]
    _ok(run(*client, *common, "client-check==1.0"))
    assert _answer(target) == 42


# gcloud


@pytest.fixture
def artifacts(gcloud: Gcloud, emulator: Emulator) -> Callable[..., str]:
    """Return a function that runs `gcloud artifacts` as the developer and returns its output."""
    exports = {name: value for name, value in emulator.exports().items() if name.startswith("CLOUDSDK_API")}
    environment = {**exports, "CLOUDSDK_CORE_PROJECT": "demo-project"}
    token = emulator.access_token(DEVELOPER)
    return lambda *arguments: gcloud.run(shlex.join(["gcloud", "artifacts", *arguments]), token, environment)


@pytest.mark.thorough
@pytest.mark.usefixtures("published")
def test_gcloud_lists(artifacts: Callable[..., str], emulator: Emulator) -> None:
    where = ["--repository=python", "--location=us-central1", "--format=json"]
    (package,) = json.loads(artifacts("packages", "list", *where))
    assert package["name"].rpartition("/")[2] == "client-check"
    (version,) = json.loads(artifacts("versions", "list", "--package=client-check", *where))
    assert version["name"].rpartition("/")[2] == "1.0"
    files = json.loads(artifacts("files", "list", *where))
    assert [item["name"].rpartition("%2F")[2] for item in files] == _names(emulator)
    chosen = json.loads(artifacts("files", "list", "--package=client-check", "--version=1.0", *where))
    assert len(chosen) == 2
    file = f"client-check/{_names(emulator)[0]}"
    described = json.loads(artifacts("files", "describe", file, *where))
    hashes = {entry["type"]: entry["value"] for entry in described["hashes"]}
    assert hashes["SHA256"] == emulator.files()[0].sha256


def test_gcloud_repositories(artifacts: Callable[..., str], tmp_path: Path) -> None:
    described = json.loads(artifacts("repositories", "describe", "python", "--location=us-central1", "--format=json"))
    assert (described["format"], described["mode"]) == ("PYTHON", "STANDARD_REPOSITORY")
    where = ["--location=us-central1", "--format=json"]
    artifacts("repositories", "create", "made", "--repository-format=python", *where)
    listed = json.loads(artifacts("repositories", "list", *where))
    assert [item["name"].rpartition("/")[2] for item in listed] == ["made", "python"]
    artifacts("repositories", "update", "made", "--update-labels=team=a", *where)
    policy = {"name": "old", "action": {"type": "Delete"}, "condition": {"tagState": "any", "olderThan": "30d"}}
    (tmp_path / "policy.json").write_text(json.dumps([policy]))
    artifacts(
        "repositories", "set-cleanup-policies", "made", f"--policy={tmp_path}/policy.json", "--no-dry-run", *where
    )
    described = json.loads(artifacts("repositories", "describe", "made", *where))
    assert described["labels"] == {"team": "a"}
    assert described["cleanupPolicies"]["old"]["condition"] == {"tagState": "ANY", "olderThan": "2592000s"}
    everywhere = json.loads(artifacts("repositories", "list", "--format=json"))
    assert len(everywhere) == 2


@pytest.mark.usefixtures("published")
def test_gcloud_deletes(artifacts: Callable[..., str], emulator: Emulator) -> None:
    where = ["--repository=python", "--location=us-central1"]
    artifacts("versions", "delete", "1.0", "--package=client-check", *where)
    assert _names(emulator) == []


@pytest.mark.thorough
def test_gcloud_reads_attachments(artifacts: Callable[..., str], run: Run, emulator: Emulator, tmp_path: Path) -> None:
    make_wheel(tmp_path, "hello")
    (tmp_path / "publisher").write_text(emulator.access_token(PUBLISHER))
    options = ["--repository", "us-central1/demo-project/python", "--access-token", "publisher", "--index-token=none"]
    _ok(run("gar-publish", "publish", *options, "--dist=.", "--sbom", "--json=report.json", **emulator.exports()))
    (made,) = json.loads((tmp_path / "report.json").read_text())["evidence"]
    where = ["--repository=python", "--location=us-central1"]
    target = f"{RESOURCE}/packages/hello/versions/1.0"
    (listed,) = json.loads(artifacts("attachments", "list", f"--target={target}", "--format=json", *where))
    assert (listed["name"], listed["target"]) == (made["attachment"], target)
    id_ = listed["name"].rpartition("/")[2]
    assert json.loads(artifacts("attachments", "describe", id_, "--format=json", *where)) == listed
    artifacts("attachments", "download", id_, f"--destination={tmp_path}", *where)
    content = (tmp_path / Path(made["path"]).name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == made["sha256"]


@pytest.mark.thorough
def test_gcloud_attaches(run: Run, production: Emulator, proxy: str, tmp_path: Path) -> None:
    """A small file is uploaded in one request and a large one in parts, and existing files are reused.

    Uploads of gcloud ignore the path of an endpoint override, so the test uses the production names.
    """
    require()
    token = tmp_path / "token"
    token.write_text(production.access_token(DEVELOPER))
    environment = {
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_CORE_PROJECT": "demo-project",
        "HTTPS_PROXY": proxy,
        "NO_GCE_CHECK": "true",
        "REQUESTS_CA_BUNDLE": production.exports()["REQUESTS_CA_BUNDLE"],
    }
    make_wheel(tmp_path, "hello")
    options = ["--repository", "us-central1/demo-project/python", "--access-token", "token", "--index-token=none"]
    _ok(run("gar-publish", "publish", *options, "--dist=.", **environment))
    (tmp_path / "small.json").write_text("{}")
    (tmp_path / "large.json").write_text(" " * 6_000_000)
    target = f"{RESOURCE}/packages/hello/versions/1.0"
    where = ["--repository=python", "--location=us-central1"]
    for name, files in (("one", "small.json,large.json"), ("two", "small.json")):
        options = [f"--target={target}", f"--files={files}", "--attachment-type=text/plain", *where]
        _ok(run("gcloud", "artifacts", "attachments", "create", name, *options, **environment))
    (repository,) = production.cloud.repositories
    assert [each.id for each in production.cloud.attachments.attachments(repository)] == ["one", "two"]
    sizes = {file.annotations[FILE_NAME]: file.size for file in production.cloud.attachments.files(repository)}
    assert sizes == {"small.json": 2, "large.json": 6_000_000}
