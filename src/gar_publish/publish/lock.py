"""Makes a lock of published packages with all their dependencies, each with the hashes of its files."""

import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256
from pathlib import Path

import uv
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gar_publish import certificates
from gar_publish.auth.tokens import Token
from gar_publish.builder import variables
from gar_publish.context import Context
from gar_publish.distributions.distribution import lowest_python
from gar_publish.distributions.leave import leave
from gar_publish.errors import BuildFailure
from gar_publish.settings.repository import Repository

_MINUTES = 5
_OLDEST_PYTHON = ">=3.9"


def compile_lock(
    pins: Iterable[str],
    requires_python: Collection[str],
    repository: Repository,
    token: Token,
    environment: Mapping[str, str],
) -> str:
    """Return a requirements file for all platforms, without any index in it.

    A package that the repository has comes from it alone, and any other from the public index. Nothing is built, since
    a build runs other people's code: https://docs.astral.sh/uv/pip/compatibility/#packages-that-exist-on-multiple-indexes

    Args:
        pins: The packages as `name==version`.
        requires_python: Their version specifiers for Python. The lock is for all versions from the lowest they share.
        repository: The repository that has them.
        token: Reads the repository.
        environment: The variables of the run, with those for the public index.

    Raises:
        BuildFailure: uv could not resolve the dependencies.
    """
    pins = list(pins)
    given = {name: value for name, value in variables.for_installer(environment).items() if name != "UV_FIND_LINKS"}
    others = given.get("UV_INDEX", "")
    own = {
        "UV_INDEX": f"published={repository.index_url} {others}".strip(),
        "UV_INDEX_PUBLISHED_USERNAME": token.user,
        "UV_INDEX_PUBLISHED_PASSWORD": token.value,
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
        **({} if variables.has_cache(environment) else {"UV_NO_CACHE": "1"}),
    }
    options = ["--universal", "--generate-hashes", "--no-build", "--no-header", "--no-annotate", "--quiet"]
    options += [f"--refresh-package={pin.partition('==')[0]}" for pin in pins]  # a cached page would lack the version
    if lowest := _lowest_python(requires_python):
        options.append(f"--python-version={lowest}")
    command = [uv.find_uv_bin(), "pip", "compile", *options, "--index-strategy=first-index", "-"]
    try:
        done = subprocess.run(
            [*command, "--python", sys.executable],
            input="\n".join(pins),
            cwd=Path(sys.executable).anchor,  # uv obeys settings in any folder above
            env={**given, **certificates.for_uv(environment), **own},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_MINUTES * 60,
        )
    except subprocess.TimeoutExpired:
        raise _not_made(f"uv did not finish within {_MINUTES} minutes.") from None
    if done.returncode:
        raise _not_made(done.stderr)
    return done.stdout


def leave_lock(text: str, scratch: Path, context: Context) -> str:
    """Leave a lock where later steps find it, and return its path; an empty one if that failed.

    That is the runner's temp folder, or `dist` in the workspace if there is no such folder, or if it is not shared with
    this container.
    """
    file = scratch / f"lock-{sha256(text.encode()).hexdigest()[:12]}.txt"
    file.write_text(text, encoding="utf-8")
    temporary = context.environment.get("RUNNER_TEMP", "")
    if os.path.ismount(temporary) or (not context.container and Path(temporary).is_absolute()):
        folder = Path(temporary, "gar-publish")
        return str(folder / file.name) if leave(file, folder, context.console) else ""
    return f"dist/{file.name}" if leave(file, context.workspace / "dist", context.console) else ""


def _lowest_python(requires_python: Collection[str]) -> Version | None:
    """Return the lowest version that all specifiers accept; None if there is no specifier, or no such version."""
    return lowest_python(SpecifierSet(",".join([_OLDEST_PYTHON, *requires_python]))) if requires_python else None


def _not_made(output: str) -> BuildFailure:
    return BuildFailure(
        "The packages are published, but there is no lock of them.",
        cause="a dependency is in neither index, has no wheel, or has no version that fits",
        fix="install in two steps: the hashed pins without dependencies, then the rest",
        anchor="no-lock",
        detail=output[-2000:],
    )
