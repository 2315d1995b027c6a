"""Causes that the planted worlds of `tests/integration/test_doctor.py` do not cover."""

from typing import Any

import pytest

from gar_publish.doctor import why_impersonation
from gar_publish.settings.credential import Ambient, Federation
from tests.unit.doctor.conftest import (
    ACCOUNT,
    ACCOUNTS,
    FEDERATION,
    IAM,
    KEY,
    MAPPING,
    POOL,
    PROVIDER,
    MakeCase,
    answer,
    refused,
)
from tests.unit.servers import Reply, ScriptedServer

OURS = f"principalSet://iam.googleapis.com/{POOL}/attribute.repository/octo-org/hello"
CAPITALS = f"principalSet://iam.googleapis.com/{POOL}/attribute.repository/Octo-Org/hello"
UNTIL = "request.time < timestamp('2026-01-01T00:00:00Z')"


class TestImpersonation:
    def bind(
        self, server: ScriptedServer, *members: str, mapping: dict[str, str] | None = None, condition: str = ""
    ) -> None:
        server.on(f"{IAM}/{PROVIDER}", answer(attributeMapping=MAPPING if mapping is None else mapping))
        server.on(f"{ACCOUNTS}/{ACCOUNT}", answer(email=ACCOUNT))
        binding: dict[str, Any] = {"role": "roles/iam.workloadIdentityUser", "members": members}
        if condition:
            binding["condition"] = {"title": "until", "expression": condition}
        server.on(f"{ACCOUNTS}/{ACCOUNT}:getIamPolicy", answer(bindings=[binding]))

    def test_no_identity_is_bound(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server)
        found = why_impersonation.explain_impersonation(refused("impersonation-denied"), make(), FEDERATION)
        assert found.cause.endswith("the role is granted to no one")
        assert f"--member=principalSet://iam.googleapis.com/{POOL}/attribute.repository/octo-org/hello" in found.fix

    @pytest.mark.parametrize("member", [OURS, f"principalSet://iam.googleapis.com/{POOL}/*"])
    def test_does_not_suggest_a_binding_that_exists(self, make: MakeCase, server: ScriptedServer, member: str) -> None:
        self.bind(server, CAPITALS, member)
        found = why_impersonation.explain_impersonation(refused("impersonation-denied"), make(), FEDERATION)
        assert found.cause.startswith(f"the service account's binding is for {member}, which includes this job")
        assert "minutes" in found.cause
        assert "add-iam-policy-binding" not in found.fix
        assert "gcloud iam service-accounts get-iam-policy" in found.fix

    def test_shows_the_condition_of_a_binding(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server, OURS, condition=UNTIL)
        found = why_impersonation.explain_impersonation(refused("impersonation-denied"), make(), FEDERATION)
        assert f"under a condition that is false: {UNTIL}" in found.cause
        assert f"--member={OURS} --condition=None" in found.fix
        (asked,) = server.asked(f"{ACCOUNTS}/{ACCOUNT}:getIamPolicy")
        assert asked.query == {"options.requestedPolicyVersion": ["3"]}

    def test_names_a_difference_in_case_whatever_the_condition(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server, CAPITALS, condition=UNTIL)
        found = why_impersonation.explain_impersonation(refused("impersonation-denied"), make(), FEDERATION)
        assert found.cause.endswith("which differs from GitHub's spelling in upper and lower case")

    def test_recognizes_a_binding_of_the_old_subject(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server, f"principal://iam.googleapis.com/{POOL}/subject/repo:octo-org/hello:ref:refs/heads/main")
        found = why_impersonation.explain_impersonation(refused("immutable-subject"), make(), FEDERATION)
        assert found.anchor == "immutable-subject"
        assert "this job's `sub` claim also contains numeric IDs" in found.cause

    def test_keeps_the_failure_if_the_mapping_is_not_understood(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server, mapping={"google.subject": "assertion.sub.upperAscii()"})
        failure = refused("impersonation-denied")
        assert why_impersonation.explain_impersonation(failure, make(), FEDERATION) is failure

    def test_suggests_creating_an_account_if_no_name_is_similar(self, make: MakeCase, server: ScriptedServer) -> None:
        others = [{"email": f"{name}@demo-project.iam.gserviceaccount.com"} for name in ("x", "y")]
        server.on(ACCOUNTS, answer(accounts=others))
        server.on(f"{ACCOUNTS}/{ACCOUNT}", Reply(404))
        stranger = Federation(PROVIDER, "zzzzzzzzzzzzzzzz@other.iam.gserviceaccount.com", "https://x.example.com", "x")
        server.on(f"{IAM}/projects/other/serviceAccounts", answer(accounts=others))
        server.on(f"{IAM}/projects/other/serviceAccounts/{stranger.service_account}", Reply(404))
        found = why_impersonation.explain_impersonation(refused("impersonation-denied"), make(), stranger)
        assert found.anchor == "account-missing"

    def test_keeps_other_refusals(self, make: MakeCase) -> None:
        failure = refused("api-disabled")
        assert why_impersonation.explain_impersonation(failure, make(), FEDERATION) is failure


class TestKey:
    def test_restores_a_deleted_account_by_its_number(self, make: MakeCase) -> None:
        found = why_impersonation.explain_credential(refused("account-missing"), make(KEY))
        assert "gcloud iam service-accounts undelete 103271949540120710052 --project=demo-project" in found.fix

    def test_says_that_the_account_is_disabled_rather_than_the_key(
        self, make: MakeCase, server: ScriptedServer
    ) -> None:
        server.on(f"{ACCOUNTS}/{ACCOUNT}", answer(email=ACCOUNT, disabled=True))
        found = why_impersonation.explain_credential(refused("account-disabled"), make(KEY))
        assert found.fix.endswith(f"gcloud iam service-accounts enable {ACCOUNT} --project=demo-project")

    def test_keeps_other_failures(self, make: MakeCase, server: ScriptedServer) -> None:
        failure = refused("key-deleted")
        assert why_impersonation.explain_credential(failure, make(KEY)) is failure
        assert server.seen == []
        assert why_impersonation.explain_credential(failure, make(Ambient())) is failure
