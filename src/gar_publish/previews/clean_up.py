"""Finds and deletes previews. The repository itself is the only state."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from gar_publish.auth.sources import find_member, open_source
from gar_publish.context import LAG_WAITS, Context
from gar_publish.errors import BadInput, RegistryRefused
from gar_publish.previews.versions import label_of, pull_request_label
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.repository_api import RepositoryApi, check_label
from gar_publish.registry.versions_api import ListedVersion, VersionsApi
from gar_publish.settings.credential import read_credential
from gar_publish.settings.settings import read_repository, refuse_previews_elsewhere
from gar_publish.transport.retry import poll
from gar_publish.transport.session import new_session


@dataclass(frozen=True)
class Selection:
    """Which previews are meant.

    Attributes:
        label: Whose they are, as `label_of` returns it; None for everyone's.
        before: They were created before this time; None for any time. A preview whose time is not known is not meant.
    """

    label: str | None = None
    before: datetime | None = None

    def of(self, listed: Iterable[ListedVersion]) -> Sequence[ListedVersion]:
        """Return those versions that are previews and meant. A release never is."""
        return [each for each in listed if self._has(each)]

    def _has(self, listed: ListedVersion) -> bool:
        label = label_of(listed.version)
        if label is None or self.label not in {None, label}:
            return False
        return self.before is None or (listed.created is not None and listed.created < self.before)


def read_selection(whose: str | None, older_than: str | None) -> Selection:
    """Return the selection that options ask for.

    Args:
        whose: The number of a pull request, or a label as `gar-publish previews` shows it.
        older_than: A number of days: "30d".

    Raises:
        BadInput: One of them is malformed.
    """
    if whose is not None and re.fullmatch(r"[1-9][0-9]*", whose):
        whose = pull_request_label(int(whose))
    elif whose is not None and label_of(f"0.dev0+{whose}.g0000000") != whose:
        raise BadInput(
            f"{whose!r} is neither the number of a pull request nor a label of previews.",
            fix="use a number such as 42, or a label that `gar-publish previews` shows",
            anchor="previews-selection",
        )
    if older_than is None:
        return Selection(whose)
    if not re.fullmatch(r"[0-9]{1,4}d", older_than):
        raise BadInput(
            f"`--older-than` is {older_than!r}; it takes a number of days.",
            fix="use `--older-than 30d`",
            anchor="previews-selection",
        )
    return Selection(whose, datetime.now(UTC) - timedelta(days=int(older_than[:-1])))


def open_previews(inputs: Mapping[str, str], context: Context) -> VersionsApi:
    """Open the repository that the inputs name, which must have the label of a repository for previews.

    Raises:
        BadInput: It is not in Artifact Registry.
        RegistryRefused: It is missing or lacks the label, or this identity may not see that.
        CredentialsFailure: There is no token.
        Unreachable: The API does not answer.
    """
    repository = read_repository(inputs, context.endpoints)
    refuse_previews_elsewhere(repository)
    credential = read_credential(inputs, context.environment)
    session = new_session(context.retry_policy)
    source = open_source(credential, context, session)
    api = GoogleApi(context, session, source)
    member = partial(find_member, credential, source, context, session)
    check_label(repository, RepositoryApi(repository, api).describe(), member, previews=True)
    return VersionsApi(repository, api, member)


def delete(api: VersionsApi, selection: Selection, context: Context) -> Sequence[ListedVersion]:
    """Delete the previews of a selection, until a list of all versions has none of them.

    It may be killed at any time and run again, and other runs may publish and delete meanwhile.

    Returns:
        The versions that it deleted.

    Raises:
        Failure: See `VersionsApi.list_all` and `VersionsApi.delete`.
        RegistryRefused: Some are left after half a minute.
    """
    deleted: dict[str, ListedVersion] = {}
    why = ""

    def look() -> Sequence[ListedVersion]:
        nonlocal why
        if found := selection.of(api.list_all()):
            why = api.delete(found)
            deleted.update({each.name: each for each in found})
            found = selection.of(api.list_all())
        return found

    if left := poll(look, lambda found: not found, LAG_WAITS, "some of the previews are still listed", context):
        raise RegistryRefused(
            f"{len(left)} of the previews are still there, such as {left[0].package} {left[0].version}.",
            cause="another run publishes the same previews, or the registry takes longer than usual",
            fix="run the same command again; publish and delete in the same `concurrency` group",
            anchor="previews-left",
            detail=why,
        )
    return list(deleted.values())
