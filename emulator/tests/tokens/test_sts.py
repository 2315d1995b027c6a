import json
from collections.abc import Callable
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from emulated import AUDIENCE, CLOUD_PLATFORM, POOL, READ_ONLY, Clock, Local
from gar_emulator import World
from gar_emulator.world.world import Pool

STALE = "is stale to sign-in."


def _refused(local: Local, token: str, **fields: str) -> tuple[int, str, str]:
    answer = local.exchange(token, **fields)
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    return answer.status_code, body["error"], body["error_description"]


@pytest.mark.parametrize(
    ("issuer", "status"),
    [
        ("https://token.actions.githubusercontent.com/octo-enterprise", 200),
        ("https://token.actions.octo.ghe.com", 200),
        ("https://token.actions.octo.ghe.com.example.org", 400),
    ],
)
def test_issuers_of_github(start: Callable[..., Local], default: World, issuer: str, status: int) -> None:
    (provider,) = default.providers
    local = start(replace(default, providers=(replace(provider, issuer=issuer),)))
    assert local.exchange(local.id_token(iss=issuer)).status_code == status


def test_form_is_exchanged(local: Local) -> None:
    answer = local.exchange(local.id_token())
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("access_token").startswith("ya29.d.")
    assert body == {
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 300,
    }


def test_token_ends_with_the_subject_token(local: Local, clock: Clock) -> None:
    subject = local.id_token()
    clock.now += 200
    answer = local.exchange(subject).json()
    assert answer["expires_in"] == 100
    clock.now += 99
    assert local.emulator.cloud.identify(answer["access_token"])
    clock.now += 1
    assert local.emulator.cloud.identify(answer["access_token"]) is None


def test_lifetime_of_an_hour_is_a_switch(start: Callable[..., Local]) -> None:
    local = start(federated_lifetime=3600)
    assert local.exchange(local.id_token()).json()["expires_in"] == 3600


def test_json_in_camel_case_is_exchanged(local: Local) -> None:
    answer = local.session.post(
        local.url("sts.googleapis.com", "/v1/token"),
        json={
            "audience": AUDIENCE,
            "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
            "scope": CLOUD_PLATFORM,
            "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
            "subjectToken": local.id_token(),
        },
    )
    assert answer.status_code == 200


def test_token_identifies_the_subject_and_its_attributes(local: Local) -> None:
    token = local.exchange(local.id_token(ref="refs/tags/v1"), scope=READ_ONLY).json()["access_token"]
    who = local.emulator.cloud.identify(token)
    assert who
    assert who.principal == f"principal://{POOL}/subject/repo:octo-org/hello:ref:refs/tags/v1"
    assert who.scopes == frozenset({READ_ONLY})
    assert f"principalSet://{POOL}/attribute.ref/refs/tags/v1" in who.members


@pytest.mark.parametrize("audience", [AUDIENCE, f"https:{AUDIENCE}"])
def test_audience_with_and_without_scheme(local: Local, audience: str) -> None:
    assert local.exchange(local.id_token(audience)).status_code == 200


def test_other_owners_are_refused(local: Local) -> None:
    refused = _refused(local, local.id_token(repository="evil/hello"))
    assert refused == (
        401,
        "unauthorized_client",
        "The given credential is rejected by the attribute condition.",
    )


def test_status_of_the_condition_is_a_switch(start: Callable[..., Local]) -> None:
    local = start(attribute_condition_status=400)
    assert local.exchange(local.id_token(repository="evil/hello")).status_code == 400


@pytest.mark.parametrize(
    ("audience", "error"),
    [
        ("", "invalid_request"),
        (AUDIENCE.partition("/providers")[0], "invalid_request"),
        (AUDIENCE.replace("123456789012", "demo-project"), "invalid_target"),
        (f"{AUDIENCE}-two", "invalid_target"),
    ],
)
def test_audience_must_name_a_provider(local: Local, audience: str, error: str) -> None:
    assert _refused(local, local.id_token(), audience=audience)[:2] == (400, error)


@pytest.mark.parametrize("part", ["pools", "providers"])
def test_disabled_and_missing_look_the_same(start: Callable[..., Local], default: World, part: str) -> None:
    if part == "pools":
        world = replace(default, pools=tuple(replace(pool, disabled=True) for pool in default.pools))
    else:
        world = replace(default, providers=tuple(replace(item, disabled=True) for item in default.providers))
    local = start(world)
    assert _refused(local, local.id_token())[1] == "invalid_target"


def test_audience_of_the_subject_token_is_checked(local: Local) -> None:
    assert _refused(local, local.id_token("https://github.com/octo-org")) == (
        400,
        "invalid_grant",
        "The audience in ID Token [https://github.com/octo-org] does not match the expected audience.",
    )


def test_allowed_audiences_replace_the_default_one(start: Callable[..., Local], default: World) -> None:
    provider = replace(default.providers[0], allowed_audiences=("gar",))
    local = start(replace(default, providers=(provider,)))
    assert local.exchange(local.id_token("gar")).status_code == 200
    assert _refused(local, local.id_token())[2].endswith("does not match the expected audience gar.")


def test_times_are_checked(local: Local, clock: Clock) -> None:
    token = local.id_token()
    clock.now += 299
    assert local.exchange(token).status_code == 200
    clock.now += 1
    assert _refused(local, token)[:2] == (400, "invalid_grant")
    assert _refused(local, token)[2].endswith(STALE)
    clock.now -= 1000
    assert _refused(local, token)[2].endswith("is not valid yet.")


def test_issuer_and_signature_are_checked(local: Local) -> None:
    claims = jwt.decode(local.id_token(), options={"verify_signature": False})
    keys = local.emulator.cloud.keys
    other = keys.id_token({**claims, "iss": "https://evil.example"})
    assert _refused(local, other)[2] == (
        "The issuer in ID Token https://evil.example does not match the expected ones: "
        "https://token.actions.githubusercontent.com"
    )
    forged = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256")
    assert _refused(local, forged)[2] == "Invalid ID Token signature."
    unsigned = jwt.encode(claims, "", "none")
    assert _refused(local, unsigned)[2] == "Invalid ID Token signature."
    assert _refused(local, "nonsense")[1] == "invalid_grant"


def test_other_issuer_with_its_keys_in_the_world_file(
    start: Callable[..., Local], default: World, clock: Clock
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k", "alg": "ES256"}
    provider = replace(
        default.providers[0],
        issuer="https://ci.example",
        condition="",
        mapping={"google.subject": "assertion.sub"},
        jwks=json.dumps({"keys": [jwk]}),
    )
    local = start(replace(default, providers=(provider,)))
    now = int(clock.now)
    claims = {"iss": "https://ci.example", "sub": "job", "aud": AUDIENCE, "iat": now, "exp": now + 60}
    token = jwt.encode(claims, key, "ES256", headers={"kid": "k"})
    assert local.exchange(token).status_code == 200


def test_other_issuer_without_keys_cannot_be_reached(start: Callable[..., Local], default: World) -> None:
    provider = replace(default.providers[0], issuer="https://ci.example")
    local = start(replace(default, providers=(provider,), pools=(*default.pools, Pool("demo-project", "two"))))
    token = jwt.encode({"iss": "https://ci.example"}, "", "none")
    assert _refused(local, token)[2] == "Error connecting to the given credential's issuer."


@pytest.mark.parametrize(
    ("field", "error"),
    [
        ("grant_type", "unsupported_grant_type"),
        ("requested_token_type", "invalid_request"),
        ("subject_token_type", "invalid_request"),
    ],
)
def test_fields_are_checked(local: Local, field: str, error: str) -> None:
    assert _refused(local, local.id_token(), **{field: "nonsense"})[:2] == (400, error)


def test_scope_is_required(local: Local) -> None:
    assert _refused(local, local.id_token(), scope=" ")[:2] == (400, "invalid_scope")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_invalid_json_is_refused(local: Local, body: bytes) -> None:
    answer = local.session.post(
        local.url("sts.googleapis.com", "/v1/token"), data=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
