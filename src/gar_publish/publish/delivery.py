"""From checked files to a registry that holds them: compare, upload in order, read back."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Protocol

from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BadInput, BuildFailure, Conflict, Failure, FileRefused, Unreachable
from gar_publish.publish.schedule import Package, Schedule
from gar_publish.registry.index import Index, IndexFile
from gar_publish.registry.outcomes import PublishedFile, Status
from gar_publish.registry.upload import compare, read_back
from gar_publish.settings.settings import IfExists
from gar_publish.threads import TICK, TaskGroup

_MOST_UNANSWERED = 2
"""Failures in a row, for want of an answer, after which the registry is given up."""
_OF_ONE_FILE = (BuildFailure, Conflict, FileRefused, Unreachable)


class Registry(Protocol):
    """What a delivery needs of the registry. Each call may take as long as it takes to get a token first."""

    def files(self, name: str) -> Mapping[str, IndexFile]:
        """What the index lists for a project."""

    def index(self) -> Index:
        """The index, as it is read."""

    def upload(self, distribution: Distribution) -> PublishedFile:
        """Send a file that the index did not hold a moment ago."""


class Delivery:
    """Brings packages into the registry as they come, and knows at any moment what became of each file.

    A package is compared with the index before any of its bytes leave, and goes as soon as all that it requires of
    this run has landed. A file that the registry will not have fails alone: what is left of its package, and every
    package of this run that requires it, is not tried; all others are published. Where the registry lets this run in
    no more, or does not answer, nothing else is tried.

    Args:
        registry: Where to.
        senders: Where files are compared and sent side by side.
        readers: Where they are read back side by side.
        if_exists: What to do where the registry holds a file of the same name.
        dry_run: Send nothing.
        verify: Read every file back.
        coming: The packages that will be added or left out.
        unnamed: How many more will be, whose names nobody knows yet. Until they are there, nothing goes.
    """

    def __init__(
        self,
        registry: Registry,
        senders: Executor,
        readers: Executor,
        *,
        if_exists: IfExists,
        dry_run: bool,
        verify: bool,
        coming: Iterable[str] = (),
        unnamed: int = 0,
    ) -> None:
        self._registry = registry
        self._senders = senders
        self._readers = readers
        self._if_exists = if_exists
        self._dry_run = dry_run
        self._verify = verify
        self._tasks = TaskGroup(self._advance)
        self._changed = self._tasks.changed
        self._schedule = Schedule(coming, unnamed)
        self._files: dict[Distribution, PublishedFile] = {}
        self._unanswered = 0
        self._ended = False
        self._given_up: Failure | None = None
        self.has_sent = False

    @property
    def failed(self) -> bool:
        """Whether any package failed."""
        return bool(self._schedule.failed)

    @property
    def given_up(self) -> bool:
        """Whether the registry lets this run in no more, or does not answer."""
        return self._given_up is not None

    def expect(self, names: Iterable[str]) -> None:
        """Say which packages will be added, before the first one is."""
        self._schedule.expect(names)

    def add(self, files: Sequence[Distribution], *, unnamed: bool = False) -> None:
        """Publish a package.

        Args:
            files: All of its files.
            unnamed: Whether it is one of those whose names nobody knew.

        Raises:
            Failure: The registry does not let this run in, or does not answer; nothing was sent.
        """
        package = Package.of(files)
        with self._changed:
            if self._given_up and not self.has_sent:
                raise self._given_up
            self._files |= {each: PublishedFile(each, "not tried", each.sha256) for each in files}
            self._schedule.add(package, unnamed=unnamed)
        self._tasks.start(self._senders, self._compare, package)

    def leave_out(self, name: str | None, *, landed: bool = False) -> None:
        """Say that a package that was to come will not: it failed before, or the registry holds it."""
        with self._changed:
            self._schedule.leave_out(name, landed=landed)
            self._advance()

    def has_landed(self, name: str) -> bool:
        """Wait until a package is there, or will not be."""
        with self._changed:
            while not self._ended and not self._given_up and name not in self._schedule.landed | self._schedule.failed:
                self._changed.wait(TICK)
            return name in self._schedule.landed

    def finish(self) -> None:
        """Wait until there is nothing to do any more. Nothing may be added from now on.

        Raises:
            Failure: The registry does not let this run in, or does not answer; nothing was sent.
            Exception: A mistake of ours.
        """
        with self._changed:
            self._schedule.expect_nothing()
            self._tasks.wait()
            self._schedule.open_cycles()
            self._tasks.wait()
            self._refuse_circle()
            if self._given_up and not self.has_sent:
                raise self._given_up

    def end(self) -> tuple[PublishedFile, ...]:
        """Begin nothing any more, and tell what became of every file; what is being sent right now is `unknown`."""
        with self._changed:
            self._ended = True
            would_go = self._schedule.landed if self._dry_run else set()
            return tuple(
                replace(each, status="not tried")
                if each.status == "would upload" and each.distribution.name not in would_go
                else each
                for each in self._files.values()
            )

    def _advance(self) -> None:
        """Start what can be started; called with the lock, whenever anything has changed."""
        if self._ended or self._given_up:
            return
        for package, failed in self._schedule.released():
            for each in package.files:
                if failed:
                    self._hold(each, failed)
                else:
                    self._go(each)

    def _hold(self, distribution: Distribution, failed: str) -> None:
        file = self._files[distribution]
        if file.status == "would upload":
            why = f"requires {failed}, which was not published"
            self._files[distribution] = replace(file, status="not tried", why=why)

    def _go(self, distribution: Distribution) -> None:
        status = self._files[distribution].status
        if status == "would upload" and not self._dry_run:
            self._tasks.start(self._senders, self._send, distribution)
        elif status == "identical" and self._verify and not self._dry_run:
            self._tasks.start(self._readers, self._read_back, distribution)
        else:
            self._schedule.done(distribution.name)

    def _compare(self, package: Package) -> None:
        if self._given_up or self._ended:
            return
        try:
            listed = self._registry.files(package.name)
        except Failure as failure:
            self._fail(failure, *package.files)
            return
        self._answered()
        for each in package.files:
            try:
                self._files[each] = compare(each, listed, self._if_exists, self._registry.index())
            except Failure as failure:
                self._fail(failure, each)
        with self._changed:
            self._schedule.wait(package)

    def _send(self, distribution: Distribution) -> None:
        with self._changed:
            if self._ended or self._given_up or distribution.name in self._schedule.failed:
                return
            self._files[distribution] = replace(self._files[distribution], status="unknown")
            self.has_sent = True
        try:
            self._files[distribution] = self._registry.upload(distribution)
        except Failure as failure:
            self._fail(failure, distribution)
            return
        self._answered()
        if self._verify and not self._given_up and self._files[distribution].status != "skipped":
            self._tasks.start(self._readers, self._read_back, distribution)
        else:
            with self._changed:
                self._schedule.done(distribution.name)

    def _read_back(self, distribution: Distribution) -> None:
        file = self._files[distribution]
        if self._given_up:
            return
        try:
            self._files[distribution] = replace(file, url=read_back(distribution, self._registry.index()))
        except Failure as failure:
            self._fail(failure, distribution, status=file.status)
            return
        with self._changed:
            self._schedule.done(distribution.name)

    def _refuse_circle(self) -> None:
        try:
            self._schedule.refuse_cycles()
        except BadInput as failure:
            for package in self._schedule.waiting.values():
                self._fail(failure, *package.files, status="not tried")

    def _fail(self, failure: Failure, *distributions: Distribution, status: Status = "failed") -> None:
        with self._changed:
            for each in distributions:
                self._files[each] = replace(self._files[each], status=status, failure=failure)
                self._schedule.failed.add(each.name)
            self._unanswered = self._unanswered + 1 if isinstance(failure, Unreachable) else 0
            if self._unanswered >= _MOST_UNANSWERED or not isinstance(failure, (*_OF_ONE_FILE, BadInput)):
                self._given_up = self._given_up or failure

    def _answered(self) -> None:
        with self._changed:
            self._unanswered = 0
