from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from emulated import AUDIENCE, Clock, Local
from gar_emulator.tokens.github import claims_of

HOST = "token.actions.githubusercontent.com"


def test_discovery_leads_to_the_signing_key(local: Local, clock: Clock) -> None:
    discovery = local.session.get(local.url(HOST, "/.well-known/openid-configuration")).json()
    assert discovery["issuer"] == f"https://{HOST}"
    keys = jwt.PyJWKSet.from_dict(local.session.get(discovery["jwks_uri"]).json())
    token = local.id_token()
    claims = jwt.decode(token, keys[jwt.get_unverified_header(token)["kid"]], ["RS256"], audience=f"https:{AUDIENCE}")
    assert claims["iss"] == f"https://{HOST}"
    assert claims["sub"] == "repo:octo-org/hello:ref:refs/heads/main"
    assert (claims["iat"], claims["exp"] - claims["iat"]) == (int(clock.now), 300)


def test_request_address_has_a_query(local: Local) -> None:
    url = local.emulator.job()["ACTIONS_ID_TOKEN_REQUEST_URL"]
    assert parse_qs(urlsplit(url).query) == {"api-version": ["2.0"]}


def test_default_audience_is_the_owners_address(local: Local) -> None:
    claims = jwt.decode(local.id_token(audience=""), options={"verify_signature": False})
    assert claims["aud"] == "https://github.com/octo-org"


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic abc"])
def test_request_token_is_required(local: Local, header: str | None) -> None:
    url = local.emulator.job()["ACTIONS_ID_TOKEN_REQUEST_URL"]
    assert local.session.get(url, headers={"Authorization": header} if header else {}).status_code == 401


@pytest.mark.parametrize(
    ("job", "subject"),
    [
        ({}, "repo:octo-org/hello:ref:refs/heads/main"),
        ({"ref": "refs/tags/v1"}, "repo:octo-org/hello:ref:refs/tags/v1"),
        ({"event_name": "pull_request"}, "repo:octo-org/hello:pull_request"),
        ({"environment": "prod:eu"}, "repo:octo-org/hello:environment:prod%3Aeu"),
        ({"repository": "a/b"}, "repo:a/b:ref:refs/heads/main"),
        ({"sub": "given"}, "given"),
    ],
)
def test_subject_follows_from_the_job(job: dict[str, str], subject: str) -> None:
    assert claims_of(job, immutable=False)["sub"] == subject


def test_subject_with_ids(start: Callable[..., Local]) -> None:
    local = start(immutable_subject=True)
    claims = jwt.decode(local.id_token(), options={"verify_signature": False})
    owner, repository = claims["repository_owner_id"], claims["repository_id"]
    assert claims["sub"] == f"repo:octo-org@{owner}/hello@{repository}:ref:refs/heads/main"


def test_claims() -> None:
    claims = claims_of({"repository": "a/b", "ref": "refs/tags/v1"}, immutable=False)
    assert (claims["repository_owner"], claims["ref_type"]) == ("a", "tag")
    assert claims["workflow_ref"] == "a/b/.github/workflows/publish.yml@refs/tags/v1"
    assert all(isinstance(value, str) for value in claims.values())
