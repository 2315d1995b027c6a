"""Read release notes from CHANGELOG.md, in the format of https://keepachangelog.com."""

import re
from datetime import date

from release.version import Refused, Version


def notes(changelog: str, version: Version) -> str:
    """Return the text in the section of a version.

    Raises:
        Refused: There is no such section, or it has no date or no text.
    """
    found = re.search(
        rf"^## \[{re.escape(str(version))}\] - (?P<date>\S+)\n(?P<text>.*?)(?=^## |^\[[^\]\n]+\]: |\Z)",
        changelog,
        re.MULTILINE | re.DOTALL,
    )
    if not found:
        raise Refused(f"CHANGELOG.md has no line «## [{version}] - YYYY-MM-DD»")
    try:
        date.fromisoformat(found["date"])
    except ValueError:
        raise Refused(f"CHANGELOG.md has no date for {version}: {found['date']} is not YYYY-MM-DD") from None
    if not (text := found["text"].strip()):
        raise Refused(f"CHANGELOG.md says nothing about {version}")
    return f"{text}\n"
