"""Who publishes: access tokens of one identity, from any of the kinds that the contract names."""

from collections.abc import Mapping

import requests

from gar_publish.auth.tokens import FreshSource, GivenSource, Token, TokenSource
from gar_publish.console import Console
from gar_publish.context import RetryPolicy
from gar_publish.settings.credential import Ambient, Credential, Federation, GivenToken, Key, KeyPassword
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.index_url import KEY_USER

__all__ = ["Token", "TokenSource", "open_source"]


def open_source(
    credential: Credential,
    *,
    endpoints: Endpoints,
    session: requests.Session,
    retry_policy: RetryPolicy,
    console: Console,
    environment: Mapping[str, str],
) -> TokenSource:
    """Open the one source of tokens that the settings name; only an ambient one is looked for at once.

    Args:
        credential: What the settings name.
        endpoints: Google's hosts, or the emulator's.
        session: What requests are made with.
        retry_policy: How long to insist on an answer.
        console: Learns every token before anybody else, to mask it.
        environment: Where ambient credentials are looked for.

    Raises:
        BadInput: A credentials file is not one.
        CredentialsFailure: There are no ambient credentials.
    """
    if isinstance(credential, GivenToken):
        console.mask(credential.value)
        return GivenSource(credential.value)
    if isinstance(credential, KeyPassword):
        console.mask(credential.value)
        return GivenSource(credential.value, KEY_USER)
    from gar_publish.auth.exchange import Exchange  # a given token needs none of it

    exchange = Exchange(endpoints, session, retry_policy, console)
    match credential:
        case Federation():
            from gar_publish.auth import workload_identity

            console.mask(credential.request_token)
            return FreshSource("workload identity", workload_identity.Federated(credential, exchange).fetch)
        case Key():
            from gar_publish.auth import service_account_key

            return FreshSource("service-account key", service_account_key.Keyed(credential, exchange).fetch)
        case Ambient():
            from gar_publish.auth import application_default

            return application_default.open_ambient(exchange, environment)
