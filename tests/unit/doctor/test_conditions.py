import subprocess

import pytest

from gar_publish.doctor import conditions
from gar_publish.doctor.conditions import Mismatch, quoted

CLAIMS = {
    "repository": "octo-org/hello",
    "repository_id": "42",
    "repository_owner": "octo-org",
    "ref": "refs/heads/main",
    "ref_type": "branch",
    "sub": "repo:octo-org/hello:ref:refs/heads/main",
}
IMMUTABLE = "repo:octo-org@7/hello@42:ref:refs/heads/main"
MAPPING = {"google.subject": "assertion.sub", "attribute.owner": "assertion.repository_owner"}


def decisive(condition: str, claims: dict[str, str] = CLAIMS) -> Mismatch | None:
    """Return the likeliest comparison that makes the whole condition false."""
    return next((each for each in conditions.find_mismatches(condition, MAPPING, claims) if each.needed), None)


@pytest.mark.parametrize(
    ("condition", "why", "changed"),
    [
        (
            "assertion.repository_owner == 'Octo-Org' && assertion.ref_type == 'branch'",
            "letter case",
            "assertion.repository_owner == 'octo-org' && assertion.ref_type == 'branch'",
        ),
        ('attribute.owner=="OCTO-ORG"', "letter case", 'attribute.owner=="octo-org"'),
        (
            "assertion.repository == 'o/b' && assertion.ref_type == 'branch'",
            "another repository",
            "(assertion.repository == 'o/b' || assertion.repository_id == '42') && assertion.ref_type == 'branch'",
        ),
        (
            "assertion.repository_owner == 'octo-org' && assertion.ref_type == 'tag'",
            "another run",
            "assertion.repository_owner == 'octo-org' && assertion.ref_type == 'branch'",
        ),
        (
            "assertion.ref_type == 'tag' && google.subject == 'x'",
            "another repository",
            "assertion.ref_type == 'tag' && (google.subject == 'x' || assertion.repository_id == '42')",
        ),
        (
            "google.subject == 'repo:octo-org/hello:ref:refs/heads/rel'",
            "another run",
            "google.subject == 'repo:octo-org/hello:ref:refs/heads/main'",
        ),
        (
            "assertion.repository_owner == 'octo-inc' && (assertion.ref == 'x' || assertion.ref == 'y')",
            "another repository",
            (
                "(assertion.repository_owner == 'octo-inc' || assertion.repository_id == '42') "
                "&& (assertion.ref == 'x' || assertion.ref == 'y')"
            ),
        ),
        (
            "(assertion.ref == 'x' || assertion.ref != 'y') && ((assertion.repository_owner == 'Octo-Org'))",
            "letter case",
            "(assertion.ref == 'x' || assertion.ref != 'y') && ((assertion.repository_owner == 'octo-org'))",
        ),
        (
            "(assertion.repository_owner == 'octo-org' && (assertion.ref_type == 'tag')) && assertion.ref != '&& ('",
            "another run",
            "(assertion.repository_owner == 'octo-org' && (assertion.ref_type == 'branch')) && assertion.ref != '&& ('",
        ),
    ],
)
def test_finds_the_false_comparison_and_changes_no_other(condition: str, why: str, changed: str) -> None:
    found = decisive(condition)
    assert found
    assert (found.why, found.condition) == (why, changed)


def test_distinguishes_a_subject_with_ids_from_another_repository() -> None:
    claims = {**CLAIMS, "sub": IMMUTABLE}
    found = decisive(f"google.subject == '{CLAIMS['sub']}'", claims)
    assert found
    assert (found.why, found.condition) == ("immutable subject", f"google.subject == '{IMMUTABLE}'")
    other = decisive("google.subject == 'repo:octo-org/other:ref:refs/heads/main'", claims)
    assert other
    assert other.why == "another repository"


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "assertion.repository_owner == 'octo-org'",
        "assertion.sub.startsWith('repo:evil/')",
        "attribute.unknown == 'x'",
        "assertion.repository_owner == 'octo-inc' || assertion.ref == 'refs/heads/rel'",
        "assertion.repository_owner == 'octo-org' && (assertion.ref == 'x' || assertion.repository == 'y')",
        "assertion.repository_owner == 'octo-inc' && assertion.ref == 'x' || assertion.ref == 'y'",
        "!(assertion.ref == 'refs/heads/rel') && assertion.ref != 'refs/heads/main'",
        "assertion.repository_owner == 'octo-inc' ? assertion.ref == 'x' : assertion.ref == 'y'",
        "(assertion.ref_type == 'branch' || (assertion.ref == 'x' && assertion.ref == 'y'))",
        r"assertion.ref == 'it\'s'",
    ],
)
def test_ignores_a_comparison_that_may_be_false(condition: str) -> None:
    assert decisive(condition) is None


def test_lists_the_members_that_survive_a_renaming_first() -> None:
    mapping = {
        "google.subject": "assertion.sub",
        "attribute.repository": "assertion.repository",
        "attribute.repository_id": "assertion.repository_id",
        "attribute.shouted": "assertion.repository.upperAscii()",
    }
    pool = "projects/1/locations/global/workloadIdentityPools/github"
    assert list(conditions.list_members(pool, conditions.map_claims(mapping, CLAIMS)).values()) == [
        f"principalSet://iam.googleapis.com/{pool}/attribute.repository_id/42",
        f"principalSet://iam.googleapis.com/{pool}/attribute.repository/octo-org/hello",
        f"principal://iam.googleapis.com/{pool}/subject/{CLAIMS['sub']}",
    ]


def test_lists_all_false_comparisons() -> None:
    condition = (
        "assertion.repository_owner == 'octo-org' && (assertion.ref == 'rel' || google.subject == \"x\")"
        " || assertion.ref == 'rel' || assertion.actor == 'me'"
    )
    found = conditions.find_mismatches(condition, MAPPING, CLAIMS)
    assert [(each.claim, each.wanted) for each in found] == [
        ("sub", "x"),
        ("ref", "rel"),
        ("ref", "rel"),
        ("actor", "me"),
    ]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("plain", "plain"),
        ("assertion.repository_owner == 'octo-org'", "\"assertion.repository_owner == 'octo-org'\""),
        ('assertion.sub == "x"', "'assertion.sub == \"x\"'"),
    ],
)
def test_quotes_a_condition_readably(text: str, word: str) -> None:
    assert quoted(text) == word


@pytest.mark.parametrize("text", ["'$HOME'", "'`id`'", "'\\'", "'!x'", "'\"'"])
def test_a_shell_reads_a_quoted_text_unchanged(text: str) -> None:
    done = subprocess.run(["/bin/sh", "-c", f"printf %s {quoted(text)}"], capture_output=True, text=True, check=True)
    assert done.stdout == text
