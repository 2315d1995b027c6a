"""Large files that the registry refuses before it reads them, over TLS, and closes the connection."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gar_emulator import Emulator, Fault
from tests.integration.frontdoors import PUBLISH, PUBLISHER, READER, Doors
from tests.stored import store
from tests.wheels import make_wheel

MEGABYTES_29 = "#" * 29_000_000


@pytest.fixture(params=["closed", "reset"])
def early(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(data=tmp_path_factory.mktemp("tls"), tls=True) as emulator:
        emulator.cloud.switch(early_refusals=request.param)
        yield emulator


@pytest.fixture
def large(early: Emulator, clean_env: dict[str, str], tmp_path: Path) -> Doors:
    make_wheel(tmp_path / "dist", "large", content=MEGABYTES_29)
    return Doors(tmp_path, {**clean_env, **early.exports()})


def publish(doors: Doors, emulator: Emulator, account: str) -> tuple[int, str, list[int]]:
    """Publish, and return the exit code, the log, and the status of each upload."""
    (doors.folder / "token").write_text(emulator.access_token(account))
    done = doors.command(*PUBLISH, "--dist", "dist", "--access-token", "token")
    sent = [seen for seen in emulator.requests if seen.method == "POST" and seen.host.endswith("python.pkg.dev")]
    return done.code, done.err, [seen.status for seen in sent]


def test_no_role(large: Doors, early: Emulator) -> None:
    code, log, uploads = publish(large, early, READER)
    assert (code, uploads) == (6, [403]), log
    assert "error: This identity may not upload to us-central1/demo-project/python." in log


def test_a_token_that_has_ended(large: Doors, early: Emulator) -> None:
    early.inject(Fault("upload", "token-ended"))
    code, log, uploads = publish(large, early, PUBLISHER)
    assert (code, uploads) == (3, [401]), log
    assert "registry-401" in log


def test_too_large(large: Doors, early: Emulator) -> None:
    early.cloud.switch(max_upload_size=2_000_000)
    code, log, uploads = publish(large, early, PUBLISHER)
    assert (code, uploads) == (6, [413]), log
    assert "us-central1-python.pkg.dev does not accept a file of this size (HTTP 413)." in log


def test_a_duplicate(large: Doors, early: Emulator) -> None:
    """Another run uploads the file after the look into the index."""
    (repository,) = early.cloud.repositories
    store(early, repository, *(large.folder / "dist").iterdir())
    early.inject(Fault("index", "lag", seconds=1e6))
    code, log, uploads = publish(large, early, PUBLISHER)
    assert (code, uploads) == (0, [400]), log
    assert "identical" in log
