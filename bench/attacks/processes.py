"""Attacks on the end of a build's processes, and on the processes of others."""

from bench.attacks.attack import Attack

PROCESSES = (
    Attack(
        "a daemon that waits for secrets after success",
        """
def attack(folder):
    detached(watch, 5)
""",
    ),
    Attack(
        "a daemon that waits for secrets after a failure",
        """
def attack(folder):
    detached(watch, 5)
    raise SystemExit("failed")
""",
    ),
    Attack(
        "a daemon that waits for secrets after a hook that was killed",
        """
def attack(folder):
    detached(watch, 5)
    os.kill(os.getpid(), signal.SIGKILL)
""",
    ),
    Attack(
        "a daemon that waits for secrets after SIGINT",
        """
def attack(folder):
    detached(watch, 5)
    ready()
    pause()
""",
        end="SIGINT",
    ),
    Attack(
        "a daemon that waits for secrets after an exception",
        """
def attack(folder):
    detached(watch, 5)
    ready()
    pause()
""",
        end="exception",
    ),
    Attack(
        "a daemon that waits for secrets after an exception, and a signal while it is ended",
        """
def attack(folder):
    detached(watch)
    if NUMBER == 0:
        ready()
    pause()
""",
        count=3,
        jobs=4,
        end="exception and SIGINT",
    ),
    Attack(
        "a hook that stops itself, until SIGINT",
        """
def attack(folder):
    ready()
    os.kill(os.getpid(), signal.SIGSTOP)
""",
        end="SIGINT",
    ),
    Attack(
        "daemons that ignore all signals, hide in /proc, and adopt orphans",
        """
def hide():
    for number in range(1, 65):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    libc.prctl(4, 0, 0, 0, 0)  # not dumpable
    libc.prctl(36, 1, 0, 0, 0)  # subreaper
    libc.prctl(15, b"kthreadd", 0, 0, 0)
    watch()

def attack(folder):
    detached(hide, 50)
""",
    ),
    Attack(
        "stopped processes",
        """
def stop():
    os.kill(os.getpid(), signal.SIGSTOP)
    watch()

def attack(folder):
    detached(stop, 30)
""",
    ),
    Attack(
        "processes whose first thread has ended",
        """
def attack(folder):
    program("leader")
""",
        program=True,
    ),
    Attack(
        "parents that wait for vfork",
        """
def attack(folder):
    program("vfork")
""",
        program=True,
    ),
    Attack(
        "killers in C",
        """
def attack(folder):
    program("killer")
""",
        program=True,
        exclusive=True,
    ),
    Attack(
        "killers in Python",
        """
def kill_others():
    mine = os.getppid(), os.getpid()
    while True:
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if int(name) not in mine:
                    os.kill(int(name), signal.SIGKILL)

def attack(folder):
    detached(kill_others, 6)
""",
        exclusive=True,
    ),
    Attack(
        "killers of all at once",
        """
def kill_all():
    while True:
        with contextlib.suppress(OSError):
            os.kill(-1, signal.SIGKILL)

def attack(folder):
    detached(kill_all, 6)
""",
        exclusive=True,
    ),
    Attack(
        "a chain of 1,050 parents",
        """
def attack(folder):
    program("chain")
""",
        program=True,
        exclusive=True,
    ),
    Attack(
        "a bomb that fills the limit of processes",
        """
def attack(folder):
    program("bomb")
    count = sum(1 for each in os.listdir("/proc") if each.isdigit())
    if count > 5000:
        note(f"worked: there are {count} processes")
""",
        program=True,
        exclusive=True,
    ),
    Attack(
        "a bomb, and SIGINT",
        """
def attack(folder):
    program("bomb")
    ready()
    pause()
""",
        program=True,
        end="SIGINT",
        exclusive=True,
    ),
    Attack(
        "processes that are replaced without end",
        """
def attack(folder):
    program("churn")
""",
        program=True,
        exclusive=True,
    ),
    Attack(
        "everything that resists, together",
        """
def attack(folder):
    for what in ("leader", "vfork", "churn", "killer", "bomb"):
        program(what)
""",
        program=True,
        exclusive=True,
    ),
    Attack(
        "processes that take the processors, and the keeper's place on them",
        """
def hinder():
    os.nice(-20) if os.getuid() == 0 else None
    while True:
        for name in filter(str.isdigit, os.listdir("/proc")):
            for deed in (
                lambda: os.setpriority(os.PRIO_PROCESS, int(name), 19),
                lambda: os.sched_setaffinity(int(name), {0}),
                lambda: os.sched_setscheduler(int(name), os.SCHED_IDLE, os.sched_param(0)),
            ):
                if int(name) != os.getpid():
                    with contextlib.suppress(OSError):
                        deed()
        for _ in range(10**6):
            pass

def attack(folder):
    detached(hinder, 20)
""",
        exclusive=True,
    ),
    Attack(
        "processes in namespaces of their own",
        """
def hide():
    libc.unshare(0x10000000 | 0x20000000 | 0x00020000)  # user, process ids, mounts
    if os.fork() == 0:
        signal.alarm(LIMIT)
        watch()
    watch()

def attack(folder):
    detached(hide, 5)
""",
    ),
    Attack(
        "processes of others: read, trace, stop, limit, kill",
        """
def attack(folder):
    attack_processes()
    detached(attack_processes, 2)
""",
    ),
    Attack(
        "processes of others, from the code that installs a requirement",
        """
def attack(folder):
    attack_processes()

requires = lambda: attack_processes() or []
""",
        formats=("wheel", "sdist"),
    ),
    Attack(
        "two projects that help each other by a program with the set-user-id bit",
        """
def attack(folder):
    shared = f"{TMP}/set-user-id-{NUMBER}"
    shutil.copy("/usr/bin/env", shared)
    os.chmod(shared, 0o6755)
    until = time.monotonic() + 5
    other = f"{TMP}/set-user-id-{1 - NUMBER}"
    while not os.path.exists(other) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.1)
    code = "import os; print(len({*os.getresuid()}))"
    said = subprocess.run([other, sys.executable, "-c", code], capture_output=True, text=True).stdout
    if said.strip() != "1":
        note(f"worked: another user's program has its rights: {said}")
""",
        count=2,
    ),
    Attack(
        "a flood of output",
        r"""
def attack(folder):
    line = b"x" * (64 * 1024 - 1) + b"\n"
    for _ in range(10_000):
        os.write(1, line)
""",
        exclusive=True,
    ),
    Attack(
        "output without a line's end, and after the build's end",
        r"""
def flood():
    while True:
        os.write(1, b"x" * 65536)

def attack(folder):
    for _ in range(2000):
        os.write(1, b"x" * 65536)
    detached(flood, 3)
""",
        exclusive=True,
    ),
    Attack(
        "output that takes long to search, and a failure",
        r"""
def attack(folder):
    for _ in range(40):
        print("CMAKE_" * 10_000, flush=True)
    sys.exit(1)
""",
        exclusive=True,
    ),
    Attack(
        "output without end, and SIGINT",
        r"""
def attack(folder):
    ready()
    while True:
        os.write(1, b"x\n" * 30_000)
""",
        end="SIGINT",
        exclusive=True,
    ),
    Attack(
        "a setup.py in a fork of a process that others share",
        files={
            "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
            "setup.py": """
import sys; sys.path.insert(0, ".")
from hostile import *
from setuptools import setup
begin()
attack_processes()
overwrite(f"{os.path.dirname(os.path.dirname(os.__file__))}/**/setuptools/**/*.py", "/app/**/setuptools/**/*.py")
if NUMBER == 1:
    os.kill(os.getpid(), signal.SIGKILL)
setup(name=f"evil{NUMBER}", version="1.0", py_modules=[])
""",
        },
        count=3,
        only_image=True,
    ),
)
