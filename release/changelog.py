"""The notes of a release, from CHANGELOG.md as https://keepachangelog.com has it."""

import re
from datetime import date

from release.version import Refused, Version


def notes(changelog: str, version: Version) -> str:
    """What the section of a version says.

    Raises:
        Refused: It has none, or one without a date or a text.
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
        raise Refused(f"CHANGELOG.md has no date for {version}, but {found['date']}") from None
    if not (text := found["text"].strip()):
        raise Refused(f"CHANGELOG.md says nothing about {version}")
    return f"{text}\n"
