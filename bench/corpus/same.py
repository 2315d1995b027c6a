"""Compare wheels that were built in two ways."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from gar_publish.distributions.contents import compare


def differences(ours: Path, theirs: Path) -> Sequence[str]:
    """Return what differs in the contents of two wheels: sentences."""
    try:
        return compare(ours, theirs).differences
    except ValueError as error:
        return [str(error)]


def packing(ours: Path, theirs: Path) -> str:
    """Return what differs about two wheels with equal contents."""
    with zipfile.ZipFile(ours) as mine, zipfile.ZipFile(theirs) as other:
        if set(mine.namelist()) != set(other.namelist()):
            return "names of licences or folders"
        pairs = [(mine.getinfo(each.filename), each) for each in other.infolist()]
        found = {
            "the order of members": mine.namelist() != other.namelist(),
            "times": any(a.date_time != b.date_time for a, b in pairs),
            "modes": any(a.external_attr != b.external_attr for a, b in pairs),
            "compression": any(a.compress_type != b.compress_type for a, b in pairs),
            **{a.filename: mine.read(a) != other.read(b) for a, b in pairs},
        }
    return ", ".join(name for name, differs in found.items() if differs) or "the archive"
