"""The URLs of Google's services, or of the emulator."""

from collections.abc import Mapping
from dataclasses import dataclass

from gar_publish.errors import BadInput

EMULATOR_VARIABLE = "GAR_EMULATOR_HOST"


@dataclass(frozen=True)
class Endpoints:
    """The URLs of Google's services.

    The emulator serves all hosts at one address, with the host as the first part of the path:
    `http://127.0.0.1:8085/sts.googleapis.com/v1/token`.

    Attributes:
        emulator: The emulator's address without a trailing slash, or None for Google's own hosts.
    """

    emulator: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Endpoints":
        address = environment.get(EMULATOR_VARIABLE, "").strip().rstrip("/")
        if not address:
            return cls()
        if "://" not in address:
            address = f"http://{address}"
        if not address.startswith(("http://", "https://")):
            raise BadInput(
                f"{EMULATOR_VARIABLE} is not the address of an emulator: {address}",
                fix=f"set {EMULATOR_VARIABLE} to http://127.0.0.1:8085, or unset it to use Google",
                anchor="emulator-address",
            )
        return cls(address)

    def host(self, name: str) -> str:
        """Return the base URL of a host, without a trailing slash."""
        return f"{self.emulator}/{name}" if self.emulator else f"https://{name}"

    @property
    def sts(self) -> str:
        """https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token"""
        return f"{self.host('sts.googleapis.com')}/v1/token"

    @property
    def oauth(self) -> str:
        """https://developers.google.com/identity/protocols/oauth2/service-account"""
        return f"{self.host('oauth2.googleapis.com')}/token"

    def impersonation(self, service_account: str) -> str:
        """https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken"""
        base = self.host("iamcredentials.googleapis.com")
        return f"{base}/v1/projects/-/serviceAccounts/{service_account}:generateAccessToken"

    @property
    def artifact_registry(self) -> str:
        """https://cloud.google.com/artifact-registry/docs/reference/rest"""
        return f"{self.host('artifactregistry.googleapis.com')}/v1"

    @property
    def iam(self) -> str:
        """https://cloud.google.com/iam/docs/reference/rest"""
        return f"{self.host('iam.googleapis.com')}/v1"

    @property
    def resource_manager(self) -> str:
        """https://cloud.google.com/resource-manager/reference/rest/v1/projects"""
        return f"{self.host('cloudresourcemanager.googleapis.com')}/v1"

    @property
    def service_usage(self) -> str:
        """https://cloud.google.com/service-usage/docs/reference/rest"""
        return f"{self.host('serviceusage.googleapis.com')}/v1"

    @property
    def artifact_registry_upload(self) -> str:
        """https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.files/upload"""
        return f"{self.host('artifactregistry.googleapis.com')}/upload/v1"

    def python_registry(self, location: str) -> str:
        """Return the base URL for uploads and the simple index of one location."""
        return self.host(f"{location}-python.pkg.dev")
