"""Set-ups that the tests share."""

from typing import Any

from gar_publish.bootstrap.setup import Wanted
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository

IDS = {"github_owner_id": "11", "github_repository_id": "22"}


def wanted(github: str = "octo-org/hello", repository: str = "us-central1/my-project/python", **options: Any) -> Wanted:
    return Wanted.read({"github": github, **options}, Repository.parse(repository, endpoints=Endpoints()))
