import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gar_emulator.cloud.refusals import Refusal
from gar_emulator.tokens.cel import admit, extract
from gar_emulator.world.world import Provider

CLAIMS = {"sub": "repo:octo-org/hello:ref:refs/heads/main", "repository_owner": "octo-org", "n": 3}
PROVIDER = Provider("p", "pool", "id", "https://issuer", {"google.subject": "assertion.sub"})


def _refusal(provider: Provider, claims: Mapping[str, object] = CLAIMS) -> tuple[int, str, str]:
    with pytest.raises(Refusal) as caught:
        admit(provider, claims, 401)
    body = json.loads(bytes(caught.value.response.body))
    return caught.value.response.status_code, body["error"], body["error_description"]


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ("repo:{repository}:ref", "octo-org/hello"),
        ("{kind}:", "repo"),
        ("refs/heads/{branch}", "main"),
        ("refs/tags/{tag}", ""),
        ("repo:{repository}:environment", ""),
    ],
)
def test_extract_returns_the_part_in_braces(template: str, part: str) -> None:
    assert extract(CLAIMS["sub"], template) == part  # type: ignore[arg-type] # a string


@given(st.text(alphabet="abc"), st.text(alphabet="xyz"), st.text(alphabet="abc"))
def test_extract_reverses_formatting(before: str, part: str, after: str) -> None:
    found = extract(f"{before}{part}{after}", before + "{part}" + after)
    assert found == (part if after else part + after)


def test_mapping_is_cel() -> None:
    mapping = {
        "google.subject": "assertion.sub",
        "attribute.owner": "assertion.sub.extract('repo:{owner}/')",
        "attribute.main": "assertion.sub.endsWith('main') ? 'yes' : 'no'",
        "google.groups": "[assertion.repository_owner]",
    }
    assert admit(replace(PROVIDER, mapping=mapping), CLAIMS, 401) == {
        "google.subject": CLAIMS["sub"],
        "attribute.owner": "octo-org",
        "attribute.main": "yes",
        "google.groups": ["octo-org"],
    }


@pytest.mark.parametrize(
    "condition",
    [
        "assertion.repository_owner == 'octo-org'",
        "google.subject.startsWith('repo:octo-org/')",
        "attribute.owner == 'octo-org' && assertion.n > 2",
        "'octo-org' in ['a', attribute.owner]",
        "has(assertion.n) && !has(assertion.environment)",
    ],
)
def test_condition_can_use_claims_and_attributes(condition: str) -> None:
    mapping = {"google.subject": "assertion.sub", "attribute.owner": "assertion.repository_owner"}
    admit(replace(PROVIDER, mapping=mapping, condition=condition), CLAIMS, 401)


@pytest.mark.parametrize(
    "condition",
    ["assertion.repository_owner == 'evil'", "assertion.missing == 'x'", "assertion.sub", "nonsense(1)"],
)
def test_condition_must_be_true(condition: str) -> None:
    assert _refusal(replace(PROVIDER, condition=condition)) == (
        401,
        "unauthorized_client",
        "The given credential is rejected by the attribute condition.",
    )


def test_subject_has_at_most_127_bytes() -> None:
    admit(PROVIDER, {"sub": "é" * 63}, 401)
    assert _refusal(PROVIDER, {"sub": "é" * 64}) == (
        400,
        "invalid_request",
        "The size of mapped attribute google.subject exceeds the 127 bytes limit.",
    )


@pytest.mark.parametrize("claims", [{}, {"sub": ""}, {"sub": 3}])
def test_subject_must_be_a_non_empty_string(claims: dict[str, object]) -> None:
    assert _refusal(PROVIDER, claims)[:2] == (400, "invalid_grant")
