"""Run container actions like GitHub's runner (2.336.0), as far as an action can see."""

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import docker
import yaml

from tests.leaks import Leaks, Listener

ACTION = Path(__file__).parent.parent / "action.yml"
OWNER = 1001 if os.geteuid() == 0 else os.getuid()
"""The user id that owns the workspace on a hosted runner; never root."""

HOST_TEMP = "/home/runner/work/_temp"
"""The path of the runner's temp folder outside of containers. Inside, it is another path."""

FILES = ("OUTPUT", "ENV", "PATH", "STATE", "STEP_SUMMARY")


@dataclass(frozen=True)
class Step:
    """The result of a step."""

    exit_code: int
    log: str
    files: Mapping[str, str]

    @property
    def outputs(self) -> dict[str, str]:
        return read_file_command(self.files["OUTPUT"])

    @property
    def summary(self) -> str:
        return self.files["STEP_SUMMARY"]

    @property
    def dropped(self) -> set[str]:
        """Return the outputs that the runner drops from job outputs, because they contain a masked value."""
        masker = Masker(self.log)
        return {name for name, value in self.outputs.items() if masker.mask(value) != value}


class Masker:
    """The runner's secret masker, for the `::add-mask::` commands of a log.

    It masks each value and each line of it, also in the encodings of `ValueEncoders.cs` (all except the two for
    PowerShell's ampersand).
    """

    def __init__(self, log: str) -> None:
        self.values: set[str] = set()
        for name, text in commands(log):
            if name != "add-mask":
                continue
            value = text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
            for line in {value, *(line.strip() for line in re.split(r"[\r\n]", value))}:
                if line:
                    self.values |= self._encoded(line)

    @staticmethod
    def _encoded(value: str) -> set[str]:
        raw = value.encode()
        shifted = {base64.b64encode(raw[shift:]).decode() for shift in range(3) if len(raw) > shift}
        return {
            value,
            *shifted,
            quote(value, safe="-_.~"),
            json.dumps(value)[1:-1],
            escape(value),
            value.replace("\\", "\\\\").replace('"', '\\"'),
            value.replace("'", "''"),
            value[1:-1] if len(value) > 2 and value[0] == value[-1] == '"' else value,
        }

    def mask(self, text: str) -> str:
        for value in self.values:
            text = text.replace(value, "***")
        return text


def commands(log: str) -> Iterator[tuple[str, str]]:
    """Yield the name and value of each workflow command that the runner obeys, as `ActionCommandManager.cs` does."""
    resume = ""
    for line in log.splitlines():
        command = re.match(r"\s*::([^:\s]+)([^:]*)::(.*)", line) or re.match(r".*##\[([^\]\s]+)([^\]]*)\](.*)", line)
        if not command:
            continue
        name, _, value = command.groups()
        if resume:
            resume = "" if name == resume else resume
        elif name == "stop-commands":
            resume = value
        else:
            yield name, value


def read_file_command(text: str) -> dict[str, str]:
    """Parse `NAME=VALUE` lines and heredocs as `FileCommandManager.cs` does."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        equals, heredoc = line.find("="), line.find("<<")
        if heredoc >= 0 and (equals < 0 or heredoc < equals):
            name, _, end = line.partition("<<")
            value = []
            while (part := next(lines)) != end:
                value.append(part)
            found[name] = "\n".join(value)
        elif line:
            name, _, found[name] = line.partition("=")
    return found


def _in_container(value: str) -> str:
    """Replace the runner's temp folder in a variable with its path inside the container."""
    inside = value == HOST_TEMP or value.startswith(f"{HOST_TEMP}/")
    return value.replace(HOST_TEMP, "/github/runner_temp", 1) if inside else value


def give_to_owner(folder: Path) -> None:
    """Change the owner of a folder and its content to the owner of a runner's workspace."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, OWNER, OWNER, follow_symlinks=False)


class Runner:
    """Runs the image as a step of a job.

    Args:
        client: The Docker engine.
        image: The action's image.
        folder: An empty folder for the workspace and the other folders of the runner.
        options: More options for `docker run`: network, volumes.
    """

    def __init__(
        self, client: docker.DockerClient, image: str, folder: Path, listener: Listener, **options: Any
    ) -> None:
        self._client = client
        self._image = image
        self._folder = folder
        self._listener = listener
        self._volumes = options.pop("volumes", {})
        self._options = options
        for name in ("workspace", "home", "runner_temp", "file_commands", "workflow"):
            (folder / name).mkdir()
        (folder / "workflow" / "event.json").write_text("{}")
        give_to_owner(folder)

    @property
    def workspace(self) -> Path:
        return self._folder / "workspace"

    @property
    def temp(self) -> Path:
        return self._folder / "runner_temp"

    @property
    def file_commands(self) -> Path:
        return self._folder / "file_commands"

    def run(
        self,
        inputs: Mapping[str, str],
        environment: Mapping[str, str],
        leaks: Leaks,
        *,
        action: Path = ACTION,
        after: Step | None = None,
    ) -> Step:
        """Run one step with its inputs (`with:`) and the job's variables.

        Args:
            inputs: The inputs in the workflow.
            environment: The environment variables of the job.
            leaks: Searches the log and the outputs of the step.
            action: The metadata file of the action.
            after: The main step, to run its `post` step with the state that it saved.
        """
        for name in FILES:
            (self.file_commands / name.lower()).write_text("")
        give_to_owner(self._folder)
        metadata = yaml.safe_load(action.read_text())
        given = {
            name: str(inputs.get(name, about.get("default", ""))).replace("${{ runner.temp }}", HOST_TEMP)
            for name, about in metadata["inputs"].items()
        }
        assert given.keys() >= inputs.keys()
        runs = metadata["runs"]
        arguments = [
            re.sub(r"\$\{\{ inputs\.(\S+) \}\}", lambda of: given[of[1]], each) for each in runs.get("args", [])
        ]
        state = read_file_command(after.files["STATE"]) if after else {}
        container = self._client.containers.run(
            self._image,
            arguments,
            entrypoint=runs.get("post-entrypoint" if after else "entrypoint"),
            detach=True,
            working_dir="/github/workspace",
            volumes=[
                *(f"{folder}:/github/{folder.name}" for folder in self._folder.iterdir()),
                "/var/run/docker.sock:/var/run/docker.sock",
                *self._volumes,
            ],
            environment={
                "CI": "true",
                "HOME": "/github/home",
                "RUNNER_OS": "Linux",
                "RUNNER_TEMP": "/github/runner_temp",
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": "/github/workspace",
                "GITHUB_EVENT_PATH": "/github/workflow/event.json",
                "GITHUB_REPOSITORY": "octo-org/hello",
                **{f"GITHUB_{name}": f"/github/file_commands/{name.lower()}" for name in FILES},
                **{f"INPUT_{name.upper()}": _in_container(value) for name, value in given.items()},
                **{f"STATE_{name}": value for name, value in state.items()},
                **environment,
            },
            **self._options,
        )
        try:
            container.reload()
            self._listener.watch_container(container.attrs["State"]["Pid"])
            code = container.wait()["StatusCode"]
            log = container.logs().decode()
        finally:
            container.remove(force=True)
        step = Step(code, log, {name: (self.file_commands / name.lower()).read_text() for name in FILES})
        leaks.scan("the step's log", log)
        for name, text in step.files.items():
            leaks.scan(f"GITHUB_{name}", text)
        return step
