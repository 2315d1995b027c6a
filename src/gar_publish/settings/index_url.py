"""The user name and password that an index takes, as each kind of credential has them."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit, urlunsplit

from gar_publish.settings.repository import Repository

OAUTH_USER = "oauth2accesstoken"
KEY_USER = "_json_key_base64"
"""https://cloud.google.com/artifact-registry/docs/python/authentication"""

USERS = (OAUTH_USER, KEY_USER)


@dataclass(frozen=True)
class Login:
    """How a tool shows an index who it is.

    Attributes:
        user: The user name; empty where everybody may read.
        password: The secret; None where the tool asks its keyring for it.
        expires_at: When the password ends; None where it does not, or nobody knows.
    """

    user: str
    password: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


NOBODY = Login("")

KEYRING = Login(OAUTH_USER)
"""keyrings.google-artifactregistry-auth answers for hosts of Artifact Registry, whatever the user name."""


def url_with_login(url: str, login: Login) -> str:
    """An index URL that carries a user name and, where there is one, a password (RFC 3986, section 3.2.1)."""
    if not login.user:
        return url
    parts = urlsplit(url)
    userinfo = login.user if login.password is None else f"{login.user}:{quote(login.password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{userinfo}@{parts.netloc}"))


def url_without_login(url: str) -> str:
    """The same URL without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def shown(url: str) -> str:
    """What may be said of a URL that somebody gave, be it one or not: what stands behind its last `@`."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def same_index(one: str, other: str) -> bool:
    """Whether two URLs name the same index, whoever logs in, and with or without the last slash."""
    try:
        return url_without_login(one).rstrip("/") == url_without_login(other).rstrip("/")
    except ValueError:  # it is no URL
        return one == other


def extra_index_line(index_url: str, token: str) -> str:
    """The options that make pip and uv look into the repository as well: a secret."""
    return f"--extra-index-url {url_with_login(index_url, Login(OAUTH_USER, token))}"


def requirements_hashed(pins: Mapping[str, Collection[str]]) -> str:
    """A requirements file for `pip install --require-hashes`.

    See https://pip.pypa.io/en/stable/topics/secure-installs/

    Args:
        pins: The SHA-256 hashes, in hex, of each `name==version`.
    """
    return "\n".join(
        " ".join([pin, *(f"--hash=sha256:{sha256}" for sha256 in sorted(hashes))]) for pin, hashes in pins.items()
    )


def default_name(repository: Repository) -> str:
    """A name that tools take, also within variables: `UV_INDEX_GAR_MY_PROJECT_PYTHON_USERNAME`."""
    path = repository.index_url.split("://")[-1].removesuffix("/simple/")
    parts = f"{repository.project}-{repository.name}" if repository.name else path
    return "gar-" + re.sub(r"[^a-z0-9]+", "-", parts.lower()).strip("-")
