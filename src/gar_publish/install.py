"""How to install what was published: the ready line and the pins."""

import re
from collections.abc import Collection, Mapping

from gar_publish.login import OAUTH_USER, Login, url_with_login
from gar_publish.repository import Repository


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
