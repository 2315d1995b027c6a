"""Refuse archives that have a credential of Google Cloud in them."""

import re

from gar_publish.errors import BuildFailure

LIMIT = 64 * 1024
"""Bytes of a file that may be a credential; they have about 2,400."""

_LEFT_BY_AUTH = re.compile(r"(?:.*/)?gha-creds-[^/]*\.json")
"""What google-github-actions/auth leaves in the workspace."""

_CREDENTIAL = re.compile(rb'"type" ?: ?"(authorized_user|(external|service|impersonated_service)_account)')
_SERVICE_ACCOUNT = re.compile(rb'"type" ?: ?"service_account"')
_PRIVATE_KEY = re.compile(rb'"private_key" ?: ?"-----BEGIN [A-Z ]*PRIVATE KEY-----[\w+/=\\]{500}')
"""A key, and not the dots of an example."""


def may_be(name: str, size: int, credential: bytes) -> bool:
    """Return whether a member of an archive must be read.

    Args:
        name: Its path in the archive.
        size: Its size.
        credential: The content of the credentials file of this run, if it has one.
    """
    return 0 < size <= LIMIT and (name.lower().endswith(".json") or size == len(credential))


def refuse(archive: str, name: str, content: bytes, credential: bytes) -> None:
    """Refuse a member that is a credential.

    Raises:
        BuildFailure: It is the file of this run, the key of a service account, or what google-github-actions/auth left.
    """
    left_by_auth = _LEFT_BY_AUTH.fullmatch(name) and _CREDENTIAL.search(content)
    is_key = _SERVICE_ACCOUNT.search(content) and _PRIVATE_KEY.search(content)
    if content == credential or left_by_auth or is_key:
        raise BuildFailure(
            f"{archive} has a credential of Google Cloud in it: {name[:200]!r}.",
            cause="the build took all files of the project's folder, and a credentials file was among them",
            fix="remove the file, or exclude it in the project's pyproject.toml, and build again",
            anchor="credential-inside",
        )
