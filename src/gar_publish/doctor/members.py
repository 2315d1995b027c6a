"""How a binding names whoever publishes.

https://cloud.google.com/iam/docs/principal-identifiers
"""

import json
from pathlib import Path

import requests

from gar_publish import identity
from gar_publish.credentials.ambient import VARIABLE
from gar_publish.credentials.metadata import ACCOUNT_PATH, HEADERS, NO_PROXY, address
from gar_publish.doctor import attributes
from gar_publish.doctor.case import Case
from gar_publish.http import is_success
from gar_publish.identity import Ambient, Federation


def member(case: Case) -> str:
    """The member, as precisely as it can be known; the word MEMBER where nobody but Google knows."""
    match case.credential:
        case None:
            return "MEMBER"
        case Federation(provider, None):
            mapping = attributes.mapping_of(case.onlooker.provider(provider) or {})
            ours = attributes.mapped(mapping, case.claims)
            for found in attributes.members(provider.partition("/providers/")[0], ours).values():
                return found
        case Ambient() if account := attached_account(case):
            return f"serviceAccount:{account}"
    repository = {"GITHUB_REPOSITORY": str(case.claims["repository"])} if "repository" in case.claims else {}
    return identity.member(case.credential, {**case.around.environment, **repository})


def attached_account(case: Case) -> str | None:
    """The account that the machine's own credentials speak for, where a key or the metadata server says so."""
    if path := case.around.environment.get(VARIABLE):
        try:
            info = json.loads(Path(path).read_text("utf-8-sig"))
        except (OSError, ValueError):
            return None
        account = info.get("client_email") if isinstance(info, dict) else None
        return account if isinstance(account, str) else None
    if case.source is None or case.source.kind != "metadata server":
        return None
    url = f"{address(case.around.endpoints, case.around.environment)}/{ACCOUNT_PATH}"
    try:
        answer = case.session.get(url, headers=HEADERS, proxies=NO_PROXY, allow_redirects=False)
    except requests.RequestException:
        return None
    return answer.text.strip() if is_success(answer) and "@" in answer.text else None
