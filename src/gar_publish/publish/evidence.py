"""Makes the evidence of a run during its uploads, attaches it, and leaves copies in the workspace."""

import hashlib
import tempfile
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gar_publish.context import Context
from gar_publish.distributions.distribution import Distribution
from gar_publish.distributions.leave import leave
from gar_publish.errors import as_failure
from gar_publish.registry.outcomes import AttachedEvidence, Evidence
from gar_publish.settings.settings import Settings
from gar_publish.threads import result

if TYPE_CHECKING:
    from gar_publish.registry.attachments import AttachmentApi

DIST = "dist"


class EvidenceMaker:
    """Makes the evidence that the settings ask for.

    Args:
        settings: The inputs.
        context: Where the run happens; copies are left in its workspace.
        workers: The threads that make and attach evidence.
    """

    def __init__(self, settings: Settings, context: Context, workers: Executor) -> None:
        self._settings = settings
        self._context = context
        self._workers = workers
        self._sboms: dict[Distribution, Future[Evidence]] = {}
        self._ours: set[Distribution] = set()

    def begin(self, distribution: Distribution) -> None:
        """Begin to make what needs no upload: the SBOM of a wheel that this run has built or was given."""
        self._ours.add(distribution)
        self._begin_sbom(distribution)

    def _begin_sbom(self, distribution: Distribution) -> None:
        if self._settings.sbom and distribution.kind == "wheel":
            self._sboms[distribution] = self._workers.submit(self._make_sbom, distribution)

    def finish(self, files: Sequence[Distribution], attachments: "AttachmentApi | None") -> list[AttachedEvidence]:
        """Make the evidence of files that have landed, leave copies in the workspace, and attach it.

        Args:
            files: The files.
            attachments: The attachments of the repository; None to attach nothing.

        Returns:
            Each document with each of its versions, and why it could not be attached.
        """
        for each in files:
            if each not in self._sboms:  # it is the registry's
                self._begin_sbom(each)
        evidence = [(result(self._sboms[each]), [each]) for each in files if each in self._sboms]
        ours = [each for each in files if each in self._ours]
        if self._settings.provenance and ours:
            evidence.append((self._make_provenance(ours), ours))
        pending = [
            AttachedEvidence(document, name, version, path)
            for (document, about), path in zip(evidence, self._leave([each for each, _ in evidence]), strict=True)
            for name, version in dict.fromkeys((each.name, each.version) for each in about)
        ]
        if attachments is None:
            return pending
        return [result(each) for each in [self._workers.submit(self._attach, each, attachments) for each in pending]]

    def _attach(self, pending: AttachedEvidence, attachments: "AttachmentApi") -> AttachedEvidence:
        try:
            attachment = attachments.attach(
                pending.evidence, pending.name, pending.version, verify=self._settings.verify
            )
            return replace(pending, attachment=attachment)
        except Exception as error:  # noqa: BLE001 - the files are published all the same
            return replace(pending, failure=as_failure(error))

    def _make_sbom(self, distribution: Distribution) -> Evidence:
        from gar_publish.publish import sbom  # takes long to import

        content = sbom.of_wheel(distribution, self._settings.repository, self._context.environment)
        return Evidence("sbom", f"{distribution.filename}.cdx.json", content)

    def _make_provenance(self, files: Sequence[Distribution]) -> Evidence:
        from gar_publish.publish import provenance  # only evidence needs it

        content = provenance.statement(files, self._settings, self._context)
        return Evidence("provenance", f"provenance-{hashlib.sha256(content).hexdigest()[:12]}.intoto.json", content)

    def _leave(self, documents: Sequence[Evidence]) -> list[str]:
        """Leave copies in the workspace, and return the path of each; empty where that failed."""
        paths = []
        with tempfile.TemporaryDirectory() as scratch:
            for each in documents:
                file = Path(scratch, each.filename)
                file.write_bytes(each.content)
                left = leave(file, self._context.workspace / DIST, self._context.console)
                paths.append(f"{DIST}/{each.filename}" if left else "")
        return paths
