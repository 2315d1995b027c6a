"""The state that all emulated services share, and the one permission check."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Literal

from starlette.requests import Request

from gar_emulator.cloud.attachment_store import AttachmentStore
from gar_emulator.cloud.changes import Changes
from gar_emulator.cloud.keys import Identity, Keys
from gar_emulator.cloud.package_store import PackageStore
from gar_emulator.cloud.refusals import api, disabled, insufficient_scopes, user_project_denied
from gar_emulator.world.iam import Binding, allowed, in_scope
from gar_emulator.world.switches import Switches
from gar_emulator.world.world import Account, Key, Pool, Project, Provider, Repository, World

EXPECTED = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)

_skew = ContextVar("skew", default=0.0)


@contextmanager
def skewed(seconds: float) -> Iterator[None]:
    """Move the clock of the current request by some seconds."""
    before = _skew.set(seconds)
    try:
        yield
    finally:
        _skew.reset(before)


class Cloud:
    """The emulated Google.

    Args:
        world: The declared world.
        data: The folder for everything that is created later.
        clock: Seconds since the epoch.

    Attributes:
        data: The folder.
        true_clock: The clock without the skew that a fault adds to `clock()`.
    """

    def __init__(self, world: World, data: Path, clock: Callable[[], float] = time.time) -> None:
        self.data = data
        self._changes = Changes(data / "setup.json")
        self.world = self._changes.applied(world)
        self.true_clock = clock
        self.keys = Keys(data / "keys", self.clock)
        self.store = PackageStore(data / "repositories")
        self._created: dict[str, float] = {}
        self.attachments = AttachmentStore(data / "attachments")
        for key in world.keys:
            self.keys.verifying_key(key.account)

    def clock(self) -> float:
        """Return the time by the clock of the current endpoint."""
        return self.true_clock() + _skew.get()

    @property
    def switches(self) -> Switches:
        return self.world.switches

    def switch(self, **changes: object) -> None:
        """Change switches while the emulator runs."""
        self.world = replace(self.world, switches=replace(self.world.switches, **changes))  # type: ignore[arg-type] # checked by the dataclass

    def put(self, item: Project | Pool | Provider | Account | Key) -> None:
        """Add an item to the world, or replace the one with its resource name."""
        self.world = self._changes.put(self.world, item)

    def policy(self, resource: str) -> list[Binding]:
        """Return the bindings on the resource itself, without inherited ones."""
        return [binding for binding in self.world.bindings if binding.resource == resource]

    def set_policy(self, resource: str, bindings: Sequence[Binding]) -> None:
        self.world = self._changes.set_policy(self.world, resource, bindings)

    # Resources

    def project(self, name: str) -> Project | None:
        """Return a project by its id or number."""
        return next((item for item in self.world.projects if name in {item.id, str(item.number)}), None)

    def pool(self, project: str, name: str) -> Pool | None:
        """Return a workload identity pool of a project (given by id or number)."""
        found = self.project(project)
        wanted = Pool(found.id if found else project, name).resource
        return next((item for item in self.world.pools if item.resource == wanted), None)

    def account(self, email: str) -> Account | None:
        return next((item for item in self.world.accounts if item.email == email and not item.deleted), None)

    @property
    def repositories(self) -> list[Repository]:
        declared = {item.resource: item for item in self.world.repositories}
        return list({**declared, **self.store.repositories}.values())

    def repository(self, project: str, location: str, name: str) -> Repository | None:
        wanted = Repository(project, location, name).resource
        return next((item for item in self.repositories if item.resource == wanted), None)

    def create(self, repository: Repository) -> None:
        self.store.create(repository)
        self._created[repository.resource] = self.true_clock()

    def delete(self, repository: Repository) -> None:
        """Delete a repository with its files and its policy. A restart brings back one that the world file declares."""
        others = tuple(item for item in self.world.repositories if item.resource != repository.resource)
        self.world = replace(self.world, repositories=others)
        self.set_policy(repository.resource, [])
        self.store.delete(repository)

    def is_visible(self, repository: Repository) -> bool:
        """Return whether the Python host knows a repository yet: a new one takes some time."""
        return self.true_clock() >= self._created.get(repository.resource, 0.0) + self.switches.repository_delay

    # Authentication and permissions

    def permits(self, who: Identity | None, permission: str, resource: str) -> bool:
        """Return whether an identity (None: an anonymous caller) has a permission. Does not check scopes."""
        members = who.members if who else frozenset({"allUsers"})
        return allowed(self.world.bindings, members, permission, resource)

    def identify(self, token: str) -> Identity | None:
        """Return the identity of an access token; None if the token or its account is not valid."""
        who = self.keys.read_access_token(token)
        if who and who.principal.startswith("serviceAccount:"):
            account = self.account(who.principal.partition(":")[2])
            if account is None or account.disabled:
                return None
        return who

    def authenticate(self, request: Request) -> Identity:
        """Return the caller of a Google API.

        Raises:
            Refusal: 401, without a valid token; 403, if the project has disabled the API, or the caller may not use
                the project that the request names for quotas, or names none.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not token:
            raise api(
                401,
                f"Request is missing required authentication credential. {EXPECTED}",
                reason="CREDENTIALS_MISSING",
                domain="googleapis.com",
            )
        who = self.identify(token.strip()) if scheme.lower() == "bearer" else None
        if who is None:
            raise api(401, f"Request had invalid authentication credentials. {EXPECTED}")
        request.scope["principal"] = who.principal
        self._check_quota_project(request, who)
        if found := re.search(r"/projects/([^/:]+)(?:/serviceAccounts/([^/:]+))?", request.url.path):
            project = Account(found[2]).project if found[1] == "-" and found[2] else found[1]
            self.check_enabled(request.scope["host_match"][0], project)
        return who

    def _check_quota_project(self, request: Request, who: Identity) -> None:
        """Check the project whose quota a request uses: https://cloud.google.com/docs/quotas/quota-project"""
        service, name = request.scope["host_match"][0], request.headers.get("x-goog-user-project", "")
        project = self.project(name)
        if project and self.permits(who, "serviceusage.services.use", project.resource):
            self.check_enabled(service, name)
        elif name:
            raise user_project_denied(name, service)
        elif who.client_project and self.switches.quota_project:
            raise disabled(service, int(who.client_project))

    def check_enabled(self, service: str, project: str) -> None:
        """Check that a project (given by id or number) has not disabled a service.

        Raises:
            Refusal: 403.
        """
        found = self.project(project)
        if found and service in found.disabled_services:
            raise disabled(service, found.number)

    def authorize(self, request: Request, permission: str, resource: str) -> Identity:
        """Return the caller of a Google API, who must have the permission on the resource.

        Raises:
            Refusal: 401 or 403.
        """
        who = self.authenticate(request)
        service = permission.partition(".")[0] + ".googleapis.com"
        if not in_scope(who.scopes, permission):
            raise insufficient_scopes(service)
        if not self.permits(who, permission, resource):
            raise api(
                403,
                f"Permission '{permission}' denied on resource '//{service}/{resource}' (or it may not exist).",
                reason="IAM_PERMISSION_DENIED",
                domain=service,
                permission=permission,
                resource=resource,
            )
        return who

    def authorize_project(self, request: Request, permission: str) -> Project:
        """Return the project of a call of a Google API, whose caller must have the permission on it.

        Raises:
            Refusal: 401 or 403.
        """
        name = request.path_params["project"]
        project = self.project(name) or Project(name, 0)
        self.authorize(request, permission, project.resource)
        return project

    def missing_status(self, who: Identity | None, permission: str, repository: Repository) -> Literal[403, 404]:
        """Return the status for a missing repository: by default 404 if the permission is on the project, else 403."""
        fixed = self.switches.missing_repository
        if fixed == "by-rights":
            return 404 if self.permits(who, permission, f"projects/{repository.project}") else 403
        return 404 if fixed == "404" else 403


def steady_id(text: str) -> str:
    """Return a number like the ids of GitHub and Google, always the same for a name."""
    return str(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16))
