"""Evidence of what was published: made while files are on their way, then attached to their versions and handed out."""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

from gar_publish.context import Context
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import Failure, internal_error
from gar_publish.registry.outcomes import AttachedEvidence, Evidence
from gar_publish.settings.settings import Settings
from gar_publish.threads import result

DIST = "dist"


Attach = Callable[[Evidence, str, str], str]
"""Attaches evidence to a version, given by name and version, and returns the attachment's resource name."""


class Gathering:
    """Makes the evidence of one run.

    Args:
        settings: What was asked.
        context: Where the run happens, and where copies are left.
        workers: Where evidence is made and attached, side by side.
    """

    def __init__(self, settings: Settings, context: Context, workers: Executor) -> None:
        self._settings = settings
        self._context = context
        self._workers = workers
        self._sboms: dict[Distribution, Future[Evidence]] = {}

    def add(self, distribution: Distribution) -> None:
        """Begin with what can be said of a file before it has landed."""
        if self._settings.sbom and distribution.kind == "wheel":
            self._sboms[distribution] = self._workers.submit(self._make_sbom, distribution)

    def finish(self, files: Sequence[Distribution], attach: Attach | None) -> list[AttachedEvidence]:
        """Leave the evidence of files that have landed where later steps find it, and attach it.

        Args:
            files: The files.
            attach: Attaches; None where nothing is to be.

        Returns:
            Each document with each version that it is for. What failed is in it.
        """
        evidence = [(result(self._sboms[each]), [each]) for each in files if each in self._sboms]
        if self._settings.provenance and files:
            evidence.append((self._make_provenance(files), list(files)))
        pending = [
            AttachedEvidence(document, name, version, path)
            for (document, about), path in zip(evidence, self._leave([each for each, _ in evidence]), strict=True)
            for name, version in dict.fromkeys((each.name, each.version) for each in about)
        ]
        if attach is None:
            return pending
        return [result(each) for each in [self._workers.submit(_attached, each, attach) for each in pending]]

    def _make_sbom(self, distribution: Distribution) -> Evidence:
        from gar_publish.publish import sbom  # takes long to import

        content = sbom.of_wheel(distribution, self._settings.repository, self._context.environment)
        return Evidence("sbom", f"{distribution.filename}.cdx.json", content)

    def _make_provenance(self, files: Sequence[Distribution]) -> Evidence:
        from gar_publish.publish import provenance  # an option

        content = provenance.statement(files, self._settings, self._context)
        return Evidence("provenance", f"provenance-{hashlib.sha256(content).hexdigest()[:12]}.intoto.json", content)

    def _leave(self, documents: Sequence[Evidence]) -> list[str]:
        """Leave copies in the workspace, as builds do.

        Returns:
            The path of each; empty where there is none.
        """
        from gar_publish.builder.files import leave  # takes long to import

        paths = []
        with tempfile.TemporaryDirectory(prefix="gar-publish-") as scratch:
            for each in documents:
                file = Path(scratch, each.filename)
                file.write_bytes(each.content)
                left = leave(file, self._context.workspace / DIST, self._context.console)
                paths.append(f"{DIST}/{each.filename}" if left else "")
        return paths


def _attached(pending: AttachedEvidence, attach: Attach) -> AttachedEvidence:
    try:
        return replace(pending, attachment=attach(pending.evidence, pending.name, pending.version))
    except Failure as failure:
        return replace(pending, failure=failure)
    except Exception as error:  # noqa: BLE001 - what was published is published
        return replace(pending, failure=internal_error(error))
