"""What a job that only installs gets: a read-only token, and the settings of each tool that can use it."""

import re
from collections.abc import Mapping

from gar_publish.auth.sources import open_source
from gar_publish.auth.tokens import Token
from gar_publish.context import Context
from gar_publish.registry.index import Index
from gar_publish.settings.credential import Credential
from gar_publish.settings.index_url import OAUTH_USER, Login, default_name, same_index, url_with_login
from gar_publish.settings.repository import Repository
from gar_publish.transport.session import new_session
from gar_publish.urls import refuse_plain_http

_EXTRA_INDEXES = ("PIP_EXTRA_INDEX_URL", "UV_INDEX")
_OLD_EXTRA_INDEX = "UV_EXTRA_INDEX_URL"
"""What uv once called UV_INDEX, and heeds still."""
_NAME = re.compile(r"^[\w.-]+=(?=\w+://)")


def read_only_token(repository: Repository, credential: Credential, context: Context) -> Token:
    """A token that reads one repository, tried on its index. None with more rights is asked for, where that can be.

    Raises:
        Failure: There is no token to be had, or the registry does not take it.
    """
    refuse_plain_http(repository.upload_url, context.endpoints.emulator)
    source = open_source(credential, context, new_session(context.retry_policy))
    reader = source.read_only()
    if reader is None:
        context.console.warning(
            "This credential cannot be made read-only: every later step of the job may do with it whatever it may do. "
            "Use an identity that is Artifact Registry Reader and no more."
        )
        reader = source
    index = Index(
        repository.index_url,
        session=new_session(context.retry_policy),
        source=reader,
        retry_policy=context.retry_policy,
        on_wait=context.console.info,
    )
    index.files("gar-publish")  # any name will do: whoever may not read is told so here, and not by pip
    return reader.token()


def variables(
    repository: Repository, token: str, *, only: bool, index_name: str | None, before: Mapping[str, str]
) -> Mapping[str, str]:
    """The variables with which pip, uv and Poetry find the repository. Other extra indexes of the job stay.

    See https://pip.pypa.io/en/stable/topics/configuration/#environment-variables,
    https://docs.astral.sh/uv/concepts/indexes/#providing-credentials-directly and
    https://python-poetry.org/docs/repositories/#configuring-credentials

    Args:
        repository: Where to install from.
        token: The access token.
        only: Whether there is no other index.
        index_name: What uv's and Poetry's projects call it; None for the usual name.
        before: The variables so far.
    """
    url = url_with_login(repository.index_url, Login(OAUTH_USER, token))
    name = re.sub(r"[^A-Z0-9]", "_", (index_name or default_name(repository)).upper())
    pip, uv = (_others(before.get(variable, ""), url) for variable in _EXTRA_INDEXES)
    if only:
        indexes = {"PIP_INDEX_URL": url, "UV_DEFAULT_INDEX": url}
        indexes |= {variable: "" for variable in (*_EXTRA_INDEXES, _OLD_EXTRA_INDEX) if before.get(variable)}
    else:
        # uv takes a package from the first index that has it; for pip, the order means nothing.
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
    """What a variable lists besides this index; uv's entries may have a name: NAME=URL."""
    return [each for each in listed.split() if not same_index(_NAME.sub("", each), url)]


def pip_configuration(repository: Repository, token: str, *, only: bool) -> str:
    """A `pip.conf` (https://pip.pypa.io/en/stable/topics/configuration/)."""
    option = "index-url" if only else "extra-index-url"
    return f"[global]\n{option} = {url_with_login(repository.index_url, Login(OAUTH_USER, token))}\n"
