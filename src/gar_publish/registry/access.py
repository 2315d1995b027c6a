"""Who reads and who writes: the publishing identity, and a weaker one for everything that only reads."""

from collections.abc import Callable, Mapping
from threading import Lock

import requests

from gar_publish.auth.sources import open_source
from gar_publish.auth.tokens import Token, TokenSource
from gar_publish.console import Console
from gar_publish.context import Context
from gar_publish.errors import BadInput, CredentialsFailure, RegistryRefused
from gar_publish.registry.index import Index, IndexFile
from gar_publish.settings.credential import Credential, KeyPassword, read_credential
from gar_publish.settings.index_url import KEY_USER, KEYRING, NOBODY, OAUTH_USER, Login
from gar_publish.settings.inputs import CREDENTIAL_INPUTS, JSON_KEY_OPTION
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import IndexToken, read_index_token, read_repository, refuse_key_elsewhere
from gar_publish.transport.session import new_session
from gar_publish.urls import refuse_plain_http


class Access:
    """One repository's index, read with the weakest token that the registry takes.

    The token that reads is the one that the ready line hands out, so what was read with it here can be
    installed with it there.

    Args:
        source: The publishing identity.
        wanted: What the ready line is to carry.
        open_index: Makes the index as one identity sees it.
        console: Told when the publishing token has to serve for reading.
    """

    def __init__(
        self,
        source: TokenSource,
        wanted: IndexToken,
        open_index: Callable[[TokenSource], Index],
        console: Console,
    ) -> None:
        self.source = source
        self._wanted = wanted
        self._open_index = open_index
        self._console = console
        self._lock = Lock()
        weaker = source.read_only() if wanted in {"auto", "read-only"} else None
        self._reader = weaker or source
        self.index = open_index(self._reader)

    def files(self, name: str) -> Mapping[str, IndexFile]:
        """What the index lists for a project. Under `auto`, settles on the first call who reads.

        Raises:
            Failure: Neither identity may read, or the index cannot be reached.
        """
        with self._lock:
            index, may_fall_back = self.index, self._wanted == "auto" and self._reader is not self.source
        try:
            return index.files(name)
        except (CredentialsFailure, RegistryRefused):
            if not may_fall_back:
                raise
        listed = self._open_index(self.source).files(name)
        with self._lock:
            self._reader, self.index = self.source, self._open_index(self.source)
        return listed

    def get_ready(self) -> None:
        """Get the reader's token before it is needed.

        Raises:
            Failure: There is none to be had.
        """
        self._reader.token()

    @property
    def reads_as_publisher(self) -> bool:
        """Whether no weaker token than the publishing one reads."""
        return self._reader is self.source

    def line_token(self) -> Token | None:
        """The token for the ready line; None where none is wanted."""
        if self._wanted == "none":
            return None
        if self._wanted == "auto" and self.reads_as_publisher:
            self._console.warning(
                "The ready line carries the publishing token, for no read-only one could be had. "
                "Set `index-token: publisher` to accept that, or `index-token: none`."
            )
        return self._reader.token()

    def reading_token(self) -> Token:
        """A token that reads, for the installer of build requirements: the weakest that can be had."""
        weaker = None if self._wanted == "auto" else self.source.read_only()
        return (weaker or self._reader).token()


def open_access(
    repository: Repository,
    credential: Credential,
    index_token: IndexToken,
    context: Context,
    session: requests.Session,
) -> Access:
    """Find out who publishes and who reads.

    Raises:
        Failure: There are no credentials.
    """
    refuse_plain_http(repository.upload_url, context.endpoints.emulator)
    source = open_source(credential, context, session)
    return read_as(source, repository, index_token, context, session)


def read_as(
    source: TokenSource,
    repository: Repository,
    index_token: IndexToken,
    context: Context,
    session: requests.Session,
) -> Access:
    """Read a repository as one identity, or as weakly as it can."""

    def open_index(reader: TokenSource) -> Index:
        return Index(
            repository.index_url,
            files_url=repository.files_url,
            session=session,
            source=reader,
            retry_policy=context.retry_policy,
            on_wait=context.console.info,
        )

    return Access(source, index_token, open_index, context.console)


def open_login(inputs: Mapping[str, str], context: Context, *, keyring: bool, narrow: bool) -> Login:
    """The user name and password that a tool is to show the index.

    Args:
        inputs: The inputs by their names, `json-key` included.
        context: Where this happens.
        keyring: Whether the tool asks its keyring, unless a key is to be the password.
        narrow: Whether a token is to read alone, as far as that can be had.

    Raises:
        Failure: Inputs contradict each other, there is no token to be had, or it may not read.
    """
    repository = read_repository(inputs, context.endpoints)
    refuse_plain_http(repository.index_url, context.endpoints.emulator)
    keyring = keyring and JSON_KEY_OPTION.name not in inputs
    unused = [f"`--{each.name}`" for each in CREDENTIAL_INPUTS if each.name in inputs]
    if unused and (keyring or JSON_KEY_OPTION.name in inputs):
        raise BadInput(
            f"{unused[0]} makes a token, but no token is asked for.",
            fix="add --token, or leave it out",
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
    access = open_access(repository, credential, index_token, context, new_session(context.retry_policy))
    access.files("gar-publish")  # any name will do: whoever may not read is told so here, and not by pip
    token = access.line_token()
    return Login(OAUTH_USER, token.value, token.expires_at) if token else NOBODY
