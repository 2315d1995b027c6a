"""The users of root's builds, and their ends, with real processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from gar_publish.builder.sandbox import NotEnded
from gar_publish.builder.users import Keeper, most_processes, new_ids
from gar_publish.process import become_subreaper

IDS = new_ids()

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can become other users"),
]


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    become_subreaper()
    keeper = Keeper(next(IDS))
    yield keeper
    keeper.close()


@pytest.fixture
def user() -> int:
    return next(IDS)


def start(user: int, script: str) -> int:
    """Start a process of a user that leaves its session, and return its id when it runs."""
    leave = "import os, sys\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
    code = f"{leave}print(os.getpid(), flush=True)\n{script}\nimport time; time.sleep(60)"
    with subprocess.Popen(as_user(user, code), stdout=subprocess.PIPE, text=True, cwd="/") as process:
        assert process.stdout
        return int(process.stdout.readline())


def as_user(user: int, code: str) -> list[str]:
    """Return the command that runs code as a user."""
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return [*become, "/usr/bin/python3", "-c", code]


def test_ids_are_not_used_twice() -> None:
    ids = list(islice(new_ids(), 3000))
    assert len(set(ids)) == 3000
    assert min(ids) > 10_000


def test_nothing_is_left_of_one_user(keeper: Keeper, user: int) -> None:
    other = next(IDS)
    others = start(other, "")
    pids = [start(user, script) for script in ("", "os.kill(os.getpid(), 19)", "for _ in range(6): os.fork()")]
    time.sleep(0.1)
    keeper.end_all(user)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert Path(f"/proc/{others}").exists()
    keeper.end_all(user)
    keeper.end_all(other)
    assert not Path(f"/proc/{others}").exists()


def test_a_user_cannot_harm_the_keeper(keeper: Keeper, user: int) -> None:
    pid = keeper._process.pid
    attack = f"""
import ctypes, os, resource
libc = ctypes.CDLL(None)
def attempt(call):
    try: return call()
    except OSError: return "denied"
done = [attempt(lambda s=s: os.kill({pid}, s)) for s in (9, 15, 19)]
done += [attempt(lambda: resource.prlimit({pid}, resource.RLIMIT_CPU, (0, 0)))]
done += [attempt(lambda: open("/proc/{pid}/" + name, "w")) for name in ("mem", "oom_score_adj", "comm")]
done += [attempt(lambda: open("/proc/{pid}/environ"))]
done += [attempt(lambda: os.setpriority(os.PRIO_PROCESS, {pid}, 19))]
done += [attempt(lambda: os.sched_setaffinity({pid}, [0]))]
done += [attempt(lambda: os.sched_setscheduler({pid}, os.SCHED_IDLE, os.sched_param(0)))]
done += [libc.ptrace(16, {pid}, 0, 0) == 0 or "denied"]
print(set(done))
"""
    done = subprocess.run(as_user(user, attack), capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout == "{'denied'}\n"
    keeper.end_all(user)


def test_a_lost_keeper_is_an_error(keeper: Keeper, user: int) -> None:
    keeper._process.kill()
    with pytest.raises(NotEnded):
        keeper.end_all(user)


def test_the_most_processes() -> None:
    assert 32 <= most_processes(3) <= 4096
    assert most_processes(1000) <= most_processes(1)
