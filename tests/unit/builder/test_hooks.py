"""Processes that call hooks, with local backends under the names of those that can be forked."""

import contextlib
import json
import os
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gar_publish.builder.builds import no_index
from gar_publish.builder.environment import Environment
from gar_publish.builder.environments import Environments
from gar_publish.builder.hooks import IN_TREE_VARIABLE, Hooks
from gar_publish.builder.sandbox import Sandbox
from gar_publish.builder.zygotes import BACKEND_VARIABLE, Zygotes

FORKED = "hatchling.build"
Call = Callable[..., object]

BACKEND = """
import os, pathlib, re
with open(LOG, "a") as log:
    log.write("imported\\n")
epoch = os.environ.get("SOURCE_DATE_EPOCH")
seen = []
def get_requires_for_build_wheel(config_settings=None):
    seen.append(os.getcwd())
    os.environ["LEFT"] = "behind"
    os.chdir("/")
    return [str(os.getpid()), str(len(seen)), os.environ.get("LEFT_BEFORE", ""), os.environ.get("MINE", "")]
def build_sdist(folder, config_settings=None):
    exec(pathlib.Path("deed.py").read_text(), globals())
    return "x"
def build_wheel(folder, config_settings=None, metadata_directory=None):
    import colorsys
    re.search("a{7}", "")
    with open(LOG, "a") as log:
        log.write("built\\n")
    return "x"
"""


@pytest.fixture
def sandbox(tmp_path: Path, clean_env: dict[str, str]) -> Sandbox:
    (tmp_path / "scratch").mkdir()
    return Sandbox(tmp_path / "scratch", None, clean_env)


@pytest.fixture
def environment(sandbox: Sandbox, tmp_path: Path, clean_env: dict[str, str]) -> Environment:
    """An environment with a backend under two names: one that can be forked, and another."""
    made = Environments(sandbox.scratch, clean_env, works=sandbox.works, private_index=no_index)
    environment = made.get([], project="one", sandbox=sandbox)
    environment.wanted = 2
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment.folder)}))
    text = f"LOG = {str(tmp_path / 'log')!r}\n{BACKEND}"
    (packages / "hatchling").mkdir()
    (packages / "hatchling/__init__.py").touch()
    (packages / "hatchling/build.py").write_text(text)
    (packages / "other.py").write_text(text)
    return environment


@pytest.fixture
def zygotes() -> Zygotes:
    return Zygotes()


@pytest.fixture
def hooks(sandbox: Sandbox, zygotes: Zygotes) -> Iterator[Hooks]:
    hooks = Hooks(sandbox, zygotes)
    yield hooks
    hooks.close()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def call(hooks: Hooks, environment: Environment, tmp_path: Path, said: list[str]) -> Call:
    return caller(hooks, environment, tmp_path, said)


@pytest.fixture
def other_call(
    sandbox: Sandbox, zygotes: Zygotes, environment: Environment, tmp_path: Path, said: list[str]
) -> Iterator[Call]:
    """The same for another sandbox of the same user."""
    (tmp_path / "other").mkdir()
    hooks = Hooks(sandbox, zygotes)
    yield caller(hooks, environment, tmp_path / "other", said)
    hooks.close()


def caller(hooks: Hooks, environment: Environment, folder_of_all: Path, said: list[str]) -> Call:
    def call(
        hook: str,
        *,
        tree: str = "tree",
        backend: str = FORKED,
        deed: str = "",
        answer: str = "return_val",
        **given: str,
    ) -> object:
        folder, control = folder_of_all / tree, folder_of_all / "control"
        folder.mkdir(exist_ok=True)
        control.mkdir(exist_ok=True)
        (folder / "deed.py").write_text(deed)
        arguments: dict[str, object] = {"config_settings": None}
        if hook != "get_requires_for_build_wheel":
            arguments[hook.replace("build_", "") + "_directory"] = str(folder)
        (control / "input.json").write_text(json.dumps({"kwargs": arguments}))
        given = {BACKEND_VARIABLE: backend, **given}
        out = hooks.call(environment, folder, hook, control, given=given, show=said.append)
        return json.loads((out / "output.json").read_text())[answer]

    return call


def log(tmp_path: Path) -> list[str]:
    return (tmp_path / "log").read_text().split()


def test_imports_a_backend_once_and_isolates_the_trees(call: Call, tmp_path: Path) -> None:
    first = call("get_requires_for_build_wheel", tree="one", MINE="1")
    second = call("get_requires_for_build_wheel", tree="two", LEFT_BEFORE="no")
    assert log(tmp_path) == ["imported", "built"]
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert first[0] != second[0], "a process for each tree"
    assert first[1:] == ["1", "", "1"]
    assert second[1:] == ["1", "no", ""]
    assert not Path(f"/proc/{first[0]}").exists()


def test_calls_both_hooks_of_a_tree_in_one_fork(call: Call, said: list[str]) -> None:
    process = call("get_requires_for_build_wheel")
    assert isinstance(process, list)
    call("build_sdist", deed="import os; print(os.getpid(), os.path.basename(os.getcwd()), 'LEFT' in os.environ)")
    assert said == [f"{process[0]} tree False"]


def test_imports_early_what_a_build_imports(call: Call, tmp_path: Path, said: list[str]) -> None:
    call("build_sdist", deed="import sys; print('colorsys' in sys.modules, len(seen))")
    assert said == ["True 0"]
    assert log(tmp_path) == ["imported", "built"], "a sample was built, in a process of its own"


def test_sandboxes_of_one_user_share_an_import(call: Call, other_call: Call, tmp_path: Path, said: list[str]) -> None:
    wait = "import os, time; print('begun', flush=True)\nwhile not os.path.exists('../go'): time.sleep(0.01)"
    slow = threading.Thread(target=call, args=("build_sdist",), kwargs={"deed": wait})
    slow.start()
    while said != ["begun"]:
        time.sleep(0.01)
    for tree in ("one", "two"):
        assert other_call("build_sdist", tree=tree) == "x", "while another is still being built"
    (tmp_path / "go").touch()
    slow.join()
    assert log(tmp_path) == ["imported", "built"]


def test_the_last_sandbox_ends_the_shared_process(
    hooks: Hooks, call: Call, other_call: Call, sandbox: Sandbox, tmp_path: Path
) -> None:
    running = sandbox.works._running
    call("build_sdist", deed="import os; open('../parent', 'w').write(str(os.getppid()))")
    other_call("build_sdist")
    twin = (tmp_path / "parent").read_text()
    hooks.close()
    while Path(f"/proc/{twin}").exists() and Path(f"/proc/{twin}/stat").read_text().split()[2] != "Z":
        time.sleep(0.01)
    assert other_call("build_sdist", tree="next") == "x"
    assert len(running) == 3, "what is shared, a twin of it, and its fork"
    assert log(tmp_path) == ["imported", "built"]


def test_known_habits_need_no_sample(
    call: Call, sandbox: Sandbox, environment: Environment, tmp_path: Path, said: list[str]
) -> None:
    deed = "import sys; print('colorsys' in sys.modules, any(key[1] == 'a{7}' for key in re._cache))"
    call("build_sdist", deed=deed)
    again = Hooks(sandbox, Zygotes())
    caller(again, environment, tmp_path, said)("build_sdist", tree="next", deed=deed)
    again.close()
    assert said == ["True True", "True True"]
    assert log(tmp_path) == ["imported", "built", "imported"]


def test_observes_habits_again_if_the_file_is_damaged(call: Call, environment: Environment, tmp_path: Path) -> None:
    habits = environment.habits(FORKED)
    habits.parent.mkdir(exist_ok=True)
    habits.write_text("{")
    assert call("build_sdist") == "x"
    assert log(tmp_path) == ["imported", "built"]
    assert json.loads(habits.read_text())["modules"] == ["colorsys"]


@pytest.mark.parametrize("backend", [FORKED, "other"])
def test_a_process_sees_what_is_installed(call: Call, environment: Environment, said: list[str], backend: str) -> None:
    (environment.site / "marked.pth").write_text("import marking\nbelow\n")
    (environment.site / "below").mkdir()
    (environment.site / "marking.py").write_text("times = 0\n")
    (environment.site / "sitecustomize.py").write_text("import marking; marking.times += 1\n")
    folder = str(environment.folder)
    deed = (
        f"import sys, marking\nprint(*[each for each in (sys.prefix, *sys.path) if {folder!r} in each])\n"
        "print(marking.times, sys.flags.no_site, sys.flags.safe_path)"
    )
    assert call("build_sdist", deed=deed, backend=backend) == "x"
    assert said == [f"{folder} {environment.site} {environment.site}/below", "1 0 True"]


def test_does_not_fork_for_a_single_project(
    call: Call, environment: Environment, tmp_path: Path, said: list[str]
) -> None:
    environment.wanted = 1
    process = call("get_requires_for_build_wheel")
    assert isinstance(process, list)
    call("build_sdist", deed="import os, sys; print('colorsys' in sys.modules, os.getpid())")
    assert said == [f"False {process[0]}"]
    assert log(tmp_path) == ["imported"]


def test_imports_a_backend_with_the_source_date(call: Call, tmp_path: Path, said: list[str]) -> None:
    for tree, date in (("a", "1"), ("b", "1"), ("c", "2")):
        call("build_sdist", tree=tree, deed="print(epoch)", SOURCE_DATE_EPOCH=date)
    call("build_sdist", tree="d", deed="print(epoch)")
    assert said == ["1", "1", "2", "None"]
    assert log(tmp_path).count("imported") == 3


@pytest.mark.parametrize("given", [{"backend": "other"}, {IN_TREE_VARIABLE: '["."]', "backend": "other"}])
def test_another_backend_has_a_process_for_each_tree(call: Call, tmp_path: Path, given: dict[str, str]) -> None:
    if IN_TREE_VARIABLE in given:
        (tmp_path / "tree").mkdir()
        given = {**given, IN_TREE_VARIABLE: json.dumps([str(tmp_path / "tree")])}
        text = f"LOG = {str(tmp_path / 'log')!r}\n{BACKEND}"
        (tmp_path / "tree/other.py").write_text(text)
    first = call("get_requires_for_build_wheel", **given)
    second = call("get_requires_for_build_wheel", **given)
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert first[0] == second[0]
    third = call("get_requires_for_build_wheel", tree="next", **given)
    assert isinstance(third, list)
    assert third[0] != second[0]
    assert not Path(f"/proc/{second[0]}").exists()
    assert log(tmp_path) == ["imported", "imported"]


def test_output_comes_in_order_and_an_exception_last(call: Call, said: list[str]) -> None:
    deed = (
        "import os, sys; print('one'); print('two', file=sys.stderr); os.system('echo three'); raise ValueError('end')"
    )
    with pytest.raises(subprocess.CalledProcessError) as caught:
        call("build_sdist", deed=deed)
    assert caught.value.returncode == 1
    assert said[-1] == "ValueError: end"
    assert {"one", "two", "three"} < set(said)


@pytest.mark.parametrize("backend", [FORKED, "other"])
@pytest.mark.parametrize(
    ("deed", "code"),
    [("import sys; sys.exit(3)", 3), ("import sys; sys.exit('no')", 1), ("raise KeyboardInterrupt", 1)],
)
def test_exit_codes(call: Call, backend: str, deed: str, code: int) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        call("build_sdist", deed=deed, backend=backend)
    assert caught.value.returncode == code


@pytest.mark.parametrize("backend", [FORKED, "other"])
def test_does_not_wait_for_a_daemon_that_keeps_the_output_open(call: Call, backend: str) -> None:
    begun = time.monotonic()
    call(
        "build_sdist",
        deed="import subprocess; subprocess.Popen(['sleep', '30'], start_new_session=True)",
        backend=backend,
    )
    assert time.monotonic() - begun < 20


def test_a_backend_that_kills_the_server(call: Call, tmp_path: Path) -> None:
    with contextlib.suppress(subprocess.CalledProcessError):  # where it answers too late
        call("build_sdist", deed="import os; os.kill(os.getppid(), 9)")
    assert call("build_sdist", tree="next") == "x"
    assert log(tmp_path) == ["imported", "built", "imported"], "its habits are known now"


@pytest.mark.parametrize("deed", ["os._exit(3)", "os.kill(os.getppid(), 9); os.kill(os.getpid(), 9)"])
@pytest.mark.parametrize("backend", [FORKED, "other"])
def test_a_backend_that_ends_its_own_process(call: Call, backend: str, deed: str) -> None:
    if backend == "other":
        deed = deed.replace("os.getppid()", "os.getpid()")  # its parent is this process
    with pytest.raises(subprocess.CalledProcessError) as caught:
        call("build_sdist", deed=f"import os; {deed}", backend=backend)
    assert caught.value.returncode == (3 if deed == "os._exit(3)" else -9)
    assert call("build_sdist", tree="next", backend=backend) == "x"


@pytest.mark.parametrize("deed", ["os.write(socket, b'x')", "os.close(socket)"])
@pytest.mark.parametrize("backend", [FORKED, "other"])
def test_a_backend_that_answers_nonsense_or_never(call: Call, backend: str, deed: str) -> None:
    links = "{int(n): os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')}"
    find = f"(socket,) = [n for n, link in {links}.items() if 'socket:' in link]"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        call("build_sdist", deed=f"import os, time\n{find}\n{deed}\ntime.sleep(60)", backend=backend)
    assert caught.value.returncode == -9
    assert call("build_sdist", tree="next", backend=backend) == "x"


def test_a_python_without_memfd_create(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert call("build_sdist") == "x"


@pytest.mark.parametrize("backend", [FORKED, "other"])
def test_does_not_wait_for_a_child_that_stays(call: Call, backend: str) -> None:
    begun = time.monotonic()
    with pytest.raises(subprocess.CalledProcessError) as caught:
        call("build_sdist", deed="import os, time; os.fork() and os._exit(3); time.sleep(30)", backend=backend)
    assert caught.value.returncode == 3
    assert time.monotonic() - begun < 20


def test_another_thread_can_end_a_hook(call: Call, sandbox: Sandbox, said: list[str]) -> None:
    def stop() -> None:
        while not said:
            time.sleep(0.01)
        sandbox.works.stop()

    threading.Thread(target=stop).start()
    with pytest.raises(subprocess.CalledProcessError):
        call("build_sdist", deed="import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    command = Path(f"/proc/{said[0]}/cmdline")
    assert not command.exists() or not command.read_text(), "nothing but a zombie may be left"


def test_the_hook_reports_a_backend_that_cannot_be_imported(call: Call, environment: Environment) -> None:
    file = next(environment.folder.rglob("hatchling/build.py"))
    file.write_text("import no_such_module\n")
    assert call("get_requires_for_build_wheel", answer="no_backend") is True
