"""How to install what was published: the ready line and the pins."""

from collections.abc import Collection, Mapping

from gar_publish.login import OAUTH_USER, Login, url_with_login


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
