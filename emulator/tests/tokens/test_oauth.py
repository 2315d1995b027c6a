from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from emulated import CLOUD_PLATFORM, PUBLISHER, READER, Clock, Local
from gar_emulator import World
from gar_emulator.world.world import Account

SIGNATURE = ("invalid_grant", "Invalid JWT Signature.")
WINDOW = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."


def _claims(clock: Clock, **changes: Any) -> dict[str, Any]:
    claims = {
        "iss": PUBLISHER,
        "iat": int(clock.now),
        "exp": int(clock.now) + 3600,
        "scope": CLOUD_PLATFORM,
        "aud": "https://oauth2.googleapis.com/token",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _signed(local: Local, claims: dict[str, Any], **header: Any) -> str:
    key = local.emulator.key(PUBLISHER)
    return jwt.encode(claims, key["private_key"], "RS256", {"kid": key["private_key_id"], **header})


def _ask(local: Local, assertion: str) -> tuple[int, dict[str, Any]]:
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    answer = local.session.post(local.url("oauth2.googleapis.com", "/token"), data=form)
    return answer.status_code, answer.json()


def _refused(local: Local, assertion: str) -> tuple[str, str]:
    status, body = _ask(local, assertion)
    assert status == 400
    return body["error"], body["error_description"]


def test_key_gives_a_token_with_the_requested_scopes(local: Local, clock: Clock) -> None:
    status, body = _ask(local, _signed(local, _claims(clock)))
    assert (status, body["expires_in"], body["token_type"]) == (200, 3599, "Bearer")
    who = local.emulator.cloud.identify(body["access_token"])
    assert who
    assert (who.principal, who.scopes) == (f"serviceAccount:{PUBLISHER}", frozenset({CLOUD_PLATFORM}))


def test_unknown_scope_gives_only_an_id_token(local: Local, clock: Clock) -> None:
    status, body = _ask(local, _signed(local, _claims(clock, scope="nonsense")))
    assert (status, set(body)) == (200, {"id_token"})


def test_forged_and_unknown_keys(local: Local, clock: Clock) -> None:
    other = rsa.generate_private_key(65537, 2048)
    kid = local.emulator.key(PUBLISHER)["private_key_id"]
    assert _refused(local, jwt.encode(_claims(clock), other, "RS256", {"kid": kid})) == SIGNATURE
    assert _refused(local, jwt.encode(_claims(clock), other, "RS256")) == SIGNATURE
    assert _refused(local, _signed(local, _claims(clock), kid="unknown")) == SIGNATURE
    assert _refused(local, jwt.encode(_claims(clock), "", "none")) == SIGNATURE
    assert _refused(local, jwt.encode(_claims(clock, iss=READER), other, "RS256")) == SIGNATURE


def test_without_a_key_id_the_accounts_own_key_is_used(local: Local, clock: Clock) -> None:
    assertion = jwt.encode(_claims(clock), local.emulator.key(PUBLISHER)["private_key"], "RS256")
    assert _ask(local, assertion)[0] == 200


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"iss": "none@x"}, "invalid_grant", "Invalid grant: account not found"),
        ({"iat": None}, "invalid_grant", "Invalid JWT: iat (issued at) is not set."),
        ({"exp": None}, "invalid_grant", "Invalid JWT: exp (expiration time) is not set."),
        ({"scope": ""}, "invalid_scope", "Invalid OAuth scope or ID token audience provided."),
        ({"aud": "https://elsewhere"}, "invalid_grant", "Invalid JWT: Failed audience check."),
    ],
)
def test_claims_are_checked(local: Local, clock: Clock, changes: dict[str, Any], error: str, said: str) -> None:
    assert _refused(local, _signed(local, _claims(clock, **changes))) == (error, said)


@pytest.mark.parametrize(("shift", "length"), [(-7200, 3600), (301, 3600), (0, 3601), (0, -301)])
def test_time_window(local: Local, clock: Clock, shift: int, length: int) -> None:
    issued = int(clock.now) + shift
    error, said = _refused(local, _signed(local, _claims(clock, iat=issued, exp=issued + length)))
    assert error == "invalid_grant"
    assert said.startswith(WINDOW)


@pytest.mark.parametrize(("shift", "length"), [(299, 3600), (0, 0), (-3600, 3600)])
def test_small_clock_skew_is_accepted(local: Local, clock: Clock, shift: int, length: int) -> None:
    issued = int(clock.now) + shift
    assert _ask(local, _signed(local, _claims(clock, iat=issued, exp=issued + length)))[0] == 200


def test_order_of_the_checks(local: Local, clock: Clock) -> None:
    everything_wrong = _claims(clock, iss="none@x", iat=None, exp=None, scope="", aud="x")
    assert _refused(local, "nonsense") == ("invalid_request", "Bad Request")
    assert _refused(local, _signed(local, everything_wrong, kid="unknown")) == SIGNATURE
    assert _refused(local, _signed(local, everything_wrong))[1] == "Invalid grant: account not found"


def test_a_login_gives_a_token_of_its_user(local: Local) -> None:
    url, form = local.url("oauth2.googleapis.com", "/token"), local.emulator.login("dev@example.com")
    body = local.session.post(url, data={**form, "grant_type": "refresh_token"}).json()
    who = local.emulator.cloud.identify(body["access_token"])
    assert who
    assert (who.principal, who.client_project) == ("user:dev@example.com", "764086051850")
    revoked = local.session.post(url, data={**form, "grant_type": "refresh_token", "refresh_token": "1//revoked"})
    assert (revoked.status_code, revoked.json()["error"]) == (400, "invalid_grant")


def test_grant_type_is_checked(local: Local) -> None:
    answer = local.session.post(local.url("oauth2.googleapis.com", "/token"), data={"grant_type": "x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize(
    ("account", "said"),
    [
        (Account(PUBLISHER, disabled=True), "Invalid grant: account disabled"),
        (Account(PUBLISHER, deleted=True), "Invalid grant: account not found"),
    ],
)
def test_deleted_or_disabled_account(
    start: Callable[..., Local], default: World, clock: Clock, account: Account, said: str
) -> None:
    local = start(replace(default, accounts=(account,)))
    assert _refused(local, _signed(local, _claims(clock))) == ("invalid_grant", said)


def test_disabled_key(start: Callable[..., Local], default: World, clock: Clock) -> None:
    local = start(replace(default, keys=tuple(replace(key, disabled=True) for key in default.keys)))
    assert _refused(local, _signed(local, _claims(clock))) == SIGNATURE
