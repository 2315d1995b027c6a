"""Real repositories: gar-publish and its peers, each run with a copy of a checkout and a new repository."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from bench import users
from bench.containers import Containers
from bench.measure import Case, Command
from bench.publisher import PROVIDER, PUBLISHER
from bench.tools import AGAIN, LOOP, OURSELVES, UV_ALL, UV_EACH, Tools
from bench.users import User
from gar_emulator.world.iam import Binding
from gar_emulator.world.world import Repository
from gar_publish.projects import find

HAYSTACK, OPENTELEMETRY, PYDANTIC = "haystack-core-integrations", "opentelemetry-python-contrib", "pydantic-ai"
KNOWN = (HAYSTACK, OPENTELEMETRY, PYDANTIC)
"""The repositories that have targets."""
AS_USER, AS_ROOT, IN_IMAGE = "as an ordinary user", "as root", "in the image"
PACKAGES = {HAYSTACK: ("integrations/*", "!integrations/llama_stack")}
"""The packages of a repository that is not a workspace of uv. llama_stack needs a newer Python than the others."""
PLACES = {PYDANTIC: (AS_USER, AS_ROOT, IN_IMAGE)}
"""Where the packages of a repository are published, if not only by an ordinary user."""
_PLACE = "us-central1/demo-project"
_ROLE = "roles/artifactregistry.writer"
_POOL = f"iam.googleapis.com/{PROVIDER.rpartition('/providers/')[0]}"
_MEMBERS = (f"principalSet://{_POOL}/attribute.repository_owner/octo-org", f"serviceAccount:{PUBLISHER}")

Type = Callable[[Path, str], list[Command]]
"""Returns the commands for a checkout and the name of a repository."""


@dataclass(frozen=True)
class Real:
    """The cases of a checkout, whose folder has the repository's name.

    Args:
        containers: Runs the image; its stage is the place of all cases.
        root: The checkout.
    """

    containers: Containers
    root: Path

    @cached_property
    def labels(self) -> list[str]:
        """The folders of the packages."""
        return [project.label for project in find.find(self._packages, self.root)]

    def cases(self, place: str) -> Iterator[Case]:
        """Yield the cases of a place: gar-publish, there also a second time, and uv, whose caches are full by then.

        Raises:
            RuntimeError: The place is not available.
        """
        uv = f"{place}: {self.uv}"
        if place == IN_IMAGE:
            yield self._case({f"{place}: {OURSELVES}": self._in_image})
            yield self._case({uv: self._uv_in_container}, warm=False)
            return
        user = users.root(self._tools.stage) if place == AS_ROOT else users.ordinary(self._tools.stage)
        again = partial(self._ours, user, more=("--if-exists", "skip"))
        ours = {f"{place}: {OURSELVES}": partial(self._ours, user), f"{place}: {AGAIN}": again}
        yield self._case(ours, own=user.own)
        yield self._case({uv: partial(self._uv, user)}, own=user.own, warm=False)

    def loop(self) -> Case:
        """Return the case that builds and uploads each package on its own, as the user of this process, once."""
        return self._case({LOOP: self._twine}, rounds=1, warm=False)

    @property
    def uv(self) -> str:
        """The name of uv's way to publish the packages."""
        return UV_ALL if self._packages == (".",) else UV_EACH

    @property
    def _packages(self) -> Sequence[str]:
        return PACKAGES.get(self.root.name, (".",))

    @property
    def _tools(self) -> Tools:
        return self.containers.tools

    @property
    def _builds(self) -> list[Sequence[str]]:
        return [("--all-packages",)] if self.uv == UV_ALL else [(label,) for label in self.labels]

    def _ours(self, user: User, checkout: Path, name: str, *, more: Sequence[str] = ()) -> list[Command]:
        (command,) = self._tools.ours(checkout, "--repository", f"{_PLACE}/{name}", *more, *self._packages)
        return [user.command(command)]

    def _in_image(self, checkout: Path, name: str) -> list[Command]:
        return self.containers.ours(checkout, *self._packages, repository=f"{_PLACE}/{name}")

    def _uv(self, user: User, checkout: Path, name: str) -> list[Command]:
        commands = [self._tools.uv(checkout, "--out-dir", "dist", *build)[0] for build in self._builds]
        return [user.command(self._to(name, each)) for each in (*commands, self._tools.uv(checkout)[1])]

    def _uv_in_container(self, checkout: Path, name: str) -> list[Command]:
        return [self._to(name, each) for each in self.containers.uv(checkout, "--all-packages")]

    def _twine(self, checkout: Path, name: str) -> list[Command]:
        return [self._to(name, each) for label in self.labels for each in self._tools.twine(checkout / label)]

    def _to(self, name: str, command: Command) -> Command:
        """Return a command of a peer that publishes to another repository."""
        url = self._tools.stage.upload_url
        other = f"{url.removesuffix('/').rpartition('/')[0]}/{name}/"
        return replace(
            command,
            arguments=[each.replace(url, other) for each in command.arguments],
            environment={key: value.replace(url, other) for key, value in command.environment.items()},
        )

    def _case(
        self,
        typed: Mapping[str, Type],
        *,
        own: Callable[[Path], None] = lambda _: None,
        rounds: int | None = None,
        warm: bool = True,
    ) -> Case:
        def repository(number: int) -> str:
            return f"{self.root.name}-{number}"

        def prepare(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
            made = Repository("demo-project", "us-central1", repository(number))
            emulator = self._tools.stage.emulator
            emulator.cloud.store.create(made)
            emulator.cloud.set_policy(made.resource, [Binding(member, _ROLE, made.resource) for member in _MEMBERS])
            checkout = folder / self.root.name
            shutil.copytree(self.root, checkout, symlinks=True)
            own(checkout)
            # After `git clone`, git need not read files to see that they are unchanged. After a copy it would.
            refresh = ["git", "update-index", "-q", "--refresh"]
            subprocess.run(refresh, cwd=checkout, env={"PATH": os.defpath}, user=checkout.stat().st_uid, check=True)
            return {name: commands(checkout, made.name) for name, commands in typed.items()}

        def check(number: int) -> None:
            stored = {each.package for each in self._tools.stage.emulator.files(f"{_PLACE}/{repository(number)}")}
            if len(stored) != len(self.labels):
                raise RuntimeError(f"{len(stored)} of {len(self.labels)} packages were uploaded")

        return Case(next(iter(typed)), prepare, check, rounds, warm)
