"""The versions of previews, such as `1.0.1.dev1764410101+pr42.gabc1234`.

It is a development release of the next version (PEP 440), numbered by the time of its commit. Its local part says whose
preview it is, and of which commit.
"""

import hashlib
import re
from datetime import datetime

from packaging.version import InvalidVersion, Version

from gar_publish.errors import BadInput

_PARTS = 3
_LONGEST = 64
_LONGEST_SLUG = 16
_COMMIT = re.compile(r"[0-9a-f]{7,}")
_LOCAL = re.compile(r"(?P<label>pr[1-9][0-9]*|b(\.[a-z0-9]+)*\.h[0-9a-f]{6})\.g[0-9a-f]{7}")


def next_release(version: Version) -> Version:
    """Return the next release: the last part raised by one, after a release of at least three parts.

    `1.0` and `1.0.0rc1` give `1.0.1`, whose development releases fit `>=1.0`, `~=1.0.0`, `==1.0.*` and `<1.1`.
    """
    parts = [*version.release, *[0] * (_PARTS - len(version.release))]
    parts[-1] += 1
    epoch = f"{version.epoch}!" if version.epoch else ""
    return Version(epoch + ".".join(map(str, parts)))


def pull_request_label(number: int) -> str:
    """Return the label of a pull request, such as `pr42`."""
    return f"pr{number}"


def branch_label(branch: str) -> str:
    """Return the label of a branch, such as `b.feature.login.h1a2b3c`: its name, shortened, and a hash of it."""
    slug = re.sub(r"[^a-z0-9]+", ".", branch.lower())[:_LONGEST_SLUG]
    # A version has no zeros in front of a number, so `007` would become `7`.
    parts = [str(int(part)) if part.isdecimal() else part for part in slug.split(".") if part]
    return ".".join(["b", *parts, f"h{hashlib.sha256(branch.encode()).hexdigest()[:6]}"])


def preview_version(base: Version, committed_at: datetime, label: str, commit: str) -> str:
    """Return the version of a preview.

    Args:
        base: The version that the project has in this commit.
        committed_at: When the commit was made, with a time zone.
        label: Whose preview it is, as `pull_request_label` or `branch_label` return it.
        commit: The hash of the commit.

    Raises:
        BadInput: The version would be longer than 64 characters.
        ValueError: This is no hash of a commit, or no label.
    """
    if not _COMMIT.fullmatch(commit):
        raise ValueError(commit)
    seconds = int(committed_at.timestamp())
    version = f"{next_release(base)}.dev{seconds}+{label}.g{commit[:7]}"
    if label_of(version) != label:
        raise ValueError(label)
    if len(version) > _LONGEST:
        raise BadInput(
            f"The preview of version {base} would be {version}, which is longer than {_LONGEST} characters.",
            cause=f"version {base} is long, or the name of the branch is",
            fix="make the project's version shorter, or make the preview from a pull request",
            anchor="preview-version",
        )
    return version


def label_of(version: str) -> str | None:
    """Return the label of a preview's version; None for every other version, and for what is no version (PEP 440)."""
    try:
        parsed = Version(version)
    except InvalidVersion:
        return None
    if parsed.dev is None or parsed.pre or parsed.post is not None:
        return None
    found = _LOCAL.fullmatch(parsed.local or "")
    return found["label"] if found else None
