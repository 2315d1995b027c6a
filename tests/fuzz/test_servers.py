"""Any answer of a server returns a value or raises a Failure, and never acts as a command."""

import contextlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from gar_publish.auth import metadata_server, service_account_key, workload_identity
from gar_publish.auth.exchange import Exchange
from gar_publish.auth.http_auth import HostAuth
from gar_publish.auth.tokens import GivenSource
from gar_publish.console import printable
from gar_publish.context import Context, RetryPolicy
from gar_publish.errors import Failure
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.index import parse_html, parse_json
from gar_publish.registry.refusals import explain_refusal
from gar_publish.registry.repository_api import RepositoryApi
from gar_publish.report.render import as_json, failure_as_markdown
from gar_publish.settings.credential import Federation, Key
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from gar_publish.transport.retry import _retry_after
from gar_publish.transport.session import new_session
from tests.fuzz.conftest import EXAMPLES
from tests.fuzz.strategies import either, json_values, objects, text, words
from tests.unit.servers import Memory, Time

PAGE = "https://us-python.pkg.dev/p/r/simple/sample/"
PROVIDER = "projects/1/locations/global/workloadIdentityPools/github/providers/github"
SHA = "ab" * 32

statuses = st.sampled_from([200, 200, 200, 204, 301, 400, 401, 403, 404, 409, 413, 418, 429])
google_errors = st.one_of(
    objects(error=either("invalid_grant", "invalid_target"), error_description=json_values),
    objects(
        error=objects(
            code=either(403),
            status=either("PERMISSION_DENIED"),
            message=either("x has not been used in project y"),
            details=json_values,
        )
    ),
)
bodies = st.one_of(
    st.binary(max_size=50),
    text.map(lambda said: said.encode("utf-8", "surrogatepass")),
    st.one_of(json_values, google_errors).map(lambda value: json.dumps(value).encode()),
    st.just("deep").map(lambda _: b"[" * 5000),
    st.just("deep").map(lambda _: b'{"a":' * 5000),
    st.just("long").map(lambda _: b"<html>" + b"<script" * 1000),
)


def answer(status: int, body: bytes, url: str, *, read: bool = False, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url, response.raw = status, url, io.BytesIO(body)
    response.headers.update(headers)
    response.request = requests.Request("GET", url).prepare()
    if read:
        _ = response.content
    return response


def answered(told: tuple[int, bytes], url: str) -> requests.Response:
    """Return a response whose body is already read."""
    return answer(*told, url, read=True)


class Scripted:
    """A session that gets its responses from a function, without a network."""

    def __init__(self, reply: Callable[[str], requests.Response]) -> None:
        self._reply = reply

    def request(self, _method: Any, url: Any, *_: Any, **__: Any) -> requests.Response:
        return self._reply(str(url))


def context() -> Context:
    return Context(Path(), {}, Endpoints(), Memory(), RetryPolicy(tries=2, sleep=Time().sleep))


def exchange(reply: Callable[[str], requests.Response]) -> Exchange:
    session: Any = Scripted(reply)
    return Exchange(context(), session)


def check(failure: Failure) -> None:
    """Check that a failure is valid JSON, and that its text cannot break the Markdown of a summary."""
    json.loads(as_json(failure))
    shown = failure_as_markdown(failure)
    heading, rest = shown.split("\n", 1)
    assert heading.startswith("### ")
    assert "<" not in heading
    assert not _open_fence(rest)
    assert printable(shown) == shown


def _open_fence(markdown: str) -> str:
    """Return the fence of a block of code that does not end; empty if all of them end."""
    fence = ""
    for line in markdown.split("\n"):
        if fence:
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = "`" * (len(line) - len(line.lstrip("`")))
    return fence


@contextlib.contextmanager
def only_failures() -> Any:
    try:
        yield
    except Failure as failure:
        check(failure)


links = st.lists(
    st.one_of(
        st.sampled_from(
            ["<a ", "href=", '"', "'", ">", "</a>", "<!--", "-->", f"a.whl#sha256={SHA}", "https://[", "&#x2f;"]
        ),
        words,
    ),
    max_size=15,
).map("".join)


@given(st.one_of(bodies, links.map(lambda page: page.encode("utf-8", "surrogatepass"))))
def test_an_html_page(body: bytes) -> None:
    with only_failures():
        for name, file in parse_html(body, PAGE).items():
            assert file.filename == name
            assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            check_request(file.url)


@given(
    st.one_of(
        bodies,
        objects(
            files=st.one_of(
                json_values,
                st.lists(
                    objects(
                        filename=either("a.whl", "../../etc/passwd"),
                        url=either("a.whl", "https://x.example:99999/a", "file:///etc/passwd", "//[x"),
                        hashes=st.one_of(json_values, objects(sha256=either(SHA))),
                    ),
                    max_size=2,
                ),
            )
        ).map(lambda page: json.dumps(page).encode()),
    )
)
def test_a_json_page(body: bytes) -> None:
    with only_failures():
        for file in parse_json(body, PAGE).values():
            assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            check_request(file.url)


def check_request(url: str) -> None:
    """Check that only the host of the index gets the token.

    An invalid URL raises an OSError, which `with_retries` turns into a failure.
    """
    with contextlib.suppress(OSError):
        request = requests.Request("GET", url, auth=HostAuth(PAGE, GivenSource("ya29.secret")))
        made = new_session().prepare_request(request)
        host = made.url.split("/")[2] if made.url else ""
        assert ("Authorization" in made.headers) == (host == "us-python.pkg.dev" and url.startswith("https:"))


@given(statuses, bodies, st.sampled_from(["read", "upload"]), text)
def test_a_refusal_of_the_registry(status: int, body: bytes, action: str, location: str) -> None:
    response = answer(status, body, PAGE, Location=location)
    check(explain_refusal(response, Repository.parse("us/p/r", endpoints=Endpoints()), action))


tokens = objects(
    value=either("eyJh.eyJpc3MiOiAxfQ.x", "a.W1tb.c"),
    access_token=either("ya29.x"),
    accessToken=either("ya29.y"),
    expireTime=either("2030-01-01T00:00:00Z", "2030-01-01T00:00:00.123Z", "9999-99-99T00:00:00Z"),
    expires_in=either(3600, "3600", 10**12, -1),
    token_type=either("Bearer"),
    issued_token_type=either("urn:ietf:params:oauth:token-type:access_token"),
    id_token=either("eyJh.e30.x"),
)
answers = st.tuples(statuses, st.one_of(bodies, tokens.map(lambda value: json.dumps(value).encode())))


@given(answers, answers, answers)
def test_workload_identity(github: Any, sts: Any, iam: Any) -> None:
    def reply(url: str) -> requests.Response:
        return answered(sts if "sts." in url else iam if "iamcredentials" in url else github, url)

    who = Federation(
        PROVIDER, "a@b.iam.gserviceaccount.com", "https://x.actions.githubusercontent.com/idtoken?a=b", "t"
    )
    with only_failures():
        workload_identity.JobIdentity(who, exchange(reply)).fetch("scope")


@pytest.fixture(scope="module")
def pem() -> str:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@limits(max_examples=EXAMPLES or 50)  # each example signs
@given(answers)
def test_a_service_account_key(pem: str, oauth: Any) -> None:
    info = {"client_email": "a@b.iam.gserviceaccount.com", "private_key_id": "1", "private_key": pem}
    with only_failures():
        service_account_key.KeyIdentity(Key(info), exchange(lambda url: answered(oauth, url))).fetch("scope")


@given(answers)
def test_the_metadata_server(told: Any) -> None:
    with only_failures():
        metadata_server.fetch("http://metadata", exchange(lambda url: answered(told, url)), "scope")


operations = objects(
    name=either("projects/p/locations/us/operations/1"),
    format=either("PYTHON", "DOCKER"),
    mode=either("STANDARD_REPOSITORY", "VIRTUAL_REPOSITORY"),
    done=st.one_of(st.booleans(), json_values),
    error=either({"message": "x"}),
).map(lambda value: json.dumps(value).encode())


@given(st.lists(st.tuples(statuses, st.one_of(bodies, operations)), min_size=3, max_size=3))
def test_the_api_of_artifact_registry(told: list[tuple[int, bytes]]) -> None:
    asked = iter([*told, *[told[-1]] * 20])
    session: Any = Scripted(lambda url: answered(next(asked), url))
    google = GoogleApi(context(), session, GivenSource("ya29.x"))
    api = RepositoryApi(Repository.parse("us/p/r", endpoints=Endpoints()), google)
    with only_failures():
        api.check(create=True)


dates = st.lists(
    st.one_of(
        st.sampled_from(["Mon, ", "1 Jan ", "2030 ", "99999999999 ", "10:10:10 ", "GMT", "+9999999999", ":"]), words
    ),
    max_size=7,
).map("".join)


@given(dates, dates)
def test_retry_after(asked: str, date: str) -> None:
    assert 0 <= _retry_after(cast("Any", {"Retry-After": asked, "Date": date})) <= 60
