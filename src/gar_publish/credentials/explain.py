"""What a refused credential means."""

import re
from collections.abc import Mapping

import requests

from gar_publish.credentials.reasons import OTHER, SERVICES, UNKNOWN, Reason
from gar_publish.errors import CredentialsFailure
from gar_publish.refusals import harmless, server_text


def explain(response: requests.Response, names: Mapping[str, str]) -> CredentialsFailure:
    """Turn a refusal of the chain GitHub, STS, IAM Credentials, OAuth, metadata server into words that help.

    Args:
        response: The answer, which is not 200.
        names: What the table's `{names}` stand for; a missing one is shown as its own name in capitals.
    """
    service = next((each for each in SERVICES if re.search(each.url, response.url)), OTHER)
    body = server_text(response)
    words = _words(response) or body
    seen = f"HTTP {response.status_code}\n{words}\n{body}"
    known = _Names(names)
    reason = next((each for each in service.reasons if _fits(each, seen, known["claims"])), UNKNOWN)
    return CredentialsFailure(
        f"{service.what.format_map(known)} (HTTP {response.status_code}).",
        cause=reason.cause.format_map(known),
        fix=reason.fix.format_map(known),
        anchor=reason.anchor,
        detail=words,
    )


def _fits(reason: Reason, seen: str, claims: str) -> bool:
    return bool(re.search(reason.says, seen, re.IGNORECASE) and re.search(reason.claims, claims))


class _Names(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return name.upper()


def _words(response: requests.Response) -> str:
    """The message of an error as OAuth (RFC 6749, section 5.2) or Google's APIs (AIP-193) shape it."""
    try:
        body = response.json()
        error = body["error"]
        if isinstance(error, dict):
            text = f"{error.get('status') or error.get('code', '')}: {error['message']}".lstrip(": ")
        else:
            text = f"{error}: {body.get('error_description', '')}".rstrip(": ")
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return harmless(text)[:1000]


def project_of(account: str) -> str:
    """The project in an account's address; `example.com:project` stands in it the other way round."""
    found = re.fullmatch(r"[^@]+@([^.@]+)(?:\.([^@]+))?\.iam\.gserviceaccount\.com", account)
    if not found:
        return "PROJECT"
    return f"{found[2]}:{found[1]}" if found[2] else found[1]
