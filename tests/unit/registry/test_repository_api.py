import json
import threading
from collections.abc import Callable

import pytest
import requests

from gar_publish.auth.tokens import GivenSource
from gar_publish.context import Context
from gar_publish.errors import RegistryRefused, Unreachable
from gar_publish.registry import repository_api
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.refusals import DOWNLOAD, UPLOAD
from gar_publish.registry.repository_api import RepositoryApi
from gar_publish.settings.repository import Repository
from tests.unit.failures import words
from tests.unit.servers import Memory, Reply, ScriptedServer, Seen, Time

API = "/artifactregistry.googleapis.com/v1"
PARENT = f"{API}/projects/demo-project/locations/us/repositories"


@pytest.fixture
def api(context: Context, session: requests.Session) -> RepositoryApi:
    repository = Repository.parse("us/demo-project/python", endpoints=context.endpoints)
    google = GoogleApi(context, session, GivenSource("ya29.given"))
    return RepositoryApi(repository, google, "serviceAccount:me@demo-project.iam.gserviceaccount.com")


CREATE = "gcloud artifacts repositories create python --repository-format=python --location=us --project=demo-project"
BY_ADMIN = f"create the repository with an account that has roles/artifactregistry.admin\n  {CREATE}"


def wrong_mode(mode: str, use: str = "publish to", why: str = "accept uploads") -> list[str]:
    return [
        f"Cannot {use} us/demo-project/python: it is a {mode} repository. Only standard repositories {why}.",
        "a virtual repository shows the packages of other repositories; a remote repository caches another index",
        (
            "use a standard repository; this shows which ones are behind us/demo-project/python\n"
            "  gcloud artifacts repositories describe python --location=us --project=demo-project"
        ),
        "repository-mode",
    ]


def found(**body: str) -> Reply:
    return Reply(200, json.dumps({"format": "PYTHON", "mode": "STANDARD_REPOSITORY", **body}))


def test_a_standard_python_repository_is_fine(server: ScriptedServer, api: RepositoryApi) -> None:
    server.on(f"{PARENT}/python", found())
    api.check(create=False)
    assert server.seen[0].headers["Authorization"] == "Bearer ya29.given"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            {"format": "DOCKER"},
            [
                "us/demo-project/python has format DOCKER; gar-publish needs PYTHON.",
                "",
                f"create a Python repository\n  {CREATE.replace('create python', 'create NAME')}",
                "repository-format",
            ],
        ),
        ({"mode": "VIRTUAL_REPOSITORY"}, wrong_mode("virtual")),
        ({"mode": "REMOTE_REPOSITORY"}, wrong_mode("remote")),
    ],
)
def test_a_repository_that_takes_no_uploads_is_refused(
    server: ScriptedServer, api: RepositoryApi, body: dict[str, str], says: list[str]
) -> None:
    server.on(f"{PARENT}/python", found(**body))
    with pytest.raises(RegistryRefused) as caught:
        api.check(create=True)
    assert words(caught.value) == says


def test_a_missing_repository_is_refused_with_the_command_that_creates_it(
    server: ScriptedServer, api: RepositoryApi
) -> None:
    server.on(API, Reply(404, '{"error": {"message": "Requested entity was not found."}}'))
    with pytest.raises(RegistryRefused) as caught:
        api.check(create=False)
    assert words(caught.value) == [
        "The repository us/demo-project/python does not exist.",
        "a wrong project, location or name; a repository exists in one location only",
        f"create the repository, or set `create-repository: true`\n  {CREATE}",
        "repository-missing",
    ]
    assert caught.value.detail == "Requested entity was not found."


@pytest.mark.parametrize("reply", [Reply(403, "denied"), Reply(401), Reply(503)])
def test_an_answer_that_proves_nothing_is_ignored(server: ScriptedServer, api: RepositoryApi, reply: Reply) -> None:
    server.on(API, reply)
    assert api.check(create=False) is False


CREATING = {"name": "projects/demo-project/locations/us/operations/1"}


def test_a_missing_repository_is_created_and_waited_for(
    server: ScriptedServer, api: RepositoryApi, time: Time, console: Memory
) -> None:
    server.on(f"{PARENT}/python", Reply(404), found())
    server.on(f"{PARENT}?repositoryId=python", Reply(200, json.dumps(CREATING)))
    done = Reply(200, json.dumps({**CREATING, "done": True}))
    server.on(f"{API}/{CREATING['name']}", Reply(200, json.dumps(CREATING)), done)
    assert api.check(create=True)
    assert time.slept == [0.5, 1]
    assert console.said == [
        "us/demo-project/python does not exist; creating it.",
        "us/demo-project/python is being created; trying again in 0.5 s",
        "us/demo-project/python is being created; trying again in 1.0 s",
    ]
    assert json.loads(server.asked(f"{PARENT}?")[0].body) == {"format": "PYTHON", "mode": "STANDARD_REPOSITORY"}


LOST = {**CREATING, "done": True, "error": {"code": 6, "message": "exists"}}


@pytest.mark.parametrize("answer", [Reply(409, "exists"), Reply(200, json.dumps(LOST))], ids=["at once", "at the end"])
def test_a_repository_that_another_run_creates_is_waited_for(
    server: ScriptedServer, api: RepositoryApi, time: Time, answer: Reply
) -> None:
    server.on(f"{PARENT}/python", Reply(404), Reply(404), Reply(404), found())
    server.on(f"{PARENT}?", answer)
    assert api.check(create=True)
    assert time.slept == [0.5, 1]


def test_another_run_may_have_created_another_kind(server: ScriptedServer, api: RepositoryApi) -> None:
    server.on(f"{PARENT}/python", Reply(404), found(format="DOCKER"))
    server.on(f"{PARENT}?", Reply(409, "exists"))
    with pytest.raises(RegistryRefused, match="format DOCKER"):
        api.check(create=True)


def test_a_repository_that_never_appears(
    server: ScriptedServer, api: RepositoryApi, time: Time, console: Memory
) -> None:
    server.on(f"{PARENT}/python", Reply(404))
    server.on(f"{PARENT}?", Reply(409, "exists"))
    with pytest.raises(RegistryRefused) as caught:
        api.check(create=True)
    assert words(caught.value) == [
        "us/demo-project/python is still being created after one minute.",
        "",
        "run again: gar-publish uses the repository once it exists",
        "create-repository",
    ]
    assert console.said[0] == "us/demo-project/python is created by another run."
    assert console.said[1] == "us/demo-project/python does not exist yet; trying again in 0.5 s"
    assert sum(time.slept) == pytest.approx(60.5)


def test_an_identity_that_may_create_but_not_look(server: ScriptedServer, api: RepositoryApi) -> None:
    server.on(f"{PARENT}/python", Reply(403, "denied"))
    server.on(f"{PARENT}?", Reply(200, json.dumps({**CREATING, "done": True})))
    assert api.check(create=True)


def test_a_dry_run_creates_nothing_and_announces_it(
    server: ScriptedServer, api: RepositoryApi, console: Memory
) -> None:
    server.on(API, Reply(404))
    assert not api.check(create=True, dry_run=True)
    assert console.said == ["us/demo-project/python does not exist; it would be created."]
    assert {seen.method for seen in server.seen} == {"GET"}


def test_a_missing_role_is_named(server: ScriptedServer, api: RepositoryApi) -> None:
    server.on(f"{PARENT}/python", Reply(404))
    server.on(f"{PARENT}?", Reply(403, "denied"))
    with pytest.raises(RegistryRefused) as caught:
        api.check(create=True)
    assert words(caught.value) == [
        "us/demo-project/python is missing, or this identity may not see it, and may not create it (HTTP 403).",
        (
            "the identity lacks artifactregistry.repositories.create, which roles/artifactregistry.admin has, on the "
            "project demo-project"
        ),
        (
            f"create the repository once, by hand\n  {CREATE}\nor let this identity create it\n"
            "  gcloud projects add-iam-policy-binding demo-project "
            "--member=serviceAccount:me@demo-project.iam.gserviceaccount.com --role=roles/artifactregistry.admin"
        ),
        "create-repository",
    ]
    assert caught.value.detail == "denied"


def test_an_unknown_publisher_has_a_placeholder(
    server: ScriptedServer, context: Context, session: requests.Session
) -> None:
    repository = Repository.parse("us/demo-project/python", endpoints=context.endpoints)
    server.on(API, Reply(403, "denied"))
    with pytest.raises(RegistryRefused) as caught:
        RepositoryApi(repository, GoogleApi(context, session, GivenSource("ya29.given"))).check(create=True)
    assert "--member=MEMBER --role=" in caught.value.fix


def test_a_switched_off_api_when_creating(server: ScriptedServer, api: RepositoryApi) -> None:
    server.on(f"{PARENT}/python", Reply(403))
    disabled = {"message": "Artifact Registry API has not been used in project 1 before or it is disabled."}
    server.on(f"{PARENT}?", Reply(403, json.dumps({"error": disabled})))
    with pytest.raises(RegistryRefused) as caught:
        api.check(create=True)
    assert caught.value.anchor == "api-disabled"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Reply(400, "denied"), ["is missing and could not be created (HTTP 400).", "", BY_ADMIN]),
        (
            Reply(200, json.dumps({"done": True, "error": {"message": "denied"}})),
            ["could not be created.", "", "run again: gar-publish uses the repository once it exists"],
        ),
    ],
)
def test_another_reason_is_shown(server: ScriptedServer, api: RepositoryApi, answer: Reply, says: list[str]) -> None:
    server.on(f"{PARENT}/python", Reply(404))
    server.on(f"{PARENT}?", answer)
    with pytest.raises(RegistryRefused) as caught:
        api.check(create=True)
    what, *others = says
    assert words(caught.value) == [f"us/demo-project/python {what}", *others, "create-repository"]
    assert caught.value.detail == "denied"


def test_a_source_with_packages_is_fine(server: ScriptedServer, api: RepositoryApi) -> None:
    server.on(f"{PARENT}/python", found(), Reply(403), Reply(503))
    for _ in range(3):
        api.check_source()


def test_a_source_that_is_virtual_is_refused(server: ScriptedServer, api: RepositoryApi) -> None:
    server.on(f"{PARENT}/python", found(mode="VIRTUAL_REPOSITORY"))
    with pytest.raises(RegistryRefused, match="is a virtual repository"):
        api.check_source()


def test_a_missing_source_is_refused(server: ScriptedServer, api: RepositoryApi) -> None:
    server.on(f"{PARENT}/python", Reply(404, "gone"))
    with pytest.raises(RegistryRefused) as caught:
        api.check_source()
    assert words(caught.value) == [
        "The repository us/demo-project/python, to promote from, does not exist.",
        "a wrong project, location or name; a repository exists in one location only",
        "use one of the repositories that this lists\n  gcloud artifacts repositories list --project=demo-project",
        "repository-missing",
    ]
    assert caught.value.detail == "gone"


def test_creating_fails_in_an_outage(server: ScriptedServer, api: RepositoryApi) -> None:
    server.on(API, Reply(503))
    with pytest.raises(Unreachable, match=r"^Could not ask for us/demo-project/python: "):
        api.check(create=True)


@pytest.mark.parametrize("body", ["<html>login</html>", "[]"])
def test_an_answer_of_another_server_is_refused(server: ScriptedServer, api: RepositoryApi, body: str) -> None:
    server.on(API, Reply(200, body))
    with pytest.raises(RegistryRefused, match="Google's API answered, but not with a JSON object"):
        api.check(create=False)


DISABLED = '{"error": {"message": "Artifact Registry API has not been used in project 1 before or it is disabled."}}'


@pytest.mark.parametrize(
    "ask", [lambda api: api.check(create=False), lambda api: api.describe(), lambda api: api.permitted((UPLOAD,))]
)
def test_a_switched_off_api(server: ScriptedServer, api: RepositoryApi, ask: Callable[[RepositoryApi], object]) -> None:
    server.on(API, Reply(403, DISABLED))
    with pytest.raises(RegistryRefused, match="is disabled") as caught:
        ask(api)
    assert caught.value.fix == "enable the API\n  gcloud services enable artifactregistry.googleapis.com --project=1"


def test_a_repository_is_described_if_this_identity_may_ask(server: ScriptedServer, api: RepositoryApi) -> None:
    server.on(f"{PARENT}/python", found(), Reply(403, "denied"), Reply(403, "denied"), found(format="DOCKER"))
    assert api.describe() == {"format": "PYTHON", "mode": "STANDARD_REPOSITORY"}
    assert api.describe() is None
    assert not api.takes_uploads()
    assert not api.takes_uploads()


@pytest.mark.parametrize("answer", [found(), Reply(200, "{}")])
def test_a_repository_that_this_identity_sees_takes_uploads(
    server: ScriptedServer, api: RepositoryApi, answer: Reply
) -> None:
    server.on(f"{PARENT}/python", answer)
    assert api.takes_uploads()


@pytest.mark.parametrize(
    ("answer", "granted"),
    [
        (Reply(200, json.dumps({"permissions": [DOWNLOAD]})), {DOWNLOAD}),
        (Reply(200, "{}"), set()),
        (Reply(403, "denied"), None),
        (Reply(200, '{"permissions": "all"}'), None),
    ],
)
def test_permissions(server: ScriptedServer, api: RepositoryApi, answer: Reply, granted: set[str] | None) -> None:
    server.on(f"{PARENT}/python:testIamPermissions", answer)
    assert api.permitted((UPLOAD, DOWNLOAD)) == granted
    assert json.loads(server.seen[0].body) == {"permissions": [UPLOAD, DOWNLOAD]}


DENIED = RegistryRefused("us-python.pkg.dev refuses to read (HTTP 403).", anchor="registry-403")
PERIMETER = '{"error": {"message": "Prohibited.", "details": [{"vpcServiceControlsUniqueIdentifier": "x"}]}}'


@pytest.mark.parametrize(
    ("answers", "says", "anchor"),
    [
        ((Reply(403, "{}"), Reply(200, "{}")), "No Python repository python in us that ", "registry-403"),
        ((Reply(404, "{}"), Reply(404, "{}")), "No Python repository python in us that ", "registry-403"),
        ((Reply(404, "{}"), Reply(503)), "No Python repository python in us that ", "registry-403"),
        ((found(), Reply(200, "{}")), "me@demo-project.iam.gserviceaccount.com may not upload to ", "registry-403"),
        ((Reply(drop=True), Reply(401)), DENIED.what, "registry-403"),
        ((Reply(200, "<html>"), Reply(500)), DENIED.what, "registry-403"),
        ((Reply(503), Reply(403, DISABLED)), "The Artifact Registry API is disabled", "api-disabled"),
        ((Reply(403, PERIMETER), Reply(200, "{}")), "127.0.0.1", "perimeter"),
        ((Reply(403, "insufficient authentication scopes"), Reply(403)), "127.0.0.1", "token-scopes"),
    ],
)
def test_a_403_is_explained_by_two_calls(
    server: ScriptedServer, api: RepositoryApi, answers: tuple[Reply, Reply], says: str, anchor: str
) -> None:
    for path, answer in zip(("python", "python:testIamPermissions"), answers, strict=True):
        server.on(f"{PARENT}/{path}", answer)
    failure = api.explain(DENIED, publishes=True)
    assert failure.what.startswith(says)
    assert failure.anchor == anchor


def test_a_403_is_not_explained_for_long(
    server: ScriptedServer, api: RepositoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_answer = threading.Event()

    def answer_late(_: Seen) -> Reply:
        may_answer.wait(10)
        return found()

    server.on(PARENT, answer_late)
    monkeypatch.setattr(repository_api, "_EXPLAIN_SECONDS", 0.05)
    failure = api.explain(DENIED, publishes=True)
    may_answer.set()
    assert "does not answer repositories.get and testIamPermissions" in failure.cause


def test_releases_are_not_published_among_previews(server: ScriptedServer, api: RepositoryApi) -> None:
    body = {"format": "PYTHON", "labels": {"gar-publish": "previews"}}
    server.on(f"{PARENT}/python", Reply(200, json.dumps(body)))
    api.check(create=False, previews=True)
    with pytest.raises(RegistryRefused, match="where releases would be deleted"):
        api.check(create=False)


def test_previews_need_a_label_that_is_known(server: ScriptedServer, api: RepositoryApi) -> None:
    server.on(f"{PARENT}/python", Reply(403, '{"error": {"message": "Permission denied."}}'))
    api.check(create=False)
    with pytest.raises(RegistryRefused, match="labels of us/demo-project/python cannot be read") as caught:
        api.check(create=False, previews=True)
    assert "--member=serviceAccount:me@demo-project.iam.gserviceaccount.com " in caught.value.fix
