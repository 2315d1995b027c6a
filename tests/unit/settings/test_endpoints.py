import pytest

from gar_publish.errors import BadInput
from gar_publish.settings.endpoints import Endpoints


def urls(endpoints: Endpoints) -> list[str]:
    return [
        endpoints.sts,
        endpoints.oauth,
        endpoints.impersonation("a@b"),
        endpoints.artifact_registry,
        endpoints.artifact_registry_upload,
        endpoints.iam,
        endpoints.resource_manager,
        endpoints.service_usage,
        endpoints.python_registry("europe-west1"),
    ]


PATHS = [
    "sts.googleapis.com/v1/token",
    "oauth2.googleapis.com/token",
    "iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken",
    "artifactregistry.googleapis.com/v1",
    "artifactregistry.googleapis.com/upload/v1",
    "iam.googleapis.com/v1",
    "cloudresourcemanager.googleapis.com/v1",
    "serviceusage.googleapis.com/v1",
    "europe-west1-python.pkg.dev",
]


@pytest.mark.parametrize(
    ("address", "base"),
    [
        (None, "https://"),
        (" ", "https://"),
        ("http://127.0.0.1:8085", "http://127.0.0.1:8085/"),
        (" https://localhost:8085// ", "https://localhost:8085/"),
        ("127.0.0.1:8085", "http://127.0.0.1:8085/"),
    ],
)
def test_every_service_is_googles_or_the_emulators(address: str | None, base: str) -> None:
    endpoints = Endpoints.from_environment({} if address is None else {"GAR_EMULATOR_HOST": address})
    assert urls(endpoints) == [f"{base}{path}" for path in PATHS]


def test_another_address_is_refused() -> None:
    with pytest.raises(BadInput) as caught:
        Endpoints.from_environment({"GAR_EMULATOR_HOST": "ftp://x"})
    assert caught.value.what == "GAR_EMULATOR_HOST is not the address of an emulator: ftp://x"
    assert caught.value.fix == "set GAR_EMULATOR_HOST to http://127.0.0.1:8085, or unset it to use Google"
    assert caught.value.anchor == "emulator-address"
