"""Credentials inside of wheels and sdists."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from gar_publish.distributions import distribution
from gar_publish.errors import BuildFailure
from tests.wheels import make_sdist, make_wheel

PEM = f"-----BEGIN PRIVATE KEY-----\n{'MIIEvQ' * 250}\n-----END PRIVATE KEY-----\n"
KEY = {"type": "service_account", "private_key": PEM, "client_email": "a@example.org"}
EXTERNAL = {
    "type": "external_account",
    "audience": "x",
    "credential_source": {"headers": {"Authorization": "Bearer x"}},
}
LOGIN = {"type": "authorized_user", "refresh_token": "x"}


def with_member(folder: Path, kind: str, name: str, content: bytes) -> Path:
    """Return a wheel or an sdist with one more member."""
    if kind == "wheel":
        path = make_wheel(folder)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr(name, content)
        return path
    small = make_sdist(folder, "small.tar.gz")
    with tarfile.open(small) as source, tarfile.open(folder / "sample-1.0.tar.gz", "w:gz") as target:
        added = tarfile.TarInfo(f"sample-1.0/{name}")
        added.size = len(content)
        target.addfile(added, io.BytesIO(content))
        for member in source:
            target.addfile(member, source.extractfile(member))
    return folder / "sample-1.0.tar.gz"


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sample/data/key.json", KEY),
        ("a.JSON", KEY),
        ("settings.json", {"accounts": [KEY]}),
        ("gha-creds-0a1b2c.json", KEY),
        ("sample/gha-creds-0a1b2c.json", EXTERNAL),
        ("gha-creds-0a1b2c.json", {**LOGIN, "type": "impersonated_service_account"}),
    ],
)
def test_refuses_a_credential(tmp_path: Path, kind: str, name: str, content: object) -> None:
    path = with_member(tmp_path, kind, name, json.dumps(content, indent=1).encode())
    with pytest.raises(BuildFailure) as caught:
        distribution.read(path)
    assert caught.value.what.startswith(f"{path.name} has a credential of Google Cloud in it: ")
    assert f"{name}'" in caught.value.what
    assert caught.value.anchor == "credential-inside"
    assert "MIIEvQ" not in caught.value.explain()


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("example.json", json.dumps({**KEY, "private_key": "-----BEGIN PRIVATE KEY-----\n...\n"}).encode()),
        ("example.json", json.dumps({**KEY, "type": "another"}).encode()),
        ("workload-identity.json", json.dumps(EXTERNAL).encode()),
        ("gha-creds-test.json", b"{}"),
        ("sample/gha-creds-test.json/a.json", json.dumps(EXTERNAL).encode()),
        ("large.json", json.dumps({**KEY, "more": "x" * 65536}).encode()),
    ],
)
def test_takes_what_is_no_credential(tmp_path: Path, kind: str, name: str, content: bytes) -> None:
    assert distribution.read(with_member(tmp_path, kind, name, content)).name == "sample"


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_refuses_the_credentials_file_of_this_run_under_any_name(tmp_path: Path, kind: str) -> None:
    login = json.dumps(LOGIN).encode()
    path = with_member(tmp_path, kind, "sample/data.txt", login)
    assert distribution.read(path).name == "sample"
    assert distribution.read(path, login[::-1]).name == "sample"
    with pytest.raises(BuildFailure, match="has a credential"):
        distribution.read(path, login)


def test_a_folder_with_the_name_of_a_key_is_no_credential(tmp_path: Path) -> None:
    path = make_wheel(tmp_path)
    with zipfile.ZipFile(path, "a") as wheel:
        wheel.mkdir("gha-creds-1.json")
    assert distribution.read(path).name == "sample"
