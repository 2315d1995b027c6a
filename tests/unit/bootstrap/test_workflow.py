from typing import Any

import pytest
import yaml

from gar_publish.bootstrap.workflow import as_workflow
from tests.conftest import ROOT
from tests.unit.bootstrap.examples import make_setup


def read(**options: Any) -> Any:
    return yaml.safe_load(as_workflow(make_setup(**options), "123"))["jobs"]["publish"]


def test_workflow_of_previews() -> None:
    workflow = yaml.safe_load(as_workflow(make_setup(previews=True, account="publisher"), "123"))
    assert workflow[True]["pull_request"]["types"][-1] == "closed"
    assert workflow["concurrency"]["group"] == "preview-${{ github.event.number }}"
    job = workflow["jobs"]["preview"]
    assert job["permissions"] == {"contents": "read", "id-token": "write", "pull-requests": "write"}
    given = job["steps"][-1]["with"]
    assert set(given) <= set(yaml.safe_load((ROOT / "action.yml").read_text())["inputs"])
    assert given["service-account"] == "publisher@my-project.iam.gserviceaccount.com"
    assert given["preview"] == "${{ github.event.action == 'closed' && 'delete' || 'true' }}"


@pytest.mark.parametrize(
    "options", [{}, {"account": "publisher"}, {"environment": "release"}, {"environment": "on"}, {"environment": "1.0"}]
)
def test_workflow(options: dict[str, str]) -> None:
    job = read(**options)
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert job.get("environment") == options.get("environment")
    (step,) = (step for step in job["steps"] if step["uses"] == "org/gar-publish@v1")
    given = step["with"]
    assert set(given) <= set(yaml.safe_load((ROOT / "action.yml").read_text())["inputs"])
    assert given["repository"] == "us-central1/my-project/python"
    pool = make_setup(**options).pool
    assert given["workload-identity-provider"] == make_setup(**options).provider("123")
    assert f"projects/123/locations/global/workloadIdentityPools/{pool}/" in given["workload-identity-provider"]
    account = "publisher@my-project.iam.gserviceaccount.com" if "account" in options else None
    assert given.get("service-account") == account
