"""The environment variables and the pip configuration with which later steps of a job install packages."""

import re
from collections.abc import Mapping

from gar_publish.auth.tokens import Token
from gar_publish.context import Context
from gar_publish.registry.access import open_for_reading
from gar_publish.settings.credential import Credential
from gar_publish.settings.index_url import OAUTH_USER, Login, default_name, same_index, url_with_login
from gar_publish.settings.repository import Repository
from gar_publish.transport.session import new_session

_EXTRA_INDEXES = ("PIP_EXTRA_INDEX_URL", "UV_INDEX")
_OLD_EXTRA_INDEX = "UV_EXTRA_INDEX_URL"
"""The former name of UV_INDEX, which uv still reads."""
_NAME = re.compile(r"^[\w.-]+=(?=\w+://)")


def read_only_token(repository: Repository, credential: Credential, context: Context) -> Token:
    """Return a token that was tried on the repository's index. It is read-only where that is possible.

    Raises:
        Failure: There is no token, or it may not read.
    """
    access = open_for_reading(repository, credential, "read-only", context, new_session(context.retry_policy))
    if access.reads_as_publisher:
        context.console.warning(
            "This credential cannot be made read-only: every later step of the job has all of its rights. "
            "Use an identity that has the role Artifact Registry Reader and no other."
        )
    return access.reader.to_hand_out()


def variables(
    repository: Repository, token: str, *, only: bool, index_name: str | None, before: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the variables with which pip, uv and Poetry find the repository. Other extra indexes of the job stay.

    See https://pip.pypa.io/en/stable/topics/configuration/#environment-variables,
    https://docs.astral.sh/uv/concepts/indexes/#providing-credentials-directly and
    https://python-poetry.org/docs/repositories/#configuring-credentials

    Args:
        repository: The repository to install from.
        token: The access token.
        only: Whether it is the only index.
        index_name: The name of the index in projects of uv and Poetry; None for the default name.
        before: The environment variables so far.
    """
    url = url_with_login(repository.index_url, Login(OAUTH_USER, token))
    name = re.sub(r"[^A-Z0-9]", "_", (index_name or default_name(repository)).upper())
    pip, uv = (_others(before.get(variable, ""), url) for variable in _EXTRA_INDEXES)
    if only:
        indexes = {"PIP_INDEX_URL": url, "UV_DEFAULT_INDEX": url}
        indexes |= {variable: "" for variable in (*_EXTRA_INDEXES, _OLD_EXTRA_INDEX) if before.get(variable)}
    else:
        # uv uses the first index that has a package; pip ignores the order.
        indexes = {"PIP_EXTRA_INDEX_URL": " ".join([*pip, url]), "UV_INDEX": " ".join([url, *uv])}
    return {
        **indexes,
        f"UV_INDEX_{name}_USERNAME": OAUTH_USER,
        f"UV_INDEX_{name}_PASSWORD": token,
        f"POETRY_HTTP_BASIC_{name}_USERNAME": OAUTH_USER,
        f"POETRY_HTTP_BASIC_{name}_PASSWORD": token,
        "GAR_TOKEN": token,
    }


def _others(listed: str, url: str) -> list[str]:
    """Return the other indexes that a variable lists. An entry of uv may have a name: NAME=URL."""
    return [each for each in listed.split() if not same_index(_NAME.sub("", each), url)]


def pip_configuration(repository: Repository, token: str, *, only: bool) -> str:
    """Return a `pip.conf` (https://pip.pypa.io/en/stable/topics/configuration/)."""
    option = "index-url" if only else "extra-index-url"
    return f"[global]\n{option} = {url_with_login(repository.index_url, Login(OAUTH_USER, token))}\n"
