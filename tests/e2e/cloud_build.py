"""Run the steps of a cloudbuild.yaml like Cloud Build, as far as a step can see.

Sources: https://cloud.google.com/build/docs/build-config-file-schema,
https://cloud.google.com/build/docs/configuring-builds/substitute-variable-values,
https://cloud.google.com/build/docs/configuring-builds/run-bash-scripts, and `build/build.go` of
GoogleCloudPlatform/cloud-build-local, Google's program to run builds on other machines.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import yaml

from tests.leaks import Leaks, Listener


@dataclass(frozen=True)
class StepResult:
    """The result of a step.

    Attributes:
        output: The content of `$BUILDER_OUTPUT/output`.
    """

    log: str
    output: str


class CloudBuild:
    """Runs builds: one step after the other, each in a new container.

    Google's steps are privileged. These are not, to show that the example does not need it.

    Args:
        folder: An empty folder for the workspace, the home and the volumes.
        options: More options for `docker run`: network, host names, volumes.
        home: The value of HOME.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        folder: Path,
        listener: Listener,
        leaks: Leaks,
        *,
        home: str = "/builder/home",
        **options: Any,
    ) -> None:
        self._client = client
        self._folder = folder
        self._listener = listener
        self._leaks = leaks
        self._home = home
        self._options = options
        self._mounts = self._options.pop("volumes", [])

    @property
    def workspace(self) -> Path:
        return self._folder / "workspace"

    def submit(self, source: Path, **substitutions: str) -> dict[str, StepResult]:
        """Run the cloudbuild.yaml of a repository, and return the result of each step."""
        build = yaml.safe_load((source / "cloudbuild.yaml").read_text())
        shutil.copytree(source, self.workspace)
        known = {**build.get("substitutions", {}), **substitutions}
        steps = [_substituted(step, known) for step in build["steps"]]
        used = [volume["name"] for step in steps for volume in step.get("volumes", [])]
        assert all(used.count(name) > 1 for name in used), "Cloud Build refuses a volume that only one step uses"
        return {step["id"]: self._run(step) for step in steps}

    def _run(self, step: dict[str, Any]) -> StepResult:
        output = self._make_folder("outputs", step["id"])
        volumes = [f"{self._make_folder('volume', each['name'])}:{each['path']}" for each in step.get("volumes", [])]
        entrypoint, command = step.get("entrypoint"), step.get("args", [])
        if script := step.get("script"):
            assert step.keys().isdisjoint({"entrypoint", "args"}), "a step with a script has no entrypoint and no args"
            file = self._make_folder("scripts") / step["id"]
            file.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}")
            file.chmod(0o755)
            volumes.append(f"{file.parent}:/builder/scripts:ro")
            entrypoint = f"/builder/scripts/{file.name}"
        container = self._client.containers.run(
            step["name"],
            command,
            entrypoint=entrypoint,
            detach=True,
            working_dir=str(Path("/workspace", step.get("dir", ""))),
            environment={
                "HOME": self._home,
                "BUILDER_OUTPUT": "/builder/outputs",
                **dict(each.split("=", 1) for each in step.get("env", [])),
            },
            volumes=[
                f"{self.workspace}:/workspace",
                f"{self._make_folder('home')}:/builder/home",
                f"{output}:/builder/outputs",
                "/var/run/docker.sock:/var/run/docker.sock",
                *volumes,
                *self._mounts,
            ],
            **self._options,
        )
        try:
            container.reload()
            self._listener.watch_container(container.attrs["State"]["Pid"])
            code = container.wait(timeout=120)["StatusCode"]
            log = container.logs().decode()
        finally:
            container.remove(force=True)
        self._leaks.scan(f"the log of {step['id']}", log)
        assert code == 0, f"{step['id']} ended with {code}: {log}"
        written = output / "output"
        return StepResult(log, written.read_text() if written.exists() else "")

    def _make_folder(self, *names: str) -> Path:
        folder = self._folder.joinpath(*names)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _substituted(value: Any, known: Mapping[str, str]) -> Any:
    """Replace `$NAME` and `${NAME}` except in scripts, and `$$` by `$`. An unknown name is an error."""
    if isinstance(value, dict):
        return {name: each if name == "script" else _substituted(each, known) for name, each in value.items()}
    if isinstance(value, list):
        return [_substituted(each, known) for each in value]
    if isinstance(value, str):
        return re.sub(
            r"\$(?:(\$)|\{(\w+)\}|([A-Z_][A-Z0-9_]*))",
            lambda found: found[1] or known[found[2] or found[3]],
            value,
        )
    return value
