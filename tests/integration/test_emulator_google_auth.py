"""google-auth gets tokens from the emulator, with every kind of credential."""

from collections.abc import Iterator
from typing import Any

import google.auth.transport.requests
import pytest
import requests
from google.auth import identity_pool

from gar_emulator import Emulator
from tests.integration.frontdoors import PUBLISHER

AUDIENCE = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


class Supplier(identity_pool.SubjectTokenSupplier):
    def __init__(self, session: requests.Session, job: dict[str, str]) -> None:
        self._session = session
        self._job = job

    def get_subject_token(self, context: Any, request: Any) -> str:
        del request
        answer = self._session.get(
            f"{self._job['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience=https:{context.audience}",
            headers={"Authorization": f"Bearer {self._job['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
        )
        return str(answer.json()["value"])


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def _federated(emulator: Emulator, session: requests.Session, job: dict[str, str], account: str | None = None) -> Any:
    base = emulator.address("iamcredentials.googleapis.com")
    make: Any = identity_pool.Credentials
    return make(
        audience=AUDIENCE,
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",
        token_url=f"{emulator.address('sts.googleapis.com')}/v1/token",
        subject_token_supplier=Supplier(session, job),
        service_account_impersonation_url=(
            f"{base}/v1/projects/-/serviceAccounts/{account}:generateAccessToken" if account else None
        ),
        scopes=SCOPES,
    )


def _token(credentials: Any, session: requests.Session) -> str:
    credentials.refresh(google.auth.transport.requests.Request(session))
    return str(credentials.token)


def _reaches_the_index(emulator: Emulator, session: requests.Session, token: str) -> str:
    url = f"{emulator.address('us-central1-python.pkg.dev')}/demo-project/python/simple/hello/"
    assert session.get(url, auth=("oauth2accesstoken", token)).status_code == 404  # it can read, and there is no hello
    return emulator.requests[-1].principal


def test_workload_identity_used_directly(emulator: Emulator, session: requests.Session) -> None:
    credentials = _federated(emulator, session, emulator.job())
    assert _reaches_the_index(emulator, session, _token(credentials, session)).startswith("principal://")


def test_workload_identity_with_impersonation(emulator: Emulator, session: requests.Session) -> None:
    credentials = _federated(emulator, session, emulator.job(), PUBLISHER)
    assert _reaches_the_index(emulator, session, _token(credentials, session)) == f"serviceAccount:{PUBLISHER}"
