"""From checked files to a registry that holds them: compare, upload in order, read back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from threading import Condition
from typing import Protocol, TypeVar

from gar_publish import order
from gar_publish.distributions import Distribution
from gar_publish.errors import BadInput, BuildFailure, Conflict, Failure, FileRefused, Unreachable
from gar_publish.index import Index, IndexFile
from gar_publish.interruption import check_signals
from gar_publish.readback import read_back
from gar_publish.report import PublishedFile, Status
from gar_publish.settings import IfExists
from gar_publish.upload import compare

_MOST_UNANSWERED = 2
"""Failures in a row, for want of an answer, after which the registry is given up."""
_OF_ONE_FILE = (BuildFailure, Conflict, FileRefused, Unreachable)
_TICK = 0.5

Item = TypeVar("Item")


class Registry(Protocol):
    """What a delivery needs of the registry. Each call may take as long as it takes to get a token first."""

    def files(self, name: str) -> Mapping[str, IndexFile]:
        """What the index lists for a project."""

    def index(self) -> Index:
        """The index, as it is read."""

    def upload(self, distribution: Distribution) -> PublishedFile:
        """Send a file that the index did not hold a moment ago."""


@dataclass
class _Package:
    """All files of one name, which are compared together and sent side by side.

    Attributes:
        name: The name.
        files: The files.
        required: What it requires, itself aside.
        optional: What its extras alone require.
        left: How many files are not done yet.
    """

    name: str
    files: Sequence[Distribution]
    required: set[str]
    optional: set[str]
    left: int


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
        self._coming = set(coming)
        self._unnamed = unnamed
        self._changed = Condition()
        self._packages: dict[str, _Package] = {}
        self._waiting: dict[str, _Package] = {}
        self._landed: set[str] = set()
        self._failed: set[str] = set()
        self._files: dict[Distribution, PublishedFile] = {}
        self._in_flight = 0
        self._unanswered = 0
        self._ended = False
        self._mistake: BaseException | None = None
        self._given_up: Failure | None = None
        self.has_sent = False

    @property
    def failed(self) -> bool:
        """Whether any package failed."""
        return bool(self._failed)

    @property
    def given_up(self) -> bool:
        """Whether the registry lets this run in no more, or does not answer."""
        return self._given_up is not None

    def expect(self, names: Iterable[str]) -> None:
        """Say which packages will be added, before the first one is."""
        self._coming.update(names)

    def add(self, files: Sequence[Distribution], *, unnamed: bool = False) -> None:
        """Publish a package.

        Args:
            files: All of its files.
            unnamed: Whether it is one of those whose names nobody knew.

        Raises:
            Failure: The registry does not let this run in, or does not answer; nothing was sent.
        """
        name = files[0].name
        required = {each for file in files for each in file.requires} - {name}
        optional = {each for file in files for each in file.optional} - {name}
        package = _Package(name, files, required, optional, left=len(files))
        with self._changed:
            if self._given_up and not self.has_sent:
                raise self._given_up
            self._packages[name] = package
            self._files |= {each: PublishedFile(each, "not tried", each.sha256) for each in files}
            self._arrived(name, unnamed=unnamed)
        self._start(self._senders, self._compare, package)

    def leave_out(self, name: str | None, *, landed: bool = False) -> None:
        """Say that a package that was to come will not: it failed before, or the registry holds it."""
        with self._changed:
            self._arrived(name, unnamed=name is None)
            if name:
                (self._landed if landed else self._failed).add(name)
            self._advance()

    def has_landed(self, name: str) -> bool:
        """Wait until a package is there, or will not be."""
        with self._changed:
            while not self._ended and not self._given_up and name not in self._landed | self._failed:
                self._changed.wait(_TICK)
            return name in self._landed

    def finish(self) -> None:
        """Wait until there is nothing to do any more. Nothing may be added from now on.

        Raises:
            Failure: The registry does not let this run in, or does not answer; nothing was sent.
            Exception: A mistake of ours.
        """
        with self._changed:
            self._coming.clear()
            self._unnamed = 0
            self._wait()
            self._open_circles()
            self._wait()
            self._refuse_circle()
            if self._given_up and not self.has_sent:
                raise self._given_up

    def end(self) -> tuple[PublishedFile, ...]:
        """Begin nothing any more, and tell what became of every file; what is being sent right now is `unknown`."""
        with self._changed:
            self._ended = True
            return tuple(
                replace(each, status="not tried")
                if each.status == "would upload" and not self._would_go(each)
                else each
                for each in self._files.values()
            )

    def _would_go(self, file: PublishedFile) -> bool:
        return self._dry_run and file.distribution.name in self._landed

    def _arrived(self, name: str | None, *, unnamed: bool) -> None:
        self._coming.discard(name or "")
        self._unnamed -= unnamed

    def _wait(self) -> None:
        self._advance()
        while self._in_flight:
            self._changed.wait(_TICK)  # on Windows, a wait without end hears no signal
            check_signals()
        if self._mistake:
            raise self._mistake

    def _start(self, pool: Executor, call: Callable[[Item], None], item: Item) -> None:
        def run() -> None:
            try:
                call(item)
            except BaseException as error:  # noqa: BLE001 - the thread that waits gets it
                self._mistake = self._mistake or error
            with self._changed:
                self._in_flight -= 1
                self._advance()
                self._changed.notify_all()

        with self._changed:
            self._in_flight += 1
        pool.submit(run)

    def _advance(self) -> None:
        """Start what can be started; called with the lock, whenever anything has changed."""
        moved = not self._unnamed
        while moved and not self._ended and not self._given_up:
            moved = False
            for package in list(self._waiting.values()):
                needed = package.required | package.optional
                if failed := needed & self._failed:
                    self._hold(package, min(failed))
                elif all(self._is_there(name) for name in needed):
                    self._go(package)
                else:
                    continue
                moved = True

    def _is_there(self, name: str) -> bool:
        return name in self._landed or (name not in self._coming and name not in self._packages)

    def _hold(self, package: _Package, failed: str) -> None:
        del self._waiting[package.name]
        self._failed.add(package.name)
        for each in package.files:
            if self._files[each].status == "would upload":
                why = f"requires {failed}, which was not published"
                self._files[each] = replace(self._files[each], status="not tried", why=why)

    def _go(self, package: _Package) -> None:
        del self._waiting[package.name]
        for each in package.files:
            if self._files[each].status == "would upload" and not self._dry_run:
                self._start(self._senders, self._send, each)
            elif self._files[each].status == "identical" and self._verify and not self._dry_run:
                self._start(self._readers, self._read_back, each)
            else:
                self._done(each)

    def _done(self, distribution: Distribution) -> None:
        package = self._packages[distribution.name]
        package.left -= 1
        if not package.left:
            self._landed.add(package.name)

    def _compare(self, package: _Package) -> None:
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
            if package.name not in self._failed:
                self._waiting[package.name] = package

    def _send(self, distribution: Distribution) -> None:
        with self._changed:
            if self._ended or self._given_up or distribution.name in self._failed:
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
            self._start(self._readers, self._read_back, distribution)
        else:
            with self._changed:
                self._done(distribution)

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
            self._done(distribution)

    def _open_circles(self) -> None:
        """Wait no more for what only an extra requires, where that closes a circle."""
        waiting = self._waiting.items()
        graph = order.requirements(
            {name: package.required for name, package in waiting}, {name: package.optional for name, package in waiting}
        )
        for name, package in waiting:
            package.optional &= graph[name]

    def _refuse_circle(self) -> None:
        try:
            order.refuse_circles({name: package.required for name, package in self._waiting.items()})
        except BadInput as failure:
            for package in self._waiting.values():
                self._fail(failure, *package.files, status="not tried")

    def _fail(self, failure: Failure, *distributions: Distribution, status: Status = "failed") -> None:
        with self._changed:
            for each in distributions:
                self._files[each] = replace(self._files[each], status=status, failure=failure)
                self._failed.add(each.name)
            self._unanswered = self._unanswered + 1 if isinstance(failure, Unreachable) else 0
            if self._unanswered >= _MOST_UNANSWERED or not isinstance(failure, (*_OF_ONE_FILE, BadInput)):
                self._given_up = self._given_up or failure

    def _answered(self) -> None:
        with self._changed:
            self._unanswered = 0
