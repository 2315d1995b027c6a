"""A demonstration: publish the packages of an example to an emulator, and install them with pip."""

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
_NEXT = "https://github.com/org/gar-publish/blob/main/docs/setup.md"
_PACKAGE, _MODULE = "hello-gar", "hello_gar"


def run(environment: Mapping[str, str], console: Console) -> int:
    """Publish and install as a workflow does, with an emulator in place of GitHub and Google.

    Args:
        environment: The environment of the commands.
        console: Shows each step.

    Returns:
        The exit code of the first command that failed, or 0.
    """
    with (
        tempfile.TemporaryDirectory(prefix="gar-publish-demo-") as folder,
        Emulator(data=Path(folder, "data")) as emulator,
    ):
        direct = ",".join(filter(None, [environment.get("no_proxy") or environment.get("NO_PROXY"), "127.0.0.1"]))
        environment = {**environment, "no_proxy": direct, "NO_PROXY": direct}
        variables = {**environment, **emulator.exports()}
        project = Path(folder, "hello")
        shutil.copytree(_example(), project)

        console.info(f"1. Start an emulator of Artifact Registry, at {emulator.url}")
        console.info("\n2. Publish with the identity of a GitHub job")
        publish = ("publish", "hello", "hello/words", f"--repository={_REPOSITORY}", *_WHO)
        if code := _gar_publish(publish, folder, variables, console).returncode:
            return code

        console.info("\n3. Print the pip option that installs from the repository (it expires within an hour)")
        index_url = ("index-url", f"--repository={_REPOSITORY}", *_WHO)
        answer = _gar_publish(index_url, folder, variables, console, stdout=subprocess.PIPE)
        if answer.returncode:
            return answer.returncode
        option = answer.stdout.strip()
        console.mask(option.partition("oauth2accesstoken:")[2].partition("@")[0])
        console.info(option)

        console.info("\n4. Install with pip in a new environment, with requirements from the emulator and from PyPI")
        venv.create(Path(folder, "venv"), with_pip=True)
        python = str(Path(folder, "venv", *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python"))))
        console.info(f"$ pip install $(gar-publish index-url …) {_PACKAGE}")
        pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-cache-dir"]
        # The option is in a file that only this user can read, since everybody can read arguments.
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(f"{option}\n{_PACKAGE}\n", encoding="utf-8")
        installed = _run([*pip, "-r", str(requirements)], environment)
        lines = [line.strip() for line in installed.stdout.splitlines()]
        said = [line for line in lines if line.startswith(("Downloading", "Successfully"))]
        console.info("\n".join(said) if installed.returncode == 0 else installed.stdout)
        if installed.returncode:
            return installed.returncode
        program = f"import {_MODULE}; print({_MODULE}.greet('world'))"
        console.info(f'$ python -c "{program}"')
        shown = _run([python, "-c", program], environment)
        console.info(shown.stdout.strip())
        if shown.returncode == 0:
            console.info("\nDone. The emulator has stopped, and all files of the demo are deleted.")
            console.info(f"Next, let your own jobs publish to Google: {_NEXT}")
        return shown.returncode


def _gar_publish(
    arguments: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    console: Console,
    stdout: int | None = None,
) -> "subprocess.CompletedProcess[str]":
    console.info(f"$ gar-publish {shlex.join(arguments)}".replace(" --", " \\\n    --"))
    return subprocess.run(
        [sys.executable, "-m", "gar_publish.cli.main", *arguments],
        cwd=folder,
        env=dict(environment),
        stdout=stdout,
        text=True,
        check=False,
    )


def _run(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        env=dict(environment),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def _example() -> Path:
    """Return the folder of the example: that of the installed package, or that of a checkout."""
    shipped = Path(__file__).parents[1] / "hello"
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "examples" / "hello"
