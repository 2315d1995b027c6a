import re

import pytest

from gar_publish.errors import BadInput
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository, is_web_url

GOOGLE = Endpoints()


def parse(text: str, *, project: str = "", location: str = "") -> Repository:
    return Repository.parse(text, project=project, location=location, endpoints=GOOGLE)


@pytest.mark.parametrize(
    "text",
    [
        "us-central1/demo-project/python",
        "us-central1/demo-project/python/",
        "projects/demo-project/locations/us-central1/repositories/python",
        "/projects/demo-project/locations/us-central1/repositories/python/",
        "https://us-central1-python.pkg.dev/demo-project/python/",
        "https://us-central1-python.pkg.dev/demo-project/python",
        "https://us-central1-python.pkg.dev/demo-project/python/simple/",
        "https://us-central1-python.pkg.dev/demo-project/python/simple",
        "us-central1-python.pkg.dev/demo-project/python",
    ],
)
def test_every_form_means_the_same(text: str) -> None:
    url = "https://us-central1-python.pkg.dev/demo-project/python/"
    repository = parse(text)
    assert repository == Repository(url, f"{url}simple/", "us-central1", "demo-project", "python")
    assert repository.resource == "projects/demo-project/locations/us-central1/repositories/python"
    assert repository.files_url == url
    assert str(repository) == "us-central1/demo-project/python"


def test_a_bare_name_takes_project_and_location() -> None:
    repository = parse("python", project="demo-project", location="europe")
    assert repository == parse("europe/demo-project/python")


def test_a_domain_scoped_project_is_two_parts_of_the_url() -> None:
    named = parse("us/example.com:demo/python")
    assert named.upload_url == "https://us-python.pkg.dev/example.com/demo/python/"
    assert parse(named.upload_url) == named


@pytest.mark.parametrize("text", ["http://localhost:8080/", "http://localhost:8080", "http://localhost:8080/simple/"])
def test_another_index_is_used_as_it_is(text: str) -> None:
    repository = parse(text)
    assert repository == Repository("http://localhost:8080/", "http://localhost:8080/simple/")
    assert (repository.resource, repository.files_url) == (None, None)
    assert str(repository) == "http://localhost:8080/"


def test_the_emulator_takes_the_place_of_the_host() -> None:
    url = "https://us-central1-python.pkg.dev/demo-project/python/"
    repository = Repository.parse(url, endpoints=Endpoints("http://127.0.0.1:1"))
    assert repository.index_url == "http://127.0.0.1:1/us-central1-python.pkg.dev/demo-project/python/simple/"


FORM, LOCATION = "repository-form", "repository-location"


@pytest.mark.parametrize(
    ("text", "says", "fix", "anchor"),
    [
        ("", "`repository` is missing", "`repository: LOCATION/PROJECT/REPOSITORY`", FORM),
        ("us/p/python\u200b", r"invisible characters: 'us/p/python\u200b'", "type it again", FORM),
        ("https://me:hunter2@host/\u200b", r"invisible characters: 'host/\u200b'", "type it again", FORM),
        (
            "python",
            "the bare name 'python', and `project` and `location` are missing",
            "set `project` and `location`, or give it as us-central1/my-project/python",
            FORM,
        ),
        ("demo-project/python", "is not the name or URL of a repository: demo-project/python", "`repository:", FORM),
        ("a/b/c/d", "is not the name or URL of a repository", "`repository: LOCATION", FORM),
        ("us-central1-a/demo-project/python", "us-central1-a is a zone", "use us-central1", LOCATION),
        ("us_central1/demo-project/python", "'us_central1' is not a location", "--project=demo-project", LOCATION),
        ("demo-project/us/python", "'demo-project' is not a location", "gcloud artifacts locations list", LOCATION),
        ("us/demo project/python", "'demo project' is not the id of a", "gcloud projects list", FORM),
        ("us/demo-project/My_Repo", "lower-case letters", "--project=demo-project --location=us", FORM),
        ("us/demo-project/python-", "'python-' is not the name", "gcloud artifacts repositories list", FORM),
        (f"us/demo-project/{'a' * 64}", "is not the name", "gcloud artifacts repositories list", FORM),
        ("https://us-python.pkg.dev/demo-project/", "does not name a project and a repository", "PROJECT/REP", FORM),
        ("https://us-docker.pkg.dev/p/python/", "us-docker.pkg.dev is a host of", "-python.pkg.dev/PROJECT", FORM),
        ("https://me:hunter2@host/", "a user name or a password", "`access-token`", FORM),
        ("https://hunter2@host/", "a user name or a password", "`access-token`", FORM),
        ("https://:hunter2@host/", "a user name or a password", "`access-token`", FORM),
        ("https://host/path/?token=hunter2", "a query or a fragment", "remove what follows", FORM),
        ("https://host/path/#hunter2", "a query or a fragment", "remove what follows", FORM),
        *((text, "not a valid one that begins with https://", "`repository: LOCATION", FORM) for text in (
            "ftp://host/path/", "https:///path/", "https://[::1/path/", "https://host:port/", "https://host:0/",
        )),
    ],
)  # fmt: skip
def test_other_texts_are_refused(text: str, says: str, fix: str, anchor: str) -> None:
    with pytest.raises(BadInput, match=re.escape(says)) as caught:
        parse(text)
    assert fix in caught.value.fix
    assert caught.value.anchor == anchor
    assert "hunter2" not in caught.value.explain()


def test_the_longest_name() -> None:
    assert parse(f"us/demo-project/{'a' * 63}").name == "a" * 63


@pytest.mark.parametrize(
    "text", ["us-central1/demo-project/python", "https://host/", "projects/p/locations/us/repositories/r"]
)
@pytest.mark.parametrize("name", ["project", "location"])
def test_parts_given_twice_are_refused(text: str, name: str) -> None:
    with pytest.raises(BadInput, match=f"{text}.* includes the project and the location, but `{name}`") as caught:
        parse(text, **{name: "other"})
    assert (caught.value.fix, caught.value.anchor) == (f"remove `{name}`", FORM)


@pytest.mark.parametrize(("given", "missing"), [("project", "location"), ("location", "project")])
def test_half_a_bare_name_names_the_missing_half(given: str, missing: str) -> None:
    with pytest.raises(BadInput, match=f"and `{missing}` is missing"):
        parse("python", **{given: "us"})


@pytest.mark.parametrize(
    ("url", "valid"),
    [
        ("https://host/", True),
        ("http://host:1/", True),
        ("https://host:0/", False),
        ("https://host:65536/", False),
        ("ftp://host/", False),
        ("https://", False),
        (f"https://{'a' * 64}/", False),
    ],
)
def test_web_urls(url: str, *, valid: bool) -> None:
    assert is_web_url(url) is valid


def test_commands_of_gcloud() -> None:
    repository = parse("us/demo-project/python")
    group, where = "gcloud artifacts repositories", "--location=us --project=demo-project"
    assert repository.to_create() == f"{group} create python --repository-format=python {where}"
    assert repository.to_create("other") == f"{group} create other --repository-format=python {where}"
    assert repository.to_describe() == f"{group} describe python {where}"
    granted = f"add-iam-policy-binding python {where} --member=user:a@example.com --role=roles/x"
    assert repository.to_grant("user:a@example.com", "roles/x") == f"{group} {granted}"
