import pytest

from gar_publish.errors import BadInput
from gar_publish.settings.endpoints import Endpoints


def test_google_is_the_default() -> None:
    endpoints = Endpoints.from_environment({})
    assert endpoints.sts == "https://sts.googleapis.com/v1/token"
    assert endpoints.oauth == "https://oauth2.googleapis.com/token"
    assert endpoints.python_registry("europe-west1") == "https://europe-west1-python.pkg.dev"
    assert endpoints.iam == "https://iam.googleapis.com/v1"
    assert endpoints.resource_manager == "https://cloudresourcemanager.googleapis.com/v1"
    assert endpoints.service_usage == "https://serviceusage.googleapis.com/v1"


@pytest.mark.parametrize("address", ["http://127.0.0.1:8085", "http://127.0.0.1:8085/", "127.0.0.1:8085"])
def test_the_emulator_serves_every_host_below_one_address(address: str) -> None:
    endpoints = Endpoints.from_environment({"GAR_EMULATOR_HOST": address})
    assert endpoints.artifact_registry == "http://127.0.0.1:8085/artifactregistry.googleapis.com/v1"
    assert endpoints.impersonation("a@b").startswith(
        "http://127.0.0.1:8085/iamcredentials.googleapis.com/v1/projects/-/"
    )


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="not the address"):
        Endpoints.from_environment({"GAR_EMULATOR_HOST": "ftp://x"})
