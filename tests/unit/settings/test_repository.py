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
    assert repository.resource is None
    assert str(repository) == "http://localhost:8080/"


def test_the_emulator_takes_the_place_of_the_host() -> None:
    url = "https://us-central1-python.pkg.dev/demo-project/python/"
    repository = Repository.parse(url, endpoints=Endpoints("http://127.0.0.1:1"))
    assert repository.index_url == "http://127.0.0.1:1/us-central1-python.pkg.dev/demo-project/python/simple/"


FORM, LOCATION = "repository-form", "repository-location"
GIVE = "use `repository: LOCATION/PROJECT/REPOSITORY`, such as us-central1/my-project/python"
GIVE_URL = "use `repository: https://LOCATION-python.pkg.dev/PROJECT/REPOSITORY/`"
COPIED = "the text was copied from a page or a document that contains such characters"
LOGIN = "`repository` is a URL with a user name or a password."
LOGGED = "a secret in a URL appears in logs"
TOKEN = "remove the user name and the password from the URL, and pass the token as `access-token`"
UNNAMED = "`repository` is a URL of Artifact Registry that does not name a project and a repository"
QUERY = "`repository` is a URL with a query or a fragment."
ORDER = "the order is LOCATION/PROJECT/REPOSITORY, and a location looks like us-central1 or europe"


@pytest.mark.parametrize(
    ("text", "what", "cause", "fix", "anchor"),
    [
        ("", "`repository` is missing.", "", GIVE, FORM),
        (
            "us/p/python\u200b",
            "`repository` contains invisible characters: 'us/p/python\\u200b'",
            COPIED,
            "type the name or URL of the repository again",
            FORM,
        ),
        (
            "https://me:hunter2@host/\u200b",
            "`repository` contains invisible characters: 'host/\\u200b'",
            COPIED,
            "type the name or URL of the repository again",
            FORM,
        ),
        (
            "python",
            "`repository` is only a name ('python'), and `project` and `location` are not set.",
            "",
            "set `project` and `location`, or set `repository` to a full path such as us-central1/my-project/python",
            FORM,
        ),
        *(
            (text, f"`repository` is not the name or URL of a repository: {text}", "", GIVE, FORM)
            for text in ("a/b", "a/b/c/d")
        ),
        (
            "us-central1-a/demo-project/python",
            "us-central1-a is a zone; a repository is in a region or multi-region.",
            "",
            "use the region us-central1",
            LOCATION,
        ),
        *(
            (
                f"{location}/demo-project/python",
                f"{location!r} is not a location of Artifact Registry.",
                ORDER,
                "use one of the locations that this lists\n  gcloud artifacts locations list --project=demo-project",
                LOCATION,
            )
            for location in ("us_central1", "my-project", "US", "us-central1-abc")
        ),
        (
            "us/demo project/python",
            "'demo project' is not a valid project ID.",
            "",
            "use one of the project IDs that this lists\n  gcloud projects list --format='value(projectId)'",
            FORM,
        ),
        *(
            (
                f"us/demo-project/{name}",
                f"{name!r} is not a valid repository name: a name has only lower-case letters, digits and hyphens.",
                "",
                (
                    "use one of the repositories that this lists\n"
                    "  gcloud artifacts repositories list --project=demo-project --location=us"
                ),
                FORM,
            )
            for name in ("My_Repo", "python-", "1python", "a" * 64)
        ),
        (
            "https://us-python.pkg.dev/demo-project/",
            f"{UNNAMED}: https://us-python.pkg.dev/demo-project/",
            "",
            GIVE_URL,
            FORM,
        ),
        (
            "us-docker.pkg.dev/p/python/",
            "us-docker.pkg.dev is a host of Artifact Registry, but not for Python packages.",
            "it is the URL of a Docker, npm or other repository",
            GIVE_URL,
            FORM,
        ),
        *(
            (f"https://{userinfo}@host/", LOGIN, LOGGED, TOKEN, FORM)
            for userinfo in ("me:hunter2", "hunter2", ":hunter2")
        ),
        *(
            (f"https://host/path/{end}", QUERY, "", "remove what follows the last / of the path", FORM)
            for end in ("?token=hunter2", "#hunter2")
        ),
        *(
            (text, "`repository` looks like a URL, but is not a valid one that begins with https://.", "", GIVE, FORM)
            for text in ("ftp://host/path/", "https:///path/", "https://[::1/path/", "https://host:port/", "https://host:0/")
        ),
    ],
)  # fmt: skip
def test_other_texts_are_refused(text: str, what: str, cause: str, fix: str, anchor: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    failure = caught.value
    assert (failure.what, failure.cause, failure.fix, failure.anchor) == (what, cause, fix, anchor)
    assert "hunter2" not in failure.explain()


def test_the_longest_name() -> None:
    assert parse(f"us/demo-project/{'a' * 63}").name == "a" * 63


@pytest.mark.parametrize("text", ["us/demo-project/python", "https://host/", "projects/p/locations/us/repositories/r"])
@pytest.mark.parametrize("name", ["project", "location"])
def test_parts_given_twice_are_refused(text: str, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text, **{name: "other"})
    what = f"`repository` ({text}) already contains the project and the location, so `{name}` must not be set."
    assert (caught.value.what, caught.value.fix, caught.value.anchor) == (what, f"remove `{name}`", FORM)


@pytest.mark.parametrize(("given", "missing"), [("project", "location"), ("location", "project")])
def test_half_a_bare_name_names_the_missing_half(given: str, missing: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse("python", **{given: "us"})
    assert caught.value.what == f"`repository` is only a name ('python'), and `{missing}` is not set."
    assert caught.value.fix.startswith(f"set `{missing}`, or set `repository` to a full path such as us-central1/")


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
