"""setup/action.yml with the real image: run like the runner does, and in the example with two jobs."""

import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest

from gar_emulator import Emulator
from tests.conftest import ROOT
from tests.e2e.conftest import Production
from tests.integration.frontdoors import PROVIDER
from tests.leaks import Leaks
from tests.runner import HOST_TEMP, OWNER, Runner, Step, read_file_command

pytestmark = pytest.mark.docker

SETUP = ROOT / "setup" / "action.yml"
INPUTS = {"repository": "us-central1/demo-project/python", "workload-identity-provider": PROVIDER}
INDEX = "us-central1-python.pkg.dev/demo-project/python/simple/"


def _set_up(runner: Runner, production: Production, leaks: Leaks) -> Step:
    step = runner.run(INPUTS, production.emulator.job(), leaks, action=SETUP)
    assert step.exit_code == 0, step.log
    return step


def test_only_the_owner_can_read_the_files_and_they_are_removed_after_the_job(
    runner: Runner, production: Production, leaks: Leaks
) -> None:
    step = _set_up(runner, production, leaks)
    exported = read_file_command(step.files["ENV"])
    netrc, pip = sorted(runner.temp.iterdir(), key=lambda file: file.suffix)
    assert exported["GAR_PIP_CONF"] == f"{HOST_TEMP}/{pip.name}"
    assert exported["NETRC"] == f"{HOST_TEMP}/{netrc.name}"
    for about in (netrc.lstat(), pip.lstat()):
        assert (stat.filemode(about.st_mode), about.st_uid) == ("-rw-------", OWNER)
    token = exported["GAR_TOKEN"]
    assert pip.read_text() == f"[global]\nextra-index-url = https://oauth2accesstoken:{token}@{INDEX}\n"
    assert netrc.read_text() == f"machine {INDEX.partition('/')[0]} login oauth2accesstoken password {token}\n"

    post = runner.run(INPUTS, production.emulator.job(), leaks, action=SETUP, after=step)
    assert post.exit_code == 0, post.log
    assert list(runner.temp.iterdir()) == []
    # The search for leaks after this test finds any other file with the token.


def test_after_a_failure_there_is_nothing_to_remove(runner: Runner, production: Production, leaks: Leaks) -> None:
    step = runner.run({**INPUTS, "only": "no"}, production.emulator.job(), leaks, action=SETUP)
    assert step.exit_code == 2, step.log
    assert step.files["ENV"] == ""
    assert runner.run(INPUTS, {}, leaks, action=SETUP, after=step).exit_code == 0


def test_all_outputs_except_the_secrets_can_be_job_outputs(
    runner: Runner, production: Production, leaks: Leaks
) -> None:
    step = _set_up(runner, production, leaks)
    assert step.dropped == {"extra-index-url", "token"}
    assert step.outputs["index-url"] == f"https://{INDEX}"
    left = datetime.fromisoformat(step.outputs["token-expires-at"]) - datetime.now(UTC)
    assert 200 < left.total_seconds() <= 300
    assert "::warning::The token for installs expires at" in step.log
    runner.run(INPUTS, {}, leaks, action=SETUP, after=step)


def test_two_jobs(
    act: Callable[[Path], str],
    checkout: Callable[[str], Path],
    emulator: Emulator,
    docker_client: docker.DockerClient,
) -> None:
    log = act(checkout("two-jobs"))
    assert re.search(r"^\[two-jobs/install\s*\]\s*\| Hello, octocat!$", log, re.MULTILINE), log
    assert "GAR_PIP_CONF" not in log  # act shares no temp folder between steps, so a path would be wrong
    left = [*docker_client.volumes.list(), *docker_client.containers.list(all=True)]
    assert [each.name for each in left if str(each.name).startswith("act-two-jobs")] == []

    assert {each.package for each in emulator.files()} == {"greetings", "greetings-words"}
    seen = [each for each in emulator.requests if each.host == "us-central1-python.pkg.dev"]
    used = [each for each in seen if each.method == "POST" or each.path.endswith(".whl")]
    assert {each.principal for each in used} == {"serviceAccount:publisher@demo-project.iam.gserviceaccount.com"}
