"""Compare wheels that were built in two ways."""

import hashlib
import zipfile
from pathlib import Path


def members(wheel: Path) -> dict[str, str]:
    """Return the SHA-256 of each member of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def differences(ours: Path, theirs: Path) -> set[str]:
    """Return the names of members that only one of two wheels has, or whose contents differ."""
    return {name for name, _ in members(ours).items() ^ members(theirs).items()}


def packing(ours: Path, theirs: Path) -> str:
    """Return what differs about the members of two wheels with equal contents."""
    with zipfile.ZipFile(ours) as mine, zipfile.ZipFile(theirs) as other:
        pairs = [(mine.getinfo(each.filename), each) for each in other.infolist()]
        found = {
            "the order of members": mine.namelist() != other.namelist(),
            "times": any(a.date_time != b.date_time for a, b in pairs),
            "modes": any(a.external_attr != b.external_attr for a, b in pairs),
            "compression": any(a.compress_size != b.compress_size for a, b in pairs),
        }
    return ", ".join(name for name, differs in found.items() if differs) or "the archive"
