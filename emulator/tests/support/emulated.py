"""A running emulator and a client for tests."""

import itertools
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import requests

from gar_emulator import Emulator
from gar_emulator.cloud import keys
from gar_emulator.cloud.package_store import PackageStore, StoredFile
from gar_emulator.world.world import Repository

AUDIENCE = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
POOL = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github"
PUBLISHER = "publisher@demo-project.iam.gserviceaccount.com"
READER = "reader@demo-project.iam.gserviceaccount.com"
PYTHON = "projects/demo-project/locations/us-central1/repositories/python"
SCOPE = "https://www.googleapis.com/auth/"
CLOUD_PLATFORM = f"{SCOPE}cloud-platform"
READ_ONLY = f"{SCOPE}cloud-platform.read-only"
REPOSITORY = Repository("demo-project", "us-central1", "python")
STORED = StoredFile("my-pkg", "1.0", "my_pkg-1.0-py3-none-any.whl", 5, "aa", "bb", ">=3.9", 1000.5)


@dataclass
class Clock:
    """A clock that only the test moves."""

    now: float

    def __call__(self) -> float:
        return self.now


@dataclass
class Local:
    emulator: Emulator
    session: requests.Session

    def url(self, host: str, path: str) -> str:
        return f"{self.emulator.address(host)}{path}"

    def token(self, account: str = PUBLISHER, **options: Any) -> str:
        return self.emulator.access_token(account, **options)

    # GitHub and STS

    def id_token(self, audience: str = f"https:{AUDIENCE}", **claims: str) -> str:
        job = self.emulator.job(**claims)
        answer = self.session.get(
            f"{job['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience={audience}",
            headers={"Authorization": f"bearer {job['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
        )
        answer.raise_for_status()
        return str(answer.json()["value"])

    def exchange(self, subject_token: str, **fields: str) -> requests.Response:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": AUDIENCE,
            "scope": CLOUD_PLATFORM,
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "subject_token": subject_token,
            **fields,
        }
        return self.session.post(self.url("sts.googleapis.com", "/v1/token"), data=form)

    # The Python host

    def upload(
        self,
        file: Path,
        token: str | None = None,
        *,
        repository: str = "us-central1/demo-project/python",
        auth: tuple[str, str] | None = None,
        headers: dict[str, str] | None = None,
        fields: Mapping[str, str] = MappingProxyType({}),
    ) -> requests.Response:
        location, project, name = repository.split("/")
        package, version = file.name.removesuffix(".tar.gz").split("-")[:2]
        form = {":action": "file_upload", "name": package, "version": version, **fields}
        with file.open("rb") as content:
            return self.session.post(
                self.url(f"{location}-python.pkg.dev", f"/{project}/{name}/"),
                data=form,
                files={"content": (file.name, content)},
                auth=("oauth2accesstoken", token) if token else auth,
                headers=headers,
            )

    def get(
        self, path: str, token: str | None = None, *, location: str = "us-central1", **options: Any
    ) -> requests.Response:
        options.setdefault("auth", ("oauth2accesstoken", token) if token else None)
        return self.session.get(self.url(f"{location}-python.pkg.dev", path), **options)

    # Google's APIs

    def api(self, method: str, host: str, path: str, token: str | None = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        return self.session.request(method, self.url(host, path), headers=headers, **options)


def make_wheel(folder: Path, name: str = "sample", version: str = "1.0", *, content: str = "") -> Path:
    """Write a wheel of one module and return its path. The same arguments give identical files."""
    module = name.replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-{version}-py3-none-any.whl"
    members = {
        f"{module}.py": content,
        f"{module}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in members.items():
            wheel.writestr(zipfile.ZipInfo(member), text)
    return path


@contextmanager
def few_keys() -> Iterator[None]:
    """Let all emulators share four RSA keys: creating a key takes longer than most tests."""
    shared = itertools.cycle([keys._new_rsa() for _ in range(4)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_new_rsa", shared.__next__)
        yield


def put(store: PackageStore, stored: StoredFile = STORED, content: bytes = b"bytes") -> None:
    """Add a file to a store."""
    draft = store.draft()
    draft.write_bytes(content)
    try:
        store.add(REPOSITORY, draft, stored)
    finally:
        draft.unlink(missing_ok=True)
