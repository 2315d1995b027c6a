"""The set-up as Terraform's configuration.

https://registry.terraform.io/providers/hashicorp/google/latest/docs
"""

import json

from gar_publish.bootstrap.setup import IMPERSONATOR, ISSUER, PROVIDER, WRITER, Wanted

_POOL = "${google_iam_workload_identity_pool.github.name}"
_OWNER = "${var.github_owner_id}"
_REPOSITORY = "${var.github_repository_id}"


def as_terraform(wanted: Wanted) -> str:
    """One file, complete but for the settings of the provider."""
    repository = wanted.repository
    project = json.dumps(repository.project)
    account = "google_service_account.publisher"
    jobs = json.dumps(wanted.jobs(_POOL, _OWNER, _REPOSITORY))
    writer = f"{account}.member" if wanted.account else jobs
    width = max(len(json.dumps(name)) for name in wanted.mapping)  # as `terraform fmt` has it
    blocks = [
        f"# Lets {wanted.who} publish Python packages to {repository}.",
        _block(
            "terraform",
            "  required_providers {\n    google = {\n"
            '      source  = "hashicorp/google"\n      version = ">= 5.0"\n    }\n  }',
        ),
        *(
            _block(
                f'variable "github_{name}"',
                f"  description = {json.dumps(f'GitHub never gives this number away again: {command}')}",
                "  type        = string",
                *([f"  default     = {json.dumps(value)}"] if value else []),
            )
            for name, (value, command) in wanted.ids.items()
        ),
        _block(
            'resource "google_project_service" "publishing"',
            f"  for_each           = toset({json.dumps(wanted.services)})",
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
            '  description   = "Private Python packages"',
            "  depends_on    = [google_project_service.publishing]",
        ),
        _block(
            'resource "google_iam_workload_identity_pool" "github"',
            f"  project                   = {project}",
            f"  workload_identity_pool_id = {json.dumps(wanted.pool)}",
            '  display_name              = "GitHub Actions"',
            "  depends_on                = [google_project_service.publishing]",
        ),
        _block(
            'resource "google_iam_workload_identity_pool_provider" "github"',
            f"  project                            = {project}",
            "  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id",
            f"  workload_identity_pool_provider_id = {json.dumps(PROVIDER)}",
            '  display_name                       = "GitHub Actions"',
            f"  attribute_condition                = {json.dumps(wanted.condition(_OWNER, _REPOSITORY))}",
            "  attribute_mapping = {",
            *(f"    {json.dumps(name):<{width}} = {json.dumps(claim)}" for name, claim in wanted.mapping.items()),
            "  }",
            "  oidc {",
            f"    issuer_uri = {json.dumps(ISSUER)}",
            "  }",
        ),
        *(
            [
                _block(
                    'resource "google_service_account" "publisher"',
                    f"  project      = {project}",
                    f"  account_id   = {json.dumps(wanted.account)}",
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
            if wanted.account
            else []
        ),
        _block(
            'resource "google_artifact_registry_repository_iam_member" "writer"',
            f"  project    = {project}",
            "  location   = google_artifact_registry_repository.python.location",
            "  repository = google_artifact_registry_repository.python.name",
            f"  role       = {json.dumps(WRITER)}",
            f"  member     = {writer}",
        ),
        _block(
            'output "workload_identity_provider"',
            '  description = "What the workflow names as workload-identity-provider."',
            "  value       = google_iam_workload_identity_pool_provider.github.name",
        ),
    ]
    return "\n\n".join(blocks) + "\n"


def _block(head: str, *lines: str) -> str:
    return "\n".join([f"{head} {{", *lines, "}"])
