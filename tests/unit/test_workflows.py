"""The workflows of this repository: what `make lint` does not check."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from release.__main__ import new_parser
from tests.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TEXT = "".join(file.read_text(encoding="utf-8") for file in WORKFLOWS)

each_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def test_every_action_is_pinned_by_one_hash_with_its_version() -> None:
    uses = re.findall(r"uses: (.+)", TEXT)
    assert uses
    pins: dict[str, str] = {}
    for each in uses:
        pinned = re.fullmatch(r"([\w-]+/[\w-]+)(?:/[\w-]+)?@([0-9a-f]{40} # v\d+\.\d+\.\d+)", each)
        assert pinned, each
        assert pins.setdefault(pinned[1], pinned[2]) == pinned[2], each


@each_workflow
def test_every_job_names_its_permissions(file: Path) -> None:
    workflow = load(file)
    assert workflow["permissions"] == {}
    assert all("permissions" in job for job in workflow["jobs"].values())


def test_the_release_workflow_runs_commands_of_the_script() -> None:
    said = [line.replace('"$VERSION"', "1.2.3") for line in re.findall(r"python3 -m release (.+)", TEXT)]
    commands = [new_parser().parse_args(shlex.split(line.partition(" >")[0])).command for line in said]
    assert commands == ["check", "notes", "tag"]


def test_no_run_takes_the_place_of_a_deletion_that_waits() -> None:
    """GitHub keeps only the newest of the runs that wait, and one of a closed pull request publishes nothing."""
    workflow = load(ROOT / "examples/previews/.github/workflows/preview.yml")
    assert workflow["concurrency"]["queue"] == "max"
    assert not workflow["concurrency"]["cancel-in-progress"]


def test_a_reviewer_approves_a_release_before_any_job_that_can_change_something() -> None:
    jobs = load(ROOT / ".github/workflows/release.yml")["jobs"]

    def before(name: str) -> set[str]:
        needs = jobs[name].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*(before(each) for each in direct))

    able = {name for name, job in jobs.items() if "write" in job["permissions"].values()}
    assert able >= {"build", "image", "tag", "publish", "announce"}
    assert [name for name in able if not any(jobs[each].get("environment") == "release" for each in before(name))] == []


def test_new_versions_wait_a_week() -> None:
    updates = load(ROOT / ".github/dependabot.yml")["updates"]
    assert {each["package-ecosystem"] for each in updates} == {"github-actions", "pip", "docker"}
    assert all(each["cooldown"]["default-days"] >= 7 for each in updates)
    assert '--exclude-newer="7 days"' in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_make_has_every_target_that_workflows_and_documents_name() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    documents = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8") + (ROOT / "README.md").read_text("utf-8")
    named = re.findall(r"run: (?:sudo .*)?make (\w+)", TEXT) + re.findall(r"(?:^|`)make (\w+)", documents, re.MULTILINE)
    assert {"dist", "lint", "test"} <= set(named)
    assert [target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_tests_run_on_every_python_of_the_classifiers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = re.findall(r"Python :: (\d\.\d+)", " ".join(project["classifiers"]))
    assert load(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"] == promised


def test_every_marked_test_runs_in_a_job() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    markers = [each.partition(":")[0] for each in project["tool"]["pytest"]["ini_options"]["markers"]]
    (run,) = [step["run"] for step in load(ROOT / ".github/workflows/ci.yml")["jobs"]["image"]["steps"][-1:]]
    assert run.endswith(f"""make test PYTEST="-m '{" or ".join(markers)}'\"""")
