"""A repository's files as resources of the Artifact Registry API: files, packages, versions, pythonPackages."""

import base64
from typing import Any

from gar_emulator.cloud.attachment_store import AttachedFile
from gar_emulator.cloud.package_store import StoredFile
from gar_emulator.world.world import Repository

Item = dict[str, Any]


def escaped(identifier: str) -> str:
    """Return an id escaped for a resource name, as gcloud does it."""
    return identifier.replace("/", "%2F").replace("+", "%2B").replace("^", "%5E")


def file(repository: Repository, stored: StoredFile) -> Item:
    return {
        "name": f"{repository.resource}/files/{escaped(f'{stored.package}/{stored.filename}')}",
        "sizeBytes": str(stored.size),
        "hashes": hashes(stored),
        "createTime": stored.created_at,
        "updateTime": stored.created_at,
        "owner": f"{repository.resource}/packages/{stored.package}/versions/{escaped(stored.version)}",
    }


def hashes(of: StoredFile | AttachedFile) -> list[Item]:
    return [
        {"type": kind, "value": base64.b64encode(bytes.fromhex(digest)).decode()}
        for kind, digest in (("SHA256", of.sha256), ("MD5", of.md5))
    ]


def packages(repository: Repository, files: list[StoredFile]) -> list[Item]:
    return [
        {"name": f"{repository.resource}/packages/{package}", "displayName": package, **_times(group)}
        for (package,), group in _grouped(files, "package")
    ]


def versions(repository: Repository, files: list[StoredFile]) -> list[Item]:
    return [
        {"name": f"{repository.resource}/packages/{package}/versions/{escaped(version)}", **_times(group)}
        for (package, version), group in _grouped(files, "package", "version")
    ]


def python_packages(repository: Repository, files: list[StoredFile]) -> list[Item]:
    host = f"{repository.location}-python.pkg.dev"
    return [
        {
            "name": f"{repository.resource}/pythonPackages/{package}:{escaped(version)}",
            "uri": f"{host}/{repository.project}/{repository.name}/{package}/{group[0].filename}",
            "packageName": package,
            "version": version,
            **_times(group),
        }
        for (package, version), group in _grouped(files, "package", "version")
    ]


def _grouped(files: list[StoredFile], *names: str) -> list[tuple[tuple[str, ...], list[StoredFile]]]:
    groups: dict[tuple[str, ...], list[StoredFile]] = {}
    for stored in files:
        groups.setdefault(tuple(getattr(stored, name) for name in names), []).append(stored)
    return list(groups.items())


def _times(files: list[StoredFile]) -> Item:
    return {
        "createTime": min(stored.created_at for stored in files),
        "updateTime": max(stored.created_at for stored in files),
    }
