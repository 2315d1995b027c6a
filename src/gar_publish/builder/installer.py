"""Install build requirements with uv.

Wheels are unpacked with gar-publish's own rights. Whatever must be built first is installed in the sandbox.
"""

import contextlib
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import uv

from gar_publish import certificates
from gar_publish.builder import variables
from gar_publish.builder.environment import Environment
from gar_publish.builder.process import Program, Tail, Works
from gar_publish.builder.sandbox import Sandbox
from gar_publish.errors import BadInput
from gar_publish.settings.index_url import USERS

_ROOTS = re.compile("UV_CACHE_DIR|XDG_")
_CONSTRAINTS = ("PIP_CONSTRAINT", "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT")
_CREDENTIAL = re.compile(r"://[^/\s]*@")
_LONGEST = 1800.0
"""Seconds after which uv is ended: an index may send one byte after the other, which is no timeout of uv's."""


class Installer:
    """Runs uv. Threads may share it.

    Args:
        scratch: A folder of this run that only gar-publish can write to.
        environment: All variables that gar-publish was started with.
        works: What runs.
        are_isolated: Whether builds have users of their own. Then environments share no file with the cache.
    """

    def __init__(self, scratch: Path, environment: Mapping[str, str], works: Works, *, are_isolated: bool) -> None:
        self.root = Path(scratch.anchor)
        self.works = works
        self.variables = {
            **variables.for_installer(environment),
            **certificates.for_uv(environment),
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "NO_COLOR": "1",
        }
        self._constraints = list(_constraints(environment, scratch))
        if self._constraints:
            given = " ".join(original for original, _ in self._constraints)
            self.variables |= {"UV_CONSTRAINT": given, "UV_BUILD_CONSTRAINT": given}
        if are_isolated:
            (scratch / "uv").mkdir(mode=0o700)
            self.variables |= {"UV_LINK_MODE": "copy", "TMPDIR": str(scratch / "uv")}
        if not variables.has_cache(environment):
            self.variables["UV_CACHE_DIR"] = str(scratch / "cache")

    def install_wheels(self, environment: Environment, names: Sequence[str], private: str | None) -> str | None:
        """Unpack wheels, which runs no code of theirs. Return the output of uv if it failed.

        The index at the private URL, which has a credential, wins over others.
        """
        others = self.variables.get("UV_INDEX", "")
        index = {} if private is None else {"UV_INDEX": f"{private} {others}".strip()}
        into = ["--python", environment.python_executable, "--", *names]
        output = self.run_uv(["pip", "install", "--no-build", *into], index)
        return output if output is None or private is None else scrub(output, private)

    def build_and_install(self, environment: Environment, names: Sequence[str], sandbox: Sandbox) -> str | None:
        """Install what must be built first, in the sandbox, without a credential. Return the output if it failed."""
        sandbox.give(environment.folder)
        output = Tail()
        copies = " ".join(copy for _, copy in self._constraints if copy)
        own = {"UV_CONSTRAINT": copies, "UV_BUILD_CONSTRAINT": copies} if self._constraints else {}
        given = variables.without_credentials({**self.variables, **own})
        if sandbox.user:
            given = {name: value for name, value in given.items() if not _ROOTS.match(name)}
        try:
            sandbox.run(
                [uv.find_uv_bin(), "pip", "install", "--python", environment.python_executable, "--", *names],
                cwd=self.root,
                extra={**given, **sandbox.variables},
                show=output.add,
            )
        except subprocess.CalledProcessError:
            return "\n".join(output.lines)
        return None

    def compile(self, environment: Environment) -> None:
        """Compile an environment's modules, with a Python that runs no code of it."""
        command = [sys.executable, "-I", "-S", "-m", "compileall", "-q", "-j", "0", str(environment.site)]
        program = Program(command, cwd=self.root, environment={}, is_trusted=True)
        with contextlib.suppress(subprocess.CalledProcessError):  # a module may be for another Python
            self.works.follow(program, lambda _: None)

    def run_uv(self, arguments: Sequence[str | Path], extra: Mapping[str, str]) -> str | None:
        """Run uv with gar-publish's own rights. Return its output if it failed.

        It runs in the root folder: uv obeys a uv.toml or pyproject.toml in any folder above.
        """
        output = Tail()
        variables = {**self.variables, **extra}
        program = Program([uv.find_uv_bin(), *arguments], cwd=self.root, environment=variables, is_trusted=True)
        try:
            self.works.follow(program, output.add, seconds=_LONGEST)
        except subprocess.TimeoutExpired:
            output.add(f"Failed to fetch packages within {_LONGEST:g} seconds")
        except subprocess.CalledProcessError:
            pass
        else:
            return None
        return _CREDENTIAL.sub("://***@", "\n".join(output.lines))  # uv shows a URL that it cannot parse as it is


def _constraints(environment: Mapping[str, str], scratch: Path) -> Iterator[tuple[str, str]]:
    """Yield the files with constraints for build requirements, each with a copy that builds can read.

    A copy has no line with a credential, and a URL with a credential has none.

    Raises:
        BadInput: One cannot be read.
    """
    files = [(name, file) for name in _CONSTRAINTS for file in environment.get(name, "").split()]
    for number, (name, file) in enumerate(files):
        if "://" in file:
            yield file, "" if _CREDENTIAL.search(file) else file
            continue
        copy = scratch / f"constraints-{number}.txt"
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(
                f"{name} names {file}, which cannot be read: {getattr(error, 'strerror', 'it is not UTF-8')}.",
                fix=f"correct {name}, or unset it",
                anchor="build-requirements",
            ) from error
        copy.write_text("".join(f"{line}\n" for line in lines if not _CREDENTIAL.search(line)), encoding="utf-8")
        copy.chmod(0o644)
        yield str(Path(file).absolute()), str(copy)


def scrub(text: str, url: str) -> str:
    """Remove the credential of a URL from a text, in each form it may have."""
    parts = urllib.parse.urlsplit(url)
    for secret in {parts.password, parts.username, urllib.parse.unquote(parts.password or "")}:
        if secret and secret not in USERS:
            text = text.replace(secret, "***")
    return text
