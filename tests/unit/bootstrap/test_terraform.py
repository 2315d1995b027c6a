from typing import Any

import hcl2
import pytest

from gar_publish.bootstrap.terraform import as_terraform
from tests.unit.bootstrap.examples import IDS, make_setup


def read(**options: Any) -> dict[str, dict[str, Any]]:
    """Return resources by type, and variables by name."""
    text = as_terraform(make_setup(**options))
    parsed = hcl2.loads(text, serialization_options=hcl2.SerializationOptions(strip_string_quotes=True))
    found = {kind: body for block in parsed["resource"] for kind, names in block.items() for body in names.values()}
    return {**found, "variable": {name: body for block in parsed["variable"] for name, body in block.items()}}


def test_terraform_makes_the_same_as_the_script() -> None:
    found = read(environment="release", **IDS)
    expected = make_setup(environment="release", **IDS)
    provider = found["google_iam_workload_identity_pool_provider"]
    condition = provider["attribute_condition"]
    for name, value in IDS.items():
        assert found["variable"][name]["default"] == value
        condition = condition.replace(f"${{var.{name}}}", value)
    assert condition == expected.condition("11", "22")
    assert {name.strip('"'): claim for name, claim in provider["attribute_mapping"].items()} == expected.mapping
    assert found["google_iam_workload_identity_pool"]["workload_identity_pool_id"] == expected.pool
    assert found["google_artifact_registry_repository"]["repository_id"] == "python"
    member = found["google_artifact_registry_repository_iam_member"]["member"]
    assert member.startswith("principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/")
    assert "google_service_account" not in found


def test_account() -> None:
    found = read(account="publisher")
    assert found["google_service_account"]["account_id"] == "publisher"
    assert found["google_service_account_iam_member"]["role"] == "roles/iam.workloadIdentityUser"
    assert found["google_artifact_registry_repository_iam_member"]["role"] == "roles/artifactregistry.writer"
    assert "default" not in found["variable"]["github_owner_id"]


def test_previews() -> None:
    found = read(previews=True)
    repository = found["google_artifact_registry_repository"]
    assert {name.strip('"'): value for name, value in repository["labels"].items()} == {"gar-publish": "previews"}
    (policy,) = repository["cleanup_policies"]
    assert (policy["action"], policy["condition"][0]["older_than"]) == ("DELETE", "2592000s")
    assert found["google_artifact_registry_repository_iam_member"]["role"] == "roles/artifactregistry.repoAdmin"


def test_organisation() -> None:
    found = read(github="octo-org", issuer="https://token.actions.octo.ghe.com")
    (oidc,) = found["google_iam_workload_identity_pool_provider"]["oidc"]
    assert oidc["issuer_uri"] == "https://token.actions.octo.ghe.com"
    assert set(found["variable"]) == {"github_owner_id"}
    assert "repository_id" not in found["google_iam_workload_identity_pool_provider"]["attribute_condition"]


def test_the_parser_notices_a_syntax_error() -> None:
    with pytest.raises(Exception, match=r"."):
        hcl2.loads(as_terraform(make_setup()).replace("resource", "resource =", 1))
