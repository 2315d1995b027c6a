"""The environment variables, the pip configuration and the netrc with which later steps of a job install packages."""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from gar_publish.auth.tokens import Token
from gar_publish.configure.environment import UV_FILES, other_indexes, uv_names
from gar_publish.context import Context
from gar_publish.errors import BadInput
from gar_publish.projects import globs
from gar_publish.registry.access import open_for_reading
from gar_publish.settings.credential import Credential
from gar_publish.settings.index_url import OAUTH_USER, Login, default_name, url_with_login
from gar_publish.settings.repository import Repository
from gar_publish.transport.session import new_session

_EXTRA_INDEXES = ("PIP_EXTRA_INDEX_URL", "UV_INDEX")
_OLD_EXTRA_INDEX = "UV_EXTRA_INDEX_URL"
"""The former name of UV_INDEX, which uv still reads."""


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


def names_in_uv(repository: Repository, workspace: Path) -> Collection[str] | None:
    """Return the names that uv projects in the workspace have for the repository; None if none declares it."""
    found: set[str] | None = None
    for folder in globs.folders("**", workspace):
        for file in (folder / name for name in UV_FILES):
            with suppress(BadInput):  # it is not about this repository, as far as it can be read
                names = uv_names(repository.index_url, [file])
                found = found if names is None else names | (found or set())
    return found


def variables(
    repository: Repository,
    token: str,
    *,
    only: bool,
    index_name: str | None,
    in_uv: Collection[str] | None,
    has_netrc: bool,
    before: Mapping[str, str],
) -> Mapping[str, str]:
    """Return the variables with which pip, uv, Poetry and PDM find the repository. Other extra indexes of the job stay.

    uv gets no index if a project has declared it, or has a name for it: an explicit one would not be explicit any more.

    See https://pip.pypa.io/en/stable/topics/configuration/#environment-variables,
    https://docs.astral.sh/uv/concepts/indexes/#providing-credentials-directly,
    https://python-poetry.org/docs/repositories/#configuring-credentials and
    https://pdm-project.org/en/latest/reference/configuration/

    Args:
        repository: The repository to install from.
        token: The access token.
        only: Whether it is the only index.
        index_name: The name of the index in projects of uv and Poetry; None for the default name.
        in_uv: The names of the index in projects of uv; None if none declares it.
        has_netrc: Whether pip and uv find the token in a netrc. Then no URL has it, which pip-compile would write down.
        before: The environment variables so far.
    """
    url = repository.index_url if has_netrc else url_with_login(repository.index_url, Login(OAUTH_USER, token))
    name = index_name or default_name(repository)
    pip, uv = (other_indexes(before.get(variable, "").split(), url) for variable in _EXTRA_INDEXES)
    if only:
        indexes = {"PIP_INDEX_URL": url, "UV_DEFAULT_INDEX": url}
        indexes |= {variable: "" for variable in (*_EXTRA_INDEXES, _OLD_EXTRA_INDEX) if before.get(variable)}
        indexes |= {"PDM_PYPI_URL": repository.index_url, "PDM_PYPI_USERNAME": OAUTH_USER, "PDM_PYPI_PASSWORD": token}
    else:
        indexes = {"PIP_EXTRA_INDEX_URL": " ".join([*pip, url])}
        if in_uv is None and index_name is None:
            # uv uses the first index that has a package; pip ignores the order.
            indexes["UV_INDEX"] = " ".join([url, *uv])
    logins = [f"UV_INDEX_{_in_variables(each)}" for each in sorted({name, *(in_uv or ())})]
    logins.append(f"POETRY_HTTP_BASIC_{_in_variables(name)}")
    for each in logins:
        indexes |= {f"{each}_USERNAME": OAUTH_USER, f"{each}_PASSWORD": token}
    return {**indexes, "GAR_TOKEN": token}


def _in_variables(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def pip_configuration(repository: Repository, token: str, *, only: bool) -> str:
    """Return a `pip.conf` (https://pip.pypa.io/en/stable/topics/configuration/)."""
    option = "index-url" if only else "extra-index-url"
    return f"[global]\n{option} = {url_with_login(repository.index_url, Login(OAUTH_USER, token))}\n"
