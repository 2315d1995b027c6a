"""What is judged from IAM's answers about an account, beside what the planted worlds show (`test_doctor.py`)."""

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

    def test_nobody_is_bound(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server)
        found = why_impersonation.impersonation(refused("impersonation-denied"), make(), FEDERATION)
        assert found.cause.endswith("nobody is bound to it")
        assert f"--member=principalSet://iam.googleapis.com/{POOL}/attribute.repository/octo-org/hello" in found.fix

    @pytest.mark.parametrize("member", [OURS, f"principalSet://iam.googleapis.com/{POOL}/*"])
    def test_who_is_bound_is_not_to_be_bound_again(self, make: MakeCase, server: ScriptedServer, member: str) -> None:
        self.bind(server, CAPITALS, member)
        found = why_impersonation.impersonation(refused("impersonation-denied"), make(), FEDERATION)
        assert found.cause.startswith(f"the account is bound to {member}, which this job is")
        assert "minutes" in found.cause
        assert "add-iam-policy-binding" not in found.fix
        assert "gcloud iam service-accounts get-iam-policy" in found.fix

    def test_a_binding_may_have_a_condition(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server, OURS, condition=UNTIL)
        found = why_impersonation.impersonation(refused("impersonation-denied"), make(), FEDERATION)
        assert f"on a condition, {UNTIL}, which does not hold" in found.cause
        assert f"--member={OURS} --condition=None" in found.fix
        (asked,) = server.asked(f"{ACCOUNTS}/{ACCOUNT}:getIamPolicy")
        assert asked.query == {"options.requestedPolicyVersion": ["3"]}

    def test_other_capitals_are_told_whatever_the_condition(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server, CAPITALS, condition=UNTIL)
        found = why_impersonation.impersonation(refused("impersonation-denied"), make(), FEDERATION)
        assert found.cause.endswith("and GitHub writes that with other capitals")

    def test_the_old_subject_is_bound(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server, f"principal://iam.googleapis.com/{POOL}/subject/repo:octo-org/hello:ref:refs/heads/main")
        found = why_impersonation.impersonation(refused("immutable-subject"), make(), FEDERATION)
        assert found.anchor == "immutable-subject"
        assert "the subject of this job holds ids" in found.cause

    def test_a_mapping_that_cannot_be_followed_changes_nothing(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server, mapping={"google.subject": "assertion.sub.upperAscii()"})
        failure = refused("impersonation-denied")
        assert why_impersonation.impersonation(failure, make(), FEDERATION) is failure

    def test_an_account_that_is_like_no_other_is_made(self, make: MakeCase, server: ScriptedServer) -> None:
        others = [{"email": f"{name}@demo-project.iam.gserviceaccount.com"} for name in ("x", "y")]
        server.on(ACCOUNTS, answer(accounts=others))
        server.on(f"{ACCOUNTS}/{ACCOUNT}", Reply(404))
        stranger = Federation(PROVIDER, "zzzzzzzzzzzzzzzz@other.iam.gserviceaccount.com", "https://x.example.com", "x")
        server.on(f"{IAM}/projects/other/serviceAccounts", answer(accounts=others))
        server.on(f"{IAM}/projects/other/serviceAccounts/{stranger.service_account}", Reply(404))
        found = why_impersonation.impersonation(refused("impersonation-denied"), make(), stranger)
        assert found.anchor == "account-missing"

    def test_other_refusals_stay_what_they_are(self, make: MakeCase) -> None:
        failure = refused("api-disabled")
        assert why_impersonation.impersonation(failure, make(), FEDERATION) is failure


class TestKey:
    def test_a_deleted_account_comes_back_by_its_number(self, make: MakeCase) -> None:
        found = why_impersonation.credential(refused("account-missing"), make(KEY))
        assert "gcloud iam service-accounts undelete 103271949540120710052 --project=demo-project" in found.fix

    def test_of_account_and_key_the_account_is_off(self, make: MakeCase, server: ScriptedServer) -> None:
        server.on(f"{ACCOUNTS}/{ACCOUNT}", answer(email=ACCOUNT, disabled=True))
        found = why_impersonation.credential(refused("account-disabled"), make(KEY))
        assert found.fix.endswith(f"gcloud iam service-accounts enable {ACCOUNT} --project=demo-project")

    def test_anything_else_stays_what_it_is(self, make: MakeCase, server: ScriptedServer) -> None:
        failure = refused("key-deleted")
        assert why_impersonation.credential(failure, make(KEY)) is failure
        assert server.seen == []
        assert why_impersonation.credential(failure, make(Ambient())) is failure
