"""How sizes and moments are written."""

from datetime import datetime


def human_size(size: int | None) -> str:
    """A number of bytes for people: 812 B, 3.4 kB, 1.2 MB (powers of 1,000)."""
    if size is None:
        return "-"
    amount, units = float(size), ["B", "kB", "MB", "GB"]
    while amount >= 1000 and len(units) > 1:  # noqa: PLR2004 - see above
        amount /= 1000
        units.pop(0)
    return f"{size} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def rfc3339(moment: datetime | None) -> str:
    """A moment as RFC 3339 has it, in UTC; empty for none."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""
