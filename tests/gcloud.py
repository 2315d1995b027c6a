"""The real gcloud, loaded once for many commands: starting it takes longer than nearly all that it does.

As a program, run by the SDK's own Python, it is what stands around gcloud's entry point: for each line of its standard
input, a JSON object with the arguments and the environment of one command, it answers with one of how that ended.
"""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any


class Gcloud:
    """A process that runs commands of gcloud, one after the other, with nothing of this machine's settings."""

    def __init__(self, program: str, folder: Path) -> None:
        root = Path(program).resolve().parent.parent
        bundled = root / "platform" / "bundledpythonunix" / "bin" / "python3"
        self._folder = folder
        self._process = subprocess.Popen(
            [bundled if bundled.exists() else sys.executable, "-S", __file__, root / "lib"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "CLOUDSDK_CONFIG": str(folder), **_QUIET},
            text=True,
        )

    def run(self, command: str, token: str, environment: Mapping[str, str]) -> str:
        """Run a command as whoever a token speaks for.

        Returns:
            What it printed.
        """
        program, *arguments = shlex.split(command)
        assert program == "gcloud"
        file = self._folder / "token"
        file.write_text(token)
        given = {"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(file), **environment}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"arguments": arguments, "environment": given}) + "\n")
        self._process.stdin.flush()
        done = json.loads(self._process.stdout.readline())
        file.unlink()
        assert done["code"] == 0, f"{command}\n{done['err']}"
        return str(done["out"])

    def close(self) -> None:
        self._process.communicate()


_QUIET = {
    "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
    "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
    "NO_GCE_CHECK": "true",
}


def settings(exports: Mapping[str, str], token: str, folder: Path) -> dict[str, str]:
    """The environment of a gcloud that is started for one command: connected by an emulator's exports."""
    file = folder / "token"
    file.write_text(token)
    return {
        **{name: value for name, value in exports.items() if name.startswith("CLOUDSDK_")},
        **_QUIET,
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(file),
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "CLOUDSDK_CORE_PROJECT": "demo-project",
    }


def find() -> str | None:
    return shutil.which("gcloud")


def _serve(lib: str, answers: IO[str]) -> None:
    sys.path[:0] = [lib, f"{lib}/third_party"]
    from googlecloudsdk import gcloud_main  # type: ignore[import-not-found] # the SDK's

    cli = gcloud_main.CreateCLI([])
    for line in sys.stdin:
        asked = json.loads(line)
        os.environ.update(asked["environment"])
        code, out, err = _execute(cli, asked["arguments"])
        answers.write(json.dumps({"code": code, "out": out, "err": err}) + "\n")
        answers.flush()


def _execute(cli: Any, arguments: list[str]) -> tuple[int, str, str]:
    """Run one command with files in place of its output: gcloud keeps the streams that it found at its start."""
    code: object = 0
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        for stream, file in ((1, out), (2, err)):
            os.dup2(file.fileno(), stream)
        try:
            cli.Execute(arguments)
        except SystemExit as ended:
            code = ended.code
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        out.seek(0)
        err.seek(0)
        return int(code or 0) if isinstance(code, int | None) else 1, out.read(), err.read()


if __name__ == "__main__":
    _serve(sys.argv[1], os.fdopen(os.dup(1), "w"))
