"""Finds the name of the publisher in IAM.

https://cloud.google.com/iam/docs/principal-identifiers
"""

from gar_publish.auth.application_default import find_account
from gar_publish.doctor import conditions
from gar_publish.doctor.case import Case
from gar_publish.settings import credential
from gar_publish.settings.credential import Ambient, Federation


def find_member(case: Case) -> str:
    """Return the publisher's IAM member, as exactly as possible; the word MEMBER if only Google knows it."""
    match case.credential:
        case None:
            return "MEMBER"
        case Federation(provider, None):
            mapping = conditions.read_mapping(case.viewer.provider(provider) or {})
            ours = conditions.map_claims(mapping, case.claims)
            for found in conditions.list_members(provider.partition("/providers/")[0], ours).values():
                return found
        case Ambient() if account := find_attached_account(case):
            return f"serviceAccount:{account}"
    named = {"GITHUB_REPOSITORY": "repository", "GITHUB_REPOSITORY_ID": "repository_id"}
    claimed = {name: str(case.claims[claim]) for name, claim in named.items() if claim in case.claims}
    return credential.member(case.credential, {**case.context.environment, **claimed})


def find_attached_account(case: Case) -> str | None:
    """Return the account of the machine's own credentials, if a key or the metadata server names one."""
    return find_account(case.source.kind if case.source else "", case.context, case.session)
