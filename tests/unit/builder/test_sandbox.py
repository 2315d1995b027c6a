"""Calls of hooks: what their processes are, and what they see."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gar_publish.builder.environment import Environment
from gar_publish.builder.process import Works
from gar_publish.builder.sandbox import IN_TREE_VARIABLE, Sandbox
from gar_publish.builder.templates import Kind, Templates
from tests.unit.builder.hooks import FORKED, FRESH, Call, both, caller, runs, trace


def log(tmp_path: Path) -> list[str]:
    return (tmp_path / "log").read_text().split()


@both
def test_the_second_hook_sees_nothing_of_the_first(call: Call, sandbox: Sandbox, backend: str) -> None:
    first, second = (trace(call, backend=backend, MINE=value) for value in ("1", "2"))
    assert first[0] != second[0], "each hook has a process of its own"
    assert first[1:] == ["0", str(sandbox.tree), "False", "1"]
    assert second[1:] == ["0", str(sandbox.tree), "False", "2"]


def test_a_template_imports_a_backend_once_for_all_projects(
    call: Call, new_sandbox: Callable[[str], Sandbox], environment: Environment, tmp_path: Path, said: list[str]
) -> None:
    trace(call)
    other = caller(new_sandbox("other"), environment, tmp_path / "control-of-other", said)
    assert trace(other)[1:] == ["0", str(tmp_path / "other"), "False", ""]
    assert log(tmp_path) == ["imported"]


@pytest.mark.parametrize("how", ["other backend", "backend in the tree", "environment of one project"])
def test_without_a_template_each_hook_imports_its_backend(
    call: Call, environment: Environment, sandbox: Sandbox, tmp_path: Path, how: str
) -> None:
    given: dict[str, object] = {"backend": FRESH}
    if how == "environment of one project":
        given = {"environment": Environment(environment.folder, environment.path)}
    elif how == "backend in the tree":
        (sandbox.tree / "mine.py").write_text((environment.site / "other.py").read_text())
        given = {"backend": "mine", IN_TREE_VARIABLE: json.dumps([str(sandbox.tree)])}
    assert trace(call, **given)[0] != trace(call, **given)[0]
    assert log(tmp_path) == ["imported", "imported"]


SIGHT = """
import gc, locale, marking, os, signal, sys, tempfile, threading, time
print("prefix", sys.prefix, sys.exec_prefix, sys.executable, sys.argv[:2], __import__("__main__").__file__)
print("path", *sys.path)
print("python", marking.times, sys.flags, sys.getrecursionlimit(), gc.isenabled(), locale.getlocale())
print("streams", sys.stdin.read(), sys.stdout, sys.stderr, sys.stdout.line_buffering, sys.stdout.seekable())
print("process", os.getcwd(), tempfile.gettempdir(), time.tzname, os.getsid(0) == os.getpid(), threading.active_count())
print("signals", [(number, signal.getsignal(number)) for number in sorted(signal.valid_signals())])
print("files", sorted(os.listdir("/proc/self/fd")))
print("variables", sorted(os.environ.items()))
os.environ["TZ"] = "Europe/Paris"
sys.stdout.reconfigure(line_buffering=True)
"""


@pytest.mark.parametrize("language", ["C.UTF-8", "C"])
def test_a_fork_sees_what_a_new_process_sees(
    call: Call, environment: Environment, sandbox: Sandbox, said: list[str], language: str
) -> None:
    """With the language C, Python sets a variable itself when it starts (PEP 538)."""
    assert isinstance(sandbox.variables, dict)
    sandbox.variables["LANG"] = language  # its templates get the same
    (environment.site / "marked.pth").write_text("import marking\nbelow\n")
    (environment.site / "below").mkdir()
    (environment.site / "marking.py").write_text("times = 0\n")
    (environment.site / "sitecustomize.py").write_text("import marking; marking.times += 1\n")
    (sandbox.tree / "tmp").mkdir()
    given = {"TMPDIR": str(sandbox.tree / "tmp"), "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "315619200"}
    call(deed=SIGHT, backend=FRESH, **given)
    fresh = {line.partition(" ")[0]: line for line in said}
    said.clear()
    call(deed=SIGHT, backend=FORKED, **given)
    forked = {line.partition(" ")[0]: line.replace(f"'{FORKED}'", f"'{FRESH}'") for line in said}
    assert forked == fresh
    assert f"{environment.site} {environment.site}/below" in fresh["path"]
    assert fresh["python"].startswith("python 1 "), "sitecustomize was imported once"
    assert f"{sandbox.tree} {sandbox.tree}/tmp ('JST', 'JST') True 1" in fresh["process"]
    assert fresh["files"] == "files ['0', '1', '2', '3']", "the last is the listing's own"


@both
def test_output_comes_in_order_and_an_exception_last(call: Call, said: list[str], backend: str) -> None:
    deed = "import os; print('one'); os.system('echo two'); raise ValueError('end')"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        call(deed=deed, backend=backend)
    assert caught.value.returncode == 1
    assert (said[:2], said[-1]) == (["one", "two"], "ValueError: end")
    assert not [line for line in said if "template.py" in line]


def test_a_template_that_is_killed_is_replaced(call: Call, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        call(deed="import os, time; os.kill(os.getppid(), 9); time.sleep(60)")
    assert call() == "x"
    assert log(tmp_path) == ["imported", "imported"]


def test_a_fork_does_not_outlive_its_template(templates: Templates, tmp_path: Path) -> None:
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    command = [sys.executable, "-c", script]
    with templates.one(Kind(sys.executable)) as template:
        fork = template.order(
            {"user": 0, "processes": 0, "folder": str(tmp_path), "arguments": command, "environment": {}}
        )
        lines = fork.lines()
        pid = int(next(lines))
        template._process.kill()
        assert list(lines) == []
        assert fork.wait() == -9
    assert not runs(pid)


@both
def test_another_thread_can_end_a_hook(
    call: Call, works: Works, templates: Templates, said: list[str], backend: str
) -> None:
    def stop() -> None:
        until = time.monotonic() + 20
        while not said and time.monotonic() < until:
            time.sleep(0.01)
        works.stop()
        templates.close()

    threading.Thread(target=stop).start()
    with pytest.raises(subprocess.CalledProcessError) as caught:
        call(deed="print('begun', flush=True); import time; time.sleep(60)", backend=backend)
    assert caught.value.returncode == -9
    with pytest.raises((OSError, subprocess.CalledProcessError)):
        call(deed="import time; time.sleep(60)", backend=backend)


def test_no_template_is_made_after_the_end(templates: Templates) -> None:
    templates.close()
    with pytest.raises(OSError), templates.one(Kind(sys.executable)):
        pass


def test_a_template_serves_one_hook_at_a_time(templates: Templates) -> None:
    kind = Kind(sys.executable)
    with templates.one(kind) as first, templates.one(kind) as second:
        assert first is not second
    with templates.one(kind) as third:
        assert third in {first, second}


def test_idle_templates_make_room_for_others(templates: Templates, tmp_path: Path) -> None:
    made = []
    for number in range(10):
        (tmp_path / str(number)).symlink_to(sys.executable)
        with templates.one(Kind(str(tmp_path / str(number)))) as template:
            made.append(template)
    assert [template.has_ended() for template in made] == [True] * 2 + [False] * 8


def test_the_names_of_folders_are_the_same_in_each_run(sandbox: Sandbox) -> None:
    assert [sandbox.folder("built").name, sandbox.closed_folder("hook").name] == ["built-1", "hook-2"]


def test_a_program_gets_the_variables_of_the_sandbox(tmp_path: Path, sandbox: Sandbox, said: list[str]) -> None:
    script = "import os; print(os.environ['MORE'], 'PATH' in os.environ)"
    sandbox.run([sys.executable, "-c", script], cwd=tmp_path, extra={"MORE": "more"}, show=said.append)
    assert said == ["more True"]
