"""What a run makes in a project, and removes again: repositories, accounts with a key, a pool and a provider."""

import base64
import io
import itertools
import json
import re
import secrets
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm

from conformance import runs
from conformance.calls import ANONYMOUS, Client, Credential, NotObserved, Refused, as_object, form, text
from gar_publish.transport.session import is_success

REGISTRY = "artifactregistry.googleapis.com"
IAM = "iam.googleapis.com"
STS = "sts.googleapis.com"
OAUTH = "oauth2.googleapis.com"
PROJECTS = "cloudresourcemanager.googleapis.com"
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
READ_ONLY = f"{CLOUD_PLATFORM}.read-only"

LONGEST_RUN = 20 * 60
"""Seconds after which a run ends."""

PAGES = 50
"""The most pages of a list that are read."""

_MADE = re.compile(r"(?P<run>conformance-[0-9a-f]{12})(?:-[a-z0-9-]+)?")
_OPERATION = re.compile(r"projects/[\w.:-]+/locations/[\w-]+/(?:[\w-]+/){0,3}operations/[\w.~-]+")


@dataclass
class Place:
    """A repository that can be read.

    Attributes:
        client: Calls the hosts.
        host: The Python host of its location.
        root: Its path on that host: "/PROJECT/REPOSITORY".
        package: A package in it that has `Requires-Python`.
        reader: Who may read it.
    """

    client: Client
    host: str
    root: str
    package: str
    reader: Credential = ANONYMOUS

    def page(self, package: str = "", credential: Credential | None = None, accept: str = "*/*") -> requests.Response:
        """Return the index page of a package, by default of the one that is there."""
        return self.client.call(
            "GET",
            self.host,
            f"{self.root}/simple/{package or self.package}/",
            self.reader if credential is None else credential,
            headers={"Accept": accept},
        )


@dataclass(frozen=True)
class Pace:
    """How a target is called.

    Attributes:
        wait: Seconds between two tries.
        patience: Seconds until a change has taken effect at the latest.
        early: Seconds to wait for an answer before the rest of an upload is sent.
        largest: Bytes of the largest upload.
    """

    wait: float = 1.0
    patience: float = 300.0
    early: float = 5.0
    largest: int = 64 * 1024 * 1024


class Signer:
    """Signs what an account's key exchanges for a token: RFC 7523, section 3.

    Raises:
        ValueError: The key is malformed; also AttributeError, KeyError or TypeError.
    """

    def __init__(self, key: Mapping[str, str]) -> None:
        self._email, self._id = key["client_email"], key["private_key_id"]
        loaded = load_pem_private_key(key["private_key"].encode(), None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise TypeError("the key of an account is no RSA key")
        self._key = loaded

    def assertion(self, scope: str) -> str:
        now = int(time.time())
        claims = {"iss": self._email, "aud": f"https://{OAUTH}/token", "scope": scope, "iat": now, "exp": now + 3600}
        return jwt.encode(claims, self._key, "RS256", headers={"kid": self._id})


@dataclass
class Lab(Place):
    """What a run makes in a project of its owner. Use `built` for its life.

    Attributes:
        project: The project's id.
        location: Of the repositories.
        owner: The token of an owner of the project.
        login: The same for a login of `gcloud auth application-default login`, if there is one.
        job: The variables of a job on GitHub, if this is one.
        run: The prefix of all names: "conformance-", and in hexadecimal the start in seconds since 1970 and a random
            number.
        uploads: The package of the checks' uploads, so that the page of the other one stays short.
    """

    project: str = ""
    location: str = ""
    owner: Credential = ANONYMOUS
    login: Credential | None = None
    job: Mapping[str, str] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    started: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.run = f"conformance-{int(self.started):08x}{secrets.token_hex(2)}"
        self.package = self.run
        self.uploads = f"{self.run}-up"
        self.deadline = time.monotonic() + LONGEST_RUN
        self._numbers = itertools.count(1)
        self._keys: dict[str, dict[str, str]] = {}
        self._signers: dict[str, Signer] = {}
        self._signing = ec.generate_private_key(ec.SECP256R1())
        self._running: list[str] = []

    @classmethod
    def of(cls, client: Client, project: str, location: str, owner: Credential, **options: Any) -> "Lab":
        made = cls(client, f"{location}-python.pkg.dev", "", "", ANONYMOUS, project, location, owner, **options)
        made.root = f"/{project}/{made.run}-py"
        return made

    # Life

    def build(self) -> None:
        """Make everything, and wait until the publisher can upload and the reader can read.

        Raises:
            NotObserved: That is not possible.
        """
        self.number = text(
            self.client.api("GET", PROJECTS, f"/v1/projects/{self.project}", self.owner), "projectNumber"
        )
        for name, kind in (("py", "PYTHON"), ("dock", "DOCKER")):
            self._running.append(self.create(f"{self.run}-{name}", kind))
        for name in ("pub", "read", "none"):
            self._make_account(name)
        self._make_provider()
        self._finish_all()
        everyone = f"principalSet://{IAM}/projects/{self.number}/locations/global/workloadIdentityPools/{self.run}/*"
        policy = {
            "bindings": [
                {"role": "roles/artifactregistry.writer", "members": [f"serviceAccount:{self.email('pub')}"]},
                {
                    "role": "roles/artifactregistry.reader",
                    "members": [f"serviceAccount:{self.email('read')}", everyone],
                },
            ]
        }
        resource = f"{self._parent}/repositories/{self.run}-py"
        self._try(lambda: self._registry("POST", f"/v1/{resource}:setIamPolicy", json={"policy": policy}))
        self.publisher, self.reader, self.nobody = (self.token(name) for name in ("pub", "read", "none"))
        self.until(
            lambda: self.upload(self.publisher, package=self.package, requires_python=">=3.9"),
            is_success,
            "the publisher's upload",
        )
        self.until(self.page, is_success, "the reader's index page")
        self.until(self.exchange, is_success, "the token exchange")

    def check_deadline(self) -> None:
        """Raise NotObserved if the run has taken too long."""
        if time.monotonic() > self.deadline:
            raise NotObserved(f"the run has taken {LONGEST_RUN // 60} minutes")

    def leave(self) -> list[str]:
        """Remove what this run made, and return what is still there."""
        with suppress(NotObserved):
            self._finish_all()
        return self.remove(lambda run: run == self.run)

    def remove(self, chosen: Callable[[str], bool]) -> list[str]:
        """Remove what the chosen runs made, and return what cannot be removed."""
        kept = []
        for host, path in self._made(chosen):
            answer = self.client.call("DELETE", host, path, self.owner)
            if not is_success(answer) and answer.status_code != requests.codes.not_found:
                kept.append(f"{path} ({answer.status_code})")
        return kept

    def _made(self, chosen: Callable[[str], bool]) -> list[tuple[str, str]]:
        """Return host and path of everything that the chosen runs made."""
        found = []
        project = f"/v1/projects/{self.project}"
        for host, path, kind in (
            (IAM, f"{project}/locations/global/workloadIdentityPools", "workloadIdentityPools"),
            (IAM, f"{project}/serviceAccounts", "accounts"),
            (REGISTRY, f"/v1/{self._parent}/repositories", "repositories"),
        ):
            for item in self._listed(host, path, kind):
                name = str(item.get("email") or item.get("name")).rpartition("/")[2]
                match = _MADE.fullmatch(name.partition("@")[0])
                if match and item.get("state") != "DELETED" and chosen(match["run"]):
                    found.append((host, f"{path}/{name}"))
        return found

    def _listed(self, host: str, path: str, kind: str) -> Iterator[dict[str, Any]]:
        token = ""
        for _ in range(PAGES):
            page = self.client.api("GET", host, f"{path}?pageSize=100&pageToken={quote(token, safe='')}", self.owner)
            yield from (item for item in page.get(kind, []) if isinstance(item, dict))
            token = str(page.get("nextPageToken", ""))
            if not token:
                return

    # What is made

    @property
    def _parent(self) -> str:
        return f"projects/{self.project}/locations/{self.location}"

    def number_of_file(self) -> int:
        """Return a number that this run has not used yet."""
        return next(self._numbers)

    def create(self, name: str, kind: str) -> str:
        """Begin to create a repository, and return the name of the operation."""
        operation = self._registry(
            "POST",
            f"/v1/{self._parent}/repositories?repositoryId={name}",
            json={"format": kind, "labels": {"conformance": self.run}, "description": "A run of conformance made it."},
        )
        return text(operation, "name")

    def finish(self, operation: str) -> float:
        """Wait until an operation is done, and return the seconds that it took: 0 if it was done when first looked at.

        Raises:
            NotObserved: It fails, or takes too long.
        """
        if not _OPERATION.fullmatch(operation):
            raise NotObserved("an operation has a malformed name")
        start = time.monotonic()
        seen = 0
        while time.monotonic() < start + self.pace.patience:
            state = self._registry("GET", f"/v1/{operation}")
            seen += 1
            if state.get("done"):
                if "error" in state:
                    raise NotObserved("an operation fails")
                return time.monotonic() - start if seen > 1 else 0.0
            time.sleep(self.pace.wait)
        raise NotObserved(f"an operation is not done after {self.pace.patience:g} seconds")

    def _finish_all(self) -> None:
        while self._running:
            self.finish(self._running.pop())

    def email(self, name: str) -> str:
        """Return the address of an account that this run made: "pub", "read" or "none"."""
        return f"{self.run}-{name}@{self.project}.iam.gserviceaccount.com"

    def _make_account(self, name: str) -> None:
        parent = f"/v1/projects/{self.project}/serviceAccounts"
        about = {"description": "A run of conformance made it."}
        self._iam("POST", parent, json={"accountId": f"{self.run}-{name}", "serviceAccount": about})
        made = self._try(lambda: self._iam("POST", f"{parent}/{self.email(name)}/keys", json={}))
        try:
            key = json.loads(base64.b64decode(text(made, "privateKeyData")))
            self._keys[name], self._signers[name] = key, Signer(key)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotObserved("the key of an account is malformed") from error

    def _make_provider(self) -> None:
        pools = f"/v1/projects/{self.project}/locations/global/workloadIdentityPools"
        self._iam("POST", f"{pools}?workloadIdentityPoolId={self.run}", json={})
        key = {
            **ECAlgorithm.to_jwk(self._signing.public_key(), as_dict=True),
            "kid": "own",
            "alg": "ES256",
            "use": "sig",
        }
        provider = {
            "attributeMapping": {"google.subject": "assertion.sub", "attribute.long": "assertion.long"},
            "attributeCondition": "assertion.admitted == 'yes'",
            "oidc": {"issuerUri": self._issuer, "jwksJson": json.dumps({"keys": [key]})},
        }
        path = f"{pools}/{self.run}/providers?workloadIdentityPoolProviderId=own-keys"
        self._try(lambda: self._iam("POST", path, json=provider))

    @property
    def _issuer(self) -> str:
        return f"https://{self.run}.example.com"

    # Who calls

    def token(self, account: str, scope: str = CLOUD_PLATFORM) -> Credential:
        """Return a token of an account that this run made, as the password of the Python host."""
        assertion = self._signers[account].assertion(scope)
        asked = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        answer = self._try(lambda: self.client.api("POST", OAUTH, "/token", ANONYMOUS, data=asked))
        return basic({"pub": "publisher", "read": "reader", "none": "nobody"}[account], text(answer, "access_token"))

    def json_key(self, account: str) -> Credential:
        """Return the key of an account that this run made, as the user `_json_key` of the Python host."""
        return basic("reader's key", json.dumps(self._keys[account]), user="_json_key")

    def exchange(self, *, admitted: str = "yes", long: str = "x", lifetime: int = 600) -> requests.Response:
        """Exchange an identity token of the run's own issuer at STS."""
        audience = (
            f"//{IAM}/projects/{self.number}/locations/global/workloadIdentityPools/{self.run}/providers/own-keys"
        )
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": f"https:{audience}",
            "sub": self.run,
            "admitted": admitted,
            "long": long,
            "iat": now,
            "exp": now + lifetime,
        }
        return self.client.call(
            "POST",
            STS,
            "/v1/token",
            data={
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "audience": audience,
                "scope": CLOUD_PLATFORM,
                "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "subject_token": jwt.encode(claims, self._signing, "ES256", headers={"kid": "own"}),
            },
        )

    def federated(self, long: str = "x") -> Credential:
        """Return a token of a federated identity.

        Raises:
            NotObserved: The exchange is refused.
        """
        answer = self.exchange(long=long)
        if not is_success(answer):
            raise NotObserved(f"the token exchange answers {answer.status_code}")
        return basic("federated", text(as_object(answer), "access_token"))

    # Uploads

    def upload(
        self,
        credential: Credential,
        *,
        package: str = "",
        version: str = "",
        repository: str = "py",
        content: bytes = b"",
        **fields: str,
    ) -> requests.Response:
        """Upload a wheel, by default of a new version of `uploads`."""
        package, version = package or self.uploads, version or str(self.number_of_file())
        content = content or wheel(package, version)
        path = f"/{self.project}/{self.run}-{repository}/"
        return self.client.call("POST", self.host, path, credential, **form(package, version, content, **fields))

    def delete_version(self, version: str) -> None:
        """Delete a version of `uploads`."""
        path = f"/v1/{self._parent}/repositories/{self.run}-py/packages/{self.uploads}/versions/{version}"
        self.finish(text(self._try(lambda: self._registry("DELETE", path)), "name"))

    # Waiting

    def until(
        self, call: Callable[[], requests.Response], good: Callable[[requests.Response], bool], what: str
    ) -> requests.Response:
        """Repeat a call until its answer is good.

        Raises:
            NotObserved: It does not become good.
        """
        end = time.monotonic() + self.pace.patience
        while not good(answer := call()):
            if time.monotonic() > end:
                raise NotObserved(f"{what} is answered {answer.status_code} for {self.pace.patience:g} seconds")
            time.sleep(self.pace.wait)
        return answer

    def _try(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Repeat a call while it is refused: what was just made is not known everywhere at once."""
        end = time.monotonic() + min(self.pace.patience, 60)
        while True:
            try:
                return call()
            except Refused:
                if time.monotonic() > end:
                    raise
                time.sleep(self.pace.wait)

    def _registry(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        return self.client.api(method, REGISTRY, path, self.owner, **options)

    def _iam(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        return self.client.api(method, IAM, path, self.owner, **options)


@contextmanager
def built(lab: Lab) -> Iterator[Lab]:
    """Build a lab, and remove it on every way out, after SIGINT and SIGTERM too.

    First it removes what killed runs left. It does not disturb a run that goes on.

    Raises:
        NotObserved: The lab cannot be built.
    """
    with runs.held(lab.run), _interruptible():
        try:
            remove_killed(lab)
            lab.build()
            yield lab
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            try:
                kept = lab.leave()
            except NotObserved as error:
                kept = [str(error)]
            if kept:
                say(f"{lab.run} could not remove everything: {'; '.join(kept)}. A later run removes it.")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as SIGINT does; restore both handlers at the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def remove_killed(lab: Lab) -> None:
    """Remove what killed runs left: at once those of this machine, others `LONGEST_RUN` after their start."""
    killed = set()

    def was_killed(run: str) -> bool:
        began = int(run.removeprefix("conformance-")[:8], 16)
        known = runs.was_killed(run)
        if known or (known is None and lab.started - began > LONGEST_RUN):
            killed.add(run)
        return run in killed

    kept = lab.remove(was_killed)
    for run in sorted(killed):
        say(f"removed what {run} left")
    if kept:
        say(f"not removed: {'; '.join(kept)}")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def basic(name: str, password: str, user: str = "oauth2accesstoken") -> Credential:
    """Return a token, or what goes with another user name, as the password of the Python host."""
    return Credential(name, "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


def bearer(name: str, token: str) -> Credential:
    return Credential(name, f"Bearer {token}")


def token_of(credential: Credential) -> str:
    """Return the token in a credential of either form."""
    scheme, _, value = credential.header.partition(" ")
    return value if scheme == "Bearer" else base64.b64decode(value).decode().partition(":")[2]


def wheel(name: str, version: str, size: int = 0) -> bytes:
    """Return a wheel without modules, padded to a size in bytes."""
    return _wheel(name, version, max(0, size - len(_wheel(name, version, 0))))


def _wheel(name: str, version: str, padding: int) -> bytes:
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{folder}/padding", bytes(padding))
        archive.writestr(f"{folder}/RECORD", "")
    return made.getvalue()
