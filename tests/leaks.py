"""Search for leaked secrets, in several encodings, after every test.

The search covers the output of the test and its processes, the files that gar-publish or a child process wrote, and
the arguments and environment of every process that gar-publish started.

Some places contain a secret on purpose and are allowed: the outputs `extra-index-url` and `token`, the option printed
by `gar-publish index-url`, the `::add-mask::` command (the runner does not log it), the read-only token in `UV_INDEX`
with which uv installs private build requirements, the exports that the emulator prints, its file with gcloud's token,
and files that the test itself wrote.
"""

import base64
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from gar_emulator.cloud.keys import Keys

if TYPE_CHECKING:
    from types import FrameType

TOKEN_PREFIXES = {
    "ya29.eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJwcmluY2lwYWwiOi": "access token",
    "ya29.d.eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJwcmluY2lwYWwiOi": "federated access token",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6I": "identity token",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJqb2IiOn": "request token",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyIjoi": "refresh token",
}
"""The beginning of each kind of token that the emulator issues."""

GCLOUD_TOKEN = "owner@demo-project.iam.gserviceaccount.com.token"
"""The file of the emulator with the token of gcloud, in the default world."""

SHORTEST = 12
"""The length of the shortest secret to search for. Shorter ones would match by accident."""

LARGEST = 2_000_000
"""The size in bytes of the largest file to search; larger files are compiled libraries."""

_ALLOWED = re.compile(
    rb"^::add-mask::[^\n]*$"
    rb"|^export [A-Z_]+=[^\n]*$"
    rb"|^(?:extra-index-url|token|GAR_TOKEN|PIP_(?:EXTRA_)?INDEX_URL|(?:UV|POETRY)_[A-Z_]+)<<(?P<end>\S+)$.*?^(?P=end)$"
    rb"|\A(--extra-index-url )?https?://\S+/simple/\s*\Z"
    rb"|^UV_INDEX=[^\n]*$",
    re.MULTILINE | re.DOTALL,
)


def encodings(secret: str) -> dict[bytes, str]:
    """Return the encodings of a secret, each with its name."""
    raw = secret.encode()
    forms = {
        raw.hex().encode(): "hex",
        raw.hex().upper().encode(): "hex",
        quote(secret, safe="").encode(): "URL-quoted",
        json.dumps(secret)[1:-1].encode(): "JSON",
    }
    variants: dict[str, Callable[[bytes], bytes]] = {
        "url-safe base64": base64.urlsafe_b64encode,
        "base64": base64.b64encode,
    }
    for name, encode in variants.items():
        for shift in range(3):
            # Keep only the characters that do not depend on the text before and after the secret.
            whole = encode(bytes(shift) + raw).rstrip(b"=")
            forms[whole[(0, 2, 3)[shift] : len(whole) - 1]] = name
    return forms | {raw: "plain"}


class Leaks:
    """The secrets of one test, and the texts and files to search for them."""

    def __init__(self) -> None:
        self._secrets = dict(TOKEN_PREFIXES)
        self._texts: list[tuple[str, bytes]] = []
        self._own: set[str] = set()
        self._excused: list[str] = []

    def know(self, secret: str, kind: str) -> None:
        """Add a secret to search for: also each line of a PEM key, and the signature of a JWT."""
        for part in {*secret.splitlines(), secret.rpartition(".")[2]}:
            if len(part) >= SHORTEST and not part.startswith("-----"):
                self._secrets[part] = kind

    def scan(self, where: str, said: str | bytes | None) -> None:
        """Add a text to search at the end of the test."""
        if said:
            self._texts.append((where, said.encode(errors="replace") if isinstance(said, str) else said))

    def expect(self, path: str | os.PathLike[str]) -> None:
        """Do not search a file or folder that contains a secret on purpose."""
        self._own.add(os.path.realpath(path))

    def excuse(self, part: str) -> None:
        """Do not search the texts whose place contains `part`. Callers explain why in a comment."""
        self._excused.append(part)

    def remove_secrets(self) -> None:
        """Remove all secrets, so that a test of this scanner does not fail by its own secret."""
        self._secrets.clear()

    def moved(self, source: str, target: str) -> None:
        """Do not search the new path of a file that is not searched at its old path."""
        if os.path.realpath(source) in self._own:
            self.expect(target)

    def findings(self, *folders: Path) -> list[str]:
        """Return a message for each place with a secret. The message does not contain the secret."""
        needles = {
            form: f"{kind} ({name})"
            for secret, kind in self._secrets.items()
            for form, name in encodings(secret).items()
        }
        texts = [place for place in self._texts if not any(part in place[0] for part in self._excused)]
        places = [*texts, *(place for folder in folders for place in self._files(folder))]
        return sorted(
            {
                f"{where} contains: {kind}"
                for where, said in places
                for text in [_ALLOWED.sub(b"", said)]
                for needle, kind in needles.items()
                if needle in text
            }
        )

    def _files(self, folder: Path) -> Iterator[tuple[str, bytes]]:
        if os.path.realpath(folder) in self._own:
            return
        for parent, folders, names in os.walk(folder):
            folders[:] = [
                name
                for name in folders
                if name != "site-packages" and os.path.realpath(f"{parent}/{name}") not in self._own
            ]
            for name in names:
                path = Path(parent, name)
                if path.is_symlink() or not path.is_file() or os.path.realpath(path) in self._own:
                    continue
                if path.name == GCLOUD_TOKEN:
                    continue
                if path.stat().st_size <= LARGEST:
                    yield str(path), path.read_bytes()


class Listener:
    """Watches this process and its descendants, and passes what they write and start to the test's `Leaks`."""

    def __init__(self) -> None:
        self.leaks = Leaks()
        self._stop = threading.Event()
        self.containers: set[int] = set()

    def start(self) -> None:
        sys.addaudithook(self._audit)
        self._wrap_output(subprocess.Popen, "communicate", "the output of a process")
        self._wrap_output(pytest.CaptureFixture, "readouterr", "the captured output")
        self._wrap_secret("access_token", "access token")
        self._wrap_secret("id_token", "identity token")
        self._wrap_secret("request_token", "request token")
        self._wrap_secret("account_key", "key")
        threading.Thread(target=self._sample, name="leaks", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def watch_container(self, pid: int) -> None:
        """Also watch the processes that the first process of a container starts."""
        self.containers.add(pid)

    def _wrap_output(self, owner: Any, method: str, where: str) -> None:
        original = getattr(owner, method)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            for said in result:
                self.leaks.scan(where, said)
            return result

        setattr(owner, method, wrapped)

    def _wrap_secret(self, method: str, kind: str) -> None:
        """Add each secret that an emulator in this process issues."""
        original = getattr(Keys, method)

        def known(*args: Any, **kwargs: Any) -> Any:
            made = original(*args, **kwargs)
            self.leaks.know(made["private_key"] if isinstance(made, dict) else made, kind)
            return made

        setattr(Keys, method, known)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            writes = flags & (os.O_WRONLY | os.O_RDWR) if mode is None else set(mode) & set("wax+")
            if writes and isinstance(path, str | bytes | os.PathLike) and not _by_gar_publish():
                self.leaks.expect(os.fsdecode(path))
        elif event == "os.rename":
            self.leaks.moved(os.fsdecode(args[0]), os.fsdecode(args[1]))
        elif event == "subprocess.Popen" and _by_gar_publish():
            _, argv, _, env = args
            program = os.fsdecode(argv if isinstance(argv, str | bytes) else argv[0])
            self.leaks.scan(f"the argument vector of {program}", repr(argv))
            environment = os.environ if env is None else env
            self.leaks.scan(
                f"the environment of {program}",
                "\n".join(f"{os.fsdecode(name)}={os.fsdecode(value)}" for name, value in environment.items()),
            )

    def _sample(self) -> None:
        """Watch the processes that the test's processes start.

        Processes that the test itself starts are left out: the test chooses their arguments and environment.
        """
        others: set[int] = set()
        ours: dict[int, bytes] = {os.getpid(): b""}
        alive: set[int] = set()
        newest = ""
        while not self._stop.wait(0.005):
            leaks = self.leaks  # what this round sees belongs to the test that ran when it began
            containers = set(self.containers)
            last = Path("/proc/loadavg").read_text().rpartition(" ")[2]
            if last != newest:  # else no process has started, and listing all of them takes most of the time
                newest = last
                alive = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 - a third of the time
            others &= alive
            self.containers -= containers - alive  # the numbers of ended processes are given again
            ours = {pid: argv for pid, argv in ours.items() if pid in alive}
            for pid in sorted(alive - others):
                parent = _parent(pid)
                if pid in self.containers or parent == os.getpid():
                    ours[pid] = _read(pid, "cmdline")
                elif parent in ours:
                    argv = _read(pid, "cmdline")
                    # Between fork and exec, a child still shows the environment of its parent.
                    if argv and argv not in (ours.get(pid), ours[parent]):
                        name = argv.replace(b"\0", b" ")[:200].decode(errors="replace")
                        leaks.scan(f"the argument vector of {name}", argv)
                        leaks.scan(f"the environment of {name}", _read(pid, "environ").replace(b"\0", b"\n"))
                    ours[pid] = argv
                elif pid != os.getpid():
                    others.add(pid)


def _by_gar_publish() -> bool:
    """Return whether the current call comes from gar-publish, and not from the emulator."""
    frame: FrameType | None = sys._getframe()
    while frame:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package in {"gar_publish", "gar_emulator"}:
            return bool(package == "gar_publish")
        frame = frame.f_back
    return False


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
