"""The user name and password that an index takes, as each kind of credential has them."""

from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit, urlunsplit

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
