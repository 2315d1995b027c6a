"""A registry over a scripted server, and what a run needs to publish to it."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from gar_publish.context import Context, RetryPolicy
from gar_publish.projects.find import Project
from gar_publish.publish.delivery import Delivery
from gar_publish.publish.destination import Destination
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.settings import Settings
from gar_publish.transport.session import new_session
from tests.unit.servers import Memory, Reply, ScriptedServer, Seen, Time


class Registry:
    """Accepts uploads, and lists them after `lag` requests."""

    def __init__(self, server: ScriptedServer) -> None:
        self.url = server.url
        self.files: dict[str, bytes] = {}
        self.order: list[str] = []
        self.lag = 0
        self.refused: dict[str, int] = {}
        server.on("/upload/", self.take)
        server.on("/upload/simple/", self.show)
        server.on("/f/", lambda seen: Reply(200, self.files[seen.path.rpartition("/")[2]]))

    def take(self, seen: Seen) -> Reply:
        part = re.search(rb'filename="([^"]+)".*?\r\n\r\n(.*)\r\n--', seen.body, re.DOTALL)
        assert part
        name = part[1].decode()
        if name in self.refused:
            return Reply(self.refused[name], "no")
        self.order.append(name)
        self.files[name] = part[2]
        return Reply(200)

    def show(self, _: Seen) -> Reply:
        if self.lag:
            self.lag -= 1
            return Reply(404)
        return Reply(200, "".join(f'<a href="/f/{name}">' for name in self.files), {"Content-Type": "text/html"})


@dataclass
class Bench:
    """A registry, and the parts of a run that publishes to it."""

    server: ScriptedServer
    pool: ThreadPoolExecutor
    folder: Path
    time: Time = field(default_factory=Time)
    console: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.registry = Registry(self.server)
        policy = RetryPolicy(tries=2, sleep=self.time.sleep, clock=self.time.clock)
        self.context = Context(self.folder, {}, Endpoints(self.server.url), self.console, policy)

    def settings(self, **inputs: str) -> Settings:
        given = {"repository": f"{self.server.url}/upload/", "access-token": "ya29.given"}
        given |= {name.replace("_", "-"): text for name, text in inputs.items()}
        return Settings.from_inputs(given, environment={}, endpoints=self.context.endpoints)

    def destination(self, settings: Settings, projects: Sequence[Project] = ()) -> Destination:
        return Destination(settings, self.context, projects, new_session(), self.pool, scratch=self.folder)

    def delivery(self, expected: Sequence[str] = (), *, unnamed: int = 0, **inputs: str) -> Delivery:
        settings = self.settings(**inputs)
        destination = self.destination(settings)
        return Delivery(destination, settings, self.pool, self.pool, expected=expected, unnamed=unnamed)
