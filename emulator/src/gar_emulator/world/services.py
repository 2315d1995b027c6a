"""The services that a project can enable."""

ARTIFACT_REGISTRY = "artifactregistry.googleapis.com"
SERVICES = {
    ARTIFACT_REGISTRY: "Artifact Registry API",
    "cloudresourcemanager.googleapis.com": "Cloud Resource Manager API",
    "iam.googleapis.com": "Identity and Access Management (IAM) API",
    "iamcredentials.googleapis.com": "IAM Service Account Credentials API",
    "serviceusage.googleapis.com": "Service Usage API",
    "sts.googleapis.com": "Security Token Service API",
}
