"""uv, which installs into environments.

What only unpacks wheels runs as gar-publish itself; what builds something first runs in the sandbox.
"""

import os
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path

import uv

from gar_publish.builder import image_backends, variables
from gar_publish.builder.environment import Environment
from gar_publish.builder.process import Program, Works
from gar_publish.builder.sandbox import Sandbox
from gar_publish.errors import BuildFailure, Failure, Unreachable
from gar_publish.settings.index_url import USERS


class Installer:
    """Calls uv. May be shared by threads.

    Args:
        scratch: A folder of this run, which only gar-publish can write.
        environment: The whole environment that gar-publish was started with.
        works: What uv is counted among.
    """

    def __init__(self, scratch: Path, environment: Mapping[str, str], works: Works) -> None:
        self._root = Path(scratch.anchor)
        self._works = works
        self._variables = variables.for_installer(environment) | {
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "NO_COLOR": "1",
        }
        if not os.access(environment.get("HOME", "/"), os.W_OK):
            self._variables.setdefault("UV_CACHE_DIR", str(scratch / "cache"))

    def asks_pypi_alone(self) -> bool:
        """Whether nobody has told uv where packages come from."""
        return image_backends.asks_pypi_alone(self._variables)

    def install_wheels(self, environment: Environment, names: Sequence[str], private: str | None) -> str | None:
        """Unpack wheels, which runs no code of theirs.

        Args:
            environment: What they are unpacked into.
            names: Requirements.
            private: The URL of an index that wins over others, with its credential; None for none.

        Returns:
            What uv says where it fails, else None.
        """
        index = {}
        if private is not None:
            others = self._variables.get("UV_INDEX", "")
            index = {"UV_INDEX": f"{private} {others}".strip()}
        output = self._uv(["pip", "install", "--no-build", *_into(environment, names)], index)
        return output if output is None or private is None else _scrub(output, private)

    def build_and_install(self, environment: Environment, names: Sequence[str], sandbox: Sandbox) -> str | None:
        """Install what has to be built first; in the sandbox and without any credential.

        Returns:
            What uv says where it fails, else None.
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
        """Run uv as gar-publish itself; what it says where it fails, else None.

        It runs in the root folder, since uv obeys a uv.toml or pyproject.toml in any folder above, and
        everybody may write one into the temporary folder.
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
    """The failure that uv's words mean for a project."""
    if "Failed to fetch" in output or "error sending request" in output:
        return Unreachable(
            f"What {project} needs for its build could not be fetched.",
            cause="A package index cannot be reached from here, or refuses.",
            fix="Check the network, and HTTPS_PROXY and UV_DEFAULT_INDEX where they are set.",
            anchor="build-requirements",
            detail=output,
        )
    return BuildFailure(
        f"What {project} needs for its build could not be installed.",
        cause="A name or version in `requires` of its [build-system] table that no index has for this Python"
        f" ({sys.version_info.major}.{sys.version_info.minor}).",
        fix="Correct `requires`. A private one has to be a wheel in the repository that is published to.",
        anchor="build-requirements",
        detail=output,
    )


def _into(environment: Environment, names: Sequence[str]) -> list[str | Path]:
    return ["--python", environment.python_executable, "--", *names]


def _scrub(text: str, url: str) -> str:
    """Take the credential of a URL out of a text, in whichever form it is written."""
    parts = urllib.parse.urlsplit(url)
    for secret in {parts.password, parts.username, urllib.parse.unquote(parts.password or "")}:
        if secret and secret not in USERS:
            text = text.replace(secret, "***")
    return text
