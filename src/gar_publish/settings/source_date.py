"""The date of built files: SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch)."""

from collections.abc import Mapping

from gar_publish.errors import BadInput

_DEFAULT = "1580601600"
_FIRST, _LAST = 315_619_200, 4_354_732_800


def source_date(environment: Mapping[str, str]) -> str:
    """Return SOURCE_DATE_EPOCH in seconds.

    By default it is 2020-02-02, whatever is built: then a package that has not changed is the same file again. Archives
    cannot have dates before 1980 and after 2107; a day of distance is for time zones.

    Raises:
        BadInput: The variable is set, and is not such a date.
    """
    given = environment.get("SOURCE_DATE_EPOCH", "")
    if not given:
        return _DEFAULT
    if not given.isascii() or not given.isdecimal() or not _FIRST <= int(given) <= _LAST:
        raise BadInput(
            f"SOURCE_DATE_EPOCH is {given[:50]!r}, and not the seconds of a date from 1980-01-02 to 2107-12-30.",
            fix="unset SOURCE_DATE_EPOCH, or correct it",
            anchor="source-date",
        )
    return given
