"""Causes that the planted worlds of `tests/integration/test_doctor.py` do not cover."""

import pytest

from gar_publish.doctor import why_exchange
from tests.unit.doctor.conftest import FEDERATION, IAM, MAPPING, POOL, PROVIDER, MakeCase, answer, refused
from tests.unit.servers import Reply, ScriptedServer


def test_suggests_no_change_of_a_condition_that_excludes_only_this_run(make: MakeCase, server: ScriptedServer) -> None:
    server.on(f"{IAM}/{PROVIDER}", answer(attributeCondition="assertion.ref_type == 'tag'", attributeMapping=MAPPING))
    found = why_exchange.explain_exchange(refused("attribute-condition"), make(), FEDERATION)
    assert "the condition excludes runs like this one" in found.cause
    assert "gcloud" not in found.fix


def test_admits_this_repository_in_addition_to_others(make: MakeCase, server: ScriptedServer) -> None:
    condition = "assertion.repository == 'octo-org/other'"
    server.on(f"{IAM}/{PROVIDER}", answer(attributeCondition=condition))
    found = why_exchange.explain_exchange(refused("attribute-condition"), make(), FEDERATION)
    assert "admits other repositories" in found.cause
    assert f"--attribute-condition=\"({condition} || assertion.repository_id == '42')\"" in found.fix


@pytest.mark.parametrize("provider", [Reply(403), answer(name=PROVIDER)])
def test_keeps_the_failure_if_the_condition_is_not_visible(
    make: MakeCase, server: ScriptedServer, provider: Reply
) -> None:
    server.on(f"{IAM}/{PROVIDER}", provider)
    failure = refused("attribute-condition")
    assert why_exchange.explain_exchange(failure, make(), FEDERATION) is failure


@pytest.mark.parametrize(
    ("condition", "unmet"),
    [
        ("assertion.sub.contains('x')", ""),
        (
            "assertion.repository_owner == 'octo-inc' || assertion.ref_type == 'tag'",
            (
                "; this part of it is false: repository_owner == 'octo-inc' (it is 'octo-org'), "
                "ref_type == 'tag' (it is 'branch')"
            ),
        ),
    ],
)
def test_shows_a_condition_that_it_cannot_judge(
    make: MakeCase, server: ScriptedServer, condition: str, unmet: str
) -> None:
    server.on(f"{IAM}/{PROVIDER}", answer(attributeCondition=condition, attributeMapping=MAPPING))
    failure = refused("attribute-condition")
    found = why_exchange.explain_exchange(failure, make(), FEDERATION)
    assert found.cause == f"{failure.cause}; the condition is {condition}{unmet}"
    assert found.fix == failure.fix


def test_does_not_replace_a_condition_that_other_runs_meet(make: MakeCase, server: ScriptedServer) -> None:
    condition = "assertion.ref_type == 'tag' || assertion.ref_type == 'other'"
    server.on(f"{IAM}/{PROVIDER}", answer(attributeCondition=condition))
    found = why_exchange.explain_exchange(refused("attribute-condition"), make(), FEDERATION)
    assert "ref_type == 'tag' (it is 'branch'), ref_type == 'other' (it is 'branch')" in found.cause
    assert found.fix.startswith("run the job where the condition is true")


def test_keeps_the_other_audiences(make: MakeCase, server: ScriptedServer) -> None:
    server.on(f"{IAM}/{PROVIDER}", answer(oidc={"allowedAudiences": ["https://github.com/octo-org"]}))
    found = why_exchange.explain_exchange(refused("audience"), make(), FEDERATION)
    assert f"--allowed-audiences=https://github.com/octo-org,https://iam.googleapis.com/{PROVIDER}" in found.fix


def test_keeps_commas_in_a_mapping(make: MakeCase, server: ScriptedServer) -> None:
    mapping = {"google.subject": "assertion.sub", "attribute.x": "assertion.sub.replace('a', 'b')"}
    server.on(f"{IAM}/{PROVIDER}", answer(attributeMapping=mapping))
    found = why_exchange.explain_exchange(refused("subject-too-long"), make(), FEDERATION)
    whole = "^~^google.subject=assertion.repository_id~attribute.x=assertion.sub.replace('a', 'b')"
    assert found.fix.endswith(f'--attribute-mapping="{whole}"')


def test_finds_a_misspelt_pool(make: MakeCase, server: ScriptedServer) -> None:
    server.on("/cloudresourcemanager.googleapis.com/v1/projects/demo-project", answer(projectNumber="123456789012"))
    server.on(f"{IAM}/{POOL.rpartition('/')[0]}", answer(workloadIdentityPools=[{"name": f"{POOL}-actions"}]))
    server.on(f"{IAM}/{POOL}", Reply(404))
    found = why_exchange.explain_exchange(refused("provider-missing"), make(), FEDERATION)
    assert "has no pool github, but it has github-actions" in found.cause
    assert f"`workload-identity-provider: {PROVIDER.replace('Pools/github', 'Pools/github-actions')}`" in found.fix


def test_keeps_the_failure_if_no_name_is_similar(make: MakeCase) -> None:
    failure = refused("provider-missing")
    assert why_exchange.explain_exchange(failure, make(), FEDERATION) is failure
