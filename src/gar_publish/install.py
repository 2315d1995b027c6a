"""How to install what was published: the ready line and the pins."""

from collections.abc import Iterable
from urllib.parse import quote, urlsplit, urlunsplit

from gar_publish.distributions import Distribution

USERNAME = "oauth2accesstoken"


def url_with_token(url: str, token: str) -> str:
    """An index URL that carries an access token as Artifact Registry wants it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{USERNAME}:{quote(token, safe='')}@{parts.netloc}"))


def extra_index_line(index_url: str, token: str) -> str:
    """The options that make pip and uv look into the repository as well: a secret."""
    return f"--extra-index-url {url_with_token(index_url, token)}"


def requirements(distributions: Iterable[Distribution]) -> str:
    """One `name==version` a line."""
    return "\n".join(sorted({f"{each.name}=={each.version}" for each in distributions}))


def requirements_hashed(distributions: Iterable[Distribution]) -> str:
    """The same with the hash of every file, for `pip install --require-hashes`.

    See https://pip.pypa.io/en/stable/topics/secure-installs/
    """
    hashes: dict[str, set[str]] = {}
    for each in distributions:
        hashes.setdefault(f"{each.name}=={each.version}", set()).add(each.sha256)
    return "\n".join(
        f"{pin} " + " ".join(f"--hash=sha256:{sha256}" for sha256 in sorted(hashes[pin])) for pin in sorted(hashes)
    )
