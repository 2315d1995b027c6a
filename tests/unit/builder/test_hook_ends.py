"""Hooks end as Python ends: in a new process, and in a fork of a template."""

import subprocess
import time

import pytest

from gar_publish.builder.sandbox import Sandbox
from tests.unit.builder.hooks import Call, both, runs

ENDINGS = """
import atexit, os, tempfile, threading, time, weakref
class Thing: pass
thing = Thing()
atexit.register(print, "at exit")
weakref.finalize(thing, print, "finalized")
folder = tempfile.TemporaryDirectory(dir=os.getcwd())
def work():
    time.sleep(0.3)
    print("thread")
threading.Thread(target=work).start()
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("unflushed", end=" ")
"""


@both
def test_threads_handlers_finalizers_and_output(call: Call, sandbox: Sandbox, said: list[str], backend: str) -> None:
    call(deed=ENDINGS, backend=backend)
    assert said == ["unflushed thread", "finalized", "at exit"]
    assert sorted(path.name for path in sandbox.tree.iterdir()) == ["deed.py"]


@both
@pytest.mark.parametrize("end", ["sys.exit(3)", "raise ValueError('bad')"])
def test_handlers_run_after_a_failure(call: Call, said: list[str], backend: str, end: str) -> None:
    deed = f"import atexit, sys; print('begun', end=' '); atexit.register(print, 'at exit'); {end}"
    with pytest.raises(subprocess.CalledProcessError):
        call(deed=deed, backend=backend)
    assert any(line.endswith("at exit") for line in said)


@both
@pytest.mark.parametrize(
    ("deed", "end"),
    [
        ("import sys; sys.exit(3)", (3, None)),
        ("import sys; sys.exit(True)", (1, None)),
        ("import sys; sys.exit(256 + 7)", (7, None)),
        ("import sys; sys.exit('no such file')", (1, "no such file")),
        ("raise ValueError('bad')", (1, "ValueError: bad")),
        ("import sys; sys.excepthook = lambda *_: print('my own'); raise ValueError", (1, "my own")),
        ("import sys; sys.stdout.close(); sys.stdout = None; sys.exit(4)", (4, None)),
        ("import atexit, os; atexit.register(os._exit, 5)", (5, None)),
        ("import os; os._exit(6)", (6, None)),
        ("import os; os.kill(os.getpid(), 9)", (-9, None)),
        ("import os; os.kill(os.getpid(), 11)", (-11, None)),
    ],
)
def test_exit_codes(call: Call, said: list[str], backend: str, deed: str, end: tuple[int, str | None]) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        call(deed=deed, backend=backend)
    assert (caught.value.returncode, said[-1] if said else None) == end
    assert call(backend=backend) == "x", "the next hook is not concerned"


@both
@pytest.mark.parametrize("end", ["sys.exit()", "sys.exit(0)", "sys.exit(None)"])
def test_an_early_end_without_a_failure(call: Call, backend: str, end: str) -> None:
    """The process is content, but the hook has no result."""
    with pytest.raises(FileNotFoundError):
        call(deed=f"import sys; {end}", backend=backend)


@both
def test_a_file_that_is_removed_at_exit(call: Call, sandbox: Sandbox, said: list[str], backend: str) -> None:
    deed = """
import atexit, os, shutil
shutil.copy("deed.py", "copied.txt")
atexit.register(os.remove, "copied.txt")
print(sorted(os.listdir(".")))
"""
    call(deed=deed, backend=backend)
    assert said == ["['copied.txt', 'deed.py']"]
    assert not (sandbox.tree / "copied.txt").exists()


POOLS = """
import concurrent.futures, multiprocessing
for method in ("fork", "spawn", "forkserver"):
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        print(method, list(pool.map(abs, [-1, -2])))
"""


@both
def test_pools_of_processes(call: Call, said: list[str], backend: str) -> None:
    call(deed=POOLS, backend=backend)
    assert said == [f"{method} [1, 2]" for method in ("fork", "spawn", "forkserver")]


@both
def test_does_not_wait_for_a_daemon_that_keeps_the_output_open(call: Call, backend: str) -> None:
    begun = time.monotonic()
    call(deed="import subprocess; subprocess.Popen(['sleep', '30'], start_new_session=True)", backend=backend)
    assert time.monotonic() - begun < 20


@both
def test_ends_a_child_that_stays(call: Call, said: list[str], backend: str) -> None:
    deed = """
import os, time
if child := os.fork():
    print(child)
else:
    time.sleep(30)
    os._exit(0)
"""
    call(deed=deed, backend=backend)
    assert not runs(int(said[0]))
