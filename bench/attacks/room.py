"""A job with made-up secrets and harmless projects, as an attack finds it."""

import hashlib
import json
import os
import stat
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

from bench.attacks.attack import Attack, library

OWNER = 1001
"""The runner's user, to which a job's files belong."""
TAG = "config-v1.2.3"
_FILES = ("OUTPUT", "ENV", "PATH", "STATE", "STEP_SUMMARY")

_NEIGHBOUR = """\
import io, os, pathlib, subprocess, sys, tarfile, time, zipfile

HERE = pathlib.Path(__file__).resolve().parent
SHARED = next(file for file in (HERE / "shared.txt", HERE.parent / "shared.txt") if file.exists())

def run(*command):
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True).stdout

def foreign():
    # Files above this project that other users have put there.
    names = ("pyproject.toml", "setup.cfg", "uv.toml", ".gitignore", ".git")
    for folder in (*HERE.parents, pathlib.Path(os.environ["TMPDIR"]).parent):
        for file in (folder / name for name in names):
            if file.exists() and file.stat().st_uid not in {0, os.getuid()}:
                yield str(file)

def build_wheel(folder, config_settings=None, metadata_directory=None):
    time.sleep(0.2)
    texts = {
        "describe": run("git", "describe", "--tags"),
        "status": run("git", "status", "--porcelain", "--ignored", "."),
        "beside": str([line for line in run("git", "status", "-s", "--ignored").splitlines() if "evil" not in line]),
        "mode": oct(HERE.parent.stat().st_mode),
        "shared": SHARED.read_text(),
        "listed": str(sorted(os.listdir(HERE))),
        "own": "".join(file.read_text() for file in sorted(HERE.glob("*.*"))),
        "foreign": str(sorted(foreign())),
        "path": str([os.path.basename(each) for each in sys.path if each != str(HERE)]),
        "modules": str([name for name in ("sitecustomize", "usercustomize", "evil") if name in sys.modules]),
        "requirement": TEXT,
    }
    name = "NAME-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        for each, text in texts.items():
            wheel.writestr(zipfile.ZipInfo(each), text)
    return name

def build_sdist(folder, config_settings=None):
    with tarfile.open(folder + "/NAME-1.0.tar.gz", "w:gz") as archive:
        for file in (*sorted(HERE.glob("*.*")), SHARED):
            archive.add(file, "NAME-1.0/" + file.name)
    return "NAME-1.0.tar.gz"
"""
_PYPROJECT = '[build-system]\nrequires = [{}]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
NEIGHBOURS: Mapping[str, Mapping[str, str]] = {
    "one": {
        "pyproject.toml": _PYPROJECT.format(""),
        "backend.py": "TEXT = ''\n" + _NEIGHBOUR.replace("NAME", "one"),
    },
    "two": {
        "pyproject.toml": _PYPROJECT.format('"plain"'),
        "backend.py": "from plain import TEXT\n" + _NEIGHBOUR.replace("NAME", "two"),
    },
}
"""Harmless projects. `two` has a build requirement."""


class Room:
    """The folders of one job, as a runner mounts them into a container.

    Args:
        folder: What they are in: `/` in a container.
        secret: What must be found nowhere.
    """

    def __init__(self, folder: Path, secret: str) -> None:
        self.folder = folder
        self.secret = secret
        self.github = folder / "github"
        self.workspace = self.github / "workspace"
        self.tmp = folder / "tmp"
        self.out = folder / "attacks-out"
        self.links = folder / "attacks-links"
        self.cache = folder / "var/cache/uv"

    def variables(self, attack: Attack) -> dict[str, str]:
        """Return the variables of gar-publish's process."""
        given = {
            "HOME": f"{self.github}/home",
            "TMPDIR": str(self.tmp),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_EVENT_PATH": f"{self.github}/workflow/event.json",
            **{f"GITHUB_{name}": f"{self.github}/file_commands/{name.lower()}" for name in _FILES},
            "GITHUB_TOKEN": self.secret,
            "INPUT_ACCESS-TOKEN": self.secret,
            "INPUT_CREDENTIALS-JSON": self.secret,
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.secret,
            "TWINE_PASSWORD": self.secret,
            "GOOGLE_APPLICATION_CREDENTIALS": f"{self.workspace}/key.json",
            "GOOGLE_GHA_CREDS_PATH": f"{self.workspace}/gha-creds-0123456789abcdef.json",
            "UV_CACHE_DIR": f"{self.cache}",
            "UV_INDEX_PRIVATE_PASSWORD": self.secret,
            "UV_OFFLINE": "1",
        }
        if attack.wheels or "two" in attack.neighbours:
            given["UV_FIND_LINKS"] = str(self.links)
        return given

    def fill(self, attack: Attack, program: bytes) -> None:
        """Make the folders, the checkout and its projects."""
        for folder in (self.workspace, self.github / "home", self.github / "workflow", self.github / "file_commands"):
            folder.mkdir(parents=True)
        for folder in (self.tmp, self.tmp / "loot"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o1777)
        self.out.mkdir()
        self.links.mkdir()
        if not self.cache.exists():  # the image has one
            self.cache.mkdir(mode=0o700, parents=True)
        for name in _FILES:
            file = self.github / "file_commands" / name.lower()
            file.touch()
            file.chmod(0o666)
        self._projects(attack, program)
        self._checkout()
        for name, files in ({"plain": {"plain.py": "TEXT = 'plain'\n"}} | dict(attack.wheels)).items():
            self._wheel(name, files)
        if attack.is_imported:
            self._imported(attack, program)
        for path in [self.workspace, *self.workspace.rglob("*"), self.github / "home"]:
            os.chown(path, OWNER, OWNER, follow_symlinks=False)
        for name in attack.folders:
            if attack.prepare:
                attack.prepare(self.workspace / name)

    def _imported(self, attack: Attack, program: bytes) -> None:
        """Make the wheels of a rehearsal."""
        for number, name in enumerate(attack.folders):
            self._wheel(name, {f"{name}.py": attack.module(name)}, number)
        for name in attack.neighbours:
            self._wheel(name, {f"{name}.py": "import time\ntime.sleep(0.2)\n"})
        file = self.tmp / "hostile"
        file.write_bytes(program)
        file.chmod(0o755)

    def _projects(self, attack: Attack, program: bytes) -> None:
        (self.workspace / "shared.txt").write_text("shared")
        (self.workspace / "shared.txt").chmod(0o666)
        hostile = {folder: attack.project(number, self.folder) for number, folder in enumerate(attack.folders)}
        harmless = {} if attack.is_imported else {name: NEIGHBOURS[name] for name in attack.neighbours}
        for folder, files in {**hostile, **harmless}.items():
            for name, text in files.items():
                file = self.workspace / folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        if attack.program:
            for folder in attack.folders:
                file = self.workspace / folder / "hostile"
                file.write_bytes(program)
                file.chmod(0o755)

    def _checkout(self) -> None:
        """Make a checkout with a token wherever git, or a step before, may leave one."""
        git, secret = self.workspace / ".git", self.secret
        url = f"https://user:{secret}@example.com/o/r"
        person = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        commands = (
            ["init", "-q", "-b", "main"],
            ["add", "-A"],
            [*person, "commit", "-qm", "x"],
            ["tag", TAG],
            ["branch", "configure-logging"],
            ["clone", "-q", "--bare", ".", "mirror.git"],
        )
        for command in commands:
            subprocess.run(
                ["git", *command], cwd=self.workspace, check=True, env={"PATH": os.environ["PATH"], "HOME": "/"}
            )
        config = (
            f'[http "https://example.com/"]\n\textraheader = AUTHORIZATION: basic {secret}\n'
            f'[remote "origin"]\n\turl = {url}\n\tpushurl = {url}\n'
            f'[remote "other"]\n\turl = https://example.com/o/r?private_token={secret}\n'
            f'[remote "{url}"]\n\tpromisor = true\n\turl = {url}\n'
            f'[branch "main"]\n\tremote = {url}\n\tmerge = refs/heads/main\n'
            f'[submodule "sub"]\n\turl = {url}\n\tactive = true\n'
            f'[url "{url}"]\n\tinsteadOf = https://example.com/\n'
            f"[credential]\n\thelper = !echo password={secret}\n[core]\n\tsshCommand = {secret}\n"
        )
        module = git / "modules/sub"
        mirror = self.workspace / "mirror.git"
        for folder in (module / "refs", module / "objects", git / "logs", mirror / "logs", self.workspace / "sub"):
            folder.mkdir(parents=True, exist_ok=True)
        (module / "HEAD").write_text("ref: refs/heads/main\n")
        (self.workspace / "sub/.git").write_text("gitdir: ../.git/modules/sub\n")
        (git / "credentials").write_text(url)
        for each in (git, module, mirror):
            with (each / "config").open("a") as appended:
                appended.write(config)
            (each / "FETCH_HEAD").write_text(f"branch main of {url}\n")
            (each / "config.worktree").write_text(config)
            (each / "logs").mkdir(exist_ok=True)
            (each / "logs/HEAD").write_text(f"clone: from {url}\n")
        home = self.github / "home"
        for file in (
            self.workspace / "gha-creds-0123456789abcdef.json",
            self.github / "workflow/event.json",
            *(home / name for name in (".netrc", ".git-credentials", "setup.py")),
        ):
            file.write_text(f'# "{secret}"\n')
        # These would be shown if a build could have them read as its own.
        (home / "pyproject.toml").write_text(f'[build-system]\nrequires = ["{secret} ("]\n')
        (self.workspace / "key.json").write_text(
            json.dumps({"return_val": [], "warnings": [{"message": secret, "category": "UserWarning"}]})
        )

    def wheel(self, name: str) -> Path:
        """Return the path of a wheel."""
        return self.links / f"{name}-1.0-py3-none-any.whl"

    def _wheel(self, name: str, files: Mapping[str, str], number: int = 0) -> None:
        info = f"{name}-1.0.dist-info"
        texts = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{name}_hostile.py": library(self.folder, number),
        }
        record = "".join(f"{each},,\n" for each in [*texts, f"{info}/RECORD"])
        with zipfile.ZipFile(self.wheel(name), "w") as wheel:
            for path, text in {**texts, f"{info}/RECORD": record}.items():
                wheel.writestr(path, text.replace("LOOT_FOLDER", str(self.tmp / "loot")))

    def contents(self) -> dict[str, object]:
        """Return what no build may change: the job's files with their times, modes and owners."""
        found: dict[str, object] = {}
        for folder, folders, files in os.walk(os.fsencode(self.github)):
            for name in [*folders, *files]:
                path = os.path.join(folder, name)  # noqa: PTH118 - names may be no text
                try:
                    status = os.lstat(path)
                except OSError:  # it is too deep
                    continue
                is_file = stat.S_ISREG(status.st_mode) and status.st_size < 2 * 10**6
                known = (status.st_mode, status.st_uid, status.st_nlink if is_file else 0)
                text = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest() if is_file else ""
                found[os.fsdecode(path)] = (*known, status.st_mtime_ns if is_file else 0, text)
        return found
