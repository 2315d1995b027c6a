"""The IAM API: service accounts, and workload identity pools (`pools.py`).

https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts
"""

import base64
import json
import re
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_emulator.admin import policies, pools
from gar_emulator.cloud.cloud import Cloud, steady_id
from gar_emulator.cloud.refusals import api, json_body
from gar_emulator.world.world import Account, Key

HOST = "iam.googleapis.com"
_NAME = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")


def routes(cloud: Cloud) -> list[Route]:
    accounts = Accounts(cloud)
    parent = "/v1/projects/{project}/serviceAccounts"
    one = f"{parent}/{{account}}"
    return [
        *policies.routes(cloud, one, "iam.serviceAccounts", accounts.of_policy),
        Route(parent, accounts.listing),
        Route(parent, accounts.create, methods=["POST"]),
        Route(f"{one}/keys", accounts.create_key, methods=["POST"]),
        Route(f"{one}:enable", accounts.enable, methods=["POST"]),
        Route(f"{one}:disable", accounts.disable, methods=["POST"]),
        Route(one, accounts.get),
        Route(one, accounts.delete, methods=["DELETE"]),
        *pools.routes(cloud),
    ]


class Accounts:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def create(self, request: Request) -> Response:
        project = self._cloud.authorize_project(request, "iam.serviceAccounts.create")
        body = await json_body(request)
        name, given = str(body.get("accountId", "")), body.get("serviceAccount") or {}
        if not _NAME.fullmatch(name):
            raise api(400, f"Invalid service account ID: {name}")
        email = f"{name}@{project.id}.iam.gserviceaccount.com"
        if self._cloud.account(email):
            raise api(409, f"Service account {name} already exists within project {project.resource}.")
        made = Account(
            email, display_name=str(given.get("displayName", "")), description=str(given.get("description", ""))
        )
        self._cloud.put(made)
        return JSONResponse(_shown(made))

    async def get(self, request: Request) -> Response:
        return JSONResponse(_shown(self._find(request, "iam.serviceAccounts.get")))

    async def listing(self, request: Request) -> Response:
        project = self._cloud.authorize_project(request, "iam.serviceAccounts.list")
        accounts = [item for item in self._cloud.world.accounts if item.project == project.id and not item.deleted]
        return JSONResponse({"accounts": [_shown(item) for item in accounts]} if accounts else {})

    async def enable(self, request: Request) -> Response:
        self._cloud.put(replace(self._find(request, "iam.serviceAccounts.enable"), disabled=False))
        return JSONResponse({})

    async def disable(self, request: Request) -> Response:
        self._cloud.put(replace(self._find(request, "iam.serviceAccounts.disable"), disabled=True))
        return JSONResponse({})

    async def delete(self, request: Request) -> Response:
        self._cloud.put(replace(self._find(request, "iam.serviceAccounts.delete"), deleted=True))
        return JSONResponse({})

    async def create_key(self, request: Request) -> Response:
        """https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.keys/create"""
        account = self._find(request, "iam.serviceAccountKeys.create")
        content = self._cloud.keys.account_key(account.email)
        self._cloud.put(Key(account.email))
        return JSONResponse(
            {
                "name": f"{account.resource}/keys/{content['private_key_id']}",
                "privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE",
                "privateKeyData": base64.b64encode(json.dumps(content, indent=2).encode()).decode(),
                "keyAlgorithm": "KEY_ALG_RSA_2048",
            }
        )

    def of_policy(self, request: Request, permission: str) -> str:
        return self._find(request, permission).resource

    def _find(self, request: Request, permission: str) -> Account:
        """Return the account of a call, found by its e-mail address alone.

        Raises:
            Refusal: 401, 403 or 404.
        """
        email = request.path_params["account"]
        self._cloud.authorize(request, permission, Account(email).resource)
        found = self._cloud.account(email)
        if found is None:
            raise api(404, f"Unknown service account: {email}")
        return found


def _shown(account: Account) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": account.resource,
        "projectId": account.project,
        "uniqueId": steady_id(account.email),
        "email": account.email,
        "oauth2ClientId": steady_id(account.email),
        "displayName": account.display_name,
        "description": account.description,
        "disabled": account.disabled,
    }
    return {name: value for name, value in item.items() if value not in {"", False}}
