from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gar_publish.auth.tokens import Token
from gar_publish.context import new_context
from gar_publish.errors import BadInput, RegistryRefused
from gar_publish.github import job_environment
from gar_publish.github.job_environment import names_in_uv, pip_configuration, read_only_token, variables
from gar_publish.settings.credential import Ambient, GivenToken
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.index_url import default_name
from gar_publish.settings.repository import Repository
from tests.unit.servers import Memory, Reply, ScriptedServer

INDEX = "us-central1-python.pkg.dev/demo-project/python/simple/"
REPOSITORY = Repository.parse("us-central1/demo-project/python", endpoints=Endpoints())
URL = f"https://oauth2accesstoken:ya29.x@{INDEX}"


def test_each_tool_has_its_variables() -> None:
    assert variables(REPOSITORY, "ya29.x", only=False, index_name=None, in_uv=None, has_netrc=False, before={}) == {
        "PIP_EXTRA_INDEX_URL": URL,
        "UV_INDEX": URL,
        "UV_INDEX_GAR_DEMO_PROJECT_PYTHON_USERNAME": "oauth2accesstoken",
        "UV_INDEX_GAR_DEMO_PROJECT_PYTHON_PASSWORD": "ya29.x",
        "POETRY_HTTP_BASIC_GAR_DEMO_PROJECT_PYTHON_USERNAME": "oauth2accesstoken",
        "POETRY_HTTP_BASIC_GAR_DEMO_PROJECT_PYTHON_PASSWORD": "ya29.x",
        "GAR_TOKEN": "ya29.x",
    }


def test_the_only_index_replaces_pypi() -> None:
    exported = variables(REPOSITORY, "ya29.x", only=True, index_name="my.index", in_uv=None, has_netrc=False, before={})
    assert exported["PIP_INDEX_URL"] == exported["UV_DEFAULT_INDEX"] == URL
    assert exported["PDM_PYPI_URL"] == f"https://{INDEX}"
    assert not exported.keys() & {"PIP_EXTRA_INDEX_URL", "UV_INDEX"}
    assert exported["UV_INDEX_MY_INDEX_PASSWORD"] == "ya29.x"
    assert pip_configuration(REPOSITORY, "ya29.x", only=True) == f"[global]\nindex-url = {URL}\n"
    assert pip_configuration(REPOSITORY, "ya29.x", only=False) == f"[global]\nextra-index-url = {URL}\n"


def test_other_extra_indexes_of_the_job_stay() -> None:
    other = "https://index.example.com/simple/"
    before = {
        "PIP_EXTRA_INDEX_URL": f"{URL.replace('ya29.x', 'ya29.old')} {other}",
        "UV_INDEX": f"torch={other} gar={URL.removesuffix('/')}",
    }
    exported = variables(REPOSITORY, "ya29.x", only=False, index_name=None, in_uv=None, has_netrc=False, before=before)
    assert exported["PIP_EXTRA_INDEX_URL"] == f"{other} {URL}"
    assert exported["UV_INDEX"] == f"{URL} torch={other}"
    assert "UV_EXTRA_INDEX_URL" not in exported
    before["UV_EXTRA_INDEX_URL"] = other
    alone = variables(REPOSITORY, "ya29.x", only=True, index_name=None, in_uv=None, has_netrc=False, before=before)
    assert {alone[name] for name in before} == {""}


def test_an_entry_that_is_not_a_url_stays_unchanged() -> None:
    before = {"PIP_EXTRA_INDEX_URL": "https://me:pa[ss@index.example.com/"}
    exported = variables(REPOSITORY, "ya29.x", only=False, index_name=None, in_uv=None, has_netrc=False, before=before)
    assert exported["PIP_EXTRA_INDEX_URL"] == f"{before['PIP_EXTRA_INDEX_URL']} {URL}"


def test_no_url_has_the_token_that_a_netrc_has() -> None:
    exported = variables(REPOSITORY, "ya29.x", only=False, index_name=None, in_uv=None, has_netrc=True, before={})
    assert exported["PIP_EXTRA_INDEX_URL"] == exported["UV_INDEX"] == f"https://{INDEX}"


@pytest.mark.parametrize(
    "text",
    [
        "tool = 1",
        "[tool]\nuv = 'text'",
        "[tool.uv]\nindex = 1",
        "[tool.uv]\nindex = 'text'",
        "[tool.uv]\nindex = ['text']",
        f"a = {'[' * 5000}",
    ],
)
def test_settings_that_uv_refuses_declare_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert names_in_uv(REPOSITORY, tmp_path) is None


def test_an_explicit_index_of_uv_stays_explicit(tmp_path: Path) -> None:
    assert names_in_uv(REPOSITORY, tmp_path) is None
    for folder, text in {
        "a/b": f'[[tool.uv.index]]\nname = "my.gar"\nurl = "https://{INDEX[:-1]}"\nexplicit = true\n',
        "c": f'[[tool.uv.index]]\nname = "other"\nurl = "https://index.example.com/"\n# {INDEX}\n',
        "d": f"[{INDEX}",
        ".venv": f'[[tool.uv.index]]\nname = "hidden"\nurl = "https://{INDEX}"\n',
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pyproject.toml").write_text(text)
    assert names_in_uv(REPOSITORY, tmp_path) == {"my.gar"}
    exported = variables(
        REPOSITORY, "ya29.x", only=False, index_name=None, in_uv={"my.gar"}, has_netrc=False, before={}
    )
    assert "UV_INDEX" not in exported
    assert exported["UV_INDEX_MY_GAR_PASSWORD"] == exported["UV_INDEX_GAR_DEMO_PROJECT_PYTHON_PASSWORD"] == "ya29.x"
    assert "UV_INDEX" not in variables(
        REPOSITORY, "t", only=False, index_name="x", in_uv=None, has_netrc=False, before={}
    )


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("us-central1/example.com:demo/python", "gar-example-com-demo-python"),
        ("https://mirror.example.com/root/pypi/simple/", "gar-mirror-example-com-root-pypi"),
    ],
)
def test_every_tool_accepts_the_default_name(repository: str, name: str) -> None:
    assert default_name(Repository.parse(repository, endpoints=Endpoints())) == name


@pytest.mark.parametrize("read_only", [True, False])
def test_the_token_of_later_steps(read_only: bool, monkeypatch: pytest.MonkeyPatch, console: Memory) -> None:  # noqa: FBT001 - a table
    asked: list[Any] = []
    token = Token("ya29.reader", None)

    def open_for_reading(*arguments: Any) -> SimpleNamespace:
        asked.extend(arguments)
        return SimpleNamespace(reads_as_publisher=not read_only, reader=SimpleNamespace(to_hand_out=lambda: token))

    monkeypatch.setattr(job_environment, "open_for_reading", open_for_reading)
    context = new_context({}, console)
    assert read_only_token(REPOSITORY, Ambient(), context) is token
    assert asked[:4] == [REPOSITORY, Ambient(), "read-only", context]
    assert bool(console.said) is not read_only
    for text in console.said:
        assert text == (
            "This credential cannot be made read-only: every later step of the job has all of its rights. "
            "Use an identity that has the role Artifact Registry Reader and no other."
        )


def test_a_given_token_is_tried_on_the_index(server: ScriptedServer, console: Memory) -> None:
    repository = Repository.parse(server.url, endpoints=Endpoints())
    server.on("/", Reply(404))
    assert read_only_token(repository, GivenToken("ya29.given"), new_context({}, console)).value == "ya29.given"
    assert len(server.seen) == 1
    server.on("/", Reply(403))
    with pytest.raises(RegistryRefused):
        read_only_token(repository, GivenToken("ya29.given"), new_context({}, console))


def test_no_token_is_sent_over_plain_http(console: Memory) -> None:
    repository = Repository.parse("http://registry.example.com/simple/", endpoints=Endpoints())
    with pytest.raises(BadInput) as caught:
        read_only_token(repository, GivenToken("ya29.given"), new_context({}, console))
    assert caught.value.anchor == "plain-http"
