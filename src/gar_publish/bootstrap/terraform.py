"""The setup as a Terraform configuration.

https://registry.terraform.io/providers/hashicorp/google/latest/docs
"""

import json

from gar_publish.bootstrap.setup import ADVICE, DAYS, IMPERSONATOR, POLICY, PROVIDER, Setup
from gar_publish.settings.repository import PREVIEWS_LABEL

_POOL = "${google_iam_workload_identity_pool.github.name}"
_POLICY = (
    "  cleanup_policies {",
    f"    id     = {json.dumps(POLICY)}",
    '    action = "DELETE"',
    "    condition {",
    '      tag_state  = "ANY"',
    f'      older_than = "{DAYS * 24 * 60 * 60}s"',
    "    }",
    "  }",
)
_OWNER = "${var.github_owner_id}"
_REPOSITORY = "${var.github_repository_id}"


def as_terraform(setup: Setup) -> str:
    """Return one file, complete except for the provider's settings."""
    repository = setup.repository
    project = json.dumps(repository.project)
    account = "google_service_account.publisher"
    jobs = json.dumps(setup.member(_POOL, _OWNER, _REPOSITORY))
    writer = f"{account}.member" if setup.account else jobs
    name, value = PREVIEWS_LABEL
    width = max(len(json.dumps(name)) for name in setup.mapping)  # as `terraform fmt` aligns them
    blocks = [
        "\n".join(
            [
                f"# Lets {setup.principal} publish {setup.packages} to {repository}.",
                *([] if setup.account else [f"# {line}" for line in ADVICE]),
            ]
        ),
        _block(
            "terraform",
            "  required_providers {\n    google = {\n"
            '      source  = "hashicorp/google"\n      version = ">= 5.0"\n    }\n  }',
        ),
        *(
            _block(
                f'variable "github_{name}"',
                f"  description = {json.dumps(f'A number that GitHub never reuses: {command}')}",
                "  type        = string",
                *([f"  default     = {json.dumps(value)}"] if value else []),
            )
            for name, (value, command) in setup.ids.items()
        ),
        _block(
            'resource "google_project_service" "publishing"',
            f"  for_each           = toset({json.dumps(setup.services)})",
            f"  project            = {project}",
            "  service            = each.value",
            "  disable_on_destroy = false",
        ),
        _block(
            'resource "google_artifact_registry_repository" "python"',
            f"  project       = {project}",
            f"  location      = {json.dumps(repository.location)}",
            f"  repository_id = {json.dumps(repository.name)}",
            '  format        = "PYTHON"',
            f"  description   = {json.dumps(setup.description)}",
            *([f"  labels        = {{ {json.dumps(name)} = {json.dumps(value)} }}"] if setup.previews else []),
            "  depends_on    = [google_project_service.publishing]",
            *(_POLICY if setup.previews else ()),
        ),
        _block(
            'resource "google_iam_workload_identity_pool" "github"',
            f"  project                   = {project}",
            f"  workload_identity_pool_id = {json.dumps(setup.pool)}",
            '  display_name              = "GitHub Actions"',
            "  depends_on                = [google_project_service.publishing]",
        ),
        _block(
            'resource "google_iam_workload_identity_pool_provider" "github"',
            f"  project                            = {project}",
            "  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id",
            f"  workload_identity_pool_provider_id = {json.dumps(PROVIDER)}",
            '  display_name                       = "GitHub Actions"',
            f"  attribute_condition                = {json.dumps(setup.condition(_OWNER, _REPOSITORY))}",
            "  attribute_mapping = {",
            *(f"    {json.dumps(name):<{width}} = {json.dumps(claim)}" for name, claim in setup.mapping.items()),
            "  }",
            "  oidc {",
            f"    issuer_uri = {json.dumps(setup.issuer)}",
            "  }",
        ),
        *(
            [
                _block(
                    'resource "google_service_account" "publisher"',
                    f"  project      = {project}",
                    f"  account_id   = {json.dumps(setup.account)}",
                    '  display_name = "Publishes Python packages"',
                    "  depends_on   = [google_project_service.publishing]",
                ),
                _block(
                    'resource "google_service_account_iam_member" "jobs"',
                    f"  service_account_id = {account}.name",
                    f"  role               = {json.dumps(IMPERSONATOR)}",
                    f"  member             = {jobs}",
                ),
            ]
            if setup.account
            else []
        ),
        _block(
            'resource "google_artifact_registry_repository_iam_member" "writer"',
            f"  project    = {project}",
            "  location   = google_artifact_registry_repository.python.location",
            "  repository = google_artifact_registry_repository.python.name",
            f"  role       = {json.dumps(setup.role)}",
            f"  member     = {writer}",
        ),
        _block(
            'output "workload_identity_provider"',
            '  description = "The value of workload-identity-provider in the workflow."',
            "  value       = google_iam_workload_identity_pool_provider.github.name",
        ),
    ]
    return "\n\n".join(blocks) + "\n"


def _block(head: str, *lines: str) -> str:
    return "\n".join([f"{head} {{", *lines, "}"])
