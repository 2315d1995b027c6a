"""What is judged from IAM's answers about a pool, beside what the planted worlds show (`test_doctor.py`)."""

import pytest

from gar_publish.doctor import why_exchange
from tests.unit.doctor.conftest import FEDERATION, IAM, MAPPING, POOL, PROVIDER, MakeCase, answer, refused
from tests.unit.servers import Reply, ScriptedServer


def test_a_condition_that_keeps_out_this_run_alone_is_left_alone(make: MakeCase, server: ScriptedServer) -> None:
    server.on(f"{IAM}/{PROVIDER}", answer(attributeCondition="assertion.ref_type == 'tag'", attributeMapping=MAPPING))
    found = why_exchange.exchange(refused("attribute-condition"), make(), FEDERATION)
    assert "the condition keeps out such runs" in found.cause
    assert "gcloud" not in found.fix


def test_another_repository_is_let_in_beside_those_that_are(make: MakeCase, server: ScriptedServer) -> None:
    condition = "assertion.repository == 'octo-org/other'"
    server.on(f"{IAM}/{PROVIDER}", answer(attributeCondition=condition))
    found = why_exchange.exchange(refused("attribute-condition"), make(), FEDERATION)
    assert "lets in other repositories" in found.cause
    assert f"--attribute-condition=\"({condition} || assertion.repository_id == '42')\"" in found.fix


@pytest.mark.parametrize("provider", [Reply(403), answer(name=PROVIDER)])
def test_a_condition_that_cannot_be_seen_changes_nothing(
    make: MakeCase, server: ScriptedServer, provider: Reply
) -> None:
    server.on(f"{IAM}/{PROVIDER}", provider)
    failure = refused("attribute-condition")
    assert why_exchange.exchange(failure, make(), FEDERATION) is failure


@pytest.mark.parametrize(
    ("condition", "unmet"),
    [
        ("assertion.sub.contains('x')", ""),
        (
            "assertion.repository_owner == 'octo-inc' || assertion.ref_type == 'tag'",
            (
                "; of it, this does not hold: repository_owner == 'octo-inc' (it is 'octo-org'), "
                "ref_type == 'tag' (it is 'branch')"
            ),
        ),
    ],
)
def test_a_condition_that_cannot_be_judged_is_shown(
    make: MakeCase, server: ScriptedServer, condition: str, unmet: str
) -> None:
    server.on(f"{IAM}/{PROVIDER}", answer(attributeCondition=condition, attributeMapping=MAPPING))
    failure = refused("attribute-condition")
    found = why_exchange.exchange(failure, make(), FEDERATION)
    assert found.cause == f"{failure.cause}; the condition is {condition}{unmet}"
    assert found.fix == failure.fix


def test_a_condition_that_other_runs_of_this_repository_meet_is_not_to_be_replaced(
    make: MakeCase, server: ScriptedServer
) -> None:
    condition = "assertion.ref_type == 'tag' || assertion.ref_type == 'other'"
    server.on(f"{IAM}/{PROVIDER}", answer(attributeCondition=condition))
    found = why_exchange.exchange(refused("attribute-condition"), make(), FEDERATION)
    assert "ref_type == 'tag' (it is 'branch'), ref_type == 'other' (it is 'branch')" in found.cause
    assert found.fix.startswith("run it where the condition holds")


def test_audiences_on_the_list_stay_there(make: MakeCase, server: ScriptedServer) -> None:
    server.on(f"{IAM}/{PROVIDER}", answer(oidc={"allowedAudiences": ["https://github.com/octo-org"]}))
    found = why_exchange.exchange(refused("audience"), make(), FEDERATION)
    assert f"--allowed-audiences=https://github.com/octo-org,https://iam.googleapis.com/{PROVIDER}" in found.fix


def test_a_mapping_with_commas_of_its_own_stays_whole(make: MakeCase, server: ScriptedServer) -> None:
    mapping = {"google.subject": "assertion.sub", "attribute.x": "assertion.sub.replace('a', 'b')"}
    server.on(f"{IAM}/{PROVIDER}", answer(attributeMapping=mapping))
    found = why_exchange.exchange(refused("subject-too-long"), make(), FEDERATION)
    whole = "^~^google.subject=assertion.repository_id~attribute.x=assertion.sub.replace('a', 'b')"
    assert found.fix.endswith(f'--attribute-mapping="{whole}"')


def test_a_pool_that_is_misspelt(make: MakeCase, server: ScriptedServer) -> None:
    server.on("/cloudresourcemanager.googleapis.com/v1/projects/demo-project", answer(projectNumber="123456789012"))
    server.on(f"{IAM}/{POOL.rpartition('/')[0]}", answer(workloadIdentityPools=[{"name": f"{POOL}-actions"}]))
    server.on(f"{IAM}/{POOL}", Reply(404))
    found = why_exchange.exchange(refused("provider-missing"), make(), FEDERATION)
    assert "has no pool github, but one that is called github-actions" in found.cause
    assert f"  workload-identity-provider: {PROVIDER.replace('Pools/github', 'Pools/github-actions')}" in found.fix


def test_nothing_near_is_no_cause(make: MakeCase) -> None:
    failure = refused("provider-missing")
    assert why_exchange.exchange(failure, make(), FEDERATION) is failure
