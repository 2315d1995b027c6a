import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from emulated import CLOUD_PLATFORM, PUBLISHER, READ_ONLY, READER, SCOPE, Clock, Local, make_wheel
from gar_emulator import Fault, World
from gar_emulator.world.world import Repository

SIMPLE = "/demo-project/python/simple/"
DENIED = "The caller does not have permission.\n"


def _said(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.text


# What goes in


def test_uploaded_file_can_be_downloaded(local: Local, wheel: Path) -> None:
    answer = local.upload(wheel, local.token(), fields={"requires_python": ">=3.9"})
    assert _said(answer) == (200, "")
    (stored,) = local.emulator.files()
    assert (stored.package, stored.version, stored.requires_python) == ("my-pkg", "1.0", ">=3.9")
    got = local.get(f"/demo-project/python/my-pkg/{wheel.name}", local.token(READER))
    assert got.content == wheel.read_bytes() == local.emulator.read(wheel.name)


def test_duplicate_is_refused_whatever_its_contents(local: Local, wheel: Path) -> None:
    local.upload(wheel, local.token())
    assert _said(local.upload(wheel, local.token())) == (400, "Requested entity already exists.\n")
    first = wheel.read_bytes()
    make_wheel(wheel.parent, "my-pkg", content="other = 1")
    assert _said(local.upload(wheel, local.token())) == (400, "Requested entity already exists.\n")
    assert local.emulator.read(wheel.name) == first


def test_status_of_a_duplicate_is_a_switch(start: Callable[..., Local], wheel: Path) -> None:
    local = start(duplicate_status=409, duplicate_identical=True)
    local.upload(wheel, local.token())
    assert local.upload(wheel, local.token()).status_code == 200
    make_wheel(wheel.parent, "my-pkg", content="other = 1")
    assert local.upload(wheel, local.token()).status_code == 409


REFUSED = {
    "duplicate": (PUBLISHER, {}, b"HTTP/1.1 400 Bad Request\r\n"),
    "no token": (None, {}, b"HTTP/1.1 401 Unauthorized\r\n"),
    "no role": (READER, {}, b"HTTP/1.1 403 Forbidden\r\n"),
    "too large": (PUBLISHER, {"max_upload_size": 100}, b"HTTP/1.1 413 "),
}


@pytest.mark.parametrize(("who", "switches", "says"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("early", ["closed", "reset"])
def test_large_upload_is_refused_before_its_body(
    local: Local, wheel: Path, *, who: str | None, switches: dict[str, int], says: bytes, early: str
) -> None:
    local.upload(wheel, local.token())
    local.emulator.cloud.switch(early_refusals=early, **switches)
    form = {":action": "file_upload", "name": "my-pkg", "version": "1.0"}
    prepared = requests.Request(
        "POST",
        local.url("us-central1-python.pkg.dev", "/demo-project/python/"),
        data=form,
        files={"content": (wheel.name, b"x" * 10_000)},
        auth=("oauth2accesstoken", local.token(who)) if who else None,
    ).prepare()
    prepared.headers["Content-Length"] = "1048577"
    assert isinstance(prepared.body, bytes)
    head = "".join(f"{name}: {value}\r\n" for name, value in prepared.headers.items())
    address = urlsplit(local.emulator.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall(f"POST {prepared.path_url} HTTP/1.1\r\nHost: [::]\r\n{head}\r\n".encode() + prepared.body)
        assert connection.recv(1000).startswith(says)
        with pytest.raises(ConnectionError):
            connection.sendall(b"x" * 100_000_000)


def test_large_upload_is_read_before_its_refusal(start: Callable[..., Local], tmp_path: Path) -> None:
    local = start(early_refusals="never")
    large = make_wheel(tmp_path, "my-pkg", content="#" * 2_000_000)
    assert local.upload(large, local.token(READER)).status_code == 403
    assert local.upload(large, local.token()).status_code == 200
    assert local.upload(large, local.token()).status_code == 400


@pytest.mark.parametrize("field", ["sha256_digest", "md5_digest", "blake2_256_digest"])
def test_digests_are_checked(start: Callable[..., Local], wheel: Path, field: str) -> None:
    local = start()
    answer = local.upload(wheel, local.token(), fields={field: "00"})
    assert _said(answer) == (400, f"The {field} does not match the file.\n")
    local.emulator.cloud.switch(check_digests=False)
    assert local.upload(wheel, local.token(), fields={field: "00"}).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [{"name": "other"}, {"version": "2.0"}, {"version": "nonsense"}, {"version": ""}, {":action": "remove_pkg"}],
)
def test_form_must_match_the_file(local: Local, wheel: Path, fields: dict[str, str]) -> None:
    assert local.upload(wheel, local.token(), fields=fields).status_code == 400
    assert local.emulator.files() == []


@pytest.mark.parametrize("name", ["my_pkg-1.0.exe", "my_pkg-1.0-nonsense.whl", "my_pkg.tar.gz", "../my_pkg-1.0.tar.gz"])
def test_file_name_must_be_that_of_a_distribution(local: Local, name: str) -> None:
    answer = local.session.post(
        local.url("us-central1-python.pkg.dev", "/demo-project/python/"),
        data={":action": "file_upload", "name": "my-pkg", "version": "1.0"},
        files={"content": (name, b"x")},
        auth=("oauth2accesstoken", local.token()),
    )
    assert answer.status_code == 400
    assert local.emulator.files() == []


def test_epoch_is_refused(local: Local, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "my-pkg", "1!1.0")
    assert local.upload(wheel, local.token(), fields={"version": "1!1.0"}).status_code == 400
    assert local.get(f"/demo-project/python/my-pkg/{wheel.name}", local.token()).status_code == 400


def test_local_version_is_accepted(local: Local, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "my-pkg", "1.0+local.1")
    assert local.upload(wheel, local.token()).status_code == 200
    page = local.get(f"{SIMPLE}my-pkg/", local.token()).text
    assert "my_pkg-1.0%2Blocal.1-py3-none-any.whl#sha256=" in page
    assert local.get(f"/demo-project/python/my-pkg/{wheel.name}", local.token()).status_code == 200


def test_size_limit(start: Callable[..., Local], wheel: Path) -> None:
    local = start(max_upload_size=100)
    assert local.upload(wheel, local.token()).status_code == 413


def test_status_of_success_is_a_switch(start: Callable[..., Local], wheel: Path) -> None:
    local = start(upload_status=201)
    assert local.upload(wheel, local.token()).status_code == 201


def test_upload_needs_the_last_slash(local: Local) -> None:
    url = local.url("us-central1-python.pkg.dev", "/demo-project/python")
    assert local.session.post(url, auth=("oauth2accesstoken", local.token())).status_code == 404


def test_index_accepts_no_upload(local: Local) -> None:
    url = local.url("us-central1-python.pkg.dev", SIMPLE)
    assert local.session.post(url, auth=("oauth2accesstoken", local.token())).status_code == 405


def test_refused_upload_leaves_no_file(local: Local, wheel: Path) -> None:
    local.upload(wheel, local.token(), fields={"sha256_digest": "00"})
    assert list((local.emulator.data / "repositories/.incoming").iterdir()) == []


# Who comes in


def test_no_credentials(local: Local, wheel: Path) -> None:
    answer = local.upload(wheel)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert answer.text == "The request does not have valid authentication credentials.\n"


def test_reader_cannot_upload(local: Local, wheel: Path) -> None:
    assert _said(local.upload(wheel, local.token(READER))) == (403, DENIED)
    assert local.get(SIMPLE, local.token(READER)).status_code == 200


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ("empty", ""),
        (
            "detailed",
            (
                'Permission "artifactregistry.repositories.uploadArtifacts" denied on resource '
                '"projects/demo-project/locations/us-central1/repositories/python" (or it may not exist)\n'
            ),
        ),
    ],
)
def test_texts_are_a_switch(local: Local, wheel: Path, texts: str, says: str) -> None:
    local.emulator.cloud.switch(texts=texts)
    assert _said(local.upload(wheel, local.token(READER))) == (403, says)


def test_other_account_can_do_nothing(local: Local, wheel: Path) -> None:
    stranger = local.token("user:stranger@example.com")
    assert _said(local.upload(wheel, stranger)) == (403, DENIED)
    assert local.get(SIMPLE, stranger).status_code == 403


def test_read_only_scope_can_only_read(local: Local, wheel: Path) -> None:
    token = local.token(scopes=[READ_ONLY])
    assert local.upload(wheel, token).status_code == 403
    assert local.get(SIMPLE, token).status_code == 200
    local.emulator.cloud.switch(read_only_scope=False)
    assert local.get(SIMPLE, token).status_code == 403
    assert local.get(SIMPLE, local.token(scopes=[CLOUD_PLATFORM])).status_code == 200


def test_other_scopes_can_do_nothing(local: Local) -> None:
    assert local.get(SIMPLE, local.token(scopes=[f"{SCOPE}iam"])).status_code == 403


def test_anonymous_caller_can_read_a_public_repository(
    start: Callable[..., Local], default: World, wheel: Path
) -> None:
    public = replace(default.repositories[0], public=True)
    local = start(replace(default, repositories=(public,)))
    local.upload(wheel, local.token())
    assert local.get(f"{SIMPLE}my-pkg/").status_code == 200
    assert local.get(f"/demo-project/python/my-pkg/{wheel.name}").status_code == 200
    assert local.upload(wheel).status_code == 401


# Where it goes


@pytest.mark.parametrize(
    "repository", ["europe-west1/demo-project/python", "us-central1/demo-project/none", "us-central1/none/python"]
)
def test_missing_repository_is_hidden(local: Local, wheel: Path, repository: str) -> None:
    answer = local.upload(wheel, local.token(), repository=repository)
    assert _said(answer) == (403, DENIED)
    local.emulator.cloud.switch(missing_repository="404")
    assert local.upload(wheel, local.token(), repository=repository).status_code == 404


def test_missing_repository_is_404_with_the_permission_on_the_project(
    start_with: Callable[[str, str], Local], wheel: Path
) -> None:
    local = start_with("user:dev@example.com", "roles/artifactregistry.writer")
    token = local.token("user:dev@example.com")
    answer = local.upload(wheel, token, repository="us-central1/demo-project/none")
    assert _said(answer) == (404, "Requested entity was not found.\n")
    local.emulator.cloud.switch(missing_repository="403")
    assert local.upload(wheel, token, repository="us-central1/demo-project/none").status_code == 403


def test_new_repository_is_known_after_a_delay(
    start_with: Callable[[str, str], Local], clock: Clock, wheel: Path
) -> None:
    local = start_with("user:dev@example.com", "roles/artifactregistry.writer")
    local.emulator.cloud.switch(repository_delay=5.0)
    local.emulator.cloud.create(Repository("demo-project", "us-central1", "new"))
    token = local.token("user:dev@example.com")
    assert local.upload(wheel, token, repository="us-central1/demo-project/new").status_code == 404
    clock.now += 5
    assert local.upload(wheel, token, repository="us-central1/demo-project/new").status_code == 200


@pytest.mark.parametrize(
    ("other", "read"),
    [
        (Repository("demo-project", "us-central1", "python", format="DOCKER"), 400),
        (Repository("demo-project", "us-central1", "python", mode="VIRTUAL_REPOSITORY"), 200),
        (Repository("demo-project", "us-central1", "python", mode="REMOTE_REPOSITORY"), 200),
    ],
)
def test_only_standard_python_repositories_accept_uploads(
    start: Callable[..., Local], default: World, wheel: Path, other: Repository, read: int
) -> None:
    local = start(replace(default, repositories=(other,)), root_index=True)
    assert local.upload(wheel, local.token()).status_code == 400
    assert local.get(SIMPLE, local.token()).status_code == read
    local.emulator.cloud.switch(wrong_repository_status=404)
    assert local.upload(wheel, local.token()).status_code == 404


# What comes out


def test_missing_package_and_file(local: Local, wheel: Path) -> None:
    assert local.get(f"{SIMPLE}none/", local.token()).status_code == 404
    local.upload(wheel, local.token())
    assert local.get(f"/demo-project/python/other/{wheel.name}", local.token()).status_code == 404
    assert local.get("/demo-project/python/", local.token()).status_code in {404, 405}


def test_there_is_no_index_of_all_packages(start: Callable[..., Local]) -> None:
    local = start()
    for path in (SIMPLE, SIMPLE.removesuffix("/")):
        assert {local.get(path).status_code, local.get(path, local.token()).status_code} == {404}


def test_index_delay(start: Callable[..., Local], wheel: Path, clock: Clock) -> None:
    local = start(index_delay=10.0)
    local.upload(wheel, local.token())
    assert local.get(f"{SIMPLE}my-pkg/", local.token()).status_code == 404
    clock.now += 10
    assert local.get(f"{SIMPLE}my-pkg/", local.token()).status_code == 200


@pytest.mark.parametrize("length", [6_000, 21_000])
def test_download_is_redirected_to_a_long_address(start: Callable[..., Local], wheel: Path, length: int) -> None:
    local = start(redirect_length=length)
    local.upload(wheel, local.token())
    file = f"/demo-project/python/my-pkg/{wheel.name}"
    first = local.get(file, local.token(), allow_redirects=False)
    address = first.headers["Location"].removeprefix("/us-central1-python.pkg.dev")
    assert first.status_code == 307
    assert address.startswith("/artifacts-downloads/namespaces/demo-project/repositories/python/downloads/")
    assert length <= len(address) < length + 300
    assert local.get(address).content == wheel.read_bytes()


def test_download_without_a_redirect(start: Callable[..., Local], wheel: Path) -> None:
    local = start(redirect_length=0)
    local.upload(wheel, local.token())
    got = local.get(f"/demo-project/python/my-pkg/{wheel.name}", local.token())
    assert (got.content, got.history) == (wheel.read_bytes(), [])


def test_redirected_download_needs_its_token_and_file(local: Local, wheel: Path) -> None:
    local.upload(wheel, local.token())
    address = local.get(f"/demo-project/python/my-pkg/{wheel.name}", local.token()).url
    assert local.session.get(f"{address}x").status_code == 403
    local.emulator.cloud.store.remove(local.emulator.cloud.repositories[0], local.emulator.files()[0])
    assert local.session.get(address).status_code == 404


def test_a_single_file_is_refused_after_the_redirect(local: Local, wheels: list[Path]) -> None:
    local.emulator.inject(Fault("redirected", "403", times=0, file=wheels[1].name))
    statuses = [
        local.get(f"/demo-project/python/my-pkg/{wheel.name}", local.token()).status_code for wheel in wheels[:2]
    ]
    assert statuses == [200, 403]


def test_head_of_a_file_announces_no_ranges(local: Local, wheel: Path) -> None:
    local.upload(wheel, local.token())
    url = local.url("us-central1-python.pkg.dev", f"/demo-project/python/my-pkg/{wheel.name}")
    got = local.session.head(url, auth=("oauth2accesstoken", local.token()))
    assert (got.status_code, got.headers["Content-Length"]) == (200, str(wheel.stat().st_size))
    assert "Accept-Ranges" not in got.headers


def test_range_request(local: Local, wheel: Path) -> None:
    local.upload(wheel, local.token())
    headers = {"Range": "bytes=0-1"}
    got = local.get(f"/demo-project/python/my-pkg/{wheel.name}", local.token(), headers=headers)
    assert (got.status_code, got.content) == (206, wheel.read_bytes()[:2])
