"""The image, run like the runner does, with production host names over TLS and no emulator settings."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import docker
import pytest
import yaml

from gar_emulator.world.fault import Fault
from gar_emulator.world.iam import Binding
from gar_publish import __version__
from tests.conftest import ROOT, copy_tree
from tests.e2e.conftest import Production
from tests.git import commit
from tests.integration.frontdoors import PROVIDER, PUBLISHER, REPOSITORY
from tests.integration.test_early_refusals import MEGABYTES_29
from tests.integration.test_releases import Origin
from tests.leaks import Leaks
from tests.runner import OWNER, Runner, Step, commands, give_to_owner
from tests.wheels import make_wheel

pytestmark = pytest.mark.docker

PROJECT = "projects/demo-project"
PROD = "us-central1/demo-project/prod"
INDEX = "https://us-central1-python.pkg.dev/demo-project/python/simple/"
UPLOADS = "/demo-project/python/"
Write = Callable[[str, str], Path]


def _owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in [folder, *folder.rglob("*")]}


def _publish(
    runner: Runner, leaks: Leaks, inputs: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
) -> Step:
    step = runner.run({"repository": REPOSITORY, **(inputs or {})}, environment or {}, leaks)
    assert step.exit_code == 0, step.log
    return step


def _credential(kind: str, production: Production, workspace: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the inputs and the environment for one kind of credential."""
    emulator = production.emulator
    key, job = json.dumps(emulator.key(PUBLISHER), indent=2), emulator.job()
    kinds: dict[str, tuple[dict[str, str], dict[str, str]]] = {
        "workload identity": ({"workload-identity-provider": PROVIDER}, job),
        "workload identity with impersonation": (
            {"workload-identity-provider": PROVIDER, "service-account": PUBLISHER},
            job,
        ),
        "key": ({"credentials-json": key}, {}),
        "access token": ({"access-token": emulator.access_token(PUBLISHER)}, {}),
        "metadata server": ({}, {}),
    }
    if kind in kinds:
        return kinds[kind]
    file = workspace / "gha-creds-0123456789abcdef.json"
    if kind == "a user's login":
        emulator.cloud.set_policy(PROJECT, [Binding("user:dev@example.com", "roles/artifactregistry.writer", PROJECT)])
        info: Mapping[str, object] = emulator.login("dev@example.com")
    else:
        info = _auths_file(job, impersonated=kind.endswith("impersonation"))
    file.write_text(json.dumps(info))
    return {}, {"GOOGLE_APPLICATION_CREDENTIALS": f"/github/workspace/{file.name}", **job}


def _auths_file(job: Mapping[str, str], *, impersonated: bool) -> dict[str, object]:
    """Return the file that google-github-actions/auth writes (v3, `src/client/workload_identity_federation.ts`)."""
    audience = quote(f"https://iam.googleapis.com/{PROVIDER}", safe="")
    impersonation = {
        "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
        f"{PUBLISHER}:generateAccessToken"
    }
    return {
        "universe_domain": "googleapis.com",
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{PROVIDER}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {
            "url": f"{job['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience={audience}",
            "headers": {"Authorization": f"Bearer {job['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        },
        **(impersonation if impersonated else {}),
    }


KINDS = [
    "workload identity",
    "workload identity with impersonation",
    "key",
    "access token",
    "metadata server",
    "google-github-actions/auth",
    "google-github-actions/auth with impersonation",
    "a user's login",
]
WARNINGS = {
    "workload identity": "in less than ten minutes",
    "google-github-actions/auth": "in less than ten minutes",
    "a user's login": "gcloud auth application-default set-quota-project demo-project",
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_credential_publishes(
    kind: str, production: Production, runner: Runner, project: Write, leaks: Leaks
) -> None:
    version = f"1.{KINDS.index(kind)}"
    workspace = project("hello_image", version)
    inputs, environment = _credential(kind, production, workspace)
    step = _publish(runner, leaks, inputs, environment)

    (wheel,) = workspace.glob("dist/*")
    assert production.emulator.read(wheel.name) == wheel.read_bytes()
    assert _owners(workspace.parent) == {OWNER}

    outputs = step.outputs
    assert {name: outputs[name] for name in ("index-url", "requirements", "name", "version", "published")} == {
        "index-url": INDEX,
        "requirements": f"hello-image=={version}",
        "name": "hello-image",
        "version": version,
        "published": "true",
    }
    assert outputs["extra-index-url"].startswith("--extra-index-url https://oauth2accesstoken:ya29.")
    assert outputs["extra-index-url"].endswith(f"@{INDEX.removeprefix('https://')}")
    assert wheel.name in outputs["packages"]
    assert wheel.name in step.summary
    assert step.dropped == {"extra-index-url"}
    assert WARNINGS.get(kind, "") in step.log


def test_a_second_run_finds_identical_files_and_evidence(
    production: Production, runner: Runner, project: Write, leaks: Leaks
) -> None:
    workspace = project("hello_again", "1.0")
    inputs = {"access-token": production.emulator.access_token(PUBLISHER), "sbom": "true", "provenance": "true"}
    steps = [_publish(runner, leaks, inputs) for _ in range(2)]
    assert [step.outputs["published"] for step in steps] == ["true", "false"]
    handed_out = [step.outputs["sboms"] + step.outputs["provenance"] for step in steps]
    assert handed_out[0] == handed_out[1]
    attachments = production.emulator.cloud.attachments
    left = [workspace / steps[0].outputs[name] for name in ("sboms", "provenance")]
    for file in left:
        assert attachments.file(production.emulator.cloud.repositories[0], sha256(file.read_bytes()).hexdigest())
    assert _owners(workspace.parent) == {OWNER}


@pytest.mark.parametrize("with_git", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_the_same_commit_in_another_clone_is_skipped(
    production: Production, runner: Runner, leaks: Leaks, tmp_path: Path, *, with_git: bool
) -> None:
    origin = Origin(tmp_path / "origin", {"by-setuptools": "by-setuptools", "by-pdm": "by-pdm"})
    origin.commit(f"2.{int(with_git)}.0", "by-setuptools", "by-pdm")
    inputs = {
        "access-token": production.emulator.access_token(PUBLISHER),
        "packages": "packages/*",
        "formats": "wheel, sdist",
    }
    published = []
    for number in range(2):
        clone = origin.clone(tmp_path / str(number))
        if not with_git:
            shutil.rmtree(clone / ".git")
        shutil.rmtree(runner.workspace)
        shutil.copytree(clone, runner.workspace)
        give_to_owner(runner.workspace)
        step = _publish(runner, leaks, inputs)
        published.append([file["status"] for each in json.loads(step.outputs["packages"]) for file in each["files"]])
    assert published == [["uploaded"] * 4, ["identical"] * 4]


def test_a_failure_is_an_annotation_a_summary_and_an_exit_code(
    production: Production, runner: Runner, project: Write, leaks: Leaks
) -> None:
    project("hello_refused", "1.0")
    inputs = {"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "doctor": "true"}
    step = runner.run(inputs, production.emulator.job(repository="mallory/hello"), leaks)
    assert step.exit_code == 3
    assert "\n::error::" in step.log
    assert "| ⬜ Repository | not reached |" in step.summary
    assert "Traceback" not in step.log
    assert step.outputs == {}
    assert not [file for file in production.emulator.files() if file.package == "hello-refused"]


def test_a_refusal_of_one_file_is_its_own(production: Production, runner: Runner, leaks: Leaks) -> None:
    """The tokens end before the first upload. One download is refused where it is redirected to. One file is so large
    that the registry refuses it before it reads it, and closes the connection.
    """
    emulator, before = production.emulator, len(production.emulator.requests)
    for name in ("harsh-a", "harsh-b", "harsh-c"):
        make_wheel(runner.workspace / "dist", name)
    make_wheel(runner.workspace / "dist", "harsh-large", content=MEGABYTES_29)
    refused = Fault("redirected", "403", times=0, file="harsh_a-1.0-py3-none-any.whl")
    emulator.inject(Fault("upload", "token-ended"), refused)
    emulator.cloud.switch(max_upload_size=2_000_000)
    try:
        inputs = {"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "dist": "dist"}
        step = runner.run(inputs, emulator.job(), leaks)
    finally:
        emulator.inject()
        emulator.cloud.switch(max_upload_size=0)
    assert step.exit_code == 6
    files = [file for package in json.loads(step.outputs["packages"]) for file in package["files"]]
    assert [file["status"] for file in files] == ["uploaded", "uploaded", "uploaded", "failed"], step.log
    assert f"redirects the download of {refused.file} to an address that refuses it (HTTP 403)" in step.log
    assert "us-central1-python.pkg.dev does not accept a file of this size (HTTP 413)." in step.log
    assert len([name for name, _ in commands(step.log) if name == "error"]) == 2
    sent = [seen.status for seen in list(emulator.requests)[before:] if (seen.method, seen.path) == ("POST", UPLOADS)]
    assert (sent.count(200), sent.count(413)) == (3, 1)
    assert set(sent) == {200, 401, 413}


def test_a_rehearsal_refuses_what_is_broken(production: Production, runner: Runner, leaks: Leaks) -> None:
    """One wheel lacks a module, one hunts for secrets and fails, and one works. The image has one Python."""
    secret = "canary-5d0c7f21ab94e836"
    hunt = (
        "import glob, os\n"
        "places = [*glob.glob('/github/**', recursive=True), *glob.glob('/proc/*/environ')]\n"
        "def read(path):\n"
        "    try:\n"
        "        return open(path, 'rb').read()\n"
        "    except OSError:\n"
        "        return b''\n"
        "found = [path for path in places if b'canary-5d' in read(path)]\n"
        "raise RuntimeError(f'{os.getuid()} has {len(places)} places and found {found}')\n"
    )
    for name, content in {"staged": "", "broken": "import staged_not\n", "hunter": hunt}.items():
        make_wheel(runner.workspace / "dist", f"{name}-wheel", content=content)
    (runner.workspace / ".env").write_text(secret)
    inputs = {"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "dist": "dist", "rehearse": "true"}
    step = runner.run(inputs, {**production.emulator.job(), "MY_SECRET": secret}, leaks)
    assert step.exit_code == 4, step.log
    statuses = {each["name"]: each["files"][0]["status"] for each in json.loads(step.outputs["packages"])}
    assert statuses == {"broken-wheel": "failed", "hunter-wheel": "failed", "staged-wheel": "uploaded"}
    assert "broken_wheel: ModuleNotFoundError: No module named 'staged_not' (broken_wheel.py, line 1)" in step.log
    said = re.search(r"RuntimeError: (\d+) has (\d+) places and found \[\]", step.log)
    assert said, step.log
    assert int(said[1]) not in {0, OWNER}
    assert int(said[2]) > 1
    assert re.search(r"passed +staged-wheel 1\.0, Python 3\.\d+\.\d+, from the repository", step.log), step.log


@pytest.mark.parametrize(
    ("repository", "job", "says"),
    [
        (
            "us-central1/demo-project/pithon",
            {},
            "No Python repository pithon in us-central1 that the jobs of octo-org/hello can see.",
        ),
        (
            REPOSITORY,
            {"environment": "release", "ref": f"refs/heads/{'x' * 200}"},
            "the mapped attributes of this job's identity are too long",
        ),
    ],
    ids=["an empty 403", "long attributes"],
)
def test_a_refusal_without_a_reason_is_explained(
    *, repository: str, job: dict[str, str], says: str, production: Production, runner: Runner, leaks: Leaks
) -> None:
    make_wheel(runner.workspace / "dist", "hello")
    production.emulator.cloud.switch(texts="empty")
    try:
        inputs = {"repository": repository, "workload-identity-provider": PROVIDER, "dist": "dist"}
        step = runner.run(inputs, production.emulator.job(**job), leaks)
    finally:
        production.emulator.cloud.switch(texts="generic")
    assert step.exit_code == 6
    assert says in step.log
    assert "MEMBER" not in step.log


def test_promotes_from_another_repository(production: Production, runner: Runner, project: Write, leaks: Leaks) -> None:
    workspace = project("hello_promoted", "1.0")
    token = {"access-token": production.emulator.access_token(PUBLISHER)}
    _publish(runner, leaks, token)
    (wheel,) = workspace.glob("dist/*")
    promoted = {"repository": PROD, "promote-from": "python", "packages": "hello-promoted==1.0"}
    step = _publish(runner, leaks, {**token, **promoted})
    assert step.outputs["published"] == "true"
    assert production.emulator.read(wheel.name, PROD) == wheel.read_bytes()


def test_versions_from_git_need_no_safe_directory(production: Production, runner: Runner, leaks: Leaks) -> None:
    """setuptools-scm runs git, and git refuses a checkout of another user ("dubious ownership")."""
    workspace = runner.workspace
    (workspace / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=80", "setuptools-scm>=8"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "hello-scm"\ndynamic = ["version"]\n[tool.setuptools]\npy-modules = ["hello_scm"]\n'
        "[tool.setuptools_scm]\n"
    )
    (workspace / "hello_scm.py").touch()
    (workspace / ".gitignore").write_text("dist\n")
    commit(workspace, "v2.3.4")

    token = production.emulator.access_token(PUBLISHER)
    step = _publish(runner, leaks, {"access-token": token, "expected-version": "v2.3.4", "formats": "wheel, sdist"})
    assert step.outputs["requirements"] == "hello-scm==2.3.4"
    assert "dubious" not in step.log
    assert _owners(workspace.parent) == {OWNER}
    with zipfile.ZipFile(BytesIO(production.emulator.read("hello_scm-2.3.4-py3-none-any.whl"))) as wheel:
        assert {entry.date_time for entry in wheel.infolist()} == {(2020, 2, 2, 0, 0, 0)}


def test_a_malicious_build_finds_and_changes_nothing(
    production: Production, runner: Runner, docker_client: docker.DockerClient, leaks: Leaks
) -> None:
    workspace = runner.workspace
    copy_tree(ROOT / "tests/e2e/projects/attacker", workspace)
    canary = "canary-3f9a61c2d7e84b05"
    inputs, environment = _credential("google-github-actions/auth", production, workspace)
    secrets = {
        "ACTIONS_RUNTIME_TOKEN": canary,
        "ACTIONS_CACHE_URL": f"https://cache.example/{canary}",
        "INPUT_ARGS": canary,
        "MY_SECRET": canary,
    }
    for name, content in {"home/.netrc": canary, "runner_temp/secret": canary, "workflow/event.json": canary}.items():
        (runner.workspace.parent / name).write_text(content)
    give_to_owner(runner.workspace.parent)
    places = [f"/github/file_commands/{name}" for name in ("output", "env", "path", "state", "step_summary")]
    (workspace / "targets.json").write_text(
        json.dumps(
            {"read": ["/github", "/var/run/docker.sock"], "write": [*places, "/github/workspace/pyproject.toml"]}
        )
    )
    before = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    containers = {container.id for container in docker_client.containers.list(all=True)}

    step = _publish(runner, leaks, inputs, {**environment, **secrets})

    (wheel,) = workspace.glob("dist/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("loot.json"))
        text = archive.read(name).decode()
    assert canary not in text
    assert "ya29." not in text
    assert environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] not in text
    loot = json.loads(text)
    assert loot["user"]["uid"] not in {0, OWNER}
    assert loot["written"] == []
    assert loot["sockets"] == []
    after = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    assert after.keys() - before.keys() == {wheel}
    assert {path: after[path] for path in before} == before
    assert _owners(workspace.parent) == {OWNER}
    assert step.files["ENV"] == step.files["PATH"] == step.files["STATE"] == ""
    said = [str(command) for command in commands(step.log) if "attack" in str(command)]
    ours = ("installs loot.json beside all packages", "('group', 'Build attacker')")
    assert all(any(each in line for each in ours) for line in said), said
    assert {container.id for container in docker_client.containers.list(all=True)} <= containers
    assert step.dropped == {"extra-index-url"}


def test_the_image_accepts_the_command_line(docker_client: docker.DockerClient, image: str) -> None:
    said = docker_client.containers.run(image, ["--version"], remove=True, network_mode="none")
    assert said.decode() == f"gar-publish {__version__}\n"


def test_the_image_without_arguments_is_the_action(docker_client: docker.DockerClient, image: str) -> None:
    with pytest.raises(docker.errors.ContainerError) as ended:
        docker_client.containers.run(image, stdout=False, stderr=True, remove=True, network_mode="none")
    assert ended.value.exit_status == 2


def test_starts_in_a_pod_of_kubernetes(docker_client: docker.DockerClient, image: str) -> None:
    """ARC's container hooks (0.8) run `tail` in the pod, and then start the entry point by `sh` and `env`."""
    entry_point = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["entrypoint"]
    pod = docker_client.containers.run(
        image, ["-f", "/dev/null"], entrypoint="tail", detach=True, network_mode="none", init=True
    )
    try:
        code, said = pod.exec_run(
            ["sh", "-ec", f'exec env "INPUT_REPOSITORY=python" "INPUT_DRY-RUN=true" {entry_point}']
        )
    finally:
        pod.remove(force=True)
    assert code == 2
    assert b"`repository` is only a name ('python')" in said


@pytest.mark.parametrize("user", ["root", pytest.param("nobody", marks=pytest.mark.thorough)])
def test_common_backends_need_no_network(user: str, docker_client: docker.DockerClient, image: str) -> None:
    docker_client.containers.run(
        image,
        ["-I", "/build_offline.py"],
        entrypoint="/app/venv/bin/python",
        user=user,
        remove=True,
        network_mode="none",
        volumes=[f"{Path(__file__).with_name('build_offline.py')}:/build_offline.py:ro"],
    )


def test_the_image_is_clean(docker_client: docker.DockerClient, image: str) -> None:
    """Check that the image is compiled and read-only for all users, and has no build tools; root is not replaced."""
    script = (
        "import pathlib, gar_publish, importlib.util as u, os\n"
        "folder = pathlib.Path(gar_publish.__file__).parent\n"
        "print(os.getuid(), len(list(folder.rglob('__pycache__/*.pyc'))), pathlib.Path('/tools').exists())\n"
        "print([str(path) for path in pathlib.Path('/app').rglob('*')\n"
        "       if not path.is_symlink() and path.stat().st_mode & 0o022])\n"
        "print([name for name in ('gar_emulator', 'github', 'keyring', 'pip', 'hatchling') if u.find_spec(name)])\n"
    )
    for user in ("root", "nobody"):
        said = docker_client.containers.run(
            image, ["-c", script], entrypoint="/app/venv/bin/python", user=user, remove=True, network_mode="none"
        )
        first, writable, second = said.decode().splitlines()
        uid, compiled, tools = first.split()
        assert (uid == "0") == (user == "root")
        assert int(compiled) > 50
        assert (tools, writable, second) == ("False", "[]", "[]")
