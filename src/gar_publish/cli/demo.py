"""The whole main job on one machine: publish an example to an emulator, and install it with real pip."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from gar_emulator import Emulator
from gar_publish.console import Console

_REPOSITORY = "us-central1/demo-project/python"
_PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
_ACCOUNT = "publisher@demo-project.iam.gserviceaccount.com"
_WHO = (f"--workload-identity-provider={_PROVIDER}", f"--service-account={_ACCOUNT}")
_PACKAGE, _MODULE = "hello-gar", "hello_gar"


def run(environment: Mapping[str, str], console: Console) -> int:
    """Do what a workflow does, with an emulator in the place of GitHub and Google.

    Args:
        environment: The environment for the programs that are run.
        console: Told what is done.

    Returns:
        The exit code of the first step that failed, or 0.
    """
    with (
        tempfile.TemporaryDirectory(prefix="gar-publish-demo-") as folder,
        Emulator(data=Path(folder, "data")) as emulator,
    ):
        around = {**environment, **emulator.exports()}
        project = Path(folder, "hello")
        shutil.copytree(_example(), project)

        console.info(f"1. An Artifact Registry of its own, at {emulator.url}")
        console.info("\n2. Publish, with a GitHub job's identity")
        publish = ("publish", "hello", f"--repository={_REPOSITORY}", *_WHO)
        if code := _gar_publish(publish, folder, around, console).returncode:
            return code

        console.info("\n3. The line that installs (its token, shown as ***, ends within the hour)")
        index_url = ("index-url", f"--repository={_REPOSITORY}", *_WHO)
        answer = _gar_publish(index_url, folder, around, console, stdout=subprocess.PIPE)
        if answer.returncode:
            return answer.returncode
        line = answer.stdout.strip()
        console.mask(line.partition("oauth2accesstoken:")[2].partition("@")[0])
        console.info(line)

        console.info("\n4. Install from that line with pip, in a fresh environment")
        venv.create(Path(folder, "fresh"), with_pip=True)
        python = str(Path(folder, "fresh", *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python"))))
        console.info(f"$ pip install $(gar-publish index-url …) {_PACKAGE}")
        pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        # The line goes in as a requirements file on standard input, so that its token is in no argument.
        code = subprocess.run(
            [*pip, "-r", "/dev/stdin"], input=f"{line}\n{_PACKAGE}\n", text=True, env=dict(environment), check=False
        ).returncode
        if code:
            return code
        console.info(f"$ python -c 'import {_MODULE}'")
        shown = subprocess.run(
            [python, "-c", f"import {_MODULE}; print({_MODULE}.__file__); print({_MODULE}.greet('world'))"],
            env=dict(environment),
            text=True,
            capture_output=True,
            check=False,
        )
        console.info((shown.stdout + shown.stderr).strip())
        if shown.returncode == 0:
            console.info("\nIt works. The emulator and everything else of this demo are gone again.")
        return shown.returncode


def _gar_publish(
    arguments: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    console: Console,
    stdout: int | None = None,
) -> "subprocess.CompletedProcess[str]":
    console.info(f"$ gar-publish {shlex.join(arguments)}")
    return subprocess.run(
        [sys.executable, "-m", "gar_publish.cli.main", *arguments],
        cwd=folder,
        env=dict(environment),
        stdout=stdout,
        text=True,
        check=False,
    )


def _example() -> Path:
    """The example as the package ships it, or as it stands in a checkout."""
    shipped = Path(__file__).parents[1] / "hello"
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "examples" / "hello"
