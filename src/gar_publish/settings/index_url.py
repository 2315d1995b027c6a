"""The user name and password for an index, and URLs that contain them."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit, urlunsplit

from gar_publish.settings.repository import Repository

OAUTH_USER = "oauth2accesstoken"
KEY_USER = "_json_key_base64"
"""https://cloud.google.com/artifact-registry/docs/python/authentication"""

_PLAIN = re.compile(r"https?://[\w-]+(\.[\w-]+)+/[^\s:]*")
"""A URL without a login, though its path may have an @."""

USERS = (OAUTH_USER, KEY_USER)


@dataclass(frozen=True)
class Login:
    """A user name and a password for an index.

    Attributes:
        user: The user name; empty for an index that everybody may read.
        password: The secret; None if the tool asks its keyring for it.
        expires_at: When the password expires; None if it does not, or if that is unknown.
    """

    user: str
    password: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


ANONYMOUS = Login("")

KEYRING = Login(OAUTH_USER)
"""keyrings.google-artifactregistry-auth has a password for hosts of Artifact Registry, for any user name."""


def url_with_login(url: str, login: Login) -> str:
    """Return the URL with the user name and, if there is one, the password (RFC 3986, section 3.2.1)."""
    if not login.user:
        return url
    parts = urlsplit(url)
    userinfo = login.user if login.password is None else f"{login.user}:{quote(login.password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{userinfo}@{parts.netloc}"))


def url_without_login(url: str) -> str:
    """Return the URL without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def redacted(url: str) -> str:
    """Return the URL without what may be a user name and password, even if it is not a valid URL."""
    if _PLAIN.fullmatch(url):
        return url
    return re.sub(r"^([a-zA-Z+]+://)?.*@", r"\1", url, flags=re.DOTALL)


def same_index(one: str, other: str) -> bool:
    """Return whether two URLs differ at most in user name, password and the last slash."""
    try:
        return url_without_login(one).rstrip("/") == url_without_login(other).rstrip("/")
    except ValueError:  # not a URL
        return one == other


def extra_index_option(index_url: str, token: str) -> str:
    """Return the option with which pip and uv install from the repository as well. It contains the token."""
    return f"--extra-index-url {url_with_login(index_url, Login(OAUTH_USER, token))}"


def requirements_hashed(pins: Mapping[str, Collection[str]]) -> str:
    """Return a requirements file for `pip install --require-hashes`.

    https://pip.pypa.io/en/stable/topics/secure-installs/

    Args:
        pins: Each `name==version` with the SHA-256 hashes, in hex, of its files.
    """
    return "\n".join(
        " ".join([pin, *(f"--hash=sha256:{sha256}" for sha256 in sorted(hashes))]) for pin, hashes in pins.items()
    )


def default_name(repository: Repository) -> str:
    """Return a name for the repository that is valid in settings and in variables (UV_INDEX_GAR_MY_PROJECT_…)."""
    path = repository.index_url.split("://")[-1].removesuffix("/simple/")
    parts = f"{repository.project}-{repository.name}" if repository.name else path
    return "gar-" + re.sub(r"[^a-z0-9]+", "-", parts.lower()).strip("-")
