"""Rehearse wheels in a separate process, as root. It reads its orders as JSON, and writes what came of them as JSON."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gar_publish.context import new_context
from gar_publish.distributions import distribution
from gar_publish.process import hide_this_process
from gar_publish.rehearsal.rehearse import Plan, rehearsing
from tests.integration.root.left import left
from tests.recording import RecordingConsole


class Empty(BaseHTTPRequestHandler):
    """An index that has nothing."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    orders = json.load(sys.stdin)
    hide_this_process()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"127.0.0.1:{server.server_port}/simple/"
    environment = {**os.environ, "UV_DEFAULT_INDEX": f"http://{url}"}
    context = new_context(environment, RecordingConsole(), workspace=Path(orders["workspace"]), container=True)
    files = [distribution.read(Path(each)) for each in orders["wheels"]]
    private = f"http://oauth2accesstoken:{orders['token']}@{url}"
    plan = Plan(files, {}, {}, private, lambda: False, asked=[], seconds=orders["seconds"])
    with rehearsing(plan, context) as rehearser:
        outcomes = rehearser.rehearse()
    found = {name: [each.as_json() for each in of] for name, of in outcomes.items()}
    json.dump({"outcomes": found, "left": list(left())}, sys.stdout)


main()
