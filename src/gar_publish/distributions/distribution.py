"""Read wheels and sdists, and check them before anything is uploaded."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from gar_publish.distributions import archives, filenames, readmes
from gar_publish.errors import BadInput, BuildFailure
from gar_publish.projects.find import Project

if TYPE_CHECKING:
    from twine.package import PackageFile

_DETAIL_LIMIT = 2000
_CONDITION = re.compile(r"""("[^"]*"|'[^']*'|\w+) (?:not in|in|[<>=!~]+) ("[^"]*"|'[^']*'|\w+)""")
"""A comparison in a marker, as packaging formats it."""
_TRUE = 'os_name != ""'


@dataclass(frozen=True)
class Distribution:
    """A wheel or an sdist that has passed all checks.

    Args:
        path: The file.
        name: The normalised name (PEP 503).
        version: The version as the metadata spell it.
        kind: Wheel or sdist.
        size: The size in bytes.
        sha256: The hexadecimal digest.
        requires_python: A version specifier, or None.
        platforms: A wheel's platform tags (PEP 425); empty for an sdist.
        requirements: Its requirements.
        requires: The normalised names of its requirements without extras.
        optional: The names that only its extras require.
        package: The object that twine uploads.
    """

    path: Path
    name: str
    version: str
    kind: Literal["wheel", "sdist"]
    size: int
    sha256: str
    requires_python: str | None
    platforms: frozenset[str]
    requirements: tuple[Requirement, ...]
    requires: frozenset[str]
    optional: frozenset[str]
    package: "PackageFile" = field(repr=False, compare=False)

    @property
    def filename(self) -> str:
        return self.path.name


def read(path: Path, credential: bytes = b"") -> Distribution:
    """Read and check a file.

    Its name must be valid (PEP 427, PEP 625) and match the metadata, and the metadata must be valid. The version must
    have no epoch: Artifact Registry refuses epochs. No requirement may be a local file, and no member a credential.

    Args:
        path: The file.
        credential: The content of the credentials file of this run, if it has one.

    Raises:
        BuildFailure: The file must not be published.
    """
    from twine.exceptions import InvalidDistribution  # twine takes long to import
    from twine.package import PackageFile

    name, version, platforms = filenames.parse(path.name)
    try:
        archives.check(path, credential)
        package = PackageFile.from_filename(str(path), comment=None)
    except (InvalidDistribution, *archives.UNREADABLE) as error:
        raise unreadable(path, error) from error
    inside = canonicalize_name(package.metadata["name"]), Version(package.version)
    if inside != (name, version):
        raise BuildFailure(
            f"The file name {path.name} does not match its metadata ({inside[0]} {inside[1]}).",
            cause="the file was renamed after the build",
            fix="set the name and the version in the project, and build the file again",
            anchor="bad-metadata",
        )
    if version.epoch:
        raise BuildFailure(
            f"{path.name} has a version with an epoch ({version}).",
            cause="Artifact Registry does not accept version epochs",
            fix=f"remove the epoch (`{version.epoch}!`) from the version, and build again",
            anchor="version-epoch",
        )
    requirements = tuple(_requirements(path.name, package))
    requires = {canonicalize_name(each.name) for each in requirements if is_needed(each)}
    return Distribution(
        path=path,
        name=name,
        version=package.version.strip(),
        kind="wheel" if path.suffix == ".whl" else "sdist",
        size=path.stat().st_size,
        sha256=str(package.sha2_digest),
        requires_python=package.metadata.get("requires_python"),
        platforms=platforms,
        requirements=requirements,
        requires=frozenset(requires),
        optional=frozenset({canonicalize_name(each.name) for each in requirements} - requires),
        package=package,
    )


def unreadable(path: Path, error: Exception) -> BuildFailure:
    """Return the failure of a file that cannot be read."""
    return BuildFailure(
        f"{path.name} has no valid metadata.",
        cause="the file is damaged, or the version of the build backend is too old or too new",
        fix="build or download the file again; if this does not help, correct the project's pyproject.toml (or "
        "setup.py)",
        anchor="bad-metadata",
        detail=str(error)[:_DETAIL_LIMIT],
    )


def check_built(files: Sequence[Distribution], project: Project) -> None:
    """Refuse built files whose name is not the one that their project declares, and different versions.

    Raises:
        BuildFailure: The names or the versions differ.
    """
    for each in files:
        check_name(each.name, each.filename, project)
    if len({Version(each.version) for each in files}) > 1:
        raise BuildFailure(
            f"The files of {project.title} have different versions: {' and '.join(each.filename for each in files)}.",
            cause="its version comes from git, and its sdist does not contain it",
            fix="configure the version tool to write the version into the sdist, or set `formats: wheel`",
            anchor="different-versions",
        )


def check_name(name: str, filename: str, project: Project) -> None:
    """Refuse a built file whose name is not the one that its project declares.

    Raises:
        BuildFailure: The names differ.
    """
    if project.name not in {None, name}:
        raise BuildFailure(
            f"The build of {project.title} produced {filename}, but the project is named {project.name}.",
            cause="the build backend, or another build requirement, changed the name",
            fix="pin the versions in `build-system.requires` of the project's pyproject.toml",
            anchor="other-name",
        )


def warnings(files: Sequence[Distribution]) -> list[str]:
    """Return warnings about distributions that can be published. A readme of several files has one warning."""
    compiled_here = [file for file in files if any(each.startswith("linux_") for each in file.platforms)]
    in_rst = {(file.name, readme): file for file in files if (readme := readmes.in_rst(file.package))}
    problems = readmes.problems([readme for _, readme in in_rst])
    return [
        *(
            f"{file.filename} was compiled for this machine (its platform tag is `linux_*`), and may fail on machines"
            " with another C library. Build portable wheels with cibuildwheel, and set `dist` to them."
            for file in compiled_here
        ),
        *(
            f"The readme of {file.name} {file.version} does not render as reStructuredText, so package indexes do not"
            f' show it ({problem}). Correct it, or declare its type: `readme = "README.md"`.'
            for file, problem in zip(in_rst.values(), problems, strict=True)
            if problem
        ),
    ]


def check_expected(found: Iterable[tuple[str, str]], expected: Version) -> None:
    """Refuse to publish another version than the expected one.

    Args:
        found: The name, for the message, and the version of each distribution.
        expected: The expected version.

    Raises:
        BadInput: A distribution has another version.
    """
    others = [f"{name} ({theirs})" for name, theirs in found if Version(theirs) != expected]
    if others:
        raise BadInput(
            f"Version {expected} is expected, but {', '.join(others)} would be published.",
            cause="the tag and the project's version differ",
            fix="set the project's version to the version of the tag, or move the tag, and run again",
            anchor="expected-version",
        )


def lowest_python(specifiers: SpecifierSet) -> Version | None:
    """Return the lowest release of Python 3 that specifiers accept; None if there is none."""
    releases = (Version(f"3.{minor}.{micro}".removesuffix(".0")) for minor in range(40) for micro in range(30))
    return next(filter(specifiers.contains, releases), None)


def is_needed(requirement: Requirement, extras: Iterable[str] = ()) -> bool:
    """Return whether a requirement applies with these extras; the rest of its marker is taken to be true.

    Args:
        requirement: The requirement; it applies if its marker is invalid.
        extras: The extras; what applies without extras also applies with them.
    """
    try:
        marker = Marker(_CONDITION.sub(_of_extra, str(requirement.marker or _TRUE)))
        return any(marker.evaluate({"extra": each}) for each in ("", *extras))
    except (ValueError, RecursionError):
        return True


def _of_extra(condition: re.Match[str]) -> str:
    return condition[0] if "extra" in condition.groups() else _TRUE


def _requirements(filename: str, package: "PackageFile") -> Iterator[Requirement]:
    for line in package.metadata.get("requires_dist") or []:
        with contextlib.suppress(ValueError, RecursionError):
            requirement = Requirement(line)
            if requirement.url and requirement.url.lower().startswith("file:"):
                raise BuildFailure(
                    f"{filename} requires {requirement.name} from a file of the machine that built it.",
                    cause="it is a path dependency of Poetry or PDM, or a `file:` URL",
                    fix=f"require {requirement.name} by its version, and publish it too; build again",
                    anchor="file-dependency",
                    detail=line[:_DETAIL_LIMIT],
                )
            str(requirement)  # a marker with both kinds of quotes cannot be written, compared or hashed
            yield requirement
