"""Calls of the hosts under test: bounded, without redirects, and recorded without secrets."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

import requests

from gar_publish.context import RetryPolicy
from gar_publish.transport.session import is_success, new_session

KEPT = 2048
"""Bytes of a body that a record keeps."""

TIMEOUTS = (10.0, 60.0)
"""Seconds for a connection, and for the next bytes of an answer; a whole call has twice as long."""

SLOWEST = 100_000
"""Bytes per second that an upload may take more."""

_TOKENS = re.compile(
    r"ya29\.[\w.-]+"  # access tokens
    r"|eyJ[\w-]+(?:\.[\w-]*){1,4}"  # JSON web tokens, also in the addresses of downloads
    r"|(?<=/downloads/)[^\s\"<>]+"
    r"|-----BEGIN[^\"]*"
    r"|(?<=\"privateKeyData\": \")[^\"]+|(?<=\"privateKeyData\":\")[^\"]+"
)
_UNRECORDED = {"set-cookie", "set-cookie2"}


class NotObserved(Exception):
    """A check cannot tell how the target behaves; the message says why."""


class Unusable(Exception):
    """The target, or the login for it, cannot be used at all; the message is one sentence."""


@dataclass(frozen=True)
class Credential:
    """The value of an `Authorization` header.

    Attributes:
        name: What a record says.
        header: The value; empty = no header.
    """

    name: str
    header: str = field(repr=False)


ANONYMOUS = Credential("none", "")


@dataclass(frozen=True)
class Answer:
    """An answer, without its secrets.

    Attributes:
        request: Method, host and path, without a query.
        headers: By their names in lower case, without cookies.
        body: The first `KEPT` bytes as text.
        ms: Milliseconds from the start of the request to the end of the answer.
        credential: The name of the credential.
    """

    request: str
    status: int
    headers: dict[str, str]
    body: str
    ms: int
    credential: str


class Client:
    """Calls hosts at their addresses.

    Redirects are not followed. A credential goes only to the host of its call.

    Args:
        address: Returns the base URL of a host, without a trailing slash.
        timeouts: Seconds for a connection, and for the next bytes of an answer.

    Attributes:
        last: The latest answer.
    """

    def __init__(self, address: Callable[[str], str], timeouts: tuple[float, float] = TIMEOUTS) -> None:
        self.address = address
        self.timeouts = timeouts
        self.last: Answer | None = None
        self._session = new_session(RetryPolicy(timeouts=timeouts))

    def call(
        self, method: str, host: str, path: str, credential: Credential = ANONYMOUS, **options: Any
    ) -> requests.Response:
        """Return the answer of a host.

        Args:
            method: The HTTP method.
            host: The host's name: "sts.googleapis.com".
            path: The path, with a query if there is one.
            credential: Who calls.
            options: Those of requests: headers, json, data.

        Raises:
            NotObserved: There is no answer, it is too long, or too slow.
        """
        headers = {"Accept-Encoding": "identity", **options.pop("headers", {})}
        if credential.header:
            headers["Authorization"] = credential.header
        start = time.monotonic()
        seconds = 2 * sum(self.timeouts) + len(options.get("files", {}).get("content", ("", b""))[1]) / SLOWEST
        try:
            answer = _within(
                seconds,
                lambda: self._session.request(
                    method, self.address(host) + path, headers=headers, allow_redirects=False, **options
                ),
            )
        except requests.RequestException as error:
            raise NotObserved(f"{host} gives no answer to {method}: {_reason(error)}") from error
        body = b"" if options.get("stream") and is_success(answer) else answer.content
        self.keep(
            f"{method} {host}{path.partition('?')[0]}",
            credential,
            status=answer.status_code,
            headers=answer.headers,
            body=body,
            start=start,
        )
        return answer

    def forget(self) -> None:
        """Forget the latest answer."""
        self.last = None

    def keep(
        self,
        request: str,
        credential: Credential,
        *,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        start: float,
    ) -> None:
        """Keep an answer as the latest one, without secrets.

        Args:
            request: Method, host and path.
            credential: Who called.
            status: The status of the answer.
            headers: Its headers.
            body: Its body, or the beginning of it.
            start: When the call began, by `time.monotonic`.
        """

        def cut(text: str) -> str:
            own = credential.header.partition(" ")[2]
            return clean(text.replace(own, f"<{len(own)} characters cut>") if own else text)

        self.last = Answer(
            cut(request),
            status,
            {name.lower(): cut(value) for name, value in headers.items() if name.lower() not in _UNRECORDED},
            cut(body[: 8 * KEPT].decode("utf-8", "replace"))[:KEPT],
            round((time.monotonic() - start) * 1000),
            credential.name,
        )

    def api(self, method: str, host: str, path: str, credential: Credential, **options: Any) -> dict[str, Any]:
        """Return the JSON object of a call that must succeed.

        Raises:
            Refused: It does not.
            NotObserved: There is no answer, or it is no JSON object.
        """
        answer = self.call(method, host, path, credential, **options)
        if not is_success(answer):
            raise Refused(
                answer.status_code, f"{host} answers {method} {path.partition('?')[0]} with {problem(answer)}"
            )
        return as_object(answer)


class Refused(NotObserved):
    """A call that must succeed is refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _within(seconds: float, call: Callable[[], requests.Response]) -> requests.Response:
    """Return what a call returns, which a server can delay byte by byte.

    Raises:
        requests.Timeout: It takes longer. It then goes on in its thread, which does not keep the process alive.
    """
    ended: SimpleQueue[requests.Response | requests.RequestException] = SimpleQueue()

    def run() -> None:
        try:
            ended.put(call())
        except requests.RequestException as error:
            ended.put(error)

    threading.Thread(target=run, daemon=True, name="call").start()
    try:
        outcome = ended.get(timeout=seconds)
    except Empty:
        raise requests.Timeout("the answer is too slow") from None
    if isinstance(outcome, requests.RequestException):
        raise outcome
    return outcome


def as_object(answer: requests.Response) -> dict[str, Any]:
    """Return the JSON object in an answer.

    Raises:
        NotObserved: It is none.
    """
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NotObserved(f"{answer.request.method} is answered with a body that is no JSON object")
    return found


def text(item: dict[str, Any], name: str) -> str:
    """Return a field of an answer.

    Raises:
        NotObserved: It is missing or no text.
    """
    found = item.get(name)
    if not isinstance(found, str):
        raise NotObserved(f"an answer has no {name}")
    return found


def problem(answer: requests.Response) -> str:
    """Return the status of a refusal, and its message if it is a google.rpc.Status."""
    try:
        message = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
    return f"{answer.status_code}: {clean(message)[:300]}"


def clean(text: str) -> str:
    """Return a text with each token replaced by its length."""
    return _TOKENS.sub(lambda found: f"<{len(found[0])} characters cut>", text)


def form(name: str, version: str, content: bytes, /, **fields: str) -> dict[str, Any]:
    """Return the upload form of a wheel, as twine sends it, as options of `Client.call`.

    Args:
        name: The package's name.
        version: Its version.
        content: The wheel.
        fields: More fields of the form, or other values for these.
    """
    filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return {
        "data": {
            ":action": "file_upload",
            "protocol_version": "1",
            "metadata_version": "2.1",
            "name": name,
            "version": version,
            "filetype": "bdist_wheel",
            "pyversion": "py3",
            **fields,
        },
        "files": {"content": (filename, content, "application/octet-stream")},
    }


def _reason(error: Exception) -> str:
    """Return the innermost cause of an error, in a few words."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment] # never BaseException here
    return clean(str(error) or type(error).__name__)[:200]
