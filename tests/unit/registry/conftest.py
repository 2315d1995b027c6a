import pytest
import requests

from gar_publish.auth.tokens import GivenSource
from gar_publish.context import Context, RetryPolicy
from gar_publish.registry.index import Index
from gar_publish.settings.repository import Repository
from tests.unit.servers import ScriptedServer, Time


@pytest.fixture
def retry_policy(time: Time) -> RetryPolicy:
    return RetryPolicy(tries=3, sleep=time.sleep, clock=time.clock)


@pytest.fixture
def repository(server: ScriptedServer) -> Repository:
    return Repository(f"{server.url}/upload/", f"{server.url}/simple/")


@pytest.fixture
def index(repository: Repository, context: Context, session: requests.Session) -> Index:
    return Index(repository, context, session, GivenSource("ya29.given"))
