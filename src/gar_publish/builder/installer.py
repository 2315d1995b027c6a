"""Install build requirements with uv.

Wheels are unpacked with gar-publish's own rights. Whatever must be built first is installed in the sandbox.
"""

import os
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path

import uv

from gar_publish import certificates
from gar_publish.builder import image_backends, variables
from gar_publish.builder.environment import Environment
from gar_publish.builder.process import Program, Works
from gar_publish.builder.sandbox import Sandbox
from gar_publish.errors import BuildFailure, Failure, Unreachable
from gar_publish.settings.index_url import USERS


class Installer:
    """Runs uv. Threads may share it.

    Args:
        scratch: A folder of this run that only gar-publish can write to.
        environment: All variables that gar-publish was started with.
        works: The running work that uv is added to.
    """

    def __init__(self, scratch: Path, environment: Mapping[str, str], works: Works) -> None:
        self._root = Path(scratch.anchor)
        self._works = works
        self._variables = {
            **variables.for_installer(environment),
            **certificates.for_uv(environment),
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "NO_COLOR": "1",
        }
        if not os.access(environment.get("HOME", "/"), os.W_OK):
            self._variables.setdefault("UV_CACHE_DIR", str(scratch / "cache"))

    def asks_pypi_alone(self) -> bool:
        """Return whether uv installs from PyPI, with no other settings."""
        return image_backends.asks_pypi_alone(self._variables)

    def install_wheels(self, environment: Environment, names: Sequence[str], private: str | None) -> str | None:
        """Unpack wheels, which runs no code of theirs.

        Args:
            environment: The environment to unpack into.
            names: The requirements.
            private: The URL, with a credential, of an index that wins over others; None for none.

        Returns:
            The output of uv if it failed, else None.
        """
        index = {}
        if private is not None:
            others = self._variables.get("UV_INDEX", "")
            index = {"UV_INDEX": f"{private} {others}".strip()}
        output = self._uv(["pip", "install", "--no-build", *_into(environment, names)], index)
        return output if output is None or private is None else _scrub(output, private)

    def build_and_install(self, environment: Environment, names: Sequence[str], sandbox: Sandbox) -> str | None:
        """Install what must be built first, in the sandbox and without any credential.

        Returns:
            The output of uv if it failed, else None.
        """
        sandbox.give(environment.folder)
        lines: list[str] = []
        given = variables.without_credentials(self._variables)
        if sandbox.user is not None:
            given.pop("UV_CACHE_DIR", None)  # it is root's
        try:
            sandbox.run(
                [uv.find_uv_bin(), "pip", "install", *_into(environment, names)],
                cwd=self._root,
                extra={**given, **sandbox.variables},
                show=lines.append,
            )
        except subprocess.CalledProcessError:
            return "\n".join(lines)
        finally:
            sandbox.take(environment.folder)
        return None

    def _uv(self, arguments: Sequence[str | Path], extra: Mapping[str, str] | None = None) -> str | None:
        """Run uv with gar-publish's own rights. Return its output if it failed, else None.

        It runs in the root folder: uv obeys a uv.toml or pyproject.toml in any folder above, and every user may write
        one to the temporary folder.
        """
        lines: list[str] = []
        program = Program(
            [uv.find_uv_bin(), *arguments],
            cwd=self._root,
            environment={**self._variables, **(extra or {})},
            user=None,
            umask=0o022,
        )
        try:
            self._works.follow(program, lines.append)
        except subprocess.CalledProcessError:
            return "\n".join(lines)
        return None


def not_installed(output: str, project: str) -> Failure:
    """Return the failure that the output of uv means for a project."""
    if "Failed to fetch" in output or "error sending request" in output:
        return Unreachable(
            f"The build requirements of {project} could not be downloaded.",
            cause="the package index is unreachable or denies access",
            fix="check the network, and HTTPS_PROXY and UV_DEFAULT_INDEX if these variables are set",
            anchor="build-requirements",
            detail=output,
        )
    return BuildFailure(
        f"The build requirements of {project} could not be installed.",
        cause="no package index has a name or a version in `requires` of the [build-system] table for this Python"
        f" ({sys.version_info.major}.{sys.version_info.minor})",
        fix="correct `requires`; a private requirement must be a wheel in the repository that you publish to",
        anchor="build-requirements",
        detail=output,
    )


def _into(environment: Environment, names: Sequence[str]) -> list[str | Path]:
    return ["--python", environment.python_executable, "--", *names]


def _scrub(text: str, url: str) -> str:
    """Remove the credential of a URL from a text, in each form it may have."""
    parts = urllib.parse.urlsplit(url)
    for secret in {parts.password, parts.username, urllib.parse.unquote(parts.password or "")}:
        if secret and secret not in USERS:
            text = text.replace(secret, "***")
    return text
