"""Where the code of a project runs.

A build started by an ordinary user runs as that user, in place: that user could run the same code anyway. One started
by root (a container action, a Cloud Build step) runs as a user of its own, on a copy: see `isolated.py`. Where root has
no container, and cannot become other users, it runs as root, in place, with a warning.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock

from gar_publish.builder import variables
from gar_publish.builder.environment import Environment
from gar_publish.builder.process import Program, Show, Works
from gar_publish.builder.template import Order
from gar_publish.builder.templates import HOOK_SCRIPT, Kind, ProjectTemplate, Template, Templates, has_template
from gar_publish.errors import BuildFailure
from gar_publish.projects.find import Project
from gar_publish.settings.build_env import worth_asking

BACKEND_VARIABLE = "_PYPROJECT_HOOKS_BUILD_BACKEND"
IN_TREE_VARIABLE = "_PYPROJECT_HOOKS_BACKEND_PATH_JSON"


class NotEnded(BuildFailure):
    """A process of a build could not be ended. After that, nothing may be read, opened or uploaded."""


class Sandbox:
    """Runs the code of one project, in place, as the user who started gar-publish. One program runs at a time.

    Args:
        tree: The project's folder for the build.
        scratch: A folder of the project's that its code cannot write to, if it has a user of its own.
        variables: Those of all programs.
    """

    user = 0
    """The user id of the code; 0 for the user who started gar-publish."""

    _processes = 0  # the most of that user

    def __init__(
        self, tree: Path, scratch: Path, variables: Mapping[str, str], works: Works, templates: Templates
    ) -> None:
        self.tree = tree
        self.variables = variables
        self._scratch = scratch
        self._works = works
        self._templates = templates
        self._count = 0
        self.seconds = 0.0
        """After so many seconds a program that `run` started is ended; 0 for no limit."""

    def closed_folder(self, kind: str) -> Path:
        """Make a folder that the code cannot write to until it is given. Its name is the same in each run."""
        self._count += 1
        folder = self._scratch / f"{kind}-{self._count}"
        folder.mkdir(mode=0o755)  # other users cannot write to it, whatever the umask
        return folder

    def folder(self, kind: str) -> Path:
        """Make a folder that the code may write to."""
        folder = self.closed_folder(kind)
        self.give(folder)
        return folder

    def give(self, folder: Path) -> None:
        """Make the code's user the owner of a folder and of everything in it, which it could not change until now."""

    def let_read(self, folder: Path) -> None:
        """Let the code's user enter a folder, which it cannot change. No other user can enter it."""

    def run(
        self, command: Sequence[str | Path], *, cwd: Path, extra: Mapping[str, str] | None = None, show: Show
    ) -> None:
        """Run a program to its end, with extra variables. Show each line of its output as it comes.

        Raises:
            subprocess.CalledProcessError: The program failed.
            subprocess.TimeoutExpired: It did not end in time.
            OSError: It could not be started.
        """
        program = Program(command, cwd=cwd, environment={**self.variables, **(extra or {})})
        self._works.follow(program, show, seconds=self.seconds)

    def call(
        self, environment: Environment, tree: Path, hook: str, control: Path, *, given: Mapping[str, str], show: Show
    ) -> Path:
        """Call a hook of a source tree's backend in a process of its own, and return the folder with its result.

        Its input is in `control`, a folder of pyproject_hooks. It gets the given variables on top of the sandbox's own.

        Raises:
            subprocess.CalledProcessError: The hook failed.
            OSError: No process could be started.
        """
        folder = self.closed_folder("hook")
        shutil.copy(control / "input.json", folder)
        self.give(folder)
        backend = given[BACKEND_VARIABLE]
        is_known = has_template(backend) and IN_TREE_VARIABLE not in given
        lent = self._template(environment, backend) if is_known else None
        if lent:
            with lent as template:
                self._works.follow(template.order(self.order(tree, [hook, str(folder)], given)), show)
        else:
            self.run([environment.python_executable, "-u", HOOK_SCRIPT, hook, folder], cwd=tree, extra=given, show=show)
        return folder

    def _template(
        self, environment: Environment, backend: str
    ) -> "contextlib.AbstractContextManager[Template | ProjectTemplate] | None":
        """Lend a template that has imported a backend; None if there must not be one."""
        return self._templates.one(Kind(environment.python_executable, backend)) if environment.is_trusted else None

    def order(self, folder: Path, arguments: Sequence[str | Path], extra: Mapping[str, str]) -> Order:
        """Return an order for a template."""
        return {
            "user": self.user,
            "processes": self._processes,
            "folder": str(folder),
            "arguments": [str(each) for each in arguments],
            "environment": {**self.variables, **extra},
        }

    def end(self) -> None:
        """End all processes of the code, if it has a user of its own. After that, nothing changes what it has made."""


class Sandboxes:
    """Opens a sandbox for each project of a run: in place, as the user who started gar-publish. Threads may share it.

    Args:
        scratch: A folder of this run that only gar-publish can write to.
        environment: All variables that gar-publish was started with.
        asked: More variables for the builds. Templates do not have them.
    """

    are_isolated = False
    """Whether each sandbox has a user of its own."""

    def __init__(self, scratch: Path, environment: Mapping[str, str], asked: Mapping[str, str]) -> None:
        self.scratch = scratch
        self.works = Works()
        usual = {"PYTHONHASHSEED": "0", **variables.for_backend(environment, personal=not self.are_isolated)}
        self._variables = {**usual, **asked}
        self.withheld = set(filter(worth_asking, environment.keys() - self._variables.keys()))
        """The variables that builds do not get, and could."""
        self.left_out: Mapping[Path, str] = {}
        """The files and folders that builds do not get, and why."""
        self._templates = Templates(usual)
        self._clearing = Lock()
        self._is_clear = False

    @contextlib.contextmanager
    def open(self, project: Project, number: int) -> Iterator[Sandbox]:
        """Open the sandbox of a project, which has a number. One with a user is ended and removed afterwards.

        Raises:
            BuildFailure: It cannot be opened.
            NotEnded: What runs in it could not be ended.
        """
        folder = self.scratch / f"project-{number}"
        folder.mkdir()
        yield Sandbox(project.folder, folder, self._variables, self.works, self._templates)

    def stop(self) -> None:
        """End everything that runs, and let nothing else begin.

        Raises:
            NotEnded: A process could not be ended.
        """
        self.works.stop()
        self._templates.close()

    def clear(self) -> None:
        """Remove all files of the builds, after the last of them, and only once: then another run may have the path."""
        self._templates.close()
        with self._clearing:
            if not self._is_clear:
                shutil.rmtree(self.scratch, ignore_errors=True)
            self._is_clear = True
