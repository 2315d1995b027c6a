"""Run many commands of the real gcloud in one process, because starting gcloud takes longer than most commands.

The SDK's own Python runs this file as a program. Each line of its standard input is a JSON object with the arguments,
the folder and the environment of one command. For each, it prints a JSON object with the exit code and the output.
"""

import contextlib
import json
import os
import shlex
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any


class Gcloud:
    """A process that runs gcloud commands, one at a time, without the settings of this machine."""

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
        """Run a command with the identity of a token, and return its standard output."""
        program, *arguments = shlex.split(command)
        assert program == "gcloud"
        file = self._folder / "token"
        file.write_text(token)
        given = {"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(file), **environment}
        asked = {"arguments": arguments, "folder": str(self._folder), "environment": given}
        done = json.loads(self._answer(json.dumps(asked) + "\n"))
        file.unlink()
        assert done["code"] == 0, f"{command}\n{done['err']}"
        return str(done["out"])

    @contextlib.contextmanager
    def on_path(self, folder: Path) -> Iterator[None]:
        """Write a `gcloud` program into a folder that forwards its commands to this process."""
        address = folder / "gcloud.socket"
        program = folder / "gcloud"
        program.write_text(f"#!{sys.executable} -SE\nADDRESS = {str(address)!r}\n{_CLIENT}")
        program.chmod(0o755)
        answer = self._answer

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(answer(self.rfile.readline().decode()).encode())

        with socketserver.UnixStreamServer(str(address), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), name="gcloud").start()
            yield
            server.shutdown()
        address.unlink()

    def _answer(self, asked: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(asked)
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def close(self) -> None:
        self._process.communicate()


_CLIENT = """
import json, os, socket, sys

asked = {"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(ADDRESS)
    with connection.makefile("rw") as stream:
        stream.write(json.dumps(asked) + "\\n")
        stream.flush()
        done = json.loads(stream.readline())
sys.stdout.write(done["out"])
sys.stderr.write(done["err"])
sys.exit(done["code"])
"""

_QUIET = {
    "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
    "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
    "NO_GCE_CHECK": "true",
}


def settings(exports: Mapping[str, str], token: str, folder: Path) -> dict[str, str]:
    """Return the environment for one gcloud process that is connected to an emulator."""
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
    """Return the path of gcloud, or None if the files of the SDK are not beside it, as with the snap."""
    program = shutil.which("gcloud")
    return program if program and (Path(program).resolve().parent.parent / "lib").is_dir() else None


def require() -> str:
    """Return the path of gcloud. Without gcloud, skip the test, or fail it if REQUIRE_GCLOUD=1."""
    import pytest  # the SDK's own Python does not have it

    program = find()
    if program is None and os.environ.get("REQUIRE_GCLOUD") == "1":
        pytest.fail("gcloud is not installed")
    return program or pytest.skip("gcloud is not installed")


def _serve(lib: str, answers: IO[str]) -> None:
    sys.path[:0] = [lib, f"{lib}/third_party"]
    from googlecloudsdk import gcloud_main  # type: ignore[import-not-found] # in the SDK
    from googlecloudsdk.api_lib.iamcredentials import util  # type: ignore[import-not-found] # the same
    from googlecloudsdk.core.credentials import store  # type: ignore[import-not-found] # the same

    store.IMPERSONATION_TOKEN_PROVIDER = util.ImpersonationAccessTokenProvider()
    cli = gcloud_main.CreateCLI([])
    own = dict(os.environ)
    for line in sys.stdin:
        asked = json.loads(line)
        os.environ.clear()
        os.environ.update(own | asked["environment"])
        os.chdir(asked["folder"])
        code, out, err = _execute(cli, asked["arguments"])
        answers.write(json.dumps({"code": code, "out": out, "err": err}) + "\n")
        answers.flush()


def _execute(cli: Any, arguments: list[str]) -> tuple[int, str, str]:
    """Run one command, and return its exit code and outputs.

    gcloud keeps using the streams that it had at its start, so their file descriptors are redirected to files.
    """
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
