"""Distributions out of source trees, without trust in what the trees hold."""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gar_publish.build.backend import Backend, Kind
from gar_publish.build.environment import Environments, PrivateIndex
from gar_publish.build.sandbox import Sandbox, open_regular, open_sandbox
from gar_publish.console import Console
from gar_publish.projects import Project

__all__ = ["Built", "Kind", "build"]


@dataclass(frozen=True)
class Built:
    """What was made of one project: files that nothing but gar-publish can write."""

    project: Project
    files: tuple[Path, ...]


def build(
    projects: Sequence[Project],
    *,
    formats: Collection[Kind],
    out: Path,
    environment: Mapping[str, str],
    console: Console,
    private_index: PrivateIndex = lambda _names: None,
    insist: bool = False,
) -> list[Built]:
    """Build projects, one after the other.

    Where both formats are asked for, the wheel is made from the sdist, as `python -m build` and `uv build`
    do: then the sdist is known to be whole. A copy of every file is left in the project's `dist` folder.

    Args:
        projects: What to build.
        formats: `wheel`, `sdist`, or both.
        out: A folder of gar-publish's own; the files are below it.
        environment: The whole environment that gar-publish was started with; a backend gets little of it.
        console: Hears what happens, and what the backends say.
        private_index: See `Environments`. May block until a credential is there.
        insist: Never build as root. True in the container.

    Raises:
        BadInput: A [build-system] table is malformed.
        BuildFailure: A project could not be built.
        Unreachable: Build requirements could not be fetched.
    """
    out.chmod(0o700)
    built = []
    with open_sandbox(environment, console=console, insist=insist) as sandbox:
        environments = Environments(sandbox, environment, private_index=private_index)
        for number, project in enumerate(projects):
            folder = out / str(number)
            folder.mkdir()
            sandbox.start_afresh()
            with console.group(f"Build {project.label}"), console.foreign() as show:
                new_backend = functools.partial(
                    Backend,
                    label=project.label,
                    sandbox=sandbox,
                    environments=environments,
                    extra=_source_date(sandbox, project, environment),
                    show=show,
                )
                made = list(_make(new_backend, sandbox.source(project.folder), formats))
            files = tuple(_take(file, folder) for file in made)
            for file in files:
                _leave(file, project.folder / "dist", console)
            built.append(Built(project, files))
    return built


def _make(new_backend: Callable[[Path], Backend], tree: Path, formats: Collection[Kind]) -> Iterator[Path]:
    backend = new_backend(tree)
    if "sdist" in formats:
        sdist = backend.make("sdist")
        yield sdist
        if "wheel" in formats:
            yield new_backend(backend.unpack(sdist)).make("wheel")
    else:
        yield backend.make("wheel")


def _source_date(sandbox: Sandbox, project: Project, environment: Mapping[str, str]) -> dict[str, str]:
    """The variable that makes builds reproducible (reproducible-builds.org/specs/source-date-epoch).

    One that is set already wins; else it is the time of the checkout's last commit; without git there is
    none.
    """
    name = "SOURCE_DATE_EPOCH"
    if environment.get(name, "").isdecimal():
        return {name: environment[name]}
    lines: list[str] = []
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "-c", "safe.directory=*", "log", "-1", "--no-show-signature", "--format=%ct"]
        sandbox.run(command, cwd=sandbox.source(project.folder), show=lines.append)
    return {name: lines[0]} if len(lines) == 1 and lines[0].isdecimal() else {}


def _take(file: Path, folder: Path) -> Path:
    """Copy a file that a backend made to where the backend cannot change it."""
    copy = folder / file.name
    with open_regular(file) as stream, copy.open("xb") as target:
        shutil.copyfileobj(stream, target, 1024 * 1024)
    return copy


def _leave(file: Path, dist: Path, console: Console) -> None:
    """Leave a copy for later steps, as the project folder's owner would have made it.

    Nothing is followed and nothing overwritten in place: gar-publish may be root in a folder that others
    write.
    """
    try:
        if sys.platform == "win32":
            dist.mkdir(exist_ok=True)
            shutil.copyfile(file, dist / file.name)
            return
        owner = dist.parent.stat()
        made = not dist.is_symlink() and not dist.exists()
        dist.mkdir(exist_ok=True)
        folder = os.open(dist, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if made and os.geteuid() == 0:
                os.fchown(folder, owner.st_uid, owner.st_gid)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file.name, dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with (
                file.open("rb") as source,
                os.fdopen(os.open(file.name, flags, 0o644, dir_fd=folder), "wb") as target,
            ):
                shutil.copyfileobj(source, target, 1024 * 1024)
                if os.geteuid() == 0:
                    os.fchown(target.fileno(), owner.st_uid, owner.st_gid)
        finally:
            os.close(folder)
    except OSError as error:
        console.warning(f"No copy of {file.name} was left in {dist}: {error.strerror}.")
