"""Run gar-publish in its image, and its peers in containers of the image's base; measure the start and the size.

The image is built on the base that the tests use: `gar-publish-base:trixie` if it exists, otherwise the Dockerfile's,
with the certificate authorities of this machine.
"""

import gzip
import hashlib
import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import yaml

from bench.measure import Case, Command
from bench.measured import Size
from bench.publisher import DIRECT, PROVIDER, REPOSITORY
from bench.stage import PEERS, ROOT
from bench.tools import Tools
from tests.runner import give_to_owner

LOCAL_BASE = "gar-publish-base:trixie"
BASE = "gar-publish-bench-base"
IMAGE = "gar-publish-bench"
PLAIN = "gar-publish-bench-plain"
"""The base with gar-publish, flit and hatch installed by pip. There, root's builds find no backends."""
VERSION = "docker run IMAGE --version"
PASS = "docker run BASE python -c pass"

_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
_CACHE = "/uv-cache"
_HATCH = "/hatch"


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
        for kept in (self._cache, self._hatch):
            kept.mkdir(exist_ok=True)  # otherwise, it would belong to root
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
        locked = re.findall(r"^\w\S+==\S+", (ROOT / "requirements" / "bench.txt").read_text(), re.MULTILINE)
        (plain / "locked.txt").write_text("\n".join(locked))
        install = " && ".join(
            f"python3 -m venv /opt/{name} && /opt/{name}/bin/pip install -q {what}"
            for name, what in (("venv", "/source"), ("peers", "-c /source/locked.txt flit hatch"))
        )
        (plain / "Dockerfile").write_text(f"FROM {BASE}\nCOPY . /source\nRUN {install}\n")
        _docker("build", "--tag", PLAIN, str(plain), wrong="nothing can be installed in a container")

    def start(self) -> list[Case]:
        """Return the cases that start a container which ends at once."""
        start = {VERSION: ["docker", "run", "--rm", IMAGE, "--version"]}
        start[PASS] = ["docker", "run", "--rm", BASE, "python3", "-c", "pass"]
        return [_starting(name, arguments) for name, arguments in start.items()]

    def ours(self, workspace: Path, *packages: str, repository: str = REPOSITORY) -> list[Command]:
        """Return the command of a runner for a container action. It makes the runner's folders beside the workspace."""
        give_to_owner(workspace)
        return self.ours_beside(workspace.parent, workspace, *packages, repository=repository)

    def ours_beside(self, folder: Path, workspace: Path, *packages: str, repository: str = REPOSITORY) -> list[Command]:
        """Return the same command for a workspace of the runner's user that is not in the runner's folder."""
        own = [folder / name for name in ("home", "runner_temp", "file_commands", "workflow")]
        for each in own:
            each.mkdir()
        files = ("OUTPUT", "ENV", "PATH", "STATE", "STEP_SUMMARY")
        for name in files:
            (folder / "file_commands" / name.lower()).touch()
        (folder / "workflow" / "event.json").write_text("{}")
        for each in own:
            give_to_owner(each)
        inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
        given = {name: about.get("default", "") for name, about in inputs.items()}
        given |= {"repository": repository, "workload-identity-provider": PROVIDER}
        given["packages"] = "\n".join(packages or ["."])
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
        mounts = {each: f"/github/{each.name}" for each in own}
        mounts |= {workspace: "/github/workspace", Path("/var/run/docker.sock"): "/var/run/docker.sock"}
        return [self._run(IMAGE, [], environment, mounts, "--workdir=/github/workspace")]

    def as_root(self, workspace: Path, *packages: str) -> list[Command]:
        """Return the command of gar-publish as root in a container of the base, with a warm cache of uv."""
        arguments = ["/opt/venv/bin/gar-publish", "publish", "--repository", REPOSITORY, *DIRECT, *packages]
        environment = {**self.tools.stage.job, "HOME": "/root", "UV_CACHE_DIR": _CACHE}
        return [self._run(PLAIN, arguments, environment, self._mounts(workspace), "--workdir=/work")]

    def uv(self, workspace: Path, *build: str) -> list[Command]:
        """Return the command of uv in a container of the base, with a warm cache."""
        mounts = {**self._mounts(workspace), (PEERS / "uv").resolve(): "/usr/local/bin/uv"}
        line = shlex.join(["uv", "build", "--wheel", *build])
        return [self._peer(BASE, ["sh", "-c", f"{line} && uv publish"], mounts)]

    def flit(self, workspace: Path) -> list[Command]:
        """Return the command of flit in a container of the base."""
        return [self._peer(PLAIN, ["/opt/peers/bin/flit", "publish", "--format", "wheel"], self._mounts(workspace))]

    def hatch(self, workspace: Path) -> list[Command]:
        """Return the command of hatch in a container of the base, with its environments of earlier runs."""
        line = "/opt/peers/bin/hatch build -t wheel && /opt/peers/bin/hatch publish"
        return [self._peer(PLAIN, ["sh", "-c", line], self._mounts(workspace))]

    def _peer(self, image: str, arguments: Sequence[str], mounts: Mapping[Path, str]) -> Command:
        environment = {
            **self.tools.peer_login(),
            "HOME": "/tmp",
            "UV_CACHE_DIR": _CACHE,
            "HATCH_DATA_DIR": f"{_HATCH}/data",
            "HATCH_CACHE_DIR": f"{_HATCH}/cache",
        }
        return self._run(
            image, arguments, environment, mounts, "--workdir=/work", f"--user={os.getuid()}:{os.getgid()}"
        )

    def _mounts(self, workspace: Path) -> dict[Path, str]:
        return {workspace: "/work", self._cache: _CACHE, self._hatch: _HATCH}

    @property
    def _cache(self) -> Path:
        return Path(self.tools.stage.environment["UV_CACHE_DIR"])

    @property
    def _hatch(self) -> Path:
        return self.tools.stage.folder / "hatch-in-containers"

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
        return Command(command, stage.folder, {**os.environ, **passed}, contained=True)

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


def _starting(name: str, arguments: Sequence[str]) -> Case:
    return Case(name, lambda folder, _: {name: [Command(arguments, folder, os.environ, contained=True)]})


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    assert found
    return found


def _docker(*arguments: str, wrong: str = "the Docker engine fails") -> str:
    try:
        return subprocess.run(["docker", *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise RuntimeError(wrong) from None
