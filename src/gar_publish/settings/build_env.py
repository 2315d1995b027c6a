"""The input `build-env`: more environment variables for builds."""

import re
from collections.abc import Iterable, Mapping

from gar_publish.errors import BadInput

PERSONAL = r"HOME | USER | LOGNAME | TMPDIR | TEMP | TMP | USERPROFILE | APPDATA | LOCALAPPDATA"
"""The variables of the user who runs a build, as a pattern."""

_NEVER = re.compile(
    rf"""PATH | SOURCE_DATE_EPOCH | {PERSONAL} | _PYPROJECT_HOOKS_\w+ |
    (INPUT|ACTIONS|CLOUDSDK|GAR_PUBLISH|GOOGLE|RUNNER|LD|DYLD)_.* | PYTHON.* |
    GITHUB_(TOKEN|ENV|OUTPUT|PATH|STATE|STEP_SUMMARY|EVENT_PATH) | (UV|PIP|TWINE)_.*""",
    re.VERBOSE | re.IGNORECASE,
)
_MAY_BE_SECRET = re.compile(r".*(TOKEN|PASSWORD|SECRET|CREDENTIAL|KEY).*", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def worth_asking(name: str) -> bool:
    """Return whether a message may suggest a variable for `build-env`."""
    return _NAME.fullmatch(name) is not None and not _NEVER.fullmatch(name) and not _MAY_BE_SECRET.fullmatch(name)


def asked_for(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the input `build-env` names.

    Raises:
        BadInput: One is not set, is no name, or no build may have it.
    """
    for name in names:
        if not _NAME.fullmatch(name) or _NEVER.fullmatch(name):
            raise BadInput(
                f"`build-env` names {name[:100]!r}, which no build gets.",
                cause="it is not the name of a variable, or gar-publish sets it for builds itself, or it may have a "
                "credential of this run",
                fix="remove it from `build-env`",
                anchor="build-env",
            )
        if name not in environment:
            raise BadInput(
                f"`build-env` names {name}, which is not set.",
                fix=f"set the variable {name}, or remove it from `build-env`",
                anchor="build-env",
            )
    return {name: environment[name] for name in names}
