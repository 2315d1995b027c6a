"""Setups that the tests share."""

from typing import Any

from gar_publish.bootstrap.setup import Setup
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository

IDS = {"github_owner_id": "11", "github_repository_id": "22"}


def make_setup(
    github: str = "octo-org/hello", repository: str = "us-central1/my-project/python", **options: Any
) -> Setup:
    return Setup.read({"github": github, **options}, Repository.parse(repository, endpoints=Endpoints()))
