"""Rehearse the wheels of a run: install each in clean environments, and import it there."""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from gar_publish.builder.builds import open_sandboxes
from gar_publish.builder.environment import Environment
from gar_publish.builder.process import Tail
from gar_publish.builder.sandbox import Sandbox, Sandboxes
from gar_publish.context import Context
from gar_publish.distributions import filenames
from gar_publish.distributions.distribution import Distribution, is_needed
from gar_publish.errors import BadInput, BuildFailure, Failure, Unreachable
from gar_publish.files import open_regular
from gar_publish.projects import graph
from gar_publish.projects.find import Project
from gar_publish.rehearsal import overlay, probe, pythons
from gar_publish.rehearsal.installer import Rehearsing
from gar_publish.rehearsal.outcome import Rehearsal, State
from gar_publish.rehearsal.pythons import Python
from gar_publish.rehearsal.rule import Verdict, extras_of, judge, listed

LONGEST_JOIN = 2
"""Seconds that an interrupted run waits for its threads."""

_PROBE = Path(probe.__file__)
_LARGEST_ANSWER = 16 * 1024 * 1024
_MOST_EXTRAS = 12
_LINES_SHOWN = 30
_PYTEST = "pytest"


@dataclass(frozen=True)
class Plan:
    """What is rehearsed, and where what it needs comes from.

    Attributes:
        files: The files of the run.
        folders: The folders of the projects that built them, by package.
        listed: The URLs of the files that the repository has, by package and file name: of the packages of the run, and
            of those that they require.
        private: The URL of the repository's index, with a token that reads it.
        is_mixed: Returns whether the repository has a requirement that is not of this run.
        asked: The versions of Python that were asked for.
        command: A command to run in each environment; empty for none.
        seconds: The time limit of each program.
        jobs: The most packages at once; 0 for one per processor, and one more.
    """

    files: Sequence[Distribution]
    folders: Mapping[str, Path]
    listed: Mapping[str, Mapping[str, str]]
    private: str
    is_mixed: Callable[[], bool]
    asked: Sequence[str] = ()
    command: str = ""
    seconds: int = 0
    jobs: int = 0


class NotTried(Exception):
    """An environment could not be made, for a reason that is no fault of the package."""


class NotInstalled(Exception):
    """A package cannot be installed."""


class Rehearser:
    """Rehearses packages, several at once, each in a sandbox of its own.

    Args:
        plan: What is rehearsed.
        sandboxes: Where the code of the packages runs.
        installer: Fills the environments.
        context: Where the run happens; its workspace is empty if there is no command.
        most: The most packages at once.

    Raises:
        BadInput: A Python that was asked for is not installed.
    """

    def __init__(self, plan: Plan, sandboxes: Sandboxes, installer: Rehearsing, context: Context, *, most: int) -> None:
        self._plan = plan
        self._sandboxes = sandboxes
        self._installer = installer
        self._context = context
        self._pool = ThreadPoolExecutor(max_workers=most)
        self._ended = threading.Event()
        self._ended.set()
        self._numbers = count(1)
        self._pythons = pythons.installed(installer.pythons(), for_others=sandboxes.are_isolated)
        pythons.choose(self._pythons, plan.asked, None)
        self._wheels: dict[str, list[Distribution]] = {}
        for each in plan.files:
            self._wheels.setdefault(each.name, []).extend([each] if each.kind == "wheel" else [])

    def rehearse(self) -> dict[str, list[Rehearsal]]:
        """Rehearse all packages, once, and return what came of each. One that requires a failed one is not tried.

        Raises:
            Failure: An index cannot be reached, or a process could not be ended.
        """
        self._ended.clear()
        try:
            with self._pool:
                return self._rehearse_all()
        finally:
            self._ended.set()

    def stop(self) -> None:
        """End everything that runs, let nothing else begin, and wait for the threads for a moment.

        Raises:
            NotEnded: A process could not be ended.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._sandboxes.stop()
        self._ended.wait(LONGEST_JOIN)

    def _rehearse_all(self) -> dict[str, list[Rehearsal]]:
        required = {name: {need for each in wheels for need in each.requires} for name, wheels in self._wheels.items()}
        try:
            waves = graph.waves(required)
        except BadInput:  # it is refused later
            waves = [list(required)]
        outcomes: dict[str, list[Rehearsal]] = {}
        failed = set[str]()
        for wave in waves:
            held = {name: min(needs) for name in wave if (needs := required[name] & failed - {name})}
            going = [name for name in wave if name not in held]
            outcomes |= dict(zip(going, self._pool.map(self._rehearse, going), strict=True))
            outcomes |= {name: self._held(name, need) for name, need in held.items()}
            failed |= held.keys() | {name for name in going if any(each.state == "failed" for each in outcomes[name])}
        return outcomes

    def _held(self, name: str, need: str) -> list[Rehearsal]:
        why = (f"requires {need}, which failed",)
        return [Rehearsal(name, each.version, "", "", "not tried", why) for each in self._wheels[name][:1]]

    def _rehearse(self, name: str) -> list[Rehearsal]:
        """Rehearse each version of a package."""
        if not self._wheels[name]:
            version = next(each.version for each in self._plan.files if each.name == name)
            return [Rehearsal(name, version, "", "", "not tried", ("it has no wheel",))]
        versions: dict[str, list[Distribution]] = {}
        for each in self._wheels[name]:
            versions.setdefault(each.version, []).append(each)
        return [outcome for wheels in versions.values() for outcome in self._rehearse_version(wheels)]

    def _rehearse_version(self, wheels: Sequence[Distribution]) -> list[Rehearsal]:
        wheel = wheels[0]
        chosen = pythons.choose(self._pythons, self._plan.asked, wheel.requires_python)
        if not chosen:
            found = ", ".join(self._plan.asked or [str(each.version) for each in self._pythons])
            where = f"`rehearse-python: {found}`" if self._plan.asked else f"this machine (uv finds {found})"
            why = f"no Python of {where} fits Requires-Python {wheel.requires_python}"
            return [Rehearsal(wheel.name, wheel.version, "", "", "not tried", (why,))]
        folder = self._plan.folders.get(wheel.name) if self._plan.command else None
        number = next(self._numbers)
        with self._sandboxes.open(Project(folder or self._context.workspace, wheel.name), number) as sandbox:
            sandbox.seconds = self._plan.seconds
            tries = [(python, "") for python in chosen]
            tries += [(chosen[-1], beside) for beside in self._lowest(wheel)]
            try:
                return [self._try(wheel, python, beside, sandbox) for python, beside in tries]
            finally:
                sandbox.end()

    def _lowest(self, wheel: Distribution) -> Iterator[str]:
        """Yield the lowest version of each dependency that the wheel allows and the repository has.

        Those that are in the usual installation are left out.
        """
        specifiers: dict[str, SpecifierSet] = {}
        for each in wheel.requirements:
            name = canonicalize_name(each.name)
            if name in self._plan.listed and name != wheel.name and is_needed(each) and not each.url:
                specifiers[name] = specifiers.get(name, SpecifierSet()) & each.specifier
        for need, specifier in specifiers.items():
            existing = filenames.by_version(self._plan.listed[need], need)
            wheels = [each for each, files in existing.items() if any(file.endswith(".whl") for file in files)]
            allowed = sorted(each for each in wheels if specifier.contains(each))
            usual = [Version(each.version) for each in self._wheels.get(need, ())] or allowed[-1:]
            if allowed and allowed[0] < min(usual):
                yield f"{need}=={allowed[0]}"

    def _try(self, wheel: Distribution, python: Python, beside: str, sandbox: Sandbox) -> Rehearsal:
        verdict, notes = Verdict(), list[str]()
        state: State = "passed"
        problems: tuple[str, ...] = ()
        try:
            opened = _Opened(python, sandbox, self._make(python, sandbox))
            self._install(opened, [_pin(wheel), *filter(None, [beside])])
            verdict = self._probe(opened, wheel)
            if verdict.needs:
                notes = self._try_extras(opened, wheel, verdict)
            if self._plan.command and not verdict.errors and not beside:
                verdict.errors |= self._run_command(opened, wheel)
            if verdict.errors:
                state, problems = "failed", listed(list(verdict.errors.values()))
        except NotTried as error:
            state, problems = "not tried", (str(error),)
        except NotInstalled as error:
            # With the lowest version of a dependency, what else is newest may not fit.
            state, problems = "not tried" if beside else "failed", (str(error),)
        except OSError as error:  # the disk is full
            state, problems = "failed", (f"cannot be rehearsed: {error.strerror or error}",)
        return Rehearsal(
            wheel.name,
            wheel.version,
            str(python.version),
            beside,
            state,
            problems,
            () if beside else listed(verdict.warnings),
            tuple(notes),
        )

    def _probe(self, opened: "_Opened", wheel: Distribution, only: Collection[str] | None = None) -> Verdict:
        folder = opened.sandbox.closed_folder("rehearsal")
        request = {"name": wheel.name, "only": None if only is None else list(only)}
        (folder / "request.json").write_text(json.dumps(request))
        opened.sandbox.give(folder)
        problem = opened.run([opened.environment.python_executable, "-I", "-B", _PROBE, folder], folder)[0]
        verdict, doing = Verdict(), ""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            with open_regular(folder / "answer.json", _LARGEST_ANSWER) as file:
                answer = json.loads(file.read())
            doing = str(answer["doing"])
            verdict = judge(answer, wheel)
            if not problem and not doing:
                return verdict
        if problem and not doing:
            self._check_start(opened, folder)
        title = " ".join(doing[:200].split()) or "the import"
        verdict.errors[title] = f"{title} {problem or 'ended Python'}"
        return verdict

    def _check_start(self, opened: "_Opened", folder: Path) -> None:
        """Raise NotTried if the Python cannot even start, without the packages of the environment."""
        problem, output = opened.run([opened.environment.python_executable, "-I", "-S", "-c", ""], folder)
        if problem:
            raise NotTried(f"Python {problem}: {' '.join(output[-_LINES_SHOWN:])[:500]}")

    def _try_extras(self, opened: "_Opened", wheel: Distribution, verdict: Verdict) -> list[str]:
        """Try what misses another distribution's module again, with one extra after the other. Return notes."""
        notes = []
        likely = [extra for missing in verdict.needs.values() for extra in extras_of(wheel, missing)]
        extras = dict.fromkeys([*likely, *(wheel.package.metadata.get("provides_extra") or [])])
        for extra in list(extras)[:_MOST_EXTRAS]:
            if not verdict.needs:
                break
            with contextlib.suppress(NotTried, NotInstalled):
                self._install(opened, [_pin(wheel, extra)])
                again = self._probe(opened, wheel, verdict.needs.keys())
                for title in verdict.needs.keys() - again.errors.keys():
                    del verdict.errors[title], verdict.needs[title]
                    notes.append(f"{title} needs the extra {extra}")
        return notes

    def _run_command(self, opened: "_Opened", wheel: Distribution) -> dict[str, str]:
        """Run the user's command. Return what went wrong."""
        name, *arguments = shlex.split(self._plan.command)
        programs = str(Path(opened.environment.python_executable).parent)
        # No other name is looked for in an index: it may be that of a private program that is missing.
        is_asked = name == _PYTEST or arguments[:2] == ["-m", _PYTEST]
        if is_asked and not shutil.which(_PYTEST, path=programs):
            self._install(opened, [_pin(wheel), _PYTEST])  # a version that fits the wheel's requirements
        places = f"{programs}{os.pathsep}{opened.sandbox.variables.get('PATH', '')}"
        if not shutil.which(name, path=places) and Path(name).name == name:
            why = f"could not be started: neither the environment nor PATH has {name}, and only pytest is installed"
            return {self._plan.command: f"`{self._plan.command}` {why}"}
        command = [shutil.which(name, path=programs) or name, *arguments]
        problem, output = opened.run(command, opened.sandbox.tree)
        if not problem:
            return {}
        lines = "\n".join(output[-_LINES_SHOWN:])
        return {self._plan.command: f"`{self._plan.command}` {problem}\n{lines}".rstrip()}

    def _install(self, opened: "_Opened", names: Sequence[str]) -> None:
        """Install into an environment.

        Without any credential if something must be built first, which runs its code; then no index or proxy may need
        one, and the repository must have none of the requirements that are not of this run.
        """
        if not opened.is_built:
            output = self._installer.install(opened.environment, names, self._plan.private)
            (opened.environment.folder / ".lock").unlink(missing_ok=True)  # root's uv must not wait for its code
            if output is None:
                if self._plan.command:
                    let_scripts_start(opened.environment)
                return
            if "--no-build" not in output or not self._installer.may_build or self._plan.is_mixed():
                raise self._why_not(output, names[0])
            opened.environment = self._make(opened.python, opened.sandbox)
            opened.is_built = True
        try:
            output = self._installer.build_and_install(opened.environment, names, opened.sandbox)
        except subprocess.TimeoutExpired:
            raise NotTried(f"a requirement without a wheel took longer than {self._plan.seconds} s to build") from None
        if output is not None:
            raise self._why_not(output, names[0])

    def _why_not(self, output: str, pin: str) -> Exception:
        why, _, hint = output.partition("cause: ")[2].partition("hint: ")
        is_denied = hint.startswith("An index")
        cause = " ".join(f"{why}{hint if is_denied else ''}".split()) or output[-500:].strip()
        if "Failed to fetch" in output or "error sending request" in output:
            return Unreachable(
                "The packages for the rehearsal could not be downloaded.",
                cause="a package index is unreachable or denies access",
                fix="check the network, and HTTPS_PROXY and UV_DEFAULT_INDEX if these variables are set",
                anchor="rehearsal-failed",
                detail=output,
            )
        is_for_another = f"{pin} has no wheels with a matching" in output
        is_unasked = "has no wheels with a matching" in output and not self._plan.asked
        if is_for_another or is_unasked or "--no-build" in output or "Failed to build" in output:
            return NotTried(f"something it requires has no wheel for this Python and machine: {cause}")
        return NotInstalled(f"cannot be installed: {cause}")

    def _make(self, python: Python, sandbox: Sandbox) -> Environment:
        """Make an empty environment. Only its own code can enter it: uv lets every user write to its lock file."""
        folder = sandbox.closed_folder("environment")
        sandbox.let_read(folder)
        environment = Environment(folder, self._context.environment.get("PATH", ""))
        output = self._installer.make_environment(environment, python.path)
        if output is not None:
            raise NotTried(f"no environment could be made: {output[-500:].strip()}")
        return environment


@dataclass
class _Opened:
    """An environment, and the sandbox in which its code runs.

    Attributes:
        python: The Python that the environment is of.
        is_built: Whether something was built in it, so that it belongs to the sandbox.
    """

    python: Python
    sandbox: Sandbox
    environment: Environment
    is_built: bool = False

    def run(self, command: Sequence[str | Path], folder: Path) -> tuple[str, list[str]]:
        """Run a program of the environment. Return what went wrong, if anything, and the last lines of its output."""
        output = Tail()
        problem = ""
        try:
            self.sandbox.run(command, cwd=folder, extra=self.environment.variables, show=output.add)
        except subprocess.TimeoutExpired:
            problem = f"did not end within {self.sandbox.seconds:g} seconds (`rehearse-timeout`)"
        except subprocess.CalledProcessError as error:
            problem = f"ended with exit code {error.returncode}"
        except OSError as error:
            problem = f"could not be started: {error.strerror or error}"
        return problem, list(output.lines)


@contextlib.contextmanager
def rehearsing(plan: Plan, context: Context) -> Iterator[Rehearser]:
    """Open the sandboxes of a rehearsal. Afterwards, everything in them is ended and removed.

    Raises:
        BadInput: A Python that was asked for is not installed.
        BuildFailure: No code can run here as a user of its own, and it must not run as root.
        NotEnded: A process could not be ended.
    """
    most = min(plan.jobs or (os.cpu_count() or 1) + 1, len({each.name for each in plan.files}))
    with tempfile.TemporaryDirectory(prefix="gar-publish-", ignore_cleanup_errors=True) as blank:
        # Root's sandboxes copy the workspace, which only a command needs.
        inside = context if plan.command else replace(context, workspace=Path(blank).resolve())
        folders = [*plan.folders.values()] if plan.command else []
        projects = [Project(folder, str(folder)) for folder in folders or [inside.workspace]]
        with open_sandboxes(projects, inside, {}, most) as sandboxes:
            # The files of the run have no date of upload.
            variables = {name: each for name, each in context.environment.items() if name != "UV_EXCLUDE_NEWER"}
            installer = Rehearsing(
                sandboxes.scratch,
                variables,
                sandboxes.works,
                first=overlay.write(sandboxes.scratch / "index", plan.files, plan.listed),
                are_isolated=sandboxes.are_isolated,
            )
            rehearser = Rehearser(plan, sandboxes, installer, inside, most=most)
            try:
                yield rehearser
            finally:
                rehearser.stop()


def failure_of(outcomes: Sequence[Rehearsal], filename: str) -> Failure | None:
    """Return the failure of a package that must not be published; None if nothing failed."""
    failed = [each for each in outcomes if each.state == "failed"]
    if not failed:
        return None
    first = failed[0].problems[0].partition("\n")[0]
    name, _, lowest = failed[0].beside.partition("==")
    cause = "the wheel lacks a module, or its metadata lack a requirement or allow too much"
    if name:
        cause = f"its metadata allow {name} {lowest}, with which it does not work"
    elif first.startswith("`"):
        cause = "`rehearse-command` found a fault of the package, or needs what the environment does not have"
    return BuildFailure(
        f"{filename} failed its rehearsal with {failed[0].title}: {first}",
        cause=cause,
        fix=f"raise the lower bound of the requirement, such as `{name}>{lowest}`, and build again"
        if name
        else "correct what the lines above say, and build again",
        anchor="rehearsal-failed",
        detail="\n".join(f"{each.title}: {problem}" for each in failed for problem in each.problems),
    )


def let_scripts_start(environment: Environment) -> None:
    """Let the scripts of an environment start its own Python, and not the one that it is of."""
    python = Path(environment.python_executable)
    for script in (each for each in python.parent.iterdir() if not each.is_symlink() and each.is_file()):
        content = script.read_bytes()
        if content.startswith(b"#!") and b"python" in content.partition(b"\n")[0]:
            mode = script.stat().st_mode
            script.unlink()  # it may be a hard link to uv's cache
            script.write_bytes(b"#!" + os.fsencode(python) + b"\n" + content.partition(b"\n")[2])
            script.chmod(mode)


def _pin(wheel: Distribution, extra: str = "") -> str:
    return f"{wheel.name}[{extra}]=={wheel.version}" if extra else f"{wheel.name}=={wheel.version}"
