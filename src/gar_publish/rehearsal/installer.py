"""Install wheels into the environments of a rehearsal."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import uv

from gar_publish.builder import variables
from gar_publish.builder.environment import Environment
from gar_publish.builder.installer import Installer, scrub
from gar_publish.builder.process import Program, Tail, Works

_LONGEST_LISTING = 60.0
"""Seconds after which uv is ended: it starts all Pythons in PATH, and one may hang."""


class Rehearsing(Installer):
    """Runs uv. Threads may share it.

    Args:
        scratch: A folder of this run that only gar-publish can write to.
        environment: All variables that gar-publish was started with.
        works: What runs.
        first: The URL of an index that wins over all others, if any.
        are_isolated: Whether code of packages has users of its own. Then environments share no file with the cache.

    Attributes:
        may_build: Whether the sandbox gets all indexes and proxies, because none needs a credential. Without one of
            them, a name that it alone has would be asked of another index.
    """

    def __init__(
        self, scratch: Path, environment: Mapping[str, str], works: Works, *, first: str = "", are_isolated: bool
    ) -> None:
        super().__init__(scratch, environment, works, are_isolated=are_isolated)
        self._first = first
        self._others = self.variables.get("UV_INDEX", "")
        if first:
            self.variables["UV_INDEX"] = f"{first} {self._others}".strip()
        self.may_build = variables.without_credentials(self.variables) == self.variables

    def pythons(self) -> str:
        """Return what uv knows about the installed Pythons, as a JSON array; an empty one if it failed."""
        command = [uv.find_uv_bin(), "python", "list", "--only-installed", "--output-format", "json", "--offline"]
        output = Tail()
        try:
            program = Program(command, cwd=self.root, environment=self.variables)
            self.works.follow(program, output.add, seconds=_LONGEST_LISTING)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return "[]"
        return next((line for line in output.lines if line.startswith("[{")), "[]")  # warnings are among them

    def make_environment(self, environment: Environment, python: Path | str) -> str | None:
        """Make an empty environment of a Python, given by its program or version. Return the output if it failed."""
        return self.run_uv(["venv", "-q", "--no-project", "--python", python, "--", environment.folder], {})

    def install(self, environment: Environment, names: Sequence[str], private: str) -> str | None:
        """Unpack wheels, which runs no code of theirs. Return the output of uv if it failed.

        Args:
            environment: The environment, which may have packages already.
            names: The requirements.
            private: The URL of an index, with a credential. Only the first index wins over it.
        """
        index = {"UV_INDEX": " ".join(filter(None, [self._first, private, self._others]))}
        output = self.run_uv(["pip", "install", "--no-build", *_into(environment), "--", *names], index)
        return output if output is None else scrub(output, private)

    def install_hashed(self, environment: Environment, hashed: Path, private: str) -> str | None:
        """Unpack the wheels of a requirements file with hashes, from the private index alone.

        Args:
            environment: An empty environment.
            hashed: The file.
            private: The URL of the index, with a credential.

        Returns:
            The output of uv if it failed.
        """
        (nothing := hashed.with_name("nothing")).mkdir()
        alone = {"UV_DEFAULT_INDEX": nothing.as_uri(), "UV_INDEX": private, "UV_FIND_LINKS": ""}
        options = ["--no-build", "--no-deps", "--no-cache", "--require-hashes"]
        output = self.run_uv(["pip", "install", *options, *_into(environment), "-r", hashed], alone)
        return output if output is None else scrub(output, private)


def _into(environment: Environment) -> list[str | Path]:
    """Return the options for an environment.

    uv starts the Python that it gets, and that of the environment would run code of its packages, with the credential
    in its variables. So it gets the one that the environment is of, which new scripts then start.
    """
    return ["--python", _base(environment), "--prefix", environment.folder]


def _base(environment: Environment) -> Path:
    """Return the Python that an environment is of."""
    if sys.platform == "win32":
        settings = (environment.folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
        (home,) = (line.partition("=")[2].strip() for line in settings if line.startswith("home "))
        return Path(home, "python.exe")
    return Path(environment.python_executable).resolve()
