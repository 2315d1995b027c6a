"""A service-account key: a signed assertion for an access token (RFC 7523)."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from gar_publish.auth.exchange import Exchange, refresh
from gar_publish.auth.refusals import project_of
from gar_publish.auth.tokens import PUBLISH_SCOPE, Token
from gar_publish.errors import BadInput
from gar_publish.settings.credential import WHOLE_FILE, Key


class KeyIdentity:
    """Exchanges assertions that the key signs for access tokens.

    The key is read once: reading takes longer than signing. Its `token_uri` is not used: it could be an attacker's.
    """

    def __init__(self, key: Key, exchange: Exchange) -> None:
        self._info = key.info
        self._exchange = exchange

    def fetch(self, scope: str) -> Token:
        """Return a new access token.

        Raises:
            BadInput: The private key cannot be read.
            CredentialsFailure: The key is refused.
            Unreachable: The token service does not answer.
        """
        exchange = replace(self._exchange, names=names(self._info))
        return refresh(self._credentials.with_scopes([scope]), exchange)

    @cached_property
    def _credentials(self) -> Any:
        return credentials(self._info, self._exchange, PUBLISH_SCOPE)


def credentials(info: Mapping[str, Any], exchange: Exchange, scope: str) -> Any:
    """Return google-auth's credentials of a key.

    Raises:
        BadInput: The private key cannot be read.
    """
    from google.oauth2 import service_account  # slow to import

    needed = {name: info[name] for name in ("client_email", "private_key", "private_key_id")}
    try:
        return service_account.Credentials.from_service_account_info(
            {**needed, "token_uri": exchange.context.endpoints.oauth}, scopes=[scope]
        )
    except (ValueError, TypeError):
        raise BadInput(
            f"The private key {needed['private_key_id']} of {needed['client_email']} cannot be read.",
            cause="the key was truncated, or its line breaks were lost when it was pasted",
            fix=WHOLE_FILE,
            anchor="key-format",
        ) from None


def names(info: Mapping[str, Any]) -> dict[str, str]:
    """Return the names in messages of failures of a key."""
    account = str(info["client_email"])
    return {"service_account": account, "key_id": str(info["private_key_id"]), "project": project_of(account)}
