"""A local HTTP server with scripted replies, and a console, a clock and a token source for tests."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from urllib.parse import parse_qs, urlsplit

from gar_publish.auth.tokens import Token


@dataclass(frozen=True)
class Seen:
    """A request that the server received."""

    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode())


@dataclass(frozen=True)
class Reply:
    """A reply. `cut` is how many bytes of the announced body are never sent; `drop` closes the connection instead."""

    status: int = 200
    body: str | bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    drop: bool = False


Script = Reply | Callable[[Seen], Reply]


class ScriptedServer:
    """Answers each path with its replies, in order. The last reply repeats."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Seen] = []
        self._scripts: dict[str, list[Script]] = {}
        self._lock = threading.Lock()

    def on(self, start: str, *replies: Script) -> None:
        """Set the replies for the paths with this prefix. The longest matching prefix counts."""
        self._scripts[start] = list(replies)

    def asked(self, start: str) -> list[Seen]:
        """Return the requests for paths with this prefix."""
        return [each for each in self.seen if each.path.startswith(start)]

    def answer(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            starts = [start for start in self._scripts if seen.path.startswith(start)]
            if not starts:
                return Reply(404, f"no script for {seen.path}")
            script = self._scripts[max(starts, key=len)]
            reply = script[0] if len(script) == 1 else script.pop(0)
        return reply(seen) if callable(reply) else reply


@contextmanager
def serve(tls: SSLContext | None = None) -> Iterator[ScriptedServer]:
    """Run a scripted server while the context is open."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            reply = server.answer(Seen(self.command, self.path, self.headers, self.rfile.read(length)))
            if reply.drop:
                self.close_connection = True
                return
            body = reply.body.encode() if isinstance(reply.body, str) else reply.body
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) + reply.cut))
            self.end_headers()
            self.wfile.write(body)
            if reply.cut:
                self.close_connection = True

        do_POST = do_PATCH = do_CONNECT = do_GET  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Ignore errors: the clients close connections at any time."""

    with Listener(("127.0.0.1", 0), Handler) as listener:
        if tls:
            listener.socket = tls.wrap_socket(listener.socket, server_side=True)
        server = ScriptedServer(f"{'https' if tls else 'http'}://127.0.0.1:{listener.server_port}")
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


@dataclass
class Memory:
    """A console that records its messages."""

    said: list[str] = field(default_factory=list)
    sent: list[tuple[str, int, int]] = field(default_factory=list)
    masked: list[str] = field(default_factory=list, repr=False)

    def group(self, title: str) -> nullcontext[None]:
        self.said.append(title)
        return nullcontext()

    def info(self, text: str) -> None:
        self.said.append(text)

    notice = warning = info

    def mask(self, secret: str) -> None:
        self.masked.append(secret)

    def progress(self, filename: str, total: int) -> nullcontext[Callable[[int], None]]:
        return nullcontext(lambda sent: self.sent.append((filename, sent, total)))

    def untrusted(self) -> nullcontext[Callable[[str], None]]:
        return nullcontext(self.info)


@dataclass
class Time:
    """A clock that moves only by sleeping."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Counting:
    """A token source that returns a new token for each call."""

    kind: str = "counting"
    count: int = 0

    def token(self) -> Token:
        self.count += 1
        return Token(f"token-{self.count}", None)

    def to_hand_out(self) -> Token:
        raise NotImplementedError

    def renew(self, refused: str) -> Token:
        raise NotImplementedError

    def read_only(self) -> None:
        return None


def basic(token: str) -> str:
    """Return the Authorization header with a token as the password."""
    return f"Basic {base64.b64encode(f'oauth2accesstoken:{token}'.encode()).decode()}"
