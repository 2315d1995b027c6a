"""The three targets: an emulator in this process, the public repository, and a project of the user's own."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from conformance.calls import Client, NotObserved, Unusable
from conformance.lab import REGISTRY, Lab, Pace, Place, bearer, built
from gar_emulator import Emulator, World
from gar_emulator.tokens.oauth import GCLOUD_CLIENT
from gar_emulator.world.iam import Binding
from gar_publish.settings.endpoints import Endpoints

OWNER = "user:owner@example.com"
PUBLIC_HOST = "us-python.pkg.dev"
PUBLIC_ROOT = "/ml-oss-artifacts-published/jax-public-nightly-artifacts-registry"
PUBLIC_PACKAGE = "jax"
FAST = Pace(wait=0.02, patience=10.0, early=1.0, largest=512 * 1024)
GCLOUD_SECONDS = 60


def owned_world() -> World:
    """Return the emulator's default world, in which `OWNER` owns the project."""
    world = World.default()
    owner = Binding(OWNER, "roles/owner", f"projects/{world.projects[0].id}")
    return replace(world, bindings=(*world.bindings, owner))


def lab_of(emulator: Emulator, started: float | None = None) -> Lab:
    """Return a lab in the default project of an emulator that has `owned_world`, by default one that starts now."""
    user = {"client_project": GCLOUD_CLIENT.partition("-")[0]}
    return Lab.of(
        Client(emulator.address),
        "demo-project",
        "us-central1",
        bearer("owner", emulator.access_token(OWNER)),
        login=bearer("owner's login", emulator.access_token(OWNER, attributes=user)),
        job=emulator.job(),
        pace=FAST,
        started=time.time() if started is None else started,
    )


@contextmanager
def emulated() -> Iterator[Lab]:
    """Start an emulator, and build a lab in it."""
    with (
        tempfile.TemporaryDirectory(prefix="conformance-") as folder,
        Emulator(owned_world(), data=Path(folder)) as emulator,
        built(lab_of(emulator)) as lab,
    ):
        yield lab


def public(environment: Mapping[str, str]) -> Place:
    """Return the public repository, after one call of it.

    Raises:
        Unusable: It cannot be reached.
    """
    client = Client(Endpoints.from_environment(environment).host)
    place = Place(client, PUBLIC_HOST, PUBLIC_ROOT, PUBLIC_PACKAGE)
    try:
        place.page()
    except NotObserved as error:
        raise Unusable(str(error)) from error
    return place


@contextmanager
def owned(project: str, location: str, environment: Mapping[str, str]) -> Iterator[Lab]:
    """Build a lab in a project of which gcloud's login is an owner.

    Raises:
        Unusable: Without gcloud, a login or a network, or the lab cannot be built.
    """
    owner = _gcloud("auth", "print-access-token")
    login = _gcloud("auth", "application-default", "print-access-token") if _is_user_login(environment) else ""
    endpoints = Endpoints.from_environment(environment)
    lab = Lab.of(
        Client(endpoints.host),
        project,
        location,
        bearer("owner", owner),
        login=bearer("owner's login", login) if login else None,
        job=environment,
        pace=FAST if endpoints.emulator else Pace(),
    )
    path = f"/v1/projects/{project}/locations/{location}/repositories?pageSize=1"
    try:
        lab.client.api("GET", REGISTRY, path, lab.owner)
        with built(lab):
            yield lab
    except NotObserved as error:
        raise Unusable(str(error)) from error


def _gcloud(*arguments: str) -> str:
    """Return what gcloud prints.

    Raises:
        Unusable: There is no gcloud, or it fails.
    """
    program = shutil.which("gcloud")
    if program is None:
        raise Unusable("gcloud is not installed: install the Google Cloud CLI and run `gcloud auth login`")
    command = f"`gcloud {' '.join(arguments)}`"
    try:
        done = subprocess.run(
            [program, *arguments, "--quiet"],
            env={**os.environ, "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "1"},  # its log would have the token
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=GCLOUD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise Unusable(f"{command} gives no answer in {GCLOUD_SECONDS} seconds") from None
    if done.returncode or not done.stdout.strip():
        said = " ".join(done.stderr.split()) or "it prints nothing"
        raise Unusable(f"{command} fails: {said[:300]}")
    return done.stdout.strip()


def _is_user_login(environment: Mapping[str, str]) -> bool:
    """Return whether the application default login is a user's."""
    folder = Path(environment.get("CLOUDSDK_CONFIG") or Path.home() / ".config/gcloud")
    if os.name == "nt":
        folder = Path(environment.get("CLOUDSDK_CONFIG") or Path(environment.get("APPDATA", "")) / "gcloud")
    try:
        kind = json.loads((folder / "application_default_credentials.json").read_text("utf-8")).get("type")
    except (OSError, ValueError, AttributeError):
        return False
    return bool(kind == "authorized_user") and not environment.get("GOOGLE_APPLICATION_CREDENTIALS")
