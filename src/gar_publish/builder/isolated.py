"""Root's builds: each project has a user of its own and a tree of its own, and leaves no process behind (Linux).

It is not the owner of the workspace: that user also owns the runner's files for variables and paths, and the files of
other steps.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock

import uv

from gar_publish.builder.environment import Environment
from gar_publish.builder.folders import folder_for_builds, remove, shut
from gar_publish.builder.process import Show, Works
from gar_publish.builder.sandbox import Sandbox, Sandboxes
from gar_publish.builder.templates import (
    HOOK_SCRIPT,
    TEMPLATE_SCRIPT,
    Fork,
    Kind,
    ProjectTemplate,
    Template,
    Templates,
)
from gar_publish.builder.tree import Trees
from gar_publish.builder.users import Keeper, most_processes, new_ids
from gar_publish.context import Context
from gar_publish.errors import BuildFailure
from gar_publish.process import become_subreaper
from gar_publish.projects.find import Project


class Isolated(Sandbox):
    """Runs the code of one project as a user of its own, who has at most so many processes.

    The other arguments are those of `Sandbox`.
    """

    def __init__(
        self,
        tree: Path,
        scratch: Path,
        variables: Mapping[str, str],
        works: Works,
        templates: Templates,
        *,
        user: int,
        keeper: Keeper,
        processes: int,
    ) -> None:
        super().__init__(tree, scratch, variables, works, templates)
        self.user = user
        self._keeper = keeper
        self._processes = processes
        self._own: dict[Kind, ProjectTemplate] = {}
        self._launchers = contextlib.ExitStack()
        home = self.closed_folder("home")
        # A file of a tree has another inode, and other times, than git's index says.
        (home / ".gitconfig").write_text("[core]\n\ttrustctime = false\n\tcheckStat = minimal\n")
        self.give(home)
        own = {"HOME": str(home), "USER": "gar-publish", "LOGNAME": "gar-publish", "TMPDIR": str(self.folder("tmp"))}
        self.variables = {**variables, **own}

    def give(self, folder: Path) -> None:
        for parent, folders, files in os.walk(folder, topdown=False):  # no folder is entered after it was given
            for name in (*folders, *files):
                os.chown(Path(parent, name), self.user, self.user, follow_symlinks=False)
        os.chown(folder, self.user, self.user)
        folder.chmod(0o700)

    def let_read(self, folder: Path) -> None:
        os.chown(folder, 0, self.user)
        folder.chmod(0o750)

    def run(
        self, command: Sequence[str | Path], *, cwd: Path, extra: Mapping[str, str] | None = None, show: Show
    ) -> None:
        with self._templates.one(Kind(sys.executable)) as launcher:
            running = launcher.order(self.order(cwd, command, extra or {}))
            self._works.follow(running, show, seconds=self.seconds, end=lambda: self._keeper.end_all(self.user))

    def _template(
        self, environment: Environment, backend: str
    ) -> "contextlib.AbstractContextManager[Template | ProjectTemplate]":
        if lent := super()._template(environment, backend):
            return lent
        kind = Kind(environment.python_executable, backend)
        if kind not in self._own:
            launcher = self._launchers.enter_context(self._templates.one(Kind(sys.executable)))

            def start(command: list[str], descriptor: int) -> Fork:
                return launcher.order(self.order(Path("/"), command, {}), descriptor)

            self._own[kind] = ProjectTemplate(kind, start, self._works)
        return contextlib.nullcontext(self._own[kind])

    def end(self) -> None:
        self._keeper.end_all(self.user)
        while self._own:
            self._own.popitem()[1].close()
        self._launchers.close()


class IsolatedSandboxes(Sandboxes):
    """Sandboxes that each have a user and a tree. Only root can write to `scratch`, and everybody can enter it."""

    are_isolated = True

    def __init__(
        self, scratch: Path, projects: Sequence[Project], context: Context, asked: Mapping[str, str], most: int
    ) -> None:
        super().__init__(scratch, context.environment, asked)
        copies = scratch / "workspace"
        copies.mkdir(mode=0o700)
        self._trees = Trees(context.workspace, [each.folder for each in projects], copies, context.environment)
        self.left_out = self._trees.left_out
        self._ids = new_ids()
        self._processes = most_processes(most)
        self._keeper = Keeper(next(self._ids))
        self._users: set[int] = set()
        self._lock = Lock()
        self._stopped = False

    @contextlib.contextmanager
    def open(self, project: Project, number: int) -> Iterator[Sandbox]:
        with self._lock:
            if self._stopped:
                raise ConnectionAbortedError("the run has ended")
            user = next(self._ids)
            self._users.add(user)
        folder = self.scratch / str(number)
        given = (folder, self._variables, self.works, self._templates)
        try:
            folder.mkdir()
            folder.chmod(0o711)
            tree = self._trees.make(project.folder, folder / "source", user)
            yield Isolated(tree, *given, user=user, keeper=self._keeper, processes=self._processes)
        finally:
            self._keeper.end_all(user)
            self._users.discard(user)
            self._trees.take_back(project.folder, folder / "source")
            remove(folder)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            users = list(self._users)
        super().stop()
        with contextlib.ExitStack() as ends:  # all, whichever fails
            for user in users:
                ends.callback(self._keeper.end_all, user)

    def clear(self) -> None:
        self._templates.close()
        remove(self.scratch)

    def close(self) -> None:
        """End the keeper, after `stop`."""
        self._keeper.close()


@contextlib.contextmanager
def open_sandboxes(
    projects: Sequence[Project], context: Context, asked: Mapping[str, str], most: int
) -> Iterator[IsolatedSandboxes | None]:
    """Make the sandboxes of root's run, of which `most` are open at once; None if they cannot be made, and need not.

    Raises:
        BuildFailure: They cannot be made, and this is a container.
    """
    become_subreaper()
    with contextlib.ExitStack() as stack:
        try:
            _check()
            scratch = stack.enter_context(folder_for_builds())
            sandboxes = IsolatedSandboxes(scratch, projects, context, asked, most)
        except BuildFailure as failure:
            if context.container:
                raise
            context.console.warning(f"The build runs untrusted code as root: {failure.cause or failure.detail}.")
            yield None
            return
        stack.callback(sandboxes.close)
        open_again = shut(context.environment if context.container else {}, scratch)
        try:
            yield sandboxes
        finally:
            sandboxes.stop()
            open_again()  # not if a process of a build is left


def _check() -> None:
    """See whether other users can run this Python, which may be below /root.

    Raises:
        BuildFailure: They cannot.
    """
    for needed in (sys.executable, os.__file__, HOOK_SCRIPT, TEMPLATE_SCRIPT, uv.find_uv_bin()):
        for path in (Path(needed), Path(needed).resolve()):
            for each in (path, *path.parents):
                if not each.stat().st_mode & (stat.S_IXOTH if each.is_dir() else stat.S_IROTH):
                    raise BuildFailure(
                        "The build cannot run as a user of its own, and must not run as root.",
                        cause=f"other users than root need {path}, and cannot read {each}",
                        fix="use an image in which every user can run Python, or start gar-publish as an ordinary user",
                        anchor="build-as-root",
                    )
