"""The Cloud Build example: its steps in the real image, with only the account of the metadata server."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import docker
import pytest

from gar_publish.settings.index_url import requirements_hashed
from tests.blocks import blocks
from tests.conftest import ROOT, copy_tree
from tests.e2e.cloud_build import CloudBuild
from tests.e2e.conftest import Production, public_pin
from tests.leaks import Leaks, Listener
from tests.stored import store
from tests.wheels import make_wheel

pytestmark = pytest.mark.docker


@pytest.fixture
def images(image: str, python_image: str) -> dict[str, str]:
    """Return the local images, by the substitutions of the example."""
    return {"_GAR_PUBLISH": image, "_PYTHON": python_image}


@pytest.fixture
def cloud(
    docker_client: docker.DockerClient, production: Production, tmp_path: Path, listener: Listener, leaks: Leaks
) -> Callable[..., CloudBuild]:
    """Return a function that makes a Cloud Build with the emulator's metadata server."""
    folder = tmp_path / "cloud"
    leaks.expect(folder / "volume/gar/requirements.txt")  # contains a token on purpose, until the build ends
    return lambda **options: CloudBuild(docker_client, folder, listener, leaks, **production.options, **options)


@pytest.mark.parametrize(
    "home",
    ["/builder/home", pytest.param("", marks=pytest.mark.thorough), "/proc"],
    ids=["usual home", "no home", "read-only home"],
)
def test_the_example_publishes_and_installs(
    home: str, cloud: Callable[..., CloudBuild], images: Mapping[str, str], production: Production, tmp_path: Path
) -> None:
    build = cloud(home=home)
    version = f"2.{len(home)}"
    source = tmp_path / "source"
    copy_tree(ROOT / "examples/cloud-build", source)
    project = source / "pyproject.toml"
    project.write_text(project.read_text().replace('version = "1.0.0"', f'version = "{version}"'))

    ran = build.submit(source, PROJECT_ID="demo-project", LOCATION="us-central1", **images)

    (stored,) = (file for file in production.emulator.files() if file.version == version)
    assert ran["use"].log == "Hello, Cloud Build!\n"
    handed = json.loads(ran["publish"].output)
    assert f"greetings=={version} --hash=sha256:{stored.sha256}" in handed["requirements-hashed"].splitlines()
    assert handed["published"] == "true"
    assert json.loads((build.workspace / "published.json").read_text())["requirements"] == handed["requirements"]
    left = [path for path in (tmp_path / "cloud/home").rglob("*") if path.is_file()]
    assert {str(path.relative_to(tmp_path / "cloud/home").parents[-3]) for path in left} <= {".cache/pip"}


def test_a_rehearsal_refuses_what_is_broken(
    cloud: Callable[..., CloudBuild], images: Mapping[str, str], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    copy_tree(ROOT / "examples/cloud-build", source)
    steps = source / "cloudbuild.yaml"
    steps.write_text(steps.read_text().replace("--lock,", "--rehearse,"))
    for project in (source / "pyproject.toml", source / "words" / "pyproject.toml"):
        project.write_text(project.read_text().replace('version = "1.0.0"', 'version = "3.0"'))
    (source / "src" / "greetings" / "__init__.py").write_text("from greetings_words import MISSING\n")

    build = cloud()
    with pytest.raises(AssertionError, match="publish ended with 4: "):
        build.submit(source, PROJECT_ID="demo-project", LOCATION="us-central1", **images)

    report = json.loads((build.workspace / "published.json").read_text())
    assert {each["name"]: each["files"][0]["status"] for each in report["packages"]} == {
        "greetings": "failed",
        "greetings-words": "uploaded",
    }
    states = {(each["name"], each["beside"]): each["state"] for each in report["rehearsals"]}
    assert states["greetings", ""] == "failed"
    assert states["greetings-words", ""] == states["greetings-words", "published"] == "passed"
    assert {each["python"].count(".") for each in report["rehearsals"]} == {2}


def test_a_failed_index_url_ends_the_build(
    cloud: Callable[..., CloudBuild], images: Mapping[str, str], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    copy_tree(ROOT / "examples/cloud-build", source)
    steps = source / "cloudbuild.yaml"
    steps.write_text(steps.read_text().replace("REPOSITORY=$LOCATION/$PROJECT_ID/python", "REPOSITORY=nonsense"))

    with pytest.raises(AssertionError, match="requirements ended with 2: "):
        cloud().submit(source, PROJECT_ID="demo-project", LOCATION="us-central1", **images)


@pytest.mark.thorough
def test_a_docker_build_has_the_account_of_the_network(
    docker_client: docker.DockerClient, buildkit: str, python_image: str, production: Production, tmp_path: Path
) -> None:
    """The recipe of docs/docker.md, with a network that has the emulator in place of Google."""
    registry = production.emulator
    (repository,) = (each for each in registry.cloud.repositories if each.resource.endswith("/python"))
    wheels = make_wheel(tmp_path, "hidden", requires=["hidden-words", "idna"]), make_wheel(tmp_path, "hidden-words")
    store(registry, repository, *wheels)
    hashed = {f"{wheel.name.split('-')[0]}==1.0": [sha256(wheel.read_bytes()).hexdigest()] for wheel in wheels}
    (tmp_path / "requirements.txt").write_text(requirements_hashed(hashed | public_pin(tmp_path / "public")))
    found = [each for each in blocks(ROOT / "docs/docker.md") if each.section == "On Cloud Build's network"]
    recipe, command = (each.text.replace("my-project", "demo-project") for each in found)
    (certificates,) = (volume.split(":") for volume in production.options["volumes"])
    (tmp_path / "certificates").write_bytes(Path(certificates[0]).read_bytes())
    before = f"FROM {python_image}\nCOPY certificates {certificates[1]}"
    (tmp_path / "Dockerfile").write_text(re.sub("^FROM .*", before, recipe))
    hosts = "".join(f" --add-host={name}:{address}" for name, address in production.options["extra_hosts"].items())
    network = f"--network={production.options['network']}{hosts} --no-cache"
    command = command.replace("docker build --network=cloudbuild", f"{buildkit} build {network}")
    done = subprocess.run(
        ["/bin/sh", "-ec", command.replace("--tag service", "--tag gar-publish-test-network")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    docker_client.images.remove("gar-publish-test-network")
