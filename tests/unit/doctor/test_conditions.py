import pytest

from gar_publish.doctor import conditions

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
def test_the_comparison_that_is_false_is_found_and_no_other_is_changed(condition: str, why: str, changed: str) -> None:
    found = conditions.mismatch(condition, MAPPING, CLAIMS)
    assert found
    assert (found.why, found.condition) == (why, changed)


def test_a_subject_with_ids_is_told_from_another_repositorys() -> None:
    claims = {**CLAIMS, "sub": IMMUTABLE}
    found = conditions.mismatch(f"google.subject == '{CLAIMS['sub']}'", MAPPING, claims)
    assert found
    assert (found.why, found.condition) == ("immutable subject", f"google.subject == '{IMMUTABLE}'")
    other = conditions.mismatch("google.subject == 'repo:octo-org/other:ref:refs/heads/main'", MAPPING, claims)
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
def test_what_need_not_be_a_false_comparison_is_no_reason(condition: str) -> None:
    assert conditions.mismatch(condition, MAPPING, CLAIMS) is None


def test_members_begin_with_what_lasts() -> None:
    mapping = {
        "google.subject": "assertion.sub",
        "attribute.repository": "assertion.repository",
        "attribute.repository_id": "assertion.repository_id",
        "attribute.shouted": "assertion.repository.upperAscii()",
    }
    pool = "projects/1/locations/global/workloadIdentityPools/github"
    assert list(conditions.members(pool, conditions.mapped(mapping, CLAIMS)).values()) == [
        f"principalSet://iam.googleapis.com/{pool}/attribute.repository_id/42",
        f"principalSet://iam.googleapis.com/{pool}/attribute.repository/octo-org/hello",
        f"principal://iam.googleapis.com/{pool}/subject/{CLAIMS['sub']}",
    ]


def test_all_comparisons_that_do_not_hold_are_told() -> None:
    condition = (
        "assertion.repository_owner == 'octo-org' && (assertion.ref == 'rel' || google.subject == \"x\")"
        " || assertion.ref == 'rel' || assertion.actor == 'me'"
    )
    unmet = conditions.unmet(condition, MAPPING, CLAIMS)
    assert [(each.claim, each.wanted) for each in unmet] == [
        ("sub", "x"),
        ("ref", "rel"),
        ("ref", "rel"),
        ("actor", "me"),
    ]
