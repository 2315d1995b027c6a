"""pypiserver as the registry: a registry that gar-publish's authors did not write."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from gar_publish.auth.tokens import GivenSource
from gar_publish.context import Context, RetryPolicy
from gar_publish.distributions import distribution
from gar_publish.errors import Conflict
from gar_publish.registry.index import Index
from gar_publish.registry.upload import Uploader
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from gar_publish.transport.session import new_session
from tests.integration.frontdoors import HELLO, Done, Doors, install
from tests.recording import RecordingConsole
from tests.wheels import make_wheel

TOKEN = "made-up-token-for-a-second-registry"
SERVER = """
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server
import pypiserver

class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass

token = sys.stdin.readline().strip()
app = pypiserver.app(
    roots=[sys.argv[1]],
    auther=lambda user, password: (user, password) == ("oauth2accesstoken", token),
    authenticate=["download", "list", "update"],
    disable_fallback=True,
    hash_algo="sha256",
)
with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
"""


@dataclass(frozen=True)
class Registry:
    url: str
    folder: Path


@pytest.fixture
def registry(tmp_path_factory: pytest.TempPathFactory, clean_env: dict[str, str]) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("pypiserver")
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER, folder],
        env=clean_env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin
        assert server.stdout
        server.stdin.write(f"{TOKEN}\n")
        server.stdin.flush()
        yield Registry(f"http://127.0.0.1:{int(server.stdout.readline())}/", folder)
        server.terminate()


@pytest.fixture
def doors(clean_env: dict[str, str], tmp_path: Path) -> Doors:
    """Both front doors, without an emulator."""
    make_wheel(tmp_path / "work/dist", "hello")
    return Doors(tmp_path / "work", clean_env)


def publish(doors: Doors, registry: Registry, *more: str, token: str = TOKEN) -> tuple[Done, dict[str, Any]]:
    who = ("--repository", registry.url, "--access-token", "-")
    done = doors.command("publish", *who, "--dist", "dist", "--json", "-", *more, given=token)
    return done, json.loads(done.out)


def status(report: dict[str, Any]) -> str:
    (package,) = report["packages"]
    (file,) = package["files"]
    return str(file["status"])


def test_pip_installs_the_uploaded_file(doors: Doors, registry: Registry) -> None:
    done, report = publish(doors, registry)
    assert done.code == 0, done.err
    assert status(report) == "uploaded"
    assert report["verified"] is True
    assert report["index-url"] == f"{registry.url}simple/"
    assert (registry.folder / HELLO).read_bytes() == (doors.folder / "dist" / HELLO).read_bytes()

    line = doors.command("index-url", "--repository", registry.url, "--access-token", "-", given=TOKEN)
    assert line.code == 0, line.err
    installed = install(doors, line.out, report["requirements-hashed"], options=["--require-hashes"])
    assert (installed / "hello.py").is_file()


def test_an_identical_file_is_skipped_for_another_form_of_the_url(doors: Doors, registry: Registry) -> None:
    publish(doors, registry)
    done, report = publish(doors, Registry(f"{registry.url}simple", registry.folder))
    assert done.code == 0, done.err
    assert status(report) == "identical"
    assert report["published"] is False


def test_different_contents_are_a_conflict(doors: Doors, registry: Registry) -> None:
    publish(doors, registry)
    before = (registry.folder / HELLO).read_bytes()
    make_wheel(doors.folder / "dist", "hello", content="changed = True\n")

    done, _ = publish(doors, registry)
    assert done.code == 5
    assert "with different contents: hello.py has different contents." in done.errors[0]
    assert (registry.folder / HELLO).read_bytes() == before

    done, report = publish(doors, registry, "--if-exists", "skip")
    assert done.code == 0
    assert status(report) == "skipped"
    assert (registry.folder / HELLO).read_bytes() == before


@pytest.mark.parametrize(("agent", "answer"), [("gar-publish/0", 409), ("twine/7", 400)])
def test_a_file_that_is_uploaded_after_the_comparison(
    doors: Doors, registry: Registry, monkeypatch: pytest.MonkeyPatch, agent: str, answer: int
) -> None:
    """Pypiserver's answer to a duplicate depends on the client; the contents decide."""
    publish(doors, registry)
    answers: list[int] = []
    session = new_session()
    session.headers["User-Agent"] = agent
    send = session.send

    def see_the_answer(request: requests.PreparedRequest, **how: Any) -> requests.Response:
        response = send(request, **how)
        answers.append(response.status_code)
        return response

    monkeypatch.setattr(session, "send", see_the_answer)
    context = Context(doors.folder, {}, Endpoints(), RecordingConsole(), RetryPolicy(tries=1))
    repository = Repository(registry.url, f"{registry.url}simple/")
    source = GivenSource(TOKEN)
    index = Index(repository, context, new_session(), source)
    uploader = Uploader(repository, context, session, source, index, if_exists="skip-identical", scratch=None)

    assert uploader.upload(distribution.read(doors.folder / "dist" / HELLO)).status == "identical"
    changed = make_wheel(doors.folder / "changed", "hello", content="changed = True\n")
    with pytest.raises(Conflict, match="with different contents"):
        uploader.upload(distribution.read(changed))
    assert answers == [answer, answer]


def test_wrong_token(doors: Doors, registry: Registry) -> None:
    """Pypiserver answers 403 where Google answers 401."""
    done, report = publish(doors, registry, token="another-token-that-is-wrong")
    assert done.code == 6
    (message,) = done.errors
    assert "refuses to read (HTTP 403)" in message
    assert "ask the index's owner for access" in report["failure"]["fix"]
    assert list(registry.folder.iterdir()) == []
