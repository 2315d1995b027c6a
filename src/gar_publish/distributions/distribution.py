"""Built files: what they are, and every check that can be made before the first byte leaves."""

import contextlib
import email.message
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gar_publish.distributions import archives, filenames
from gar_publish.errors import BadInput, BuildFailure
from gar_publish.projects.find import Project

if TYPE_CHECKING:
    from twine.package import PackageFile

_UNREADABLE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    LookupError,
    ValueError,
    RuntimeError,  # an encrypted member
)
_DETAIL_LIMIT = 2000
_NEVER_RENDERED = {"text/plain", "text/markdown"}
_CONDITION = re.compile(r"""("[^"]*"|'[^']*'|\w+) (?:not in|in|[<>=!~]+) ("[^"]*"|'[^']*'|\w+)""")
"""What a marker compares, as packaging writes it."""
_TRUE = 'os_name != ""'


@dataclass(frozen=True)
class Distribution:
    """A wheel or an sdist that has passed all checks.

    Args:
        path: Where it is.
        name: The normalised name (PEP 503).
        version: As the metadata spell it.
        kind: Wheel or sdist.
        size: In bytes.
        sha256: As hexadecimal digits.
        requires_python: A version specifier, where it has one.
        platforms: A wheel's platform tags (PEP 425); empty for an sdist.
        requires: The normalised names of what it requires, extras aside.
        optional: Those that its extras alone require.
        package: What twine uploads.
    """

    path: Path
    name: str
    version: str
    kind: Literal["wheel", "sdist"]
    size: int
    sha256: str
    requires_python: str | None
    platforms: frozenset[str]
    requires: frozenset[str]
    optional: frozenset[str]
    package: "PackageFile" = field(repr=False, compare=False)

    @property
    def filename(self) -> str:
        return self.path.name


def read(path: Path) -> Distribution:
    """Read and check a file.

    Its name has to be one (PEP 427, PEP 625) and agree with the metadata; the metadata have to be valid, and
    the readme has to render (the rules of `twine check`). A version with an epoch is refused: Artifact
    Registry takes none.

    Raises:
        BuildFailure: The file must not be published.
    """
    from twine.exceptions import InvalidDistribution  # twine takes long to import
    from twine.package import PackageFile

    name, version, platforms = filenames.parse(path.name)
    try:
        archives.check(path)
        package = PackageFile.from_filename(str(path), comment=None)
    except (InvalidDistribution, *_UNREADABLE) as error:
        raise BuildFailure(
            f"{path.name} has no valid metadata.",
            cause="The file is damaged, or the backend that made it is too old or too new.",
            fix="Correct what is wrong in the project's pyproject.toml (or setup.py), and build it again.",
            anchor="bad-metadata",
            detail=str(error)[:_DETAIL_LIMIT],
        ) from error
    inside = canonicalize_name(package.metadata["name"]), Version(package.version)
    if inside != (name, version):
        raise BuildFailure(
            f"{path.name} is not what it says: its metadata are those of {inside[0]} {inside[1]}.",
            cause="The file was renamed after it was built.",
            fix="Set name and version in the project, and build it again.",
            anchor="bad-metadata",
        )
    if version.epoch:
        raise BuildFailure(
            f"{path.name} has a version with an epoch ({version}).",
            cause="Artifact Registry refuses such versions.",
            fix=f"Use a version without `{version.epoch}!`.",
            anchor="version-epoch",
        )
    _check_readme(path.name, package)
    requires, optional = _required(package)
    return Distribution(
        path=path,
        name=name,
        version=package.version.strip(),
        kind="wheel" if path.suffix == ".whl" else "sdist",
        size=path.stat().st_size,
        sha256=str(package.sha2_digest),
        requires_python=package.metadata.get("requires_python"),
        platforms=platforms,
        requires=requires,
        optional=optional,
        package=package,
    )


def check_name(distribution: Distribution, project: Project) -> None:
    """Refuse a file that a build made under another name than its project declares.

    Raises:
        BuildFailure: The names differ.
    """
    if project.name not in {None, distribution.name}:
        raise BuildFailure(
            f"The build of {project.label} made {distribution.filename}, which is no distribution of {project.name}.",
            cause="the build backend, or something else that the build requires, publishes under another name",
            fix="look at `requires` in the [build-system] table of its pyproject.toml, and pin what it needs",
            anchor="other-name",
        )


def warnings(distribution: Distribution) -> list[str]:
    """What a user should know about a distribution that may be published all the same."""
    if not any(platform.startswith("linux_") for platform in distribution.platforms):
        return []
    return [
        (
            f"{distribution.filename} was compiled for this machine (its platform tag is `linux_*`), and may fail"
            " where the C library is another. Build portable wheels with cibuildwheel, and name them in `dist`."
        )
    ]


def check_expected(found: Iterable[tuple[str, str]], expected: Version) -> None:
    """Refuse to publish anything but the expected version.

    Args:
        found: What is to be published: what it is called, for the message, and its version.
        expected: The version.

    Raises:
        BadInput: Something has another one.
    """
    others = [f"{name} ({theirs})" for name, theirs in found if Version(theirs) != expected]
    if others:
        raise BadInput(
            f"Version {expected} is expected, and this is not it: {', '.join(others)}.",
            cause="The tag and the version in the project differ.",
            fix="Set the project's version to the tag's, or move the tag; then run it again.",
            anchor="expected-version",
        )


def is_needed(requirement: Requirement, extras: Iterable[str] = ()) -> bool:
    """Whether a requirement counts for whoever asks for these extras; all else in its marker is taken to be true.

    Args:
        requirement: The requirement; one whose marker makes no sense counts.
        extras: The extras. What counts without any counts with them.
    """
    try:
        marker = Marker(_CONDITION.sub(_of_extra, str(requirement.marker or _TRUE)))
        return any(marker.evaluate({"extra": each}) for each in ("", *extras))
    except (ValueError, RecursionError):
        return True


def _of_extra(condition: re.Match[str]) -> str:
    return condition[0] if "extra" in condition.groups() else _TRUE


def _required(package: "PackageFile") -> tuple[frozenset[str], frozenset[str]]:
    required, optional = set[str](), set[str]()
    for line in package.metadata.get("requires_dist") or []:
        with contextlib.suppress(InvalidRequirement, RecursionError):
            requirement = Requirement(line)
            (required if is_needed(requirement) else optional).add(canonicalize_name(requirement.name))
    return frozenset(required), frozenset(optional - required)


def _check_readme(filename: str, package: "PackageFile") -> None:
    """The rule of `twine check`: what is no plain text and no Markdown has to render as reStructuredText."""
    description = package.metadata.get("description")
    content = email.message.EmailMessage()
    content["content-type"] = package.metadata.get("description_content_type") or "text/x-rst"
    if not description or description.rstrip() == "UNKNOWN" or content.get_content_type() in _NEVER_RENDERED:
        return
    from readme_renderer import rst  # docutils takes long to import

    # Else docutils obeys a docutils.conf in the working folder, which may tell it to write and to read any file.
    rst.SETTINGS["_disable_config"] = True
    rst.SETTINGS["syntax_highlight"] = "none"  # colours take time, and Pygments, which the image does without
    said = io.StringIO()
    try:
        rendered = rst.render(description, stream=said)
    except RecursionError:
        rendered = None
    if rendered is None:
        raise BuildFailure(
            f"The readme in {filename} does not render as reStructuredText.",
            cause="It has errors, or it is Markdown and the project does not say so.",
            fix='Correct it, or set its type: `readme = "README.md"`, or `long_description_content_type`.',
            anchor="bad-metadata",
            detail=said.getvalue()[:_DETAIL_LIMIT],
        )
