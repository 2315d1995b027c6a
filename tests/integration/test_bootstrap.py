"""`gar-publish bootstrap`: what it prints, run by the real gcloud, and what its check says before and after."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gar_publish.emulator import Emulator, World
from gar_publish.emulator.cloud import steady_id
from gar_publish.emulator.iam import Binding
from gar_publish.emulator.world import Pool, Project
from tests.gcloud import settings
from tests.integration.frontdoors import HELLO, PUBLISHER, REPOSITORY, Doors
from tests.wheels import make_wheel

OWNER = "user:owner@example.com"
PROJECT = Project("demo-project", 123456789012, ("iam.googleapis.com", "iamcredentials.googleapis.com"))
GITHUB = (
    "bootstrap",
    "--github=octo-org/hello",
    f"--github-owner-id={steady_id('octo-org')}",
    f"--github-repository-id={steady_id('octo-org/hello')}",
)
ASKED = (*GITHUB, "--repository=us-central1/demo-project/packages", "--service-account=releases")


@pytest.fixture
def world() -> World:
    """The machine's own account owns the project, so that the check may look at everything."""
    default = World.default()
    owners = [Binding(each, "roles/owner", "projects/demo-project") for each in (OWNER, f"serviceAccount:{PUBLISHER}")]
    return replace(default, projects=(PROJECT,), bindings=(*default.bindings, *owners))


@pytest.fixture
def emulator(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(world, data=tmp_path_factory.mktemp("emulator")) as running:
        yield running


def states(text: str) -> dict[str, str]:
    """What the check says of each part, by the part's first word."""
    return {what: state for state, what in re.findall(r"^(\w+) +(\S+)", text, re.MULTILINE)}


def test_what_gcloud_sets_up_is_what_the_check_looks_for(
    doors: Doors, emulator: Emulator, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    if not shutil.which("gcloud"):
        pytest.skip("gcloud is not installed")
    before = doors.command(*ASKED, "--check")
    assert before.code == 6
    assert set(states(before.out).values()) == {"missing"}
    assert "7 of 7 parts" in before.err

    # Half of it is there, in a state that is not the right one.
    pool = Pool("demo-project", "github--octo-org--hello", disabled=True, deleted=True)
    emulator.cloud.put(replace(PROJECT, disabled_services=()))
    emulator.cloud.put(pool)
    half = states(doors.command(*ASKED, "--check").out)
    assert half.pop("APIs") == "there"
    assert half.pop("pool") == "differs"
    assert set(half.values()) == {"missing"}
    emulator.cloud.put(PROJECT)

    script = doors.command(*ASKED)
    done = subprocess.run(
        ["sh"],
        input=script.out,
        env={**clean_env, **settings(emulator.exports(), emulator.access_token(OWNER), tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Trying again" not in done.stderr
    after = doors.command(*ASKED, "--check")
    assert after.code == 0, after.out
    assert len(states(after.out)) == 7

    workflow = yaml.safe_load(doors.command(*ASKED, "--workflow").out)
    given = workflow["jobs"]["publish"]["steps"][-1]["with"]
    options = [f"--{name}={given[name]}" for name in ("repository", "workload-identity-provider", "service-account")]
    make_wheel(doors.folder / "dist", "hello")
    publish = ("publish", "--dist=dist", *options)
    assert doors.command(*publish, variables=emulator.job(repository="octo-org/other")).code == 3
    assert doors.command(*publish, variables=emulator.job(repository="octo-org/hello")).code == 0
    assert [stored.filename for stored in emulator.files("us-central1/demo-project/packages")] == [HELLO]


def test_number_that_google_does_not_tell(doors: Doors, emulator: Emulator) -> None:
    emulator.cloud.set_policy("projects/demo-project", [])
    done = doors.command(*GITHUB, f"--repository={REPOSITORY}", "--workflow")
    assert done.code == 6
    assert "gcloud projects describe demo-project" in done.err
    assert "resourcemanager.projects.get" in done.err


def test_who_may_not_look_is_told_so(doors: Doors, emulator: Emulator) -> None:
    emulator.cloud.put(replace(PROJECT, disabled_services=()))
    emulator.cloud.set_policy("projects/demo-project", [])
    done = doors.command(*ASKED, "--check")
    assert done.code == 6
    assert set(states(done.out).values()) == {"unknown"}
    assert "7 of 7 parts may not be looked at" in done.err
