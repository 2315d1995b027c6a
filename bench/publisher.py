"""Publish in a separate process, or in this process with the caller's retry policy."""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gar_emulator import Emulator
from gar_publish.context import Context, RetryPolicy
from gar_publish.publish.pipeline import publish
from gar_publish.report.report import Report
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.settings import INPUTS, Settings

REPOSITORY = "us-central1/demo-project/python"
PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
PUBLISHER = "publisher@demo-project.iam.gserviceaccount.com"

COMMAND = (sys.executable, "-m", "gar_publish.cli.main", "publish", "--repository", REPOSITORY)
DIRECT = ("--workload-identity-provider", PROVIDER)


def process_environment(emulator: Emulator, temporary: Path) -> dict[str, str]:
    """Return the environment of a publishing process: the emulator's variables, PATH and SSL_CERT_FILE."""
    passed_on = {name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE") if name in os.environ}
    return {**passed_on, "HOME": str(temporary), "TMPDIR": str(temporary), **emulator.exports()}


@dataclass(frozen=True)
class Credential:
    """A kind of credential: its inputs and its environment."""

    inputs: Mapping[str, str]
    environment: Mapping[str, str]


def credentials(emulator: Emulator) -> dict[str, Credential]:
    """Return each kind of credential by the endpoint that only it uses."""
    federation = {"workload-identity-provider": PROVIDER}
    metadata = {name: value for name, value in emulator.exports().items() if name.startswith("GCE_")}
    return {
        "sts": Credential(federation, emulator.job()),
        "iamcredentials": Credential({**federation, "service-account": PUBLISHER}, emulator.job()),
        "oauth": Credential({"credentials-json": emulator.key_file(PUBLISHER).read_text()}, {}),
        "metadata": Credential({}, metadata),
    }


def publish_here(
    emulator: Emulator,
    credential: Credential,
    wheel: Path,
    retry_policy: RetryPolicy,
    say: Callable[[str], None],
    *,
    repository: str = REPOSITORY,
) -> Report:
    """Publish one wheel in this process.

    Raises:
        Failure: See `gar_publish.publish.pipeline.publish`.
    """
    environment = {"GAR_EMULATOR_HOST": emulator.url, "HOME": str(wheel.parent), **credential.environment}
    endpoints = Endpoints.from_environment(environment)
    inputs = {each.name: each.default for each in INPUTS} | {
        "repository": repository,
        "dist": str(wheel),
        **credential.inputs,
    }
    settings = Settings.from_inputs(inputs, environment=environment, endpoints=endpoints)
    return publish(settings, Context(wheel.parent, environment, endpoints, _Console(say), retry_policy))


class _Console:
    """Passes every line to `say`. It masks nothing, because nothing is shown."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def group(self, title: str) -> Any:
        self._say(title)
        return nullcontext()

    def info(self, text: str) -> None:
        self._say(text)

    notice = warning = info

    def mask(self, secret: str) -> None: ...

    def progress(self, filename: str, total: int) -> Any:
        self._say(f"{filename}: {total} bytes")
        return nullcontext(lambda _: None)

    @contextmanager
    def untrusted(self) -> Any:
        yield self._say
