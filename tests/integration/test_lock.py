"""The input `lock`, and the two steps that need no lock: packages with a public and a private dependency install."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from gar_emulator import Emulator
from tests.integration.frontdoors import PROVIDER, PUBLISHER, REPOSITORY, Doors, Step, publish
from tests.integration.test_dependency_confusion import QuietHandler
from tests.leaks import Leaks
from tests.stored import store
from tests.wheels import make_wheel

BIN = Path(sys.executable).parent
WHO = {"workload-identity-provider": PROVIDER, "service-account": PUBLISHER}
INPUTS = {"repository": REPOSITORY, **WHO, "dist": "dist", "lock": "true"}
ALL = {"app", "sibling", "public_helper"}
METADATA = "Metadata-Version: 2.1\nName: sibling\nVersion: 1.0\nRequires-Python: >=3.9.1,<4\n"


@pytest.fixture
def doors(doors: Doors, tmp_path: Path) -> Iterator[Doors]:
    """Return `doors` with two wheels, and a public index with what they require and a higher version of one."""
    make_wheel(
        doors.folder / "dist", "app", requires=["sibling", "public-helper", "public-old; python_version < '3.11'"]
    )
    make_wheel(doors.folder / "dist", "sibling", metadata=METADATA)
    root = tmp_path / "public"
    make_wheel(root / "public-helper", "public-helper")
    make_wheel(root / "public-old", "public-old")
    make_wheel(root / "sibling", "sibling", "99.0")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        yield Doors(doors.folder, {**doors.environment, "UV_DEFAULT_INDEX": url, "PIP_INDEX_URL": url})
        server.shutdown()


def _install(doors: Doors, step: Step, *command: str) -> set[str]:
    """Install into an environment with the install option in variables, and return the modules of version 1.0."""
    url = step.outputs["extra-index-url"].split()[1]
    python = doors.folder / ".venv/bin/python"
    environment = {**doors.environment, "PIP_EXTRA_INDEX_URL": url, "UV_INDEX": url}
    for arguments, python_of_tool in (
        (["uv", "venv", "--quiet", "--allow-existing", ".venv"], sys.executable),
        (command, str(python)),
    ):
        done = subprocess.run(
            [BIN / arguments[0], *arguments[1:]],
            cwd=doors.folder,
            env={**environment, "PIP_PYTHON": python_of_tool, "UV_PYTHON": python_of_tool},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return {each.name.partition("-")[0] for each in python.parents[1].glob("lib/*/site-packages/*-1.0.dist-info")}


@pytest.fixture(autouse=True)
def _variables_have_the_token(leaks: Leaks) -> None:
    leaks.excuse("the environment of")


@pytest.mark.parametrize("tool", ["pip install", "uv pip install", "uv pip sync"])
def test_a_lock_is_all_that_pip_and_uv_need(doors: Doors, tool: str, tmp_path: Path) -> None:
    step = doors.action(INPUTS, {"RUNNER_TEMP": str(tmp_path)})  # not a mount
    file = doors.folder / step.outputs["lock"]
    text = file.read_text()
    assert file.parent == doors.folder / "dist"
    assert re.sub(r" \\\n    --hash=sha256:\w{64}", "", text).splitlines() == [
        *("app==1.0", "public-helper==1.0", "public-old==1.0 ; python_full_version < '3.11'", "sibling==1.0")
    ]
    assert text.count("--hash") == 4
    assert (
        _install(doors, step, *tool.split(), "--require-hashes", *["-r"] * ("install" in tool), step.outputs["lock"])
        == ALL
    )


def test_two_steps_need_no_lock(doors: Doors) -> None:
    """The second finds out that the pins are installed, and adds what they require."""
    step = doors.action({**INPUTS, "lock": "false"})
    assert step.outputs["lock"] == ""
    (doors.folder / "requirements.txt").write_text(step.outputs["requirements-hashed"])
    pins = ("pip", "install", "--no-deps", "--require-hashes", "-r", "requirements.txt")
    assert _install(doors, step, *pins) == ALL - {"public_helper"}
    assert _install(doors, step, "pip", "install", "app") == ALL


def test_what_the_repository_has_comes_from_it_alone(doors: Doors, emulator: Emulator, tmp_path: Path) -> None:
    """In a shell, and for a version that was published before. The lock is in the folder of the job."""
    (repository,) = (each for each in emulator.cloud.repositories if each.resource.endswith("/python"))
    store(emulator, repository, make_wheel(tmp_path / "before", "sibling", "0.9"))
    (doors.folder / "dist/sibling-1.0-py3-none-any.whl").unlink()
    done, report = publish(doors, "--dist", "dist", "--lock", variables={"RUNNER_TEMP": str(tmp_path)})
    assert done.code == 0, done.err
    assert Path(report["lock"]).parent == tmp_path / "gar-publish"
    assert "sibling==0.9" in Path(report["lock"]).read_text()


def test_a_lock_that_cannot_be_made_fails_nothing(doors: Doors, emulator: Emulator) -> None:
    make_wheel(doors.folder / "dist", "other", requires=["nowhere"])
    step = doors.action(INPUTS, {"RUNNER_TEMP": "/proc"})
    assert (step.code, step.outputs["lock"], step.outputs["published"]) == (0, "", "true")
    assert "::warning::The packages are published, but there is no lock of them. Fix: install in two steps" in step.log
    assert "nowhere was not found" in step.log
    assert len(emulator.files()) == 3
