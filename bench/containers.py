"""Measure the image and its base: the time to start and to publish, as root in both, and the size.

The image is built on the base that the tests use: `gar-publish-base:trixie` if it exists, otherwise the Dockerfile's,
with the certificate authorities of this machine.
"""

import gzip
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import yaml

from bench import projects
from bench.measure import Case, Command
from bench.publisher import DIRECT, PROVIDER, REPOSITORY
from bench.rows import FIFTY_AS_ROOT, FIFTY_IN_IMAGE, IN_IMAGE, PASS, UV_IN_BASE, UV_ON_HOST, VERSION, Size
from bench.stage import PEERS, ROOT
from bench.tools import Tools, Type
from tests.runner import give_to_owner

LOCAL_BASE = "gar-publish-base:trixie"
BASE = "gar-publish-bench-base"
IMAGE = "gar-publish-bench"
PLAIN = "gar-publish-bench-plain"
"""The base with gar-publish installed by pip, where root's builds find no backends."""
PACKAGE = "small-image"

_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
_CACHE = "/uv-cache"
COUNT = 50
ROUNDS = 3


@dataclass(frozen=True)
class Containers:
    """Runs containers in the network of this machine."""

    tools: Tools

    def make(self) -> None:
        """Build the image.

        Raises:
            RuntimeError: There is no Docker engine, or it cannot build the image.
        """
        _docker("version", wrong="no Docker engine answers")
        local = subprocess.run(["docker", "image", "inspect", LOCAL_BASE], capture_output=True, check=False)
        named = (ROOT / "Dockerfile").read_text(encoding="utf-8").partition("ARG BASE_IMAGE=")[2].split()[0]
        context = self.tools.stage.folder / "base"
        context.mkdir()
        usual = ssl.get_default_verify_paths().cafile
        shutil.copy(usual or self.tools.stage.bundle, context / "ca.crt")
        trust = " ".join(f"{name}={_BUNDLE}" for name in _TRUST)
        (context / "Dockerfile").write_text(
            f"FROM {named if local.returncode else LOCAL_BASE}\nCOPY ca.crt {_BUNDLE}\nENV {trust}\n"
        )
        _docker("build", "--tag", BASE, str(context), wrong="the base image is not available")
        _docker(
            "build", "--tag", IMAGE, "--build-arg", f"BASE_IMAGE={BASE}", str(ROOT), wrong="the image cannot be built"
        )
        plain = self.tools.stage.folder / "plain"
        plain.mkdir()
        for name in ("src", "README.md", "LICENSE", "pyproject.toml", "examples/hello"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            (plain / name).parent.mkdir(exist_ok=True)
            copy(ROOT / name, plain / name)
        (plain / "Dockerfile").write_text(
            f"FROM {BASE}\nCOPY . /source\nRUN python3 -m venv /opt/venv && /opt/venv/bin/pip install -q /source\n"
        )
        _docker("build", "--tag", PLAIN, str(plain), wrong="gar-publish cannot be installed in a container")

    def cases(self) -> list[Case]:
        """Return the cases: publishing as root, one small package with uv, and the start of containers."""
        start = {VERSION: ["docker", "run", "--rm", IMAGE, "--version"]}
        start[PASS] = ["docker", "run", "--rm", BASE, "python3", "-c", "pass"]
        return [
            self._publishing(IN_IMAGE, self._ours),
            self._workspace(FIFTY_IN_IMAGE, self._ours),
            self._workspace(FIFTY_AS_ROOT, self._as_root),
            self._publishing(UV_IN_BASE, self._uv),
            self._publishing(UV_ON_HOST, self.tools.uv),
            *(self._starting(name, arguments) for name, arguments in start.items()),
        ]

    def _publishing(self, name: str, typed: Type) -> Case:
        def prepare(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
            return {name: typed(projects.write(folder / "workspace", PACKAGE, f"1.{number}"))}

        return Case(name, prepare, lambda number: self.tools.check([PACKAGE], number))

    def _workspace(self, name: str, typed: Type) -> Case:
        def prepare(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
            projects.write_workspace(folder / "workspace", COUNT, f"1.{number}")
            return {name: typed(folder / "workspace")}

        names = [projects.part(number) for number in range(COUNT)]
        return Case(name, prepare, lambda number: self.tools.check(names, number), ROUNDS)

    def _starting(self, name: str, arguments: Sequence[str]) -> Case:
        return Case(name, lambda folder, _: {name: [Command(arguments, folder, os.environ)]})

    def _ours(self, workspace: Path) -> list[Command]:
        """Return the command of a runner for a container action."""
        for name in ("home", "runner_temp", "file_commands", "workflow"):
            (workspace.parent / name).mkdir()
        files = ("OUTPUT", "ENV", "PATH", "STATE", "STEP_SUMMARY")
        for name in files:
            (workspace.parent / "file_commands" / name.lower()).touch()
        (workspace.parent / "workflow" / "event.json").write_text("{}")
        give_to_owner(workspace.parent)
        inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
        given = {name: about.get("default", "") for name, about in inputs.items()}
        given |= {"repository": REPOSITORY, "workload-identity-provider": PROVIDER}
        if (workspace / "packages").exists():
            given["packages"] = "packages/*"
        environment = {
            **{f"INPUT_{name.upper()}": value for name, value in given.items()},
            **{f"GITHUB_{name}": f"/github/file_commands/{name.lower()}" for name in files},
            **dict.fromkeys(("CI", "GITHUB_ACTIONS"), "true"),
            "HOME": "/github/home",
            "RUNNER_OS": "Linux",
            "GITHUB_WORKSPACE": "/github/workspace",
            "GITHUB_EVENT_PATH": "/github/workflow/event.json",
            "GITHUB_REPOSITORY": "octo-org/hello",
            "RUNNER_TEMP": "/github/runner_temp",
            **self.tools.stage.job,
        }
        mounts = {folder: f"/github/{folder.name}" for folder in workspace.parent.iterdir()}
        mounts[Path("/var/run/docker.sock")] = "/var/run/docker.sock"
        return [self._run(IMAGE, [], environment, mounts, "--workdir=/github/workspace")]

    def _as_root(self, workspace: Path) -> list[Command]:
        """Return the command of gar-publish as root in a container of the base, with a warm cache of uv."""
        cache = Path(self.tools.stage.environment["UV_CACHE_DIR"])
        environment = {**self.tools.stage.job, "HOME": "/root", "UV_CACHE_DIR": _CACHE}
        arguments = ["/opt/venv/bin/gar-publish", "publish", "--repository", REPOSITORY, *DIRECT, "packages/*"]
        return [self._run(PLAIN, arguments, environment, {workspace: "/work", cache: _CACHE}, "--workdir=/work")]

    def _uv(self, workspace: Path) -> list[Command]:
        """Return the command of uv in a container of the base image, with a warm cache."""
        cache = Path(self.tools.stage.environment["UV_CACHE_DIR"])
        mounts = {workspace: "/work", cache: _CACHE, (PEERS / "uv").resolve(): "/usr/local/bin/uv"}
        environment = {**self.tools.peer_login(), "HOME": "/tmp", "UV_CACHE_DIR": _CACHE}
        line = ["sh", "-c", "uv build --wheel && uv publish"]
        user = f"--user={os.getuid()}:{os.getgid()}"
        return [self._run(BASE, line, environment, mounts, "--workdir=/work", user)]

    def _run(
        self,
        image: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        mounts: Mapping[Path, str],
        *options: str,
    ) -> Command:
        stage = self.tools.stage
        indexes = {name: value for name, value in stage.environment.items() if name.startswith(("UV_", "PIP_"))}
        passed = {**indexes, **dict.fromkeys(_TRUST, _BUNDLE), **environment}
        volumes = [f"--volume={source}:{target}" for source, target in {**mounts, stage.bundle: _BUNDLE}.items()]
        names = [f"--env={name}" for name in passed]
        command = ["docker", "run", "--rm", "--network=host", *volumes, *names, *options, image, *arguments]
        return Command(command, stage.folder, {**os.environ, **passed})

    def size(self) -> Size:
        """Return the size that the image adds to its base, also compressed as by `docker push`."""
        saved = self.tools.stage.folder / "image.tar"
        _docker("save", "--output", str(saved), IMAGE)
        base = json.loads(_docker("image", "inspect", BASE))[0]["RootFS"]["Layers"]
        plain = compressed = 0
        with tarfile.open(saved) as archive:
            manifest = json.loads(_member(archive, "manifest.json").read())[0]
            for name in manifest["Layers"][len(base) :]:
                with tarfile.open(fileobj=_member(archive, name)) as layer:
                    plain += sum(each.size for each in layer)
                compressed += len(gzip.compress(_member(archive, name).read(), 6))
            first = hashlib.sha256(_member(archive, manifest["Layers"][len(base) - 1]).read()).hexdigest()
        assert base[-1] == f"sha256:{first}"
        saved.unlink()
        return Size(plain, compressed)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    assert found
    return found


def _docker(*arguments: str, wrong: str = "the Docker engine fails") -> str:
    try:
        return subprocess.run(["docker", *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise RuntimeError(wrong) from None
