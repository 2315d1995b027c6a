import io

import pytest
import requests

from gar_publish.errors import CredentialsFailure, FileRefused, RegistryRefused
from gar_publish.registry.refusals import DOWNLOAD, UPLOAD, explain_denial, explain_refusal
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from tests.unit.failures import words

PYTHON = Repository.parse("us/p/r", endpoints=Endpoints())
ANOTHER = Repository.parse("https://user.example:80/x/", endpoints=Endpoints())
DENIED = (
    'Permission "artifactregistry.repositories.uploadArtifacts" denied on resource '
    '"projects/p/locations/us/repositories/r" (or it may not exist)'
)


def answer(
    status: int, body: str = "", url: str = "https://us-python.pkg.dev/p/r/", **headers: str
) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url, response.raw = status, url, io.BytesIO(body.encode())
    response.headers.update(headers)
    response.request = requests.Request("GET", url).prepare()
    return response


@pytest.mark.parametrize(
    ("status", "body", "what", "kind", "anchor"),
    [
        (
            403,
            '{"reason": "SERVICE_DISABLED"}',
            "The Artifact Registry API is disabled",
            RegistryRefused,
            "api-disabled",
        ),
        (401, "\nAPI has not been used in project 1", "The Artifact Registry API", RegistryRefused, "api-disabled"),
        (401, "SECURITY_POLICY_VIOLATED", "us-python.pkg.dev does not accept", CredentialsFailure, "registry-401"),
        (403, "no", "us-python.pkg.dev refuses to upload (HTTP 403).", RegistryRefused, "registry-403"),
        (403, DENIED, "us-python.pkg.dev refuses to upload (HTTP 403).", RegistryRefused, "registry-403"),
        (403, "a\n insufficient authentication scopes", "us-python.pkg.dev refuses", RegistryRefused, "token-scopes"),
        (404, "403", "us-python.pkg.dev does not have this", RegistryRefused, "repository-missing"),
        (300, "no", "us-python.pkg.dev redirected this request (HTTP 300)", RegistryRefused, "redirect"),
        (399, "no", "us-python.pkg.dev redirected this request (HTTP 399)", RegistryRefused, "redirect"),
        (413, "404", "us-python.pkg.dev does not accept a file of this size (HTTP", FileRefused, "file-too-large"),
        (422, "404", "us-python.pkg.dev refused to upload (HTTP 422).", FileRefused, "registry-refused"),
        (101, "", "us-python.pkg.dev refused to upload (HTTP 101).", FileRefused, "registry-refused"),
    ],
)
def test_known_refusals(status: int, body: str, what: str, kind: type[Exception], anchor: str) -> None:
    failure = explain_refusal(answer(status, body), PYTHON, "upload")
    assert failure.what.startswith(what)
    assert (type(failure), failure.anchor, failure.detail) == (kind, anchor, body.strip())


def test_a_key_as_the_password_is_refused() -> None:
    response = answer(401)
    response.request.prepare_auth(("_json_key_base64", "a2V5"))
    failure = explain_refusal(response, PYTHON, "upload")
    assert failure.what == "us-python.pkg.dev does not accept the key (HTTP 401)."
    assert (failure.exit_code, failure.anchor) == (3, "registry-401")
    assert "token" not in failure.cause + failure.fix


@pytest.mark.parametrize(
    "words", ["vpcServiceControlsUniqueIdentifier: eYhDkfYCu-dOCjuj8X4", "SECURITY_POLICY_VIOLATED"]
)
def test_a_service_perimeter(words: str) -> None:
    # https://github.com/cloudquery/cloudquery/issues/1062 shows this text for another API.
    failure = explain_refusal(
        answer(403, f"Request is prohibited by organization's policy.\n{words}"), PYTHON, "upload"
    )
    assert failure.anchor == "perimeter"
    assert failure.what == "us-python.pkg.dev refuses to upload: a service perimeter blocks the request (HTTP 403)."
    assert failure.fix.endswith("gcloud logging read IDENTIFIER --project=p")


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (
            403,
            "SERVICE_DISABLED",
            [
                "The Artifact Registry API is disabled in the project p.",
                "",
                "enable the API\n  gcloud services enable artifactregistry.googleapis.com --project=p",
                "api-disabled",
            ],
        ),
        (
            401,
            "",
            [
                "us-python.pkg.dev does not accept the token (HTTP 401).",
                "the token has expired, is truncated, or was issued for another service",
                "run again; if you give an `access-token`, give a fresh token\n  gcloud auth print-access-token",
                "registry-401",
            ],
        ),
        (
            403,
            "SECURITY_POLICY_VIOLATED",
            [
                "us-python.pkg.dev refuses to upload: a service perimeter blocks the request (HTTP 403).",
                "the organisation's VPC Service Controls do not allow this identity from this network",
                (
                    "ask the organisation's administrator to look up the identifier in the answer, and to allow this "
                    "identity\n"
                    "  gcloud logging read IDENTIFIER --project=p"
                ),
                "perimeter",
            ],
        ),
        (
            403,
            "insufficient authentication scopes",
            [
                "us-python.pkg.dev refuses to upload: the token's scopes do not allow this (HTTP 403).",
                (
                    "the token lacks the scope https://www.googleapis.com/auth/cloud-platform, or this registry does "
                    "not accept read-only tokens"
                ),
                "make the token with the scope cloud-platform; with `index-token: read-only`, use `index-token: auto`",
                "token-scopes",
            ],
        ),
        (
            403,
            "",
            [
                "us-python.pkg.dev refuses to upload (HTTP 403).",
                "the identity has no role on the repository, or the name, the location or the project is wrong",
                "use one of the repositories that this lists\n  gcloud artifacts repositories list --project=p",
                "registry-403",
            ],
        ),
        (
            404,
            "",
            [
                "us-python.pkg.dev does not have this repository (HTTP 404).",
                "a wrong project, location or repository name",
                "use one of the repositories that this lists\n  gcloud artifacts repositories list --project=p",
                "repository-missing",
            ],
        ),
        (
            302,
            "",
            [
                (
                    "us-python.pkg.dev redirected this request (HTTP 302); gar-publish does not send credentials to "
                    "another address."
                ),
                "the URL has no trailing slash, or a proxy answered",
                "set `repository` to LOCATION/PROJECT/REPOSITORY",
                "redirect",
            ],
        ),
        (
            413,
            "",
            [
                "us-python.pkg.dev does not accept a file of this size (HTTP 413).",
                "the registry, or a proxy on the way to it, has a limit",
                "make the file smaller, or raise the limit of the proxy",
                "file-too-large",
            ],
        ),
        (
            422,
            "",
            [
                "us-python.pkg.dev refused to upload (HTTP 422).",
                "",
                (
                    "read the answer; if it does not name the cause, run the doctor (in the action, add "
                    "doctor: true to the step's `with:`)\n  gar-publish doctor"
                ),
                "registry-refused",
            ],
        ),
    ],
)
def test_the_texts(status: int, body: str, says: list[str]) -> None:
    assert words(explain_refusal(answer(status, body), PYTHON, "upload")) == says


DISABLED = "Artifact Registry API has not been used in project {} before or it is disabled."
NO_QUOTA_PROJECT = (
    '{"message": "Your application is authenticating by using local Application Default Credentials. The '
    'artifactregistry.googleapis.com API requires a quota project, which is not set by default.", '
    '"metadata": {"consumer": "projects/764086051850"}, "reason": "SERVICE_DISABLED"}'
)


@pytest.mark.parametrize(
    ("body", "quota", "anchor", "what"),
    [
        (DISABLED.format("764086051850"), "", "quota-project", "for the project 764086051850, in which the API is"),
        (NO_QUOTA_PROJECT, "", "quota-project", "764086051850, in which artifactregistry.googleapis.com is disabled"),
        (DISABLED.format("123"), "other", "quota-project", "requests for the project 123, in which"),
        (DISABLED.format("123"), "p", "api-disabled", "is disabled in the project 123."),
        (DISABLED.format("123"), "", "api-disabled", "is disabled in the project 123."),
        ('{"reason": "USER_PROJECT_DENIED"}', "p", "quota-project", "This login may not use its quota project, p."),
        ("no", "other", "registry-403", "refuses to read (HTTP 403)"),
    ],
)
def test_a_disabled_api_of_another_project_is_not_taken_for_this_one(
    body: str, quota: str, anchor: str, what: str
) -> None:
    response = answer(403, body, "https://artifactregistry.googleapis.com/v1/projects/p")
    if quota:
        response.request.headers["x-goog-user-project"] = quota
    failure = explain_refusal(response, PYTHON, "read")
    assert failure.anchor == anchor
    assert what in failure.what
    if anchor == "quota-project":
        assert "\n  gcloud auth application-default set-quota-project " in failure.fix
    if anchor == "api-disabled":
        assert failure.fix.endswith("--project=123")


@pytest.mark.parametrize(("path", "anchor"), [("simple/a/", "registry-400"), ("a/a-1.0.whl", "registry-refused")])
def test_400_has_another_meaning_for_one_file(path: str, anchor: str) -> None:
    refused = answer(400, url=f"https://us-python.pkg.dev/p/r/{path}")
    assert explain_refusal(refused, PYTHON, "read").anchor == anchor


@pytest.mark.parametrize("status", [403, 404])
def test_another_index_has_no_gcloud_command(status: int) -> None:
    failure = explain_refusal(answer(status, url="http://user:pw@localhost:80/x"), ANOTHER, "read")
    assert failure.what.startswith("localhost:80 ")
    assert failure.fix == "compare `repository` with the index's URL, or ask the index's owner for access"


REFUSED = RegistryRefused("us-python.pkg.dev refuses to upload (HTTP 403).", anchor="registry-403", detail="no")
LIST = "compare `repository` with the repositories that this lists\n  gcloud artifacts repositories list --project=p\n"
ADD = "gcloud artifacts repositories add-iam-policy-binding"
CREATE = (
    "if it should be a new repository, create it\n"
    "  gcloud artifacts repositories create r --repository-format=python --location=us --project=p\n"
)


def grant(role: str, name: str = "REPOSITORY --location=LOCATION") -> str:
    return f"  {ADD} {name} --project=p --member=user:me@x.example --role=roles/artifactregistry.{role}"


@pytest.mark.parametrize(
    ("publishes", "exists", "granted", "what", "cause", "fix"),
    [
        (
            True,
            False,
            set(),
            "No Python repository r in us that me@x.example can see.",
            (
                "me@x.example may have no role on the repository, or its name, its location or the project p is wrong: "
                "Google answers all of these with HTTP 403"
            ),
            f"{LIST}{CREATE}grant the role on the right repository\n{grant('writer')}",
        ),
        (
            False,
            False,
            None,
            "No Python repository r in us that me@x.example can see.",
            (
                "me@x.example may have no role on the repository, or its name, its location or the project p is wrong: "
                "Google answers all of these with HTTP 403"
            ),
            f"{LIST}grant the role on the right repository\n{grant('reader')}",
        ),
        (
            True,
            None,
            None,
            REFUSED.what,
            (
                "me@x.example may have no role on the repository, or its name, its location or the project p is wrong: "
                "Google answers all of these with HTTP 403"
            ),
            f"{LIST}{CREATE}grant the role on the right repository\n{grant('writer')}",
        ),
        (
            True,
            None,
            {DOWNLOAD},
            "me@x.example may not upload to us/p/r.",
            "the identity has only roles/artifactregistry.reader, so it can download but not upload",
            f"grant the role\n{grant('writer', 'r --location=us')}",
        ),
        (
            True,
            None,
            {UPLOAD},
            "me@x.example may not upload to us/p/r.",
            "the identity lacks roles/artifactregistry.writer on this repository",
            f"grant the role\n{grant('writer', 'r --location=us')}",
        ),
        (
            False,
            True,
            set(),
            "me@x.example may not read us/p/r.",
            "the identity lacks roles/artifactregistry.reader on this repository",
            f"grant the role\n{grant('reader', 'r --location=us')}",
        ),
        (
            True,
            False,
            {DOWNLOAD, UPLOAD},
            REFUSED.what,
            (
                "me@x.example has the permission: it is only some minutes old, or the token's scope, a service "
                "perimeter or a deny policy blocks the request"
            ),
            "run it again in some minutes; with `index-token: read-only`, use `index-token: auto`",
        ),
    ],
    ids=["unseen", "unseen reader", "not told", "reads", "only sends", "sees", "allowed"],
)
def test_a_403_is_explained_by_what_is_known(
    *, publishes: bool, exists: bool | None, granted: set[str] | None, what: str, cause: str, fix: str
) -> None:
    failure = explain_denial(REFUSED, PYTHON, "user:me@x.example", publishes=publishes, exists=exists, granted=granted)
    assert words(failure) == [what, cause, fix, "registry-403"]
    assert failure.detail == "no"


@pytest.mark.parametrize(
    ("member", "start"),
    [
        ("MEMBER", "This identity may"),
        ("principalSet://iam.googleapis.com/p/attribute.repository/octo-org/Hello", "The jobs of octo-org/Hello may"),
        ("principalSet://iam.googleapis.com/p/attribute.repository/OWNER/REPOSITORY", "This identity may"),
        ("principal://iam.googleapis.com/p/subject/repo:octo-org/hello:ref:x", "This identity may"),
    ],
)
def test_the_identity_has_a_name(member: str, start: str) -> None:
    failure = explain_denial(REFUSED, PYTHON, member, publishes=True, exists=True)
    assert failure.what.startswith(start)
    assert f"--member={member} " in failure.fix


def test_the_switched_off_api_of_another_index_has_a_placeholder() -> None:
    failure = explain_refusal(answer(403, "SERVICE_DISABLED", url="https://user.example:80/x/"), ANOTHER, "read")
    assert failure.fix.endswith("--project=PROJECT")


def test_404_lists_the_projects_repositories() -> None:
    failure = explain_refusal(answer(404), Repository.parse("us/example.com:p/r", endpoints=Endpoints()), "read")
    assert failure.fix == (
        "use one of the repositories that this lists\n  gcloud artifacts repositories list --project=example.com:p"
    )


def test_the_emulator_is_called_by_the_host_that_it_emulates() -> None:
    emulated = Repository.parse("us/p/r", endpoints=Endpoints("http://127.0.0.1:1"))
    failure = explain_refusal(answer(401, url="http://127.0.0.1:1/us-python.pkg.dev/p/r/simple/"), emulated, "read")
    assert failure.what.startswith("us-python.pkg.dev does not accept")


def test_a_file_on_another_host_is_called_by_that_host() -> None:
    failure = explain_refusal(answer(403, url="https://files.example/a.whl"), PYTHON, "read")
    assert failure.what.startswith("files.example refuses")


def test_a_redirect_shows_its_target_without_the_query() -> None:
    response = answer(302, "moved", Location="https://elsewhere.example/?secret")
    assert explain_refusal(response, PYTHON, "upload").detail == "https://elsewhere.example/"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_redirected_download_is_judged_by_its_first_address(status: int) -> None:
    first = answer(307, url="https://us-python.pkg.dev/p/r/a/a-1-py3-none-any.whl")
    second = answer(status, "no", url=f"https://us-python.pkg.dev/artifacts-downloads/{'x' * 6000}")
    second.history = [first]
    failure = explain_refusal(second, PYTHON, "read", file="a-1-py3-none-any.whl")
    assert words(failure) == [
        (
            "us-python.pkg.dev redirects the download of a-1-py3-none-any.whl to an address that refuses it "
            f"(HTTP {status})."
        ),
        (
            "the registry does not serve this file at the moment, or a proxy refuses addresses of several kB; the "
            "role of the identity is not the cause"
        ),
        "run again later; if the registry refuses only this file, delete its version and publish it again",
        "redirected-download",
    ]
    assert (type(failure), failure.detail) == (FileRefused, "no")


def test_a_redirected_page_is_not_a_download() -> None:
    second = answer(403, url="https://us-python.pkg.dev/p/r/simple/b/")
    second.history = [answer(307, url="https://us-python.pkg.dev/p/r/simple/B/")]
    assert explain_refusal(second, PYTHON, "read").anchor == "registry-403"


def test_a_given_detail_is_shown_instead() -> None:
    assert explain_refusal(answer(403, '{"error": {"message": "no"}}'), PYTHON, "read", "no").detail == "no"
