"""The command line: help, options, and the commands other than `publish`."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import yaml

from gar_emulator import Emulator
from gar_publish import __version__
from gar_publish.settings.settings import (
    CREDENTIAL_INPUTS,
    DELIVERY_INPUTS,
    INDEX_TOKEN,
    INPUTS,
    PROMOTION_INPUTS,
    PUBLISH_INPUTS,
    REPOSITORY_INPUTS,
)
from tests.conftest import ROOT
from tests.integration.frontdoors import PROVIDER, PUBLISHER, REPOSITORY, Doors, uploads
from tests.leaks import Leaks
from tests.wheels import make_wheel

COMMANDS = (
    *("publish", "rehearse", "build", "promote", "plan", "index-url", "run"),
    *("configure", "doctor", "bootstrap", "previews", "emulator", "demo", "completion"),
)
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
GAR_PUBLISH = (sys.executable, "-m", "gar_publish.cli.main")


class TestHelp:
    def test_names_every_command(self, doors: Doors) -> None:
        done = doors.command("--help")
        assert done.code == 0
        assert re.findall(r"^    ([a-z-]+)\b", done.out, re.MULTILINE) == list(COMMANDS)

    @pytest.mark.parametrize("command", COMMANDS)
    def test_of_each_command(self, doors: Doors, command: str) -> None:
        done = doors.command(command, "--help")
        assert done.code == 0
        assert done.out.startswith(f"usage: gar-publish {command} ")
        assert done.err == ""

    @pytest.mark.parametrize(
        ("command", "inputs"),
        [
            ("publish", (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS, *PUBLISH_INPUTS)),
            ("promote", (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS, *DELIVERY_INPUTS, PROMOTION_INPUTS[1])),
            ("index-url", (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS, INDEX_TOKEN)),
            ("doctor", (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS)),
        ],
    )
    def test_has_an_option_for_each_input(self, doors: Doors, command: str, inputs: tuple[object, ...]) -> None:
        text = doors.command(command, "--help").out
        options = set(re.findall(r"^  --([a-z-]+)", text, re.MULTILINE))
        options -= {"json", "token", "keyring", "json-key", "changed-since", "from", "bare"}
        assert options == {each.name for each in INPUTS if each in inputs}
        flags = {each.name for each in INPUTS if each in inputs and each.kind == "flag"}
        assert set(re.findall(r"--no-([a-z-]+)\s", text)) == flags
        for each in INPUTS:
            if each in inputs and each.default and each.kind != "secret":
                assert f"(default: {each.default})" in " ".join(text.split())

    def test_version(self, doors: Doors) -> None:
        assert doors.command("--version").out == f"gar-publish {__version__}\n"


class TestAction:
    """action.yml agrees with the code."""

    def test_inputs(self) -> None:
        declared = {name: about.get("default", "") for name, about in ACTION["inputs"].items()}
        declared.pop("runner-temp")
        assert declared == {each.name: each.default for each in INPUTS}
        assert [name for name, about in ACTION["inputs"].items() if about.get("required")] == ["repository"]
        assert all(about["description"] for about in ACTION["inputs"].values())

    def test_outputs_are_those_of_the_contract(self) -> None:
        assert list(ACTION["outputs"]) == [
            *("extra-index-url", "index-url", "requirements", "requirements-hashed", "lock", "packages"),
            *("name", "version", "published", "token-expires-at", "sboms", "provenance"),
            *("preview-install", "preview-install-uv"),
        ]


class TestSecrets:
    """A secret is read from a file or from standard input, never from the command line."""

    @pytest.fixture
    def hello(self, doors: Doors) -> Doors:
        make_wheel(doors.folder / "dist", "hello")
        return doors

    def test_in_files(self, hello: Doors, emulator: Emulator) -> None:
        (hello.folder / "token").write_text(emulator.access_token(PUBLISHER) + "\n")
        publish = ("publish", "--repository", REPOSITORY, "--dist", "dist")
        assert hello.command(*publish, "--access-token", "token").code == 0
        assert hello.command(*publish, "--credentials-json", emulator.key_file(PUBLISHER)).code == 0

    @pytest.mark.parametrize("option", ["access-token", "credentials-json"])
    def test_on_the_command_line(self, hello: Doors, option: str) -> None:
        done = hello.command("publish", "--repository", REPOSITORY, f"--{option}", "made-up-secret-on-the-line")
        assert done.code == 2
        (message,) = done.errors
        assert f"`--{option}` takes the name of a readable file" in message
        assert message.endswith("#secret-files")
        assert "made-up-secret" not in done.out + done.err


@contextmanager
def running(doors: Doors, *arguments: str, until: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Start a command, and yield it with its output once that matches `until`."""
    with subprocess.Popen(
        [*GAR_PUBLISH, *arguments],
        cwd=doors.folder,
        env=dict(doors.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            assert process.stdout
            output = ""
            while not re.search(until, output):
                line = process.stdout.readline()
                assert line, output
                output += line
            yield process, output
        finally:
            process.terminate()
            process.wait()
            watchdog.cancel()


def serving(doors: Doors) -> AbstractContextManager[tuple["subprocess.Popen[str]", str]]:
    """Start `gar-publish emulator`, and yield it with the exports that it prints."""
    return running(doors, "emulator", "--port", "0", "--data", "data", until="GCE_METADATA_ROOT.*\n")


class TestEmulator:
    @pytest.fixture
    def doors(self, clean_env: dict[str, str], tmp_path: Path) -> Doors:
        (tmp_path / "work").mkdir()
        return Doors(tmp_path / "work", clean_env)

    def test_exports_connect_a_shell(self, doors: Doors, leaks: Leaks) -> None:
        leaks.excuse("-m gar_publish.cli.main")  # the shell passes on the exports, as intended
        make_wheel(doors.folder / "dist", "hello")
        with serving(doors) as (process, exports):
            assert all(re.fullmatch(r"export [A-Z_]+='[^']+'", line) for line in exports.splitlines())
            gar_publish = " ".join(GAR_PUBLISH)
            script = (
                f"{exports}\nset -e\n"
                f"{gar_publish} publish --repository {REPOSITORY} --workload-identity-provider {PROVIDER} --dist dist\n"
                f"{gar_publish} index-url --repository {REPOSITORY} >line\n"
                "unset ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN\n"
                f"{sys.executable} -m pip install --no-deps --no-cache-dir --target installed -r line hello\n"
            )
            done = subprocess.run(
                ["/bin/sh", "-s"],
                input=script,
                cwd=doors.folder,
                env=dict(doors.environment),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert "uploaded  hello-1.0-py3-none-any.whl" in done.stderr
            assert (doors.folder / "installed/hello.py").is_file()
            (doors.folder / "line").unlink()
        assert process.returncode == 0

    def test_port_that_is_taken(self, doors: Doors, emulator: Emulator) -> None:
        port = emulator.url.rpartition(":")[2]
        done = doors.command("emulator", "--port", port, "--data", "data")
        assert done.code == 2
        (message,) = done.errors
        assert f"cannot listen on 127.0.0.1, port {port}" in message
        assert "--port" in message

    def test_world_file_with_a_mistake(self, doors: Doors) -> None:
        (doors.folder / "world.toml").write_text('[[projects]]\nid = "demo-project"\n')
        done = doors.command("emulator", "--port", "0", "--data", "data", "--world", "world.toml")
        assert done.code == 2
        (message,) = done.errors
        assert "world.toml: [[projects]] number 1 has no number" in message


def test_interrupted_while_it_builds(doors: Doors, emulator: Emulator) -> None:
    """The build ends with the run, and nothing is uploaded."""
    (doors.folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (doors.folder / "backend.py").write_text(
        "import os, time\n"
        "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
        "    print('building as process', os.getpid(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    command = ("publish", "--verbose", "--repository", REPOSITORY, "--json", "report.json")
    with running(doors, *command, until=r"building as process \d+\n") as (process, output):
        process.send_signal(signal.SIGTERM)
        assert process.stdout
        rest = process.stdout.read()
        assert process.wait() == 130, rest
    assert "error: The run was cancelled." in rest
    assert "Traceback" not in rest
    assert uploads(emulator) == []
    assert json.loads((doors.folder / "report.json").read_text())["failure"]["exit-code"] == 130
    building = int(output.split()[-1])
    for _ in range(100):
        try:
            os.kill(building, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the build goes on")


@pytest.mark.parametrize("option", ["--access-token", "--credentials-json"])
def test_an_empty_secret_is_an_error(doors: Doors, emulator: Emulator, option: str) -> None:
    make_wheel(doors.folder / "dist")
    done = doors.command("publish", "--dist", "dist", "--repository", REPOSITORY, option, "-", given="\n")
    assert done.code == 2
    assert "is empty: nothing is in standard input" in done.errors[0]
    assert not emulator.requests


def test_a_report_that_cannot_be_written_stops_the_run_before_it_starts(doors: Doors, emulator: Emulator) -> None:
    make_wheel(doors.folder / "dist")
    done = doors.command("publish", "--dist", "dist", "--repository", REPOSITORY, "--json", "nowhere/report.json")
    assert done.code == 2
    assert "nowhere/report.json, which cannot be written" in done.errors[0]
    assert not emulator.requests


def test_failures_name_options_in_a_shell_and_inputs_in_the_action(doors: Doors) -> None:
    make_wheel(doors.folder / "dist")
    summary = doors.folder / "summary"
    publish = ("publish", "--dist", "dist", "--repository", REPOSITORY, "--jobs", "many", "--json", "report.json")
    done = doors.command(*publish, variables={"GITHUB_STEP_SUMMARY": str(summary)})
    failure = json.loads((doors.folder / "report.json").read_text())["failure"]
    assert (failure["what"], failure["fix"]) == (
        "`--jobs` is 'many'; it takes a number from 0 to 999.",
        "use `--jobs 0`",
    )
    for text in (done.err, summary.read_text()):
        assert (text.count(failure["what"]), text.replace("**", "").count("Fix: use `--jobs 0`")) == (1, 1)
    step = doors.action({"dist": "dist", "repository": REPOSITORY, "jobs": "many"})
    for text in (step.log, step.summary):
        assert (text.count("`jobs` is 'many'"), text.replace("**", "").count("Fix: use `jobs: 0`")) == (1, 1)


def test_a_project_and_dist_contradict_each_other(doors: Doors) -> None:
    done = doors.command("publish", "project", "--dist", "dist", "--repository", REPOSITORY)
    assert done.code == 2
    assert "A project (project) and `--dist` cannot be combined" in done.errors[0]


def test_outside_a_job_the_action_prints_no_token(doors: Doors) -> None:
    make_wheel(doors.folder / "dist")
    step = doors.action({"dist": "dist", "repository": REPOSITORY}, {"GITHUB_OUTPUT": ""})
    assert step.code == 0
    assert "set-output" not in step.log
    assert "The outputs could not be set" in step.log


def test_a_relative_data_folder_connects_every_folder(doors: Doors) -> None:
    with subprocess.Popen(
        [*GAR_PUBLISH, "emulator", "--port=0", "--data=data", "--tls"],
        cwd=doors.folder,
        env={**doors.environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        lines = [process.stdout.readline()]
        process.terminate()
        lines += process.stdout  # communicate() would miss what was buffered with the first line
    files = [line.split("'")[1] for line in lines if ".pem" in line]
    assert files
    assert all(Path(file).is_absolute() for file in files)


def test_a_step_of_cloud_build_writes_the_outputs_without_the_secret(doors: Doors) -> None:
    make_wheel(doors.folder / "dist")
    (doors.folder / "outputs").mkdir()
    publish = ("publish", "--dist", "dist", "--repository", REPOSITORY)
    done = doors.command(*publish, variables={"BUILDER_OUTPUT": "outputs"})
    assert done.code == 0
    handed = json.loads((doors.folder / "outputs/output").read_text())
    assert handed["requirements"] == "sample==1.0"
    assert "extra-index-url" not in handed

    done = doors.command(*publish, variables={"BUILDER_OUTPUT": "nowhere"})
    assert done.code == 0
    assert "cannot write nowhere/output" in done.warnings[0]


@pytest.mark.parametrize("line", ["plan", "completion bash"])
def test_output_that_cannot_be_written(doors: Doors, line: str) -> None:
    """Python would lose it at the end of the process, and `gar-publish plan >matrix.json` would seem to succeed."""
    project = "[project]\nname = 'hello'\nversion = '1'\n[build-system]\nrequires = []\n"
    (doors.folder / "pyproject.toml").write_text(project)
    environment = {name: value for name, value in doors.environment.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*GAR_PUBLISH, *line.split()],
            cwd=doors.folder,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: Standard output cannot be written: No space left on device.")


def test_output_in_another_encoding(doors: Doors) -> None:
    """As in a pipe on Windows, where the encoding is that of the system."""
    done = doors.command("doctor", "--repository", "caf\u00e9", variables={"PYTHONIOENCODING": "ascii"})
    assert done.code == 2
    assert r"repository: caf\xe9" in done.out
