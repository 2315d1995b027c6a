"""SOURCE_DATE_EPOCH, the date that makes builds reproducible."""

import contextlib
import subprocess
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gar_publish.builder.sandbox import Sandbox
from gar_publish.projects.find import Project

if TYPE_CHECKING:
    from pathlib import Path


class SourceDates:
    """Finds SOURCE_DATE_EPOCH for projects (reproducible-builds.org/specs/source-date-epoch).

    A variable that is already set wins. Otherwise it is the time of the checkout's last commit. Without git there is
    none.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._given = environment.get("SOURCE_DATE_EPOCH", "")
        self._known: dict[Path, dict[str, str]] = {}
        self._lock = threading.Lock()

    def of(self, project: Project, sandbox: Sandbox) -> dict[str, str]:
        """Return the variable, or nothing; git runs in the sandbox, once for each checkout."""
        if self._given.isdecimal():
            return {"SOURCE_DATE_EPOCH": self._given}
        candidates = (project.folder, *project.folder.parents)
        checkout = next((folder for folder in candidates if (folder / ".git").exists()), None)
        if checkout is None:
            return {}
        with self._lock:
            if checkout not in self._known:
                self._known[checkout] = self._ask(sandbox, project)
            return self._known[checkout]

    def _ask(self, sandbox: Sandbox, project: Project) -> dict[str, str]:
        lines: list[str] = []
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            command = ["git", "-c", "safe.directory=*", "log", "-1", "--no-show-signature", "--format=%ct"]
            sandbox.run(command, cwd=sandbox.source(project.folder), show=lines.append)
        return {"SOURCE_DATE_EPOCH": lines[0]} if len(lines) == 1 and lines[0].isdecimal() else {}
