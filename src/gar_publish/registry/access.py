"""The two identities of a run: one that publishes, and the same with a weaker token for everything that only reads."""

from collections.abc import Mapping
from dataclasses import replace
from threading import Lock

import requests

from gar_publish.auth.sources import find_member, open_source
from gar_publish.auth.tokens import Token, TokenSource, expiry_warning
from gar_publish.context import Context
from gar_publish.errors import BadInput, CredentialsFailure, Failure, FileRefused, RegistryRefused
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.index import Index, IndexFile
from gar_publish.registry.refusals import explain_denial, explain_long_attributes
from gar_publish.registry.repository_api import RepositoryApi
from gar_publish.settings.credential import Credential, Federation, KeyPassword, read_credential
from gar_publish.settings.index_url import ANONYMOUS, KEY_USER, KEYRING, OAUTH_USER, Login
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import (
    CREDENTIAL_INPUTS,
    JSON_KEY,
    IndexToken,
    read_index_token,
    read_repository,
    refuse_key_elsewhere,
)
from gar_publish.transport.session import new_session
from gar_publish.urls import refuse_plain_http


class Access:
    """A repository's index, read with the weakest token that the registry accepts.

    The install options have the token that reads here, so what was read with it can be installed with it.

    Args:
        source: The publishing identity.
        repository: The repository to read.
        index_token: The token that the install options get.
        context: Where the run happens.
        session: What requests are made with.
    """

    def __init__(
        self,
        source: TokenSource,
        repository: Repository,
        index_token: IndexToken,
        context: Context,
        session: requests.Session,
    ) -> None:
        self.source = source
        self._repository = repository
        self._wanted = index_token
        self._context = context
        self._session = session
        self._lock = Lock()
        weaker = source.read_only() if index_token in {"auto", "read-only"} else None
        self.reader = weaker or source
        self.index = self._index_for(self.reader)

    def files(self, name: str) -> Mapping[str, IndexFile]:
        """Return the files of a project. With `index-token: auto`, the first call decides which token reads.

        Raises:
            Failure: Neither token may read, or the index cannot be reached.
        """
        with self._lock:
            index, may_fall_back = self.index, self._wanted == "auto" and not self.reads_as_publisher
        try:
            return index.files(name)
        except (CredentialsFailure, RegistryRefused):
            if not may_fall_back:
                raise
        index = self._index_for(self.source)
        listed = index.files(name)
        with self._lock:
            self.reader, self.index = self.source, index
        return listed

    @property
    def reads_as_publisher(self) -> bool:
        """Whether the publishing token reads."""
        return self.reader is self.source

    def install_token(self) -> Token | None:
        """Return a fresh token for the install options; None for `index-token: none`."""
        if self._wanted == "none":
            return None
        if self._wanted == "auto" and self.reads_as_publisher:
            self._context.console.warning(
                "The install options have the publishing token, since a read-only one is not available. "
                "Set `index-token: publisher` to accept that, or `index-token: none`."
            )
        return self.reader.to_hand_out()

    def build_token(self) -> Token:
        """Return the weakest token that reads, for the installer of build requirements."""
        weaker = None if self._wanted == "auto" else self.source.read_only()
        return (weaker or self.reader).to_hand_out()

    def explain(self, failure: Failure, credential: Credential, *, publishes: bool) -> Failure:
        """Return a refusal of the whole repository, to which the registry gives no reason, with its reason.

        Args:
            failure: The refusal. Any other failure is returned unchanged.
            credential: The identity that it is about.
            publishes: Whether the identity has to upload, or only to read.
        """
        repository, context = self._repository, self._context
        if isinstance(failure, FileRefused) or not repository.resource:
            return failure
        if failure.anchor == "registry-400" and isinstance(credential, Federation) and not credential.service_account:
            return explain_long_attributes(failure, credential.provider)
        if failure.anchor != "registry-403":
            return failure
        member = find_member(credential, self.source, context, self._session)
        if isinstance(credential, KeyPassword):  # the API takes only tokens
            return explain_denial(failure, repository, member, publishes=publishes)
        once = replace(context, retry_policy=replace(context.retry_policy, tries=1))
        api = RepositoryApi(repository, GoogleApi(once, self._session, self.source), member)
        return api.explain(failure, publishes=publishes)

    def _index_for(self, source: TokenSource) -> Index:
        return Index(self._repository, self._context, self._session, source)


def open_access(
    repository: Repository,
    credential: Credential,
    index_token: IndexToken,
    context: Context,
    session: requests.Session,
) -> Access:
    """Open a repository as the identity that the settings name.

    Raises:
        BadInput: The repository is not reached by HTTPS.
        Failure: There are no credentials.
    """
    refuse_plain_http(repository.upload_url, context.endpoints.emulator)
    return Access(open_source(credential, context, session), repository, index_token, context, session)


def open_for_reading(
    repository: Repository,
    credential: Credential,
    index_token: IndexToken,
    context: Context,
    session: requests.Session,
    *,
    publishes: bool = False,
) -> Access:
    """Open a repository and read its index once, so that a token which may not read fails here and not in pip.

    Args:
        repository: The repository.
        credential: The identity.
        index_token: The token that the install options get.
        context: Where the run happens.
        session: What requests are made with.
        publishes: Whether the identity publishes as well.

    Raises:
        Failure: There are no credentials, or they may not read.
    """
    access = open_access(repository, credential, index_token, context, session)
    try:
        access.files("gar-publish")  # any name does
    except RegistryRefused as failure:
        raise access.explain(failure, credential, publishes=publishes) from None
    return access


def open_login(inputs: Mapping[str, str], context: Context, *, keyring: bool, narrow: bool) -> Login:
    """Return the user name and password with which a tool reads the index.

    Args:
        inputs: The inputs by name, `json-key` included.
        context: Where the run happens.
        keyring: Whether the tool asks its keyring, unless a key is the password.
        narrow: Whether the token should be read-only where possible.

    Raises:
        Failure: Inputs contradict each other, or there is no token that may read.
    """
    repository = read_repository(inputs, context.endpoints)
    refuse_plain_http(repository.index_url, context.endpoints.emulator)
    keyring = keyring and JSON_KEY.name not in inputs
    unused = [f"`--{each.name}`" for each in CREDENTIAL_INPUTS if each.name in inputs]
    if unused and (keyring or JSON_KEY.name in inputs):
        login = "`--keyring`" if keyring else "`--json-key FILE`"
        raise BadInput(
            f"{unused[0]} is for `--token`, but the login is {login}.",
            fix=f"use `--token` instead of {login}, or remove {unused[0]}",
            anchor="one-login",
        )
    if keyring:
        return KEYRING
    credential = read_credential(inputs, context.environment)
    if isinstance(credential, KeyPassword):
        refuse_key_elsewhere(repository)
        context.console.mask(credential.value)
        return Login(KEY_USER, credential.value)
    index_token = read_index_token(inputs, credential) if narrow else "publisher"
    session = new_session(context.retry_policy)
    token = open_for_reading(repository, credential, index_token, context, session).install_token()
    if token is None:
        return ANONYMOUS
    if warning := expiry_warning(token):
        context.console.warning(warning)
    return Login(OAUTH_USER, token.value, token.expires_at)
