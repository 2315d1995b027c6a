"""The example workflows, run by act with the real image: each publishes packages and uses them."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from gar_emulator import Emulator
from gar_emulator.world.iam import Binding
from gar_emulator.world.world import Repository
from gar_publish.settings.repository import DELETER, PREVIEWS_LABEL
from tests.blocks import blocks
from tests.conftest import ROOT
from tests.e2e.conftest import Checkout
from tests.git import commit
from tests.integration.frontdoors import PUBLISHER
from tests.leaks import Leaks

pytestmark = pytest.mark.docker

Act = Callable[..., str]

ACTIONS = Path(__file__).parent / "actions"
"""Replacements for actions that are not available without the network."""

MORE = 57
"""How many packages examples/matrix gets in addition to its three: 60 packages in four shards."""


def test_workload_identity_publishes_installs_and_sets_outputs(
    act: Act, checkout: Checkout, emulator: Emulator
) -> None:
    log = act(checkout("github-workload-identity"))
    stored = {file.package: file for file in emulator.files()}

    assert stored["greetings"].filename == "greetings-1.0.0-py3-none-any.whl"
    publish = said(log, "publish/publish")
    assert any(re.match("Successfully installed greetings-1.0.0 greetings-words-1.0.0 idna-", line) for line in publish)
    assert "Hello, octocat!" in publish

    announced = dict(line.split(": ", 1) for line in said(log, "publish/announce") if ": " in line)
    assert announced["index"] == f"{emulator.url}/us-central1-python.pkg.dev/demo-project/python/simple/"
    assert announced["requirements"] == "greetings==1.0.0"
    published = {
        package["name"]: [(file["filename"], file["sha256"]) for file in package["files"]]
        for package in json.loads(announced["packages"])
    }
    assert published == {name: [(file.filename, file.sha256)] for name, file in stored.items()}


def test_json_key(act: Act, checkout: Checkout, emulator: Emulator) -> None:
    log = act(checkout("json-key"), secrets={"GAR_KEY": json.dumps(emulator.key(PUBLISHER))})
    assert {file.package for file in emulator.files()} == {"greetings", "greetings-words"}
    assert "Hello, octocat!" in said(log, "publish/publish")


def test_monorepo_publishes_dependencies_first(act: Act, checkout: Checkout, emulator: Emulator) -> None:
    log = act(checkout("monorepo"))
    stored = sorted(emulator.files(), key=lambda file: file.created)
    assert [file.package for file in stored] == ["greetings", "welcome"]
    assert "Hello, octocat! Come in." in said(log, "publish/publish")


def test_a_pull_request_is_checked_without_an_identity(act: Act, checkout: Checkout, emulator: Emulator) -> None:
    log = act(checkout("pull-request"), event="pull_request")
    assert any(re.match(r"greetings/__init__.py ", line) for line in said(log, "check/check"))
    assert not emulator.requests


def test_matrix_builds_in_many_jobs_and_publishes_in_one(
    act: Act, checkout: Checkout, emulator: Emulator, dist: Path, tmp_path: Path
) -> None:
    folder, artifacts, event = checkout("matrix"), tmp_path / "artifacts", tmp_path / "event.json"
    for number in range(MORE):
        (folder / f"packages/more{number}").mkdir()
        declared = '[build-system]\nrequires = ["flit-core>=3.12"]\nbuild-backend = "flit_core.buildapi"\n'
        declared += f'[project]\nname = "more{number}"\nversion = "1.0.0"\ndescription = "One of many"\n'
        (folder / f"packages/more{number}/pyproject.toml").write_text(declared)
        (folder / f"packages/more{number}/more{number}.py").touch()
    commit(folder)
    volumes = f"{dist}:/gar-publish:ro", f"{artifacts}:/artifacts", f"{dist.with_name('uv-of-jobs')}:/uv"
    options = [
        f"--container-options={' '.join(f'--volume={volume}' for volume in volumes)}",
        "--env=UV_FIND_LINKS=/gar-publish",  # pipx installs with uv
        "--env=UV_CACHE_DIR=/uv",
        f"--eventpath={event}",
        f"--local-repository=actions/upload-artifact@v6={ACTIONS / 'upload-artifact'}",
        f"--local-repository=actions/download-artifact@v7={ACTIONS / 'download-artifact'}",
    ]

    def push(before: str = "") -> str:
        artifacts.mkdir()
        event.write_text(json.dumps({"before": before}))
        log = act(folder, *options)
        shutil.rmtree(artifacts)
        return log

    log = push()
    stored = sorted(emulator.files(), key=lambda file: file.created)
    names = {"greetings", "farewell", "welcome", *(f"more{number}" for number in range(MORE))}
    assert {file.package for file in stored} == names
    order = [file.package for file in stored]
    assert order.index("greetings") < order.index("welcome")
    assert set(re.findall(r"^\[matrix/build (\d+)", log, re.MULTILINE)) == {"1", "2", "3", "4"}
    (installed,) = (line for line in said(log, "matrix/publish") if line.startswith("Successfully installed"))
    assert {each.partition("-")[0] for each in installed.split()[2:]} == {*names, "idna"}

    log = push("HEAD")
    assert "[matrix/build" not in log
    assert "[matrix/publish" not in log


@pytest.mark.thorough
def test_previews_of_a_fork_are_built_without_rights_published_and_deleted(
    act: Act, checkout: Checkout, emulator: Emulator, tmp_path: Path
) -> None:
    repository = Repository("demo-project", "us-central1", "previews", labels=dict([PREVIEWS_LABEL]))
    emulator.cloud.create(repository)
    deleter = Binding(f"serviceAccount:{PUBLISHER}", DELETER, repository.resource)
    emulator.cloud.set_policy(repository.resource, [deleter])
    folder, artifacts, file = checkout("previews"), tmp_path / "artifacts", tmp_path / "event.json"
    artifacts.mkdir()
    workflow = folder / ".github/workflows/preview.yml"
    workflow.write_text(workflow.read_text().replace("  queue: max\n", ""))  # act does not know it
    options = [
        f"--container-options=--volume={artifacts}:/artifacts",
        f"--eventpath={file}",
        f"--local-repository=actions/upload-artifact@v6={ACTIONS / 'upload-artifact'}",
        f"--local-repository=actions/download-artifact@v7={ACTIONS / 'download-artifact'}",
    ]
    head = {"sha": "abc1234" + "0" * 33, "ref": "fix", "repo": {"full_name": "stranger/hello"}}

    def stored() -> list[str]:
        return [each.filename for each in emulator.files("us-central1/demo-project/previews")]

    file.write_text(json.dumps({"number": 42, "pull_request": {"number": 42, "head": head, "base": {"ref": "main"}}}))
    act(folder, *options, event="pull_request")
    run = {
        "id": 1,
        "event": "pull_request",
        "conclusion": "success",
        "head_branch": "fix",
        "head_sha": head["sha"],
        "head_repository": head["repo"],
        "head_commit": {"timestamp": "2026-11-29T10:00:01Z"},
        "pull_requests": [{"number": 42, "head": head, "base": {"repo": {"id": 7}}}],  # act has no GitHub to ask
    }
    file.write_text(json.dumps({"workflow_run": run, "repository": {"id": 7}}))
    act(folder, *options, event="workflow_run")
    version = "1.0.1.dev1795946401+pr42.gabc1234"
    assert stored() == [f"{name}-{version}-py3-none-any.whl" for name in ("greetings", "welcome")]
    file.write_text(json.dumps({"action": "closed", "pull_request": {"number": 42, "head": head}}))
    act(folder, *options, event="pull_request_target")
    assert stored() == []


def test_uv_project_syncs_from_the_explicit_index(act: Act, checkout: Checkout, emulator: Emulator) -> None:
    folder = checkout("uv-project")
    log = act(folder, "--bind")
    assert "Hello, octocat!" in said(log, "publish/publish")
    lock = (folder / "service/uv.lock").read_text()
    assert f'registry = "{emulator.address("us-central1-python.pkg.dev")}/demo-project/python/simple/"' in lock


def test_docker_build_installs_from_the_repository(
    act: Act, checkout: Checkout, buildkit: str, docker_client: docker.DockerClient
) -> None:
    plugins = [folder for folder in ("/usr/libexec/docker", "/usr/lib/docker") if Path(folder).is_dir()]
    mounts = [f"--volume={buildkit}:/usr/bin/docker:ro", *(f"--volume={folder}:{folder}:ro" for folder in plugins)]
    log = act(checkout("docker-build"), f"--container-options={' '.join(mounts)}")
    docker_client.images.remove("service", force=True)
    assert "Hello, container!" in said(log, "image/image")


class TestDocument:
    """The commands of docs/local.md, unchanged, in examples/act or in a clone of this repository."""

    @pytest.fixture
    def shell(
        self,
        *,
        checkout: Checkout,
        action: Path,
        python_image: str,
        clean_env: dict[str, str],
        tmp_path: Path,
        leaks: Leaks,
    ) -> Callable[..., str]:
        """Return a function that runs a command in the example. Its .actrc names local images and actions."""
        leaks.excuse("the environment of")  # act passes the job's variables on, as it should
        folder = checkout("act")
        actrc = folder / ".actrc"
        actrc.write_text(
            re.sub("catthehacker.*", python_image, actrc.read_text())
            + "--pull=false\n--action-offline-mode\n--no-cache-server\n--rm\n"
            f"--local-repository=org/gar-publish@v1={action}\n"
        )
        programs = tmp_path / "bin"
        programs.mkdir()
        for name in ("act", "gar-publish"):
            (programs / name).symlink_to(Path(sys.executable).with_name(name))

        def run(command: str, **environment: str) -> str:
            path = f"{programs}:{clean_env['PATH']}"
            done = subprocess.run(
                ["/bin/sh", "-ec", command],
                cwd=folder,
                env=clean_env | {"PATH": path} | environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        return run

    def test_with_the_emulator(self, shell: Callable[..., str], action: Path, tmp_path: Path) -> None:
        _, start, push = (block.strip() for block in commands("With the emulator"))  # test_demo runs the first
        assert start == ".venv/bin/gar-publish emulator | tee emulator.env"
        clone = tmp_path / "gar-publish"
        shutil.copytree(action, clone)
        (clone / ".venv").symlink_to(sys.prefix)
        actrc = (tmp_path / "act/.actrc").read_text()
        (clone / "examples/act/.actrc").write_text(re.sub("--local-repository.*\n", "", actrc))
        log = shell(
            f"cd {clone}\n.venv/bin/gar-publish emulator --port 0 >emulator.env & trap 'kill $!; wait' EXIT\n"
            f"until grep -q GCE_METADATA_ROOT emulator.env; do sleep 0.1; done\n{push}",
            **{
                f"GIT_{who}_{what}": "octocat@example.org"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        )
        assert "Hello, octocat!" in said(log, "publish/publish")

    def test_with_the_users_token(self, shell: Callable[..., str], emulator: Emulator, tmp_path: Path) -> None:
        gcloud = tmp_path / "bin/gcloud"
        gcloud.write_text(
            f"#!/bin/sh\n[ \"$*\" = 'auth print-access-token' ] && echo {emulator.access_token(PUBLISHER)}\n"
        )
        gcloud.chmod(0o755)
        (push,) = commands("With Google")
        log = shell(f"{push.strip()} --env GAR_EMULATOR_HOST={emulator.url}")
        assert "Hello, octocat!" in said(log, "publish/publish")
        assert not [seen for seen in emulator.requests if seen.host.startswith("sts.")]


def commands(heading: str) -> list[str]:
    """Return the shell blocks of one section of docs/local.md."""
    found = blocks(ROOT / "docs/local.md")
    return [each.text for each in found if (each.section, each.language) == (heading, "sh")]


PROGRAMS = {
    "make": """mkdir -p .venv/bin && cp /usr/local/bin/python .venv/bin/python""",
    "python": """
        test "$3" != compare || { echo 'C2.different differs: 409'; exit 1; }
        echo "$*" >&2
        echo '{"id": "C2.different"}'""",
    "gcloud": """echo "gcloud $*" """,
    "gh": """echo "gh $*" >&2; test "$2" != create || cat body.md""",
}
"""What the workflow of conformance calls, for a service that differs."""

STEPS = {
    "setup-python": "true",
    "upload-artifact": "cp record.jsonl difference.txt /artifacts",
    "download-artifact": "cp /artifacts/* .",
}


@pytest.mark.thorough
def test_workflow_of_conformance_measures_and_opens_an_issue(
    base_image: str, clean_env: dict[str, str], tmp_path: Path
) -> None:
    checkout, programs, artifacts = (tmp_path / name for name in ("checkout", "programs", "artifacts"))
    (checkout / ".github/workflows").mkdir(parents=True)
    workflow = (ROOT / ".github/workflows/conformance.yml").read_text()
    (checkout / ".github/workflows/conformance.yml").write_text(workflow)
    commit(checkout)
    programs.mkdir()
    artifacts.mkdir()
    for name, script in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    actions = []
    for name, script in STEPS.items():
        (tmp_path / name).mkdir()
        step = {"shell": "bash", "run": script}
        (tmp_path / name / "action.yml").write_text(json.dumps({"runs": {"using": "composite", "steps": [step]}}))
        (version,) = re.findall(rf"actions/{name}@(\w+)", workflow)
        actions.append(f"--local-repository=actions/{name}@{version}={tmp_path / name}")
    variables = {
        "CONFORMANCE": "true",
        "CONFORMANCE_PROJECT": "p",
        "CONFORMANCE_PROVIDER": "q",
        "CONFORMANCE_ACCOUNT": "a",
    }
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("act")),
            "workflow_dispatch",
            *("--pull=false", "--action-offline-mode", "--no-cache-server", "--rm"),
            f"--platform=ubuntu-24.04={base_image}",
            f"--container-options=--volume={programs}:/usr/local/bin:ro --volume={artifacts}:/artifacts",
            "--env=ACTIONS_ID_TOKEN_REQUEST_URL=https://token.example/?a=b",
            "--env=ACTIONS_ID_TOKEN_REQUEST_TOKEN=of-the-job",
            *(f"--var={name}={value}" for name, value in variables.items()),
            *actions,
        ],
        cwd=checkout,
        env=clean_env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    measured = said(done.stdout, "Conformance/Measure")
    assert "-m conformance --project p --location us-central1" in measured
    assert any("--credential-source-url=https://token.example/?a=b&audience=https://iam" in each for each in measured)
    issue = said(done.stdout, "Conformance/Open or update the issue")
    assert "gh issue create --title The emulator differs from Artifact Registry --body-file body.md" in issue
    assert "    C2.different differs: 409" in issue
    assert (artifacts / "record.jsonl").read_text() == '{"id": "C2.different"}\n'


def said(log: str, job: str) -> list[str]:
    """Return the lines that the steps of one job printed."""
    return re.findall(rf"^\[{job}\s*\]\s*\| (.*)$", log, re.MULTILINE)
