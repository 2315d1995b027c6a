"""Compares a setup with Google Cloud, through the REST APIs; changes nothing.

https://cloud.google.com/iam/docs/reference/rest and https://cloud.google.com/service-usage/docs/reference/rest
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

import requests

from gar_publish.bootstrap.setup import IMPERSONATOR, PROVIDER, Setup
from gar_publish.registry.google_api import GoogleApi, json_object, said
from gar_publish.registry.refusals import explain_refusal
from gar_publish.settings.repository import PREVIEWS_LABEL
from gar_publish.transport.session import is_success

State = Literal["ok", "missing", "differs", "unknown"]


@dataclass(frozen=True)
class Finding:
    """The result for one part of the setup.

    Attributes:
        what: The part: "pool github--octo-org--hello".
        state: `unknown` if permission to read it is missing.
        why: What is missing or differs, or the server's answer.
    """

    what: str
    state: State
    why: str = ""


@dataclass(frozen=True)
class _Seen:
    """A resource as the API describes it; empty if it does not."""

    state: State
    body: Mapping[str, Any]
    said: str = ""


class Check:
    """Compares a setup with Google Cloud.

    Args:
        setup: The setup, with both ids.
        api: Makes the calls.
    """

    def __init__(self, setup: Setup, api: GoogleApi) -> None:
        self._setup = setup
        self._api = api
        self._endpoints = api.context.endpoints
        self._project = f"projects/{setup.repository.project}"
        self._pool_path = f"{self._project}/locations/global/workloadIdentityPools/{setup.pool}"

    def findings(self) -> Iterator[Finding]:
        """Yield the result for each part of the setup, in the order of the script.

        Raises:
            RegistryRefused: Google refuses the quota project of a login.
            Unreachable: Google does not answer.
            CredentialsFailure: There is no token to ask with.
        """
        setup, iam = self._setup, self._endpoints.iam
        yield self._services()
        repository = self._look(f"{self._endpoints.artifact_registry}/{setup.repository.resource}")
        yield _compared(f"repository {setup.repository}", repository, self._repository_differs(repository.body))
        pool = self._look(f"{iam}/{self._pool_path}")
        yield _compared(f"pool {setup.pool}", pool, _unusable(pool.body))
        provider = self._look(f"{iam}/{self._pool_path}/providers/{PROVIDER}")
        yield _compared(f"provider {PROVIDER}", provider, self._provider_differs(provider.body))
        member = setup.member(str(pool.body.get("name", "")), setup.owner_id or "", setup.repository_id or "")
        policy = self._look(f"{self._endpoints.artifact_registry}/{setup.repository.resource}:getIamPolicy")
        if setup.email is None:
            yield _bound(setup.principal, setup.role, policy, member, f"on {setup.repository}")
            return
        account = f"{iam}/projects/-/serviceAccounts/{setup.email}"
        seen = self._look(account)
        yield _compared(f"account {setup.email}", seen, _unusable(seen.body))
        yield _bound(setup.email, setup.role, policy, f"serviceAccount:{setup.email}", f"on {setup.repository}")
        policy = self._look(f"{account}:getIamPolicy", method="POST")
        yield _bound(setup.principal, IMPERSONATOR, policy, member, f"on {setup.email}")

    def _services(self) -> Finding:
        names = self._setup.services
        query = urlencode([("names", f"{self._project}/services/{name}") for name in names])
        seen = self._look(f"{self._endpoints.service_usage}/{self._project}/services:batchGet?{query}")
        states = {str(item.get("config", {}).get("name")): item.get("state") for item in seen.body.get("services", [])}
        disabled = [name for name in names if states.get(name) != "ENABLED"]
        if seen.state != "ok":
            return Finding("APIs", seen.state, seen.said)
        return Finding("APIs", "missing", f"not enabled: {', '.join(disabled)}") if disabled else Finding("APIs", "ok")

    def _provider_differs(self, body: Mapping[str, Any]) -> str:
        setup = self._setup
        oidc = body.get("oidc", {})
        condition = setup.condition(setup.owner_id or "", setup.repository_id or "")
        expected: Mapping[str, tuple[Any, Any]] = {
            "issuer": (oidc.get("issuerUri"), setup.issuer),
            "audiences": (oidc.get("allowedAudiences", []), []),
            "attribute mapping": (body.get("attributeMapping"), dict(setup.mapping)),
            "condition": (body.get("attributeCondition"), condition),
        }
        differs = [f"{name} is {found}, not {right}" for name, (found, right) in expected.items() if found != right]
        return "; ".join([*filter(None, [_unusable(body)]), *differs])

    def _repository_differs(self, body: Mapping[str, Any]) -> str:
        kind, mode = body.get("format", "PYTHON"), body.get("mode", "STANDARD_REPOSITORY")
        if (kind, mode) != ("PYTHON", "STANDARD_REPOSITORY"):
            return f"it is a {mode} of format {kind}"
        if not self._setup.previews:
            return ""
        name, value = PREVIEWS_LABEL
        if body.get("labels", {}).get(name) != value:
            return f"it lacks the label {name}={value}"
        policies = [] if body.get("cleanupPolicyDryRun") else body.get("cleanupPolicies", {}).values()
        by_age = any(each.get("action") == "DELETE" and each.get("condition", {}).get("olderThan") for each in policies)
        return "" if by_age else "it has no cleanup policy that deletes by age"

    def _look(self, url: str, method: str = "GET") -> _Seen:
        response = self._api.call(method, url, what=f"read {url.rpartition('/')[2].partition('?')[0]}")
        if is_success(response):
            return _Seen("ok", json_object(response))
        refusal = explain_refusal(response, self._setup.repository, "read", said(response))
        if refusal.anchor == "quota-project":
            raise refusal
        missing = response.status_code == requests.codes.not_found or "SERVICE_DISABLED" in response.text
        return _Seen("missing" if missing else "unknown", {}, said(response))


def _compared(what: str, seen: _Seen, differs: str) -> Finding:
    if seen.state != "ok":
        return Finding(what, seen.state, seen.said)
    return Finding(what, "differs" if differs else "ok", differs)


def _bound(principal: str, role: str, policy: _Seen, member: str, where: str) -> Finding:
    what = f"{role} {where} for {principal}"
    if policy.state != "ok":
        return Finding(what, policy.state, policy.said)
    members = [
        each
        for binding in policy.body.get("bindings", [])
        if binding.get("role") == role and not binding.get("condition")
        for each in binding.get("members", [])
    ]
    return Finding(what, "ok" if member in members else "missing")


def _unusable(body: Mapping[str, Any]) -> str:
    """Return why a pool, provider or account cannot be used; empty if it can."""
    if body.get("state", "ACTIVE") != "ACTIVE":
        return "it is deleted"
    return "it is disabled" if body.get("disabled") else ""
