"""Local package indexes for a real uv."""

import base64
import shutil
import subprocess
import threading
from collections.abc import Collection
from concurrent.futures import Future
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

TOKEN = "canary-read-only-0d9f"


class Index:
    """A simple index of wheels; with a token, it refuses requests without it."""

    def __init__(self, folder: Path, *wheels: Path, token: str | None = None) -> None:
        self.authorizations: list[str | None] = []
        basic = base64.b64encode(f"oauth2accesstoken:{token}".encode()).decode()
        for wheel in wheels:
            place = folder / "simple" / wheel.name.partition("-")[0]
            place.mkdir(parents=True)
            shutil.copy(wheel, place)
            (place / "index.html").write_text(f'<!DOCTYPE html><html><body><a href="{wheel.name}">{wheel.name}</a>')

        class Handler(SimpleHTTPRequestHandler):
            def __init__(handler, *arguments: Any) -> None:  # noqa: N805 - self is the index
                super().__init__(*arguments, directory=str(folder))

            def send_head(handler) -> Any:  # noqa: N805 - `self` is the one outside
                authorization = handler.headers["Authorization"]
                self.authorizations.append(authorization)
                if token and authorization != f"Basic {basic}":
                    return handler.send_error(HTTPStatus.UNAUTHORIZED)
                return super().send_head()

            def log_message(self, *_: object) -> None:
                pass

        folder.mkdir(exist_ok=True)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def url(self, token: str | None = None) -> str:
        user = f"oauth2accesstoken:{token}@" if token else ""
        return f"http://{user}127.0.0.1:{self.server.server_port}/simple/"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def run(python: str, script: str) -> str:
    return subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def no_index(_names: Collection[str]) -> "Future[str | None]":
    """Return the private index of builds that have none."""
    none: Future[str | None] = Future()
    none.set_result(None)
    return none
