"""From checked files to a registry that holds them: compare, upload in order, read back."""

import contextlib
import graphlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gar_publish.access import Access
from gar_publish.distributions import Distribution
from gar_publish.errors import Failure, RegistryRefused
from gar_publish.report import PublishedFile
from gar_publish.settings import IfExists
from gar_publish.upload import Uploader, compare


@dataclass(frozen=True)
class Delivery:
    """Brings one run's files into the registry.

    Attributes:
        access: Who reads.
        uploader: Who writes.
        verify: Whether to read every file back.
        pool: Where files are compared and sent side by side.
    """

    access: Access
    uploader: Uploader
    verify: bool
    pool: Executor

    def carry_out(self, files: Sequence[PublishedFile]) -> tuple[list[PublishedFile], Failure | None]:
        """Upload what is to be uploaded, dependencies before dependents, and read it back.

        Returns:
            Every file with what became of it, and the first failure, after which no dependent was tried.
        """
        by_path = {each.distribution.path: each for each in files}
        failure = None
        for wave in in_waves([each.distribution for each in files]):
            todo = [by_path[each.path] for each in wave]
            if failure:
                done = [replace(each, status="not tried") if each.status == "would upload" else each for each in todo]
            else:
                results = list(self.pool.map(self._deliver, todo))
                done = [file for file, _ in results]
                failure = next((failed for _, failed in results if failed), None)
            by_path |= {each.distribution.path: each for each in done}
        return list(by_path.values()), failure

    def _deliver(self, file: PublishedFile) -> tuple[PublishedFile, Failure | None]:
        try:
            if file.status == "would upload":
                file = replace(file, status=self.uploader.upload(file.distribution))
            if self.verify and file.status != "skipped":
                file = replace(file, url=self._read_back(file.distribution))
        except Failure as failure:
            return replace(file, status="failed"), failure
        return file, None

    def _read_back(self, distribution: Distribution) -> str:
        listed = self.access.index.find(distribution.name, distribution.filename)
        if not listed:
            raise RegistryRefused(
                f"{distribution.filename} was uploaded, but the index does not list it.",
                cause="the index lags behind, or the upload went to another repository than the index shows",
                fix="run again: what is there is skipped; or set `verify: false`",
                anchor="read-back",
            )
        theirs = self.access.index.read_sha256(listed)
        if theirs != distribution.sha256 or listed.sha256 not in {None, theirs}:
            raise RegistryRefused(
                f"{distribution.filename} came back from the index with other bytes: sha256 {theirs}, "
                f"sent was {distribution.sha256}.",
                cause="something between this machine and the registry changes files",
                fix=f"compare with: gcloud artifacts files list --package={distribution.name}",
                anchor="read-back",
            )
        return listed.url


def compare_all(
    found: Sequence[Distribution], *, access: Access, if_exists: IfExists, pool: Executor
) -> list[PublishedFile]:
    """Decide for each file before the first byte leaves.

    Raises:
        Failure: A file must not be published, or the index cannot be read.
    """
    names = sorted({each.name for each in found})
    listed = dict(zip(names, pool.map(access.files, names), strict=True))

    def decide(distribution: Distribution) -> PublishedFile:
        present = listed[distribution.name].get(distribution.filename)
        status = compare(distribution, listed[distribution.name], if_exists, access.index)
        theirs = (present.sha256 or access.index.read_sha256(present)) if present and status == "skipped" else None
        return PublishedFile(distribution, status, theirs or distribution.sha256, present.url if present else "")

    return [decide(each) for each in found]


def in_waves(found: Sequence[Distribution]) -> Iterator[list[Distribution]]:
    """Group files so that every package comes after those of this run that it requires.

    Packages that require each other in a circle come together.
    """
    names = {each.name for each in found}
    graph = {name: set[str]() for name in names}
    for each in found:
        graph[each.name] |= {required for required in _required(each) if required in names} - {each.name}
    sorter = graphlib.TopologicalSorter(graph)
    try:
        sorter.prepare()
    except graphlib.CycleError:
        yield list(found)
        return
    while sorter.is_active():
        ready = sorter.get_ready()
        yield [each for each in found if each.name in ready]
        sorter.done(*ready)


def _required(distribution: Distribution) -> Iterator[str]:
    for line in distribution.package.metadata.get("requires_dist") or []:
        with contextlib.suppress(InvalidRequirement):
            yield canonicalize_name(Requirement(line).name)
