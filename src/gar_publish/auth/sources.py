"""Open the source of access tokens that the settings name."""

import requests

from gar_publish.auth.tokens import FreshSource, GivenSource, TokenSource
from gar_publish.context import Context
from gar_publish.settings.credential import Ambient, Credential, Federation, GivenToken, Key, KeyPassword, member
from gar_publish.settings.index_url import KEY_USER


def find_member(credential: Credential, source: TokenSource, context: Context, session: requests.Session) -> str:
    """Return the name that IAM has for a credential's identity, or the word MEMBER if only Google knows it."""
    if isinstance(credential, Ambient):
        from gar_publish.auth import application_default

        if account := application_default.find_account(source.kind, context, session):
            return f"serviceAccount:{account}"
    return member(credential, context.environment)


def open_source(credential: Credential, context: Context, session: requests.Session) -> TokenSource:
    """Return the source of tokens for a credential. Only an ambient credential is looked for at once.

    Raises:
        BadInput: A credentials file is malformed.
        CredentialsFailure: There are no ambient credentials.
    """
    if isinstance(credential, GivenToken):
        context.console.mask(credential.value)
        return GivenSource(credential.value)
    if isinstance(credential, KeyPassword):
        context.console.mask(credential.value)
        return GivenSource(credential.value, KEY_USER)
    from gar_publish.auth.exchange import Exchange  # a given token does not need it

    exchange = Exchange(context, session)
    match credential:
        case Federation():
            from gar_publish.auth import workload_identity

            context.console.mask(credential.request_token)
            return FreshSource("workload identity", workload_identity.JobIdentity(credential, exchange).fetch)
        case Key():
            from gar_publish.auth import service_account_key

            return FreshSource("service-account key", service_account_key.KeyIdentity(credential, exchange).fetch)
        case Ambient():
            from gar_publish.auth import application_default

            return application_default.open_ambient(exchange)
