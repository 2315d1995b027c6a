import pytest

from gar_publish.github.job_environment import pip_configuration, variables
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.index_url import default_name
from gar_publish.settings.repository import Repository

INDEX = "us-central1-python.pkg.dev/demo-project/python/simple/"
REPOSITORY = Repository.parse("us-central1/demo-project/python", endpoints=Endpoints())
URL = f"https://oauth2accesstoken:ya29.x@{INDEX}"


def test_each_tool_has_its_variables() -> None:
    assert variables(REPOSITORY, "ya29.x", only=False, index_name=None, before={}) == {
        "PIP_EXTRA_INDEX_URL": URL,
        "UV_INDEX": URL,
        "UV_INDEX_GAR_DEMO_PROJECT_PYTHON_USERNAME": "oauth2accesstoken",
        "UV_INDEX_GAR_DEMO_PROJECT_PYTHON_PASSWORD": "ya29.x",
        "POETRY_HTTP_BASIC_GAR_DEMO_PROJECT_PYTHON_USERNAME": "oauth2accesstoken",
        "POETRY_HTTP_BASIC_GAR_DEMO_PROJECT_PYTHON_PASSWORD": "ya29.x",
        "GAR_TOKEN": "ya29.x",
    }


def test_the_only_index_takes_the_place_of_pypi() -> None:
    exported = variables(REPOSITORY, "ya29.x", only=True, index_name="my.index", before={})
    assert exported["PIP_INDEX_URL"] == exported["UV_DEFAULT_INDEX"] == URL
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
    exported = variables(REPOSITORY, "ya29.x", only=False, index_name=None, before=before)
    assert exported["PIP_EXTRA_INDEX_URL"] == f"{other} {URL}"
    assert exported["UV_INDEX"] == f"{URL} torch={other}"
    assert "UV_EXTRA_INDEX_URL" not in exported
    before["UV_EXTRA_INDEX_URL"] = other
    alone = variables(REPOSITORY, "ya29.x", only=True, index_name=None, before=before)
    assert {alone[name] for name in before} == {""}


def test_what_is_no_url_among_the_extra_indexes_stays_as_it_is() -> None:
    before = {"PIP_EXTRA_INDEX_URL": "https://me:pa[ss@index.example.com/"}
    exported = variables(REPOSITORY, "ya29.x", only=False, index_name=None, before=before)
    assert exported["PIP_EXTRA_INDEX_URL"] == f"{before['PIP_EXTRA_INDEX_URL']} {URL}"


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("us-central1/example.com:demo/python", "gar-example-com-demo-python"),
        ("https://mirror.example.com/root/pypi/simple/", "gar-mirror-example-com-root-pypi"),
    ],
)
def test_the_usual_name_is_one_that_tools_take(repository: str, name: str) -> None:
    assert default_name(Repository.parse(repository, endpoints=Endpoints())) == name
