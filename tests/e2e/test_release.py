"""A complete release: the image in a registry, both tags in a bare repository, and act with the tagged action."""

import contextlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import docker
import pytest

from gar_emulator import Emulator
from release import reference
from tests.conftest import ROOT, copy_tree
from tests.e2e.conftest import Checkout
from tests.git import git

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run Debian's docker-registry, and yield its host and port. Docker needs no TLS for a loopback address."""
    program = shutil.which("docker-registry")
    assert program, "docker-registry is not installed; install Debian's package docker-registry"
    folder = tmp_path_factory.mktemp("registry")
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        while not (listening := re.search(r"listening on (127\.0\.0\.1:\d+)", (folder / "log").read_text())):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield listening[1]
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def pushed(registry: str, docker_client: docker.DockerClient, image: str) -> Iterator[str]:
    """Push the image to the registry, remove its local tag, and yield its name with the digest."""
    name = f"{registry}/octo-org/gar-publish"
    docker_client.images.get(image).tag(name, "1.0.0")
    said = list(docker_client.images.push(name, "1.0.0", stream=True, decode=True))
    (digest,) = {line["aux"]["Digest"] for line in said if "aux" in line}
    docker_client.images.remove(f"{name}:1.0.0")
    yield f"{name}@{digest}"
    with contextlib.suppress(docker.errors.ImageNotFound):
        docker_client.images.remove(f"{name}@{digest}")


@pytest.mark.thorough
def test_a_release_from_the_image_to_a_job_that_uses_it(
    *,
    pushed: str,
    act: Callable[..., str],
    checkout: Checkout,
    emulator: Emulator,
    docker_client: docker.DockerClient,
    clean_env: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def release(*arguments: str) -> str:
        command = [sys.executable, "-m", "release", *arguments]
        names = {f"GIT_{role}_{what}": "octocat" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(command, cwd=source, env=clean_env | names, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    folder = tmp_path_factory.mktemp("release")
    source, remote, released = folder / "source", folder / "remote.git", folder / "released"
    copy_tree(ROOT, source)
    for project in (source / "pyproject.toml", source / "emulator" / "pyproject.toml"):
        text = re.sub(r'^version = ".*"$', 'version = "1.0.0"', project.read_text(), flags=re.MULTILINE)
        project.write_text(re.sub(r'"gar-emulator==[^"]*"', '"gar-emulator==1.0.0"', text))
    changelog = source / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## [Unreleased]\n", "## [1.0.0] - 2026-01-31\n"))
    git(folder, "init", "-q", "--bare", str(remote))
    git(source, "init", "-q", "-b", "main")
    git(source, "remote", "add", "origin", str(remote))
    git(source, "add", ".")
    git(source, "commit", "-qm", "Prepare 1.0.0")
    git(source, "push", "-q", "origin", "main")

    release("check", "1.0.0")
    assert "### Added" in release("notes", "1.0.0")
    release("tag", "1.0.0", pushed)

    assert git(remote, "for-each-ref", "--format=%(refname:short)").split() == ["main", "v1", "v1.0.0"]
    assert git(remote, "rev-parse", "v1") == git(remote, "rev-parse", "v1.0.0")
    assert git(remote, "diff", "--name-only", "main", "v1").split() == list(reference.ACTIONS)
    git(folder, "clone", "-q", "--depth=1", "--branch=v1", f"file://{remote}", str(released))

    log = act(checkout("two-jobs"), f"--local-repository=org/gar-publish@v1={released}")
    assert "Hello, octocat!" in log
    assert {file.package for file in emulator.files()} == {"greetings", "greetings-words"}
    runs = re.findall(rf"docker run image={re.escape(pushed)} .*entrypoint=(\S*)", log)
    assert runs == ['["/app/entrypoint.py"]', '["/app/setup/main.py"]', '["/app/setup/post.py"]'], log
    assert docker_client.images.get(pushed).attrs["RepoDigests"]
