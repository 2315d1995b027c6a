"""Compares packages with the index, uploads them in order, and reads them back."""

import math
import time
from collections.abc import Collection, Iterable
from concurrent.futures import Executor
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gar_publish.distributions import filenames
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BadInput, BuildFailure, Failure, Unreachable
from gar_publish.publish.destination import OF_ONE_FILE, Destination
from gar_publish.publish.schedule import Package, Schedule
from gar_publish.registry.outcomes import PublishedFile, Status
from gar_publish.registry.upload import compare, read_back
from gar_publish.settings.settings import Settings
from gar_publish.threads import TICK, TaskGroup

_MOST_UNANSWERED = 2
"""After so many files in a row without an answer, nothing else is tried."""
_LONGEST_WAIT = 1800.0
"""Seconds that a build waits for a package that is built, but must not be uploaded yet."""


class Delivery:
    """Publishes packages as they come, and knows the status of each file at any moment.

    A package is compared with the index before any of its files is uploaded, and goes as soon as all its requirements
    of this run have landed: the index lists them, or, without `verify`, the registry has taken them. A file that the
    registry refuses fails on its own: the rest of its package, and the packages that depend on it, are not tried; all
    others are published. If the registry refuses the identity, or does not answer, nothing else is tried.

    Args:
        destination: The repository.
        settings: The inputs.
        senders: The threads that compare and upload.
        readers: The threads that read back.
        expected: The packages that will be added or left out.
        unnamed: How many packages without a known name will be. Until then nothing is uploaded.

    Attributes:
        has_sent: Whether any upload has begun.
        held: The names of packages that are built, but cannot be added yet.
    """

    def __init__(
        self,
        destination: Destination,
        settings: Settings,
        senders: Executor,
        readers: Executor,
        *,
        expected: Iterable[str],
        unnamed: int,
    ) -> None:
        self._destination = destination
        self._settings = settings
        self._senders = senders
        self._readers = readers
        self._reads_back = settings.verify and not settings.dry_run
        self._tasks = TaskGroup(self._advance)
        self._changed = self._tasks.changed
        self._schedule = Schedule(expected, unnamed)
        self._files: dict[Distribution, PublishedFile] = {}
        self._unanswered = 0
        self._ended = False
        self._stopped_by: Failure | None = None
        self.has_sent = False
        self.held: Collection[str] = ()

    @property
    def failed(self) -> bool:
        """Whether any package failed."""
        return bool(self._schedule.failed)

    @property
    def stopped(self) -> bool:
        """Whether the registry refuses the identity, or does not answer."""
        return self._stopped_by is not None

    def expect(self, names: Iterable[str]) -> None:
        """Expect more packages, before the first is added."""
        self._schedule.expect(names)

    def add(self, package: Package) -> None:
        """Publish a package.

        Raises:
            Failure: The registry refuses the identity, or does not answer; nothing was uploaded.
        """
        with self._changed:
            if self._stopped_by and not self.has_sent:
                raise self._stopped_by
            self._files |= {each: PublishedFile(each, "not tried", each.sha256) for each in package.files}
            self._schedule.add(package)
        self._tasks.start(self._senders, self._compare, package)

    def refuse(self, package: Package, failure: Failure) -> None:
        """Take a package that must not be published. What depends on it is not published either."""
        with self._changed:
            self._files |= {each: PublishedFile(each, "not tried", each.sha256) for each in package.files}
            self._schedule.add(package)
            self._fail(failure, *package.files)
            self._advance()

    def leave_out(self, name: str | None, *, landed: bool = False) -> None:
        """Expect a package no more: it failed, or the registry has it. The name is None if it was never known."""
        with self._changed:
            self._schedule.leave_out(name, landed=landed)
            self._advance()

    def has_landed(self, name: str) -> bool:
        """Wait until a package has landed, or will not, and return whether it has.

        What the package requires may come only after the caller: then this would wait for ever.
        """
        until = math.inf
        with self._changed:
            while not (self._ended or self.stopped or name in self._schedule.landed | self._schedule.failed):
                is_held = name in self._schedule.waiting or name in self.held
                until = min(until, time.monotonic() + _LONGEST_WAIT) if is_held else math.inf
                if time.monotonic() >= until:
                    return False
                self._changed.wait(TICK)
            return name in self._schedule.landed - self._schedule.failed

    def finish(self) -> None:
        """Wait until everything is done. Nothing may be added from now on.

        Raises:
            Failure: The registry refuses the identity, or does not answer; nothing was uploaded.
            Exception: An internal error.
        """
        with self._changed:
            self._schedule.expect_nothing()
            self._tasks.wait()
            self._refuse_cycles()
            if self._stopped_by and not self.has_sent:
                raise self._stopped_by

    def end(self) -> tuple[PublishedFile, ...]:
        """Begin nothing more, and return the outcome of every file; a file that is being sent is `unknown`."""
        with self._changed:
            self._ended = True
            would_upload = self._schedule.landed if self._settings.dry_run else set()
            return tuple(
                replace(each, status="not tried")
                if each.status == "would upload" and each.distribution.name not in would_upload
                else each
                for each in self._files.values()
            )

    def _advance(self) -> None:
        """Start what can be started. Called with the lock, whenever anything has changed."""
        if self._ended or self.stopped:
            return
        for package, failed in self._schedule.released():
            if failed:
                for each in package.files:
                    self._hold_back(each, failed)
            elif self._schedule.unmet(package):
                self._tasks.start(self._readers, self._go_if_met, package)
            else:
                self._go(package)

    def _hold_back(self, distribution: Distribution, failed: str) -> None:
        file = self._files[distribution]
        if file.status == "would upload":
            why = f"requires {failed}, which was not published"
            self._files[distribution] = replace(file, status="not tried", why=why)

    def _go_if_met(self, package: Package) -> None:
        """Let a package go if the repository has versions that fit the requirements which this run does not meet."""
        with self._changed:
            unmet = self._schedule.unmet(package)
        for filename, requirement in unmet:
            name = canonicalize_name(requirement.name)
            try:
                listed = self._destination.files(name)
            except Failure as failure:
                self._fail(failure, *package.files)
                return
            versions = filenames.by_version(listed, name)
            if not any(requirement.specifier.contains(each, prereleases=True) for each in versions):
                self._fail(_unmet(filename, requirement), *package.files)
                return
        with self._changed:
            self._go(package)

    def _go(self, package: Package) -> None:
        for each in package.files:
            status = self._files[each].status
            if status == "would upload" and not self._settings.dry_run:
                self._tasks.start(self._senders, self._send, each)
            elif status == "identical" and self._reads_back:
                self._tasks.start(self._readers, self._read_back, each)
            else:
                self._schedule.finish_file(each.name)

    def _compare(self, package: Package) -> None:
        if self.stopped or self._ended:
            return
        try:
            listed = self._destination.files(package.name)
        except Failure as failure:
            self._fail(failure, *package.files)
            return
        self._answered()
        for each in package.files:
            try:
                index = self._destination.access.index
                self._files[each] = compare(each, listed, self._settings.if_exists, index, self._destination.scratch)
            except Failure as failure:
                self._fail(failure, each)
        with self._changed:
            self._schedule.wait(package)

    def _send(self, distribution: Distribution) -> None:
        with self._changed:
            if self._ended or self.stopped or distribution.name in self._schedule.failed:
                return
            self._files[distribution] = replace(self._files[distribution], status="unknown")
            self.has_sent = True
        try:
            self._files[distribution] = self._destination.upload(distribution)
        except Failure as failure:
            self._fail(failure, distribution)
            return
        self._answered()
        if self._reads_back and self._files[distribution].status != "skipped":
            self._tasks.start(self._readers, self._read_back, distribution)
        else:
            with self._changed:
                self._schedule.finish_file(distribution.name)

    def _read_back(self, distribution: Distribution) -> None:
        file = self._files[distribution]
        if self.stopped:
            return
        of_registry = file.distribution if isinstance(file.distribution, Distribution) else distribution
        try:
            url = read_back(of_registry, self._destination.access.index, lambda: self._land(distribution))
        except Failure as failure:
            self._fail(failure, distribution, status=file.status)
            return
        self._files[distribution] = replace(file, url=url)

    def _land(self, distribution: Distribution) -> None:
        with self._changed:
            if distribution.name not in self._schedule.failed:
                self._schedule.finish_file(distribution.name)
                self._advance()

    def _refuse_cycles(self) -> None:
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
            if self._unanswered >= _MOST_UNANSWERED or not isinstance(failure, OF_ONE_FILE):
                self._stopped_by = self._stopped_by or failure

    def _answered(self) -> None:
        with self._changed:
            self._unanswered = 0


def _unmet(filename: str, requirement: Requirement) -> BuildFailure:
    return BuildFailure(
        f"{filename} requires {requirement}, which neither this run nor the repository has.",
        cause=f"this run publishes {requirement.name} in another version",
        fix=f"correct the version of {requirement.name}, or the requirement; build again",
        anchor="unmet-requirement",
    )
