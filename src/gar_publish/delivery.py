"""From checked files to a registry that holds them: compare, upload in order, read back."""

import contextlib
import graphlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import replace
from threading import Lock
from typing import TypeVar

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gar_publish.access import Access
from gar_publish.distributions import Distribution
from gar_publish.errors import BuildFailure, Conflict, Failure, FileRefused, Unreachable
from gar_publish.index import Index
from gar_publish.report import PublishedFile, Status
from gar_publish.settings import IfExists
from gar_publish.upload import Uploader, compare

_MOST_UNANSWERED = 2
"""Failures in a row, for want of an answer, after which the registry is given up."""
_OF_ONE_FILE = (BuildFailure, Conflict, FileRefused, Unreachable)
_TICK = 0.5

Item = TypeVar("Item")


class Delivery:
    """Brings one run's files into the registry, and knows at any moment what became of each.

    A file that the registry will not have fails alone: what is left of its package, and every package of this run
    that requires it, is not tried; all others are published. Where the registry lets this run in no more, or does not
    answer, nothing else is tried.

    Args:
        found: The run's files.
        pool: Where files are compared and sent side by side.
    """

    def __init__(self, found: Sequence[Distribution], pool: Executor) -> None:
        self._found = found
        self._pool = pool
        self._needs = needs(found)
        self._lock = Lock()
        self._files = {each.path: PublishedFile(each, "not tried", each.sha256) for each in found}
        self._failed: set[str] = set()
        self._unanswered = 0
        self._given_up: Failure | None = None
        self._ended = False

    @property
    def failed(self) -> bool:
        """Whether any file has a failure."""
        return bool(self._failed)

    def compare(self, access: Access, if_exists: IfExists) -> None:
        """Decide for each file before the first byte leaves.

        Args:
            access: Who reads.
            if_exists: What to do where the registry holds a file of the same name.

        Raises:
            Failure: The registry does not let this run in, or does not answer.
        """

        def compare_package(name: str) -> None:
            if self._given_up:
                return
            ours = [each for each in self._found if each.name == name]
            try:
                listed = access.files(name)
            except Failure as failure:
                self._fail(failure, *ours)
                return
            self._answered()
            for each in ours:
                try:
                    self._files[each.path] = compare(each, listed, if_exists, access.index)
                except Failure as failure:
                    self._fail(failure, each)

        self._side_by_side(compare_package, sorted({each.name for each in self._found}))
        if self._given_up:
            raise self._given_up

    def carry_out(self, access: Access, uploader: Uploader, *, verify: bool) -> None:
        """Upload what is to be uploaded, dependencies before dependents, and read it back."""

        def deliver(distribution: Distribution) -> None:
            self._send(distribution, uploader)
            if verify and not self._given_up:
                self._read_back(distribution, access.index)

        for wave in in_waves(self._found):
            self._side_by_side(deliver, wave)

    def end(self, *, dry_run: bool) -> tuple[PublishedFile, ...]:
        """Begin nothing any more, and tell what became of every file; what is being sent right now is `unknown`."""
        with self._lock:
            self._ended = True
            return tuple(
                replace(each, status="not tried")
                if each.status == "would upload" and (not dry_run or self._is_held_up(each.distribution))
                else each
                for each in self._files.values()
            )

    def _side_by_side(self, call: Callable[[Item], None], items: Iterable[Item]) -> None:
        for each in [self._pool.submit(call, item) for item in items]:
            result(each)

    def _send(self, distribution: Distribution, uploader: Uploader) -> None:
        with self._lock:
            file = self._files[distribution.path]
            stays = self._ended or self._given_up or self._is_held_up(distribution)
            if stays or file.status != "would upload":
                return
            self._files[distribution.path] = replace(file, status="unknown")
        try:
            self._files[distribution.path] = uploader.upload(distribution)
        except Failure as failure:
            self._fail(failure, distribution)
        else:
            self._answered()

    def _read_back(self, distribution: Distribution, index: Index) -> None:
        file = self._files[distribution.path]
        if file.status not in {"uploaded", "identical"}:
            return
        try:
            self._files[distribution.path] = replace(file, url=read_back(distribution, index))
        except Failure as failure:
            self._fail(failure, distribution, status=file.status)

    def _is_held_up(self, distribution: Distribution) -> bool:
        return not self._failed.isdisjoint(self._needs[distribution.name])

    def _fail(self, failure: Failure, *distributions: Distribution, status: Status = "failed") -> None:
        with self._lock:
            for each in distributions:
                self._files[each.path] = replace(self._files[each.path], status=status, failure=failure)
                self._failed.add(each.name)
            self._unanswered = self._unanswered + 1 if isinstance(failure, Unreachable) else 0
            if self._unanswered >= _MOST_UNANSWERED or not isinstance(failure, _OF_ONE_FILE):
                self._given_up = self._given_up or failure

    def _answered(self) -> None:
        with self._lock:
            self._unanswered = 0


def read_back(distribution: Distribution, index: Index) -> str:
    """Download a file that was uploaded, and compare its bytes.

    Returns:
        Where the index serves it.

    Raises:
        Failure: It is not there, or cannot be read, or has other bytes.
    """
    listed = index.find(distribution.name, distribution.filename)
    if not listed:
        raise FileRefused(
            f"{distribution.filename} was uploaded, but the index does not list it.",
            cause="the index lags behind, or the upload went to another repository than the index shows",
            fix="run again: what is there is skipped; or set `verify: false`",
            anchor="read-back",
        )
    theirs = index.read_sha256(listed, distribution.sha256, distribution.size)
    if theirs != distribution.sha256 or listed.sha256 not in {None, theirs}:
        raise FileRefused(
            f"{distribution.filename} came back from the index with other bytes: "
            f"sha256 {theirs or 'of a longer file'}, sent was {distribution.sha256}.",
            cause="something between this machine and the registry changes files",
            fix=f"compare with: gcloud artifacts files list --package={distribution.name}",
            anchor="read-back",
        )
    return listed.url


def result(future: Future[Item]) -> Item:
    """A future's result. It is waited for in ticks, for on Windows a wait without end hears no signal."""
    while not wait([future], _TICK).done:
        pass
    return future.result()


def in_waves(found: Sequence[Distribution]) -> Iterator[list[Distribution]]:
    """Group files so that every package comes after those of this run that it requires.

    Packages that require each other in a circle come together.
    """
    sorter = graphlib.TopologicalSorter(_requirements(found))
    try:
        sorter.prepare()
    except graphlib.CycleError:
        yield list(found)
        return
    while sorter.is_active():
        ready = sorter.get_ready()
        yield [each for each in found if each.name in ready]
        sorter.done(*ready)


def needs(found: Sequence[Distribution]) -> Mapping[str, set[str]]:
    """Each package with itself and all of this run that it requires, directly or not."""
    requirements = _requirements(found)

    def reached_from(name: str) -> set[str]:
        reached, ahead = set[str](), {name}
        while ahead:
            reached |= ahead
            ahead = {required for each in ahead for required in requirements[each]} - reached
        return reached

    return {name: reached_from(name) for name in requirements}


def _requirements(found: Sequence[Distribution]) -> Mapping[str, set[str]]:
    """Each package with those of this run that it names itself."""
    graph = {each.name: set[str]() for each in found}
    for each in found:
        graph[each.name] |= {required for required in _required(each) if required in graph} - {each.name}
    return graph


def _required(distribution: Distribution) -> Iterator[str]:
    for line in distribution.package.metadata.get("requires_dist") or []:
        with contextlib.suppress(InvalidRequirement):
            yield canonicalize_name(Requirement(line).name)
