"""How a binding names whoever publishes.

https://cloud.google.com/iam/docs/principal-identifiers
"""

import json
from pathlib import Path

import requests

from gar_publish.auth.application_default import VARIABLE
from gar_publish.auth.metadata_server import ACCOUNT_PATH, HEADERS, NO_PROXY, address
from gar_publish.doctor import conditions
from gar_publish.doctor.case import Case
from gar_publish.settings import credential
from gar_publish.settings.credential import Ambient, Federation
from gar_publish.transport.session import is_success


def member(case: Case) -> str:
    """The member, as precisely as it can be known; the word MEMBER where nobody but Google knows."""
    match case.credential:
        case None:
            return "MEMBER"
        case Federation(provider, None):
            mapping = conditions.mapping_of(case.viewer.provider(provider) or {})
            ours = conditions.mapped(mapping, case.claims)
            for found in conditions.members(provider.partition("/providers/")[0], ours).values():
                return found
        case Ambient() if account := attached_account(case):
            return f"serviceAccount:{account}"
    repository = {"GITHUB_REPOSITORY": str(case.claims["repository"])} if "repository" in case.claims else {}
    return credential.member(case.credential, {**case.context.environment, **repository})


def attached_account(case: Case) -> str | None:
    """The account that the machine's own credentials speak for, where a key or the metadata server says so."""
    if path := case.context.environment.get(VARIABLE):
        try:
            info = json.loads(Path(path).read_text("utf-8-sig"))
        except (OSError, ValueError):
            return None
        account = info.get("client_email") if isinstance(info, dict) else None
        return account if isinstance(account, str) else None
    if case.source is None or case.source.kind != "metadata server":
        return None
    url = f"{address(case.context.endpoints, case.context.environment)}/{ACCOUNT_PATH}"
    try:
        answer = case.session.get(url, headers=HEADERS, proxies=NO_PROXY, allow_redirects=False)
    except requests.RequestException:
        return None
    return answer.text.strip() if is_success(answer) and "@" in answer.text else None
