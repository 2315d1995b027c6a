import pytest

from gar_publish.errors import BadInput
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository

GOOGLE = Endpoints()


@pytest.mark.parametrize(
    "text",
    [
        "us-central1/demo-project/python",
        "us-central1/demo-project/python/",
        "projects/demo-project/locations/us-central1/repositories/python",
        "https://us-central1-python.pkg.dev/demo-project/python/",
        "https://us-central1-python.pkg.dev/demo-project/python",
        "https://us-central1-python.pkg.dev/demo-project/python/simple/",
        "https://us-central1-python.pkg.dev/demo-project/python/simple",
        "us-central1-python.pkg.dev/demo-project/python",
    ],
)
def test_every_form_means_the_same(text: str) -> None:
    repository = Repository.parse(text, endpoints=GOOGLE)
    assert repository.upload_url == "https://us-central1-python.pkg.dev/demo-project/python/"
    assert repository.index_url == "https://us-central1-python.pkg.dev/demo-project/python/simple/"
    assert repository.resource == "projects/demo-project/locations/us-central1/repositories/python"
    assert str(repository) == "us-central1/demo-project/python"


def test_a_bare_name_takes_project_and_location() -> None:
    repository = Repository.parse("python", project="demo-project", location="europe", endpoints=GOOGLE)
    assert repository.upload_url == "https://europe-python.pkg.dev/demo-project/python/"


def test_a_domain_scoped_project_is_two_parts_of_the_url() -> None:
    named = Repository.parse("us/example.com:demo/python", endpoints=GOOGLE)
    assert named.upload_url == "https://us-python.pkg.dev/example.com/demo/python/"
    assert Repository.parse(named.upload_url, endpoints=GOOGLE) == named


@pytest.mark.parametrize("text", ["http://localhost:8080/", "http://localhost:8080", "http://localhost:8080/simple/"])
def test_another_index_is_taken_as_it_is(text: str) -> None:
    repository = Repository.parse(text, endpoints=GOOGLE)
    assert repository.upload_url == "http://localhost:8080/"
    assert repository.index_url == "http://localhost:8080/simple/"
    assert repository.resource is None


def test_the_emulator_takes_the_place_of_the_host() -> None:
    repository = Repository.parse(
        "https://us-central1-python.pkg.dev/demo-project/python/", endpoints=Endpoints("http://127.0.0.1:1")
    )
    assert repository.index_url == "http://127.0.0.1:1/us-central1-python.pkg.dev/demo-project/python/simple/"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "missing"),
        ("python", "`project` and `location` are missing"),
        ("demo-project/python", "no form that is known"),
        ("a/b/c/d", "no form that is known"),
        ("us-central1-a/demo-project/python", "is a zone"),
        ("us_central1/demo-project/python", "location"),
        ("demo-project/us-central1/python", "location"),
        ("us-central1/demo project/python", "project"),
        ("us-central1/demo-project/My_Repo", "lower-case"),
        ("https://us-central1-python.pkg.dev/demo-project/", "without a project and a repository"),
        ("https://us-central1-docker.pkg.dev/demo-project/python/", "not one for Python packages"),
        ("https://user:hunter2@us-central1-python.pkg.dev/demo-project/python/", "user name or a password"),
        ("https://host/path/?token=hunter2", "query"),
        ("ftp://host/path/", "not an https one"),
        ("https://[::1/path/", "not a URL"),
        ("https://host:port/", "not a URL"),
    ],
)
def test_what_cannot_be_a_repository_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        Repository.parse(text, endpoints=GOOGLE)
    assert "hunter2" not in caught.value.explain()
    assert caught.value.fix


@pytest.mark.parametrize(
    "text", ["us-central1/demo-project/python", "https://host/", "projects/p/locations/us/repositories/r"]
)
def test_parts_given_twice_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="`project` is given as well"):
        Repository.parse(text, project="other", endpoints=GOOGLE)


def test_half_a_bare_name_names_the_missing_half() -> None:
    with pytest.raises(BadInput, match="`location` is missing"):
        Repository.parse("python", project="demo-project", endpoints=GOOGLE)


def test_gcloud_is_told_where_it_is() -> None:
    repository = Repository.parse("us/demo-project/python", endpoints=GOOGLE)
    group, where = "gcloud artifacts repositories", "--location=us --project=demo-project"
    assert repository.to_create() == f"{group} create python --repository-format=python {where}"
    assert repository.to_create("other") == f"{group} create other --repository-format=python {where}"
    assert repository.to_describe() == f"{group} describe python {where}"
    granted = f"add-iam-policy-binding python {where} --member=user:a@example.com --role=roles/x"
    assert repository.to_grant("user:a@example.com", "roles/x") == f"{group} {granted}"
