"""Makes the software bill of materials of a wheel: CycloneDX 1.6 as JSON (https://cyclonedx.org/docs/1.6/json/).

It has what the wheel's metadata declare, and no versions that only an installation decides. The same wheel in the same
repository always gives the same document, as long as the release of gar-publish is the same.
"""

import contextlib
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseAcknowledgement, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gar_publish import __version__
from gar_publish.distributions.distribution import Distribution, is_needed
from gar_publish.settings.repository import Repository

REQUIRES_PROPERTY = "gar-publish:requires-dist"
"""The property with a requirement as the wheel declares it, since CycloneDX 1.6 has no field for a version range."""

_DECLARED = LicenseAcknowledgement.DECLARED
_SHA256 = HashAlgorithm.SHA_256


def of_wheel(wheel: Distribution, repository: Repository, environment: Mapping[str, str]) -> bytes:
    """Return the SBOM of a wheel.

    Args:
        wheel: The wheel.
        repository: The repository, which is part of the package URL.
        environment: The variables; `SOURCE_DATE_EPOCH` is the time stamp, if set.
    """
    metadata = wheel.package.metadata
    purl = PackageURL("pypi", None, wheel.name, wheel.version, {"repository_url": repository.index_url})
    component = Component(
        bom_ref=purl.to_string(),
        name=wheel.name,
        version=wheel.version,
        purl=purl,
        description=metadata.get("summary"),
        hashes=[HashType(alg=_SHA256, content=wheel.sha256)],
        licenses=_licenses(metadata),
    )
    requirements = defaultdict[str, list[Requirement]](list)
    for each in wheel.requirements:
        requirements[canonicalize_name(each.name)].append(each)
    required = [_required(name, own) for name, own in requirements.items() if name != wheel.name]
    tool = Component(type=ComponentType.APPLICATION, name="gar-publish", version=__version__)
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{component.bom_ref}#{wheel.sha256}#{__version__}"),
        metadata=BomMetaData(component=component, tools=ToolRepository(components=[tool])),
        components=required,
    )
    bom.metadata.timestamp = _source_date(environment)  # type: ignore[assignment] # it is optional in CycloneDX
    bom.register_dependency(component, required)
    return f"{JsonV1Dot6(bom).output_as_string(indent=2)}\n".encode()


def _source_date(environment: Mapping[str, str]) -> datetime | None:
    """https://reproducible-builds.org/specs/source-date-epoch/"""
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(int(environment.get("SOURCE_DATE_EPOCH", "")), UTC)
    return None


def _licenses(metadata: Mapping[str, Any]) -> list[License]:
    """Return the declared licence: an SPDX expression (PEP 639), or else a text, or else classifiers."""
    text = metadata.get("license_expression") or metadata.get("license") or ""
    try:
        return [LicenseExpression(canonicalize_license_expression(text), acknowledgement=_DECLARED)]
    except InvalidLicenseExpression:
        classifiers = [each for each in metadata.get("classifiers", ()) if each.startswith("License ::")]
        first_lines = text.strip().splitlines()[:1]  # some projects put the whole license there
        return [DisjunctiveLicense(name=each, acknowledgement=_DECLARED) for each in first_lines or classifiers]


def _required(name: str, requirements: Sequence[Requirement]) -> Component:
    """Return a package that the wheel requires, without a version: each installation decides that."""
    required = any(is_needed(each) for each in requirements)
    purl = PackageURL("pypi", None, name)
    return Component(
        bom_ref=purl.to_string(),
        name=name,
        purl=purl,
        scope=ComponentScope.REQUIRED if required else ComponentScope.OPTIONAL,
        properties=[Property(name=REQUIRES_PROPERTY, value=str(each)) for each in requirements],
    )
