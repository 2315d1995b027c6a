"""The services that a project can enable, and how a call of one that it has disabled is answered."""

from gar_emulator.faults.refusals import Refusal, api

ARTIFACT_REGISTRY = "artifactregistry.googleapis.com"
SERVICES = {
    ARTIFACT_REGISTRY: "Artifact Registry API",
    "cloudresourcemanager.googleapis.com": "Cloud Resource Manager API",
    "iam.googleapis.com": "Identity and Access Management (IAM) API",
    "iamcredentials.googleapis.com": "IAM Service Account Credentials API",
    "serviceusage.googleapis.com": "Service Usage API",
    "sts.googleapis.com": "Security Token Service API",
}


def why_disabled(service: str, number: int) -> str:
    return (
        f"{SERVICES[service]} has not been used in project {number} before or it is disabled. "
        f"Enable it by visiting {_activation(service, number)} then retry. If you enabled this API recently, "
        "wait a few minutes for the action to propagate to our systems and retry."
    )


def disabled(service: str, number: int) -> Refusal:
    """https://cloud.google.com/apis/design/errors#error_info"""
    return api(
        403,
        why_disabled(service, number),
        reason="SERVICE_DISABLED",
        domain="googleapis.com",
        service=service,
        serviceTitle=SERVICES[service],
        consumer=f"projects/{number}",
        activationUrl=_activation(service, number),
    )


def _activation(service: str, number: int) -> str:
    return f"https://console.developers.google.com/apis/api/{service}/overview?project={number}"
