"""The commands that `gar-publish bootstrap` prints, run until the first package is published."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gar_emulator import Emulator
from gar_emulator.cloud.cloud import steady_id
from gar_emulator.world.iam import Binding
from tests.e2e.conftest import Checkout
from tests.gcloud import Gcloud, settings
from tests.git import commit

pytestmark = pytest.mark.docker

OWNER = "user:owner@example.com"
ENTERPRISE = "https://token.actions.githubusercontent.com/octo-enterprise"
"""The issuer of an enterprise that has one of its own."""
PACKAGES = "us-central1/demo-project/packages"
BOOTSTRAP = (
    str(Path(sys.executable).with_name("gar-publish")),
    "bootstrap",
    "--github=octo-org/hello",
    f"--repository={PACKAGES}",
    f"--github-owner-id={steady_id('octo-org')}",
    f"--github-repository-id={steady_id('octo-org/hello')}",
    f"--issuer={ENTERPRISE}",
)


def test_printed_workflow_publishes(
    *,
    act: Callable[..., str],
    checkout: Checkout,
    emulator: Emulator,
    gcloud: Gcloud,
    clean_env: dict[str, str],
    tmp_path: Path,
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    emulator.cloud.set_policy("projects/demo-project", [Binding(OWNER, "roles/owner", "projects/demo-project")])

    def run(*command: str, given: str = "") -> str:
        environment = {
            **clean_env,
            **settings(emulator.exports(), emulator.access_token(OWNER), tmp_path),
            "PATH": f"{programs}:{clean_env['PATH']}",
        }
        with gcloud.on_path(programs):
            done = subprocess.run(command, input=given, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout or done.stderr

    script = run(*BOOTSTRAP)
    run("sh", given=script)
    once = emulator.cloud.world, emulator.cloud.repositories
    said = run("sh", given=script)
    assert (emulator.cloud.world, emulator.cloud.repositories) == once
    (line,) = (line for line in said.splitlines() if line.startswith("The workflow: "))
    workflow = run("sh", "-c", line.partition(": ")[2].replace("gar-publish", BOOTSTRAP[0]))

    folder = checkout("github-workload-identity")
    (file,) = (folder / ".github/workflows").iterdir()
    file.write_text(workflow)
    commit(folder, "v1.0.0")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"ref": "refs/tags/v1.0.0"}))
    act(
        folder,
        f"--eventpath={event}",
        *(f"--env={name}={value}" for name, value in emulator.job(iss=ENTERPRISE).items()),
    )
    assert [stored.filename for stored in emulator.files(PACKAGES)] == ["greetings-1.0.0-py3-none-any.whl"]
    (upload,) = (seen for seen in emulator.requests if seen.host.endswith("pkg.dev") and seen.method == "POST")
    assert upload.principal.endswith(
        f"/workloadIdentityPools/github--octo-org--hello/subject/{steady_id('octo-org/hello')}"
    )
