"""Every fault, as real clients see it."""

import concurrent.futures
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import requests

from emulated import CLOUD_PLATFORM, PUBLISHER, PYTHON, Clock, Local, make_wheel
from gar_emulator.server.connections import STOP_TIMEOUT
from gar_emulator.world.fault import ENDPOINTS, Fault

INDEX = "/demo-project/python/simple/"
METADATA = {"Metadata-Flavor": "Google"}


@pytest.fixture
def local(start: Callable[..., Local]) -> Local:
    """An emulator with an index of all packages."""
    return start(root_index=True)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path, content="x" * 1000)


def ask(local: Local, endpoint: str, wheel: Path) -> requests.Response:
    """Send a request to an endpoint. Its answer has a body if real ones have one."""
    token = local.token()
    file = f"/demo-project/python/sample/{wheel.name}"
    stored = f"repositories/us-central1{file}"
    long = local.emulator.cloud.keys.download_token(stored, 6000)
    redirected = f"/artifacts-downloads/namespaces/p/repositories/r/downloads/{long}"
    impersonate = f"/v1/projects/-/serviceAccounts/{PUBLISHER}:generateAccessToken"
    asks: dict[str, Callable[[], requests.Response]] = {
        "github": lambda: local.api("GET", "token.actions.githubusercontent.com", "/.well-known/jwks"),
        "sts": lambda: local.exchange("nonsense"),
        "iamcredentials": lambda: local.api("POST", "iamcredentials.googleapis.com", impersonate, token, json={}),
        "oauth": lambda: local.session.post(local.url("oauth2.googleapis.com", "/token"), data={"grant_type": "x"}),
        "metadata": lambda: local.session.get(local.emulator.url, headers=METADATA),
        "repository": lambda: local.api("GET", "artifactregistry.googleapis.com", f"/v1/{PYTHON}", token),
        "upload": lambda: local.upload(wheel, token),
        "index": lambda: local.get(INDEX, token),
        "download": lambda: local.get(file, token, allow_redirects=False),
        "redirected": lambda: local.get(redirected),
    }
    assert tuple(asks) == ENDPOINTS
    return asks[endpoint]()


@contextmanager
def connected(local: Local, path: str = "/", body: bytes = b"", *, length: int = 0) -> Iterator[socket.socket]:
    """Open a connection and send a request that announces `length` bytes of body."""
    port = int(local.emulator.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        verb = "POST" if length else "GET"
        connection.sendall(f"{verb} {path} HTTP/1.1\r\nHost: [::]\r\nContent-Length: {length}\r\n\r\n".encode() + body)
        yield connection


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_strikes_only_its_endpoint(local: Local, wheel: Path, endpoint: str) -> None:
    local.upload(wheel, local.token())
    fault = Fault(endpoint, "502", times=0)
    local.emulator.inject(fault)
    for other in ENDPOINTS:
        assert (ask(local, other, wheel).status_code == 502) == (other == endpoint)
    assert local.emulator.struck == {fault: 1}


# No answer


@pytest.mark.parametrize("fault", ["reset-before-body", "reset-after-body", "accepted-lost", "refused"])
def test_connection_is_reset(local: Local, fault: str) -> None:
    local.emulator.inject(Fault("metadata", fault))
    with connected(local) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)


@pytest.mark.parametrize("fault", ["reset-before-body", "reset-after-body", "accepted-lost", "refused"])
def test_reset_upload_is_recorded_and_stored_only_if_accepted(local: Local, wheel: Path, fault: str) -> None:
    local.emulator.inject(Fault("upload", fault))
    with pytest.raises(requests.ConnectionError, match="Connection aborted"):
        local.upload(wheel, local.token())
    assert [(seen.path, seen.status) for seen in local.emulator.requests] == [("/demo-project/python/", 0)]
    assert len(local.emulator.files()) == (1 if fault == "accepted-lost" else 0)


def test_reset_before_body_does_not_wait_for_it(local: Local) -> None:
    local.emulator.inject(Fault("upload", "reset-before-body"))
    path = "/us-central1-python.pkg.dev/p/r/"
    with connected(local, path, length=1000) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)


def test_reset_after_body_waits_for_it(local: Local) -> None:
    local.emulator.inject(Fault("upload", "reset-after-body"))
    with connected(local, "/us-central1-python.pkg.dev/p/r/", b"half", length=8) as connection:
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(10)
        connection.sendall(b"rest")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_silence_lasts_until_the_client_leaves(local: Local) -> None:
    local.emulator.inject(Fault("metadata", "silence"))
    with connected(local) as connection:
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert [seen.status for seen in local.emulator.requests] == [0]
    assert local.session.get(local.emulator.url).status_code == 200


@pytest.mark.parametrize("fault", [Fault("metadata", "silence"), Fault("metadata", "drip", seconds=60)])
def test_held_connection_does_not_delay_the_stop(start: Callable[..., Local], fault: Fault) -> None:
    local = start()
    local.emulator.inject(fault)
    with connected(local):
        while not local.emulator.requests:
            time.sleep(0.001)
        before = time.monotonic()
        local.emulator.__exit__(None, None, None)
        assert time.monotonic() - before < STOP_TIMEOUT


# Another answer


@pytest.mark.parametrize("status", [401, 408, 429, 500, 502, 503, 504])
def test_status(local: Local, wheel: Path, status: int) -> None:
    local.emulator.inject(Fault("upload", str(status)))
    answer = local.upload(wheel, local.token())
    assert answer.status_code == status
    assert "Retry-After" not in answer.headers
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert local.emulator.files() == []
    assert local.upload(wheel, local.token()).status_code == 200


@pytest.mark.parametrize(("status", "header"), [("429", "2"), ("503", "2"), ("500", None)])
def test_retry_after_is_in_whole_seconds(local: Local, status: str, header: str | None) -> None:
    local.emulator.inject(Fault("metadata", status, seconds=1.5))
    assert local.session.get(local.emulator.url).headers.get("Retry-After") == header


@pytest.mark.parametrize("fault", ["403-closed", "403-reset"])
def test_upload_is_refused_before_its_body(local: Local, fault: str) -> None:
    local.emulator.inject(Fault("upload", fault))
    with connected(local, "/us-central1-python.pkg.dev/demo-project/python/", b"x" * 1000, length=10**9) as connection:
        answer = connection.recv(1000)
        assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        if fault == "403-closed":
            assert b"".join(iter(lambda: connection.recv(1000), b"")) in {b"", b"Forbidden\n"}  # it ends
        with pytest.raises(ConnectionError):
            connection.sendall(b"x" * 100_000_000)


def test_accepted_upload_is_answered_503(local: Local, wheel: Path) -> None:
    local.emulator.inject(Fault("upload", "accepted-5xx"))
    assert local.upload(wheel, local.token()).status_code == 503
    assert local.emulator.read(wheel.name) == wheel.read_bytes()
    assert [(seen.status, seen.principal) for seen in local.emulator.requests] == [(503, f"serviceAccount:{PUBLISHER}")]


# A changed answer


def test_drip_sends_single_bytes_from_the_status_line_on(local: Local) -> None:
    local.emulator.inject(Fault("metadata", "drip", seconds=0.00001))
    with connected(local) as connection:
        pieces = list(iter(lambda: connection.recv(65536), b""))
    whole = b"".join(pieces)
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.endswith(b"\r\n\r\ncomputeMetadata/\n")
    assert len(pieces) > 2  # a busy machine reads several at once
    assert len(pieces) > len(whole) / 10


def test_drip_sends_the_whole_answer(local: Local, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    local.upload(wheel, local.token())
    local.emulator.inject(Fault("redirected", "drip", seconds=0.00001))
    got = local.get(f"/demo-project/python/sample/{wheel.name}", local.token())
    assert got.content == wheel.read_bytes()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_body_is_cut(local: Local, wheel: Path, endpoint: str) -> None:
    if endpoint != "upload":
        local.upload(wheel, local.token())
    local.emulator.inject(Fault(endpoint, "cut-body"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        ask(local, endpoint, wheel)
    assert len(local.emulator.files()) == 1


def test_half_of_the_body_is_sent(local: Local) -> None:
    local.emulator.inject(Fault("metadata", "cut-body"))
    with connected(local) as connection:
        whole = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"content-length: 17\r\n" in whole
    assert whole.endswith(b"\r\n\r\n" + b"computeMetadata/\n"[:8])


@pytest.mark.parametrize("endpoint", [endpoint for endpoint in ENDPOINTS if endpoint != "upload"])
def test_garbage_changes_only_the_body(local: Local, wheel: Path, endpoint: str) -> None:
    local.upload(wheel, local.token())
    real = ask(local, endpoint, wheel)
    local.emulator.inject(Fault(endpoint, "garbage-body"))
    changed = ask(local, endpoint, wheel)
    with pytest.raises(UnicodeDecodeError):
        changed.content.decode()
    assert (changed.status_code, len(changed.content)) == (real.status_code, len(real.content))
    assert changed.headers["Content-Type"] == real.headers["Content-Type"]


def test_garbage_without_a_real_body_and_with_the_file_stored(local: Local, wheel: Path) -> None:
    local.emulator.inject(Fault("upload", "garbage-body"))
    changed = local.upload(wheel, local.token())
    assert (changed.status_code, len(changed.content)) == (200, 64)
    assert local.emulator.read(wheel.name) == wheel.read_bytes()


def test_wrong_content_type(local: Local, wheel: Path) -> None:
    local.upload(wheel, local.token())
    real = local.get(f"{INDEX}sample/", local.token())
    local.emulator.inject(Fault("index", "wrong-content-type"))
    changed = local.get(f"{INDEX}sample/", local.token())
    assert (changed.content, changed.headers["Content-Type"]) == (real.content, "image/png")


def test_lag_hides_files_from_index_or_download(local: Local, wheel: Path, clock: Clock) -> None:
    local.upload(wheel, local.token())
    page, file = f"{INDEX}sample/", f"/demo-project/python/sample/{wheel.name}"
    for hidden, shown, endpoint in ((page, file, "index"), (file, page, "download")):
        local.emulator.inject(Fault(endpoint, "lag", times=0, seconds=10))
        assert local.get(hidden, local.token()).status_code == 404
        assert local.get(shown, local.token()).status_code == 200
    clock.now += 10
    assert local.get(file, local.token()).status_code == 200
    assert local.emulator.struck == {Fault("download", "lag", times=0, seconds=10): 2}


# Clock skew


def date(answer: requests.Response) -> float:
    return parsedate_to_datetime(answer.headers["Date"]).timestamp()


def test_answers_have_the_date_of_their_endpoints_clock(local: Local, clock: Clock) -> None:
    assert date(local.session.get(local.emulator.url)) == int(clock.now)
    local.emulator.inject(Fault("metadata", "skew", seconds=-3600))
    assert date(local.session.get(local.emulator.url)) == int(clock.now - 3600)
    # The same connection again.
    assert date(local.session.get(local.emulator.url)) == int(clock.now)


@pytest.mark.parametrize(("seconds", "said"), [(-3600, "is not valid yet"), (7200, "is stale to sign-in")])
def test_skewed_token_exchange_refuses_valid_tokens(local: Local, seconds: float, said: str) -> None:
    token = local.id_token()
    local.emulator.inject(Fault("sts", "skew", seconds=seconds))
    assert said in local.exchange(token).json()["error_description"]
    assert local.exchange(token).status_code == 200


def test_skewed_github_issues_tokens_with_wrong_dates(local: Local) -> None:
    local.emulator.inject(Fault("github", "skew", seconds=3600))
    assert "is not valid yet" in local.exchange(local.id_token()).json()["error_description"]


def test_skewed_impersonation_returns_a_wrong_expiry(local: Local, clock: Clock) -> None:
    federated = local.exchange(local.id_token()).json()["access_token"]
    local.emulator.inject(Fault("iamcredentials", "skew", seconds=-600))
    path = f"/v1/projects/-/serviceAccounts/{PUBLISHER}:generateAccessToken"
    body = {"scope": [CLOUD_PLATFORM], "lifetime": "600s"}
    answer = local.api("POST", "iamcredentials.googleapis.com", path, federated, json=body).json()
    assert datetime.fromisoformat(answer["expireTime"]).timestamp() == int(clock.now)
    assert local.get(INDEX, answer["accessToken"]).status_code == 401


def test_skewed_upload_is_in_the_index(local: Local, wheel: Path) -> None:
    local.emulator.inject(Fault("upload", "skew", seconds=600), Fault("index", "skew", seconds=-600))
    assert local.upload(wheel, local.token()).status_code == 200
    assert local.get(f"{INDEX}sample/", local.token()).status_code == 200


def test_token_ended_ends_the_tokens_of_before(local: Local, wheel: Path) -> None:
    before = local.token()
    local.emulator.inject(Fault("upload", "token-ended"))
    assert [local.upload(wheel, before).status_code for _ in range(2)] == [401, 401]
    assert local.upload(wheel, local.token()).status_code == 200
    assert local.get(f"{INDEX}sample/", before).status_code == 401


# Counting


def test_counts_are_right_with_concurrent_requests(local: Local) -> None:
    local.emulator.inject(Fault("metadata", "503", after=20, times=15), Fault("metadata", "500", times=7))

    def status(_: int) -> int:
        return requests.get(local.emulator.url, timeout=10).status_code

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(status, range(60)))
    assert {each: statuses.count(each) for each in (500, 503, 200)} == {500: 7, 503: 15, 200: 38}
    assert list(local.emulator.struck.values()) == [15, 7]
