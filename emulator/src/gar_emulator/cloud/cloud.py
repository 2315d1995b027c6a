"""What every emulated service shares: the world, the keys, the registry's contents, and the one permission check."""

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
from gar_emulator.cloud.changes import Setup
from gar_emulator.cloud.keys import Identity, Keys
from gar_emulator.cloud.package_store import Store
from gar_emulator.cloud.refusals import api, disabled
from gar_emulator.world.iam import Binding, allowed, in_scope
from gar_emulator.world.switches import Switches
from gar_emulator.world.world import Account, Pool, Project, Provider, Repository, World

_skew = ContextVar("skew", default=0.0)


@contextmanager
def skewed(seconds: float) -> Iterator[None]:
    """What is done meanwhile is done by a clock that is off."""
    before = _skew.set(seconds)
    try:
        yield
    finally:
        _skew.reset(before)


class Cloud:
    """One emulated Google.

    Args:
        world: What exists at the start.
        data: The folder that holds everything that is made later.
        clock: Seconds since the epoch.

    Attributes:
        true_clock: The same, whatever `clock()` makes of it.
    """

    def __init__(self, world: World, data: Path, clock: Callable[[], float] = time.time) -> None:
        self._setup = Setup(data / "setup.json")
        self.world = self._setup.applied(world)
        self.true_clock = clock
        self.keys = Keys(data / "keys", self.clock)
        self.store = Store(data / "repositories")
        self._created: dict[str, float] = {}
        self.attachments = AttachmentStore(data / "attachments")
        for key in world.keys:
            self.keys.verifying_key(key.account)

    def clock(self) -> float:
        """What the clock of the endpoint that is asked shows."""
        return self.true_clock() + _skew.get()

    @property
    def switches(self) -> Switches:
        return self.world.switches

    def switch(self, **changes: object) -> None:
        """Change switches while the emulator runs."""
        self.world = replace(self.world, switches=replace(self.world.switches, **changes))  # type: ignore[arg-type] # checked by the dataclass

    def put(self, item: Project | Pool | Provider | Account) -> None:
        """Add something to the world, or replace what has its resource name."""
        self.world = self._setup.put(self.world, item)

    def policy(self, resource: str) -> list[Binding]:
        """The bindings that a resource has itself."""
        return [binding for binding in self.world.bindings if binding.resource == resource]

    def set_policy(self, resource: str, bindings: Sequence[Binding]) -> None:
        self.world = self._setup.set_policy(self.world, resource, bindings)

    # What exists

    def project(self, name: str) -> Project | None:
        """A project by id or number."""
        return next((item for item in self.world.projects if name in {item.id, str(item.number)}), None)

    def pool(self, project: str, name: str) -> Pool | None:
        """A workload identity pool of a project (by id or number)."""
        found = self.project(project)
        wanted = Pool(found.id if found else project, name).resource
        return next((item for item in self.world.pools if item.resource == wanted), None)

    def account(self, email: str) -> Account | None:
        return next((item for item in self.world.accounts if item.email == email and not item.deleted), None)

    @property
    def repositories(self) -> list[Repository]:
        declared = {item.resource: item for item in self.world.repositories}
        return list({**self.store.repositories, **declared}.values())

    def repository(self, project: str, location: str, name: str) -> Repository | None:
        wanted = Repository(project, location, name).resource
        return next((item for item in self.repositories if item.resource == wanted), None)

    def create(self, repository: Repository) -> None:
        self.store.create(repository)
        self._created[repository.resource] = self.true_clock()

    def is_known_everywhere(self, repository: Repository) -> bool:
        """Whether every server knows a repository: a new one takes some time."""
        return self.true_clock() >= self._created.get(repository.resource, 0.0) + self.switches.repository_delay

    # Who may do what

    def permits(self, who: Identity | None, permission: str, resource: str) -> bool:
        """Whether an identity (None: anybody) holds a permission; scopes are another matter."""
        members = who.members if who else frozenset({"allUsers"})
        return allowed(self.world.bindings, members, permission, resource)

    def speaks_for(self, token: str) -> Identity | None:
        """The identity behind an access token; None where the token or its account is not good."""
        who = self.keys.read_access_token(token)
        if who and who.principal.startswith("serviceAccount:"):
            account = self.account(who.principal.partition(":")[2])
            if account is None or account.disabled:
                return None
        return who

    def bearer(self, request: Request) -> Identity:
        """Whom a call of a Google API comes from.

        Raises:
            Refusal: 401, without a token or with a bad one.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not token:
            raise api(
                401,
                "Request is missing required authentication credential. Expected OAuth 2 access token, "
                "login cookie or other valid authentication credential. "
                "See https://developers.google.com/identity/sign-in/web/devconsole-project.",
                reason="CREDENTIALS_MISSING",
                domain="googleapis.com",
            )
        who = self.speaks_for(token.strip()) if scheme.lower() == "bearer" else None
        if who is None:
            raise api(
                401,
                "Request had invalid authentication credentials. Expected OAuth 2 access token, "
                "login cookie or other valid authentication credential. "
                "See https://developers.google.com/identity/sign-in/web/devconsole-project.",
            )
        request.scope["principal"] = who.principal
        self._check_enabled(request)
        return who

    def _check_enabled(self, request: Request) -> None:
        """Refuse a call of an API that the project in its path has disabled.

        Raises:
            Refusal: 403.
        """
        found = re.search(r"/projects/([^/:]+)(?:/serviceAccounts/([^/:]+))?", request.url.path)
        if found:
            name = Account(found[2]).project if found[1] == "-" and found[2] else found[1]
            self.use(request.scope["host_match"][0], name)

    def use(self, service: str, project: str) -> None:
        """Refuse what needs a service that a project (by id or number) has disabled.

        Raises:
            Refusal: 403.
        """
        found = self.project(project)
        if found and service in found.disabled_services:
            raise disabled(service, found.number)

    def demand(self, request: Request, permission: str, resource: str) -> Identity:
        """Refuse a call of a Google API unless its token may do `permission` on `resource`.

        Raises:
            Refusal: 401 or 403.
        """
        who = self.bearer(request)
        if not in_scope(who.scopes, permission):
            raise api(
                403,
                "Request had insufficient authentication scopes.",
                reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                domain="googleapis.com",
                service=permission.partition(".")[0] + ".googleapis.com",
            )
        if not self.permits(who, permission, resource):
            service = permission.partition(".")[0] + ".googleapis.com"
            raise api(
                403,
                f"Permission '{permission}' denied on resource '//{service}/{resource}' (or it may not exist).",
                reason="IAM_PERMISSION_DENIED",
                domain=service,
                permission=permission,
                resource=resource,
            )
        return who

    def absence(self, who: Identity | None, permission: str, repository: Repository) -> Literal[403, 404]:
        """How a repository that is not there is answered: hidden from those who could not use it anyway."""
        fixed = self.switches.missing_repository
        if fixed == "by-rights":
            return 404 if self.permits(who, permission, f"projects/{repository.project}") else 403
        return 404 if fixed == "404" else 403


def steady_id(text: str) -> str:
    """A number, as GitHub gives to owners and repositories, that is always the same for the same name."""
    return str(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16))
