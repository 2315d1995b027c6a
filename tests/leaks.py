"""Finds secrets, in any encoding, where none may be: after every test, in everything that it left behind.

What is scanned: what the test and its processes printed, the files that gar-publish or any child process wrote, and
the argument vector and environment of every process that gar-publish started.

What may hold a secret, because it is made to: the output `extra-index-url` and the same line printed alone by
`gar-publish index-url`, the `::add-mask::` command (the runner swallows it), the read-only token that uv gets as
`UV_INDEX` to install private build requirements, the exports that the emulator prints, and files that the test itself
wrote (its keys and tokens are its input).
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

BEGINNINGS = {
    "ya29.eyJwcmluY2lwYWwiOi": "access token",
    "ya29.d.eyJwcmluY2lwYWwiOi": "federated access token",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6I": "identity token",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJqb2IiOn": "request token",
}
"""How every token of the emulator begins, whichever process it runs in."""

SHORTEST = 12
"""Characters of the shortest secret worth looking for; anything shorter would be found by accident."""

LARGEST = 2_000_000
"""Bytes of the largest file that is read; tokens are not hidden in compiled libraries."""

_MADE_TO_HOLD_ONE = re.compile(
    rb"^::add-mask::[^\n]*$"
    rb"|^export [A-Z_]+=[^\n]*$"
    rb"|^(?:extra-index-url|GAR_TOKEN|PIP_(?:EXTRA_)?INDEX_URL|(?:UV|POETRY)_[A-Z_]+)<<(?P<end>\S+)$.*?^(?P=end)$"
    rb"|\A--extra-index-url \S+\s*\Z"
    rb"|^UV_INDEX=[^\n]*$",
    re.MULTILINE | re.DOTALL,
)


def encodings(secret: str) -> dict[bytes, str]:
    """Every form in which a secret may be written down, and what to call it."""
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
            # Only the characters that do not depend on what stands before and after the secret.
            whole = encode(bytes(shift) + raw).rstrip(b"=")
            forms[whole[(0, 2, 3)[shift] : len(whole) - 1]] = name
    return forms | {raw: "plain"}


class Leaks:
    """What one test knows to be secret, and what it left behind."""

    def __init__(self) -> None:
        self._secrets = dict(BEGINNINGS)
        self._heard: list[tuple[str, bytes]] = []
        self._own: set[str] = set()
        self._excused: list[str] = []

    def know(self, secret: str, kind: str) -> None:
        """Look for this secret from now on. Of a PEM key, each line is one; of a JWT, the signature alone as well."""
        for part in {*secret.splitlines(), secret.rpartition(".")[2]}:
            if len(part) >= SHORTEST and not part.startswith("-----"):
                self._secrets[part] = kind

    def hear(self, where: str, said: str | bytes | None) -> None:
        """Scan this text at the end of the test."""
        if said:
            self._heard.append((where, said.encode(errors="replace") if isinstance(said, str) else said))

    def expect(self, path: str | os.PathLike[str]) -> None:
        """Leave out a file or folder that the test made to hold a secret."""
        self._own.add(os.path.realpath(path))

    def excuse(self, part: str) -> None:
        """Leave out what was heard of places with this in their name; say why where you do."""
        self._excused.append(part)

    def forget(self) -> None:
        """Forget what was heard: for tests of this scanner."""
        self._secrets.clear()

    def moved(self, source: str, target: str) -> None:
        if os.path.realpath(source) in self._own:
            self.expect(target)

    def findings(self, *folders: Path) -> list[str]:
        """Each place where a secret is, without the secret."""
        needles = {
            form: f"{kind} ({name})"
            for secret, kind in self._secrets.items()
            for form, name in encodings(secret).items()
        }
        heard = [place for place in self._heard if not any(part in place[0] for part in self._excused)]
        places = [*heard, *(place for folder in folders for place in self._files(folder))]
        return sorted(
            {
                f"{where} holds a {kind}"
                for where, said in places
                for text in [_MADE_TO_HOLD_ONE.sub(b"", said)]
                for needle, kind in needles.items()
                if needle in text
            }
        )

    def _files(self, folder: Path) -> Iterator[tuple[str, bytes]]:
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
                if path.stat().st_size <= LARGEST:
                    yield str(path), path.read_bytes()


class Listener:
    """Hears what happens in this process and below it, and tells the leaks of the running test."""

    def __init__(self) -> None:
        self.leaks = Leaks()
        self._stop = threading.Event()
        self._containers: set[int] = set()

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
        """Watch what the first process of a container starts, too."""
        self._containers.add(pid)

    def _wrap_output(self, owner: Any, method: str, where: str) -> None:
        original = getattr(owner, method)

        def heard(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            for said in result:
                self.leaks.hear(where, said)
            return result

        setattr(owner, method, heard)

    def _wrap_secret(self, method: str, kind: str) -> None:
        """Learn what every emulator of this process hands out."""
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
            self.leaks.hear(f"the argument vector of {program}", repr(argv))
            environment = os.environ if env is None else env
            self.leaks.hear(
                f"the environment of {program}",
                "\n".join(f"{os.fsdecode(name)}={os.fsdecode(value)}" for name, value in environment.items()),
            )

    def _sample(self) -> None:
        """Read the processes that the test's own processes start; what the test itself starts has what it gives."""
        others: set[int] = set()
        ours: dict[int, bytes] = {os.getpid(): b""}
        while not self._stop.wait(0.005):
            alive = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 - a third of the time
            others &= alive
            ours = {pid: argv for pid, argv in ours.items() if pid in alive}
            for pid in sorted(alive - others):
                parent = _parent(pid)
                if pid in self._containers or parent == os.getpid():
                    ours[pid] = _read(pid, "cmdline")
                elif parent in ours:
                    argv = _read(pid, "cmdline")
                    # A child that has not yet become another program still shows its parent's environment.
                    if argv and argv not in (ours.get(pid), ours[parent]):
                        name = argv.replace(b"\0", b" ")[:200].decode(errors="replace")
                        self.leaks.hear(f"the argument vector of {name}", argv)
                        self.leaks.hear(f"the environment of {name}", _read(pid, "environ").replace(b"\0", b"\n"))
                    ours[pid] = argv
                elif pid != os.getpid():
                    others.add(pid)


def _by_gar_publish() -> bool:
    """Return whether the running call comes from gar-publish, and not from the emulator."""
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
