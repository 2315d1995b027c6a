import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from gar_publish.bootstrap import command
from gar_publish.cli.bootstrap_options import add_options
from gar_publish.context import Context, RetryPolicy
from gar_publish.errors import BadInput
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from tests.recording import RecordingConsole

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str) -> str:
        parser = argparse.ArgumentParser()
        add_options(parser)
        options = vars(parser.parse_args(["--github=octo-org/hello", *arguments]))
        repository = Repository.parse("us/my-project/python", endpoints=Endpoints())
        context = Context(tmp_path, {}, Endpoints(), RecordingConsole(), RetryPolicy())
        shown: list[str] = []
        command.run(options, repository, context, show=shown.append)
        return "".join(shown)

    return run


def test_forms_that_need_no_server(run: Run) -> None:
    assert run().startswith("#!/bin/sh\n")
    assert 'source  = "hashicorp/google"' in run("--terraform")
    assert "workload-identity-provider: projects/12/" in run("--workflow", "--project-number=12")


def test_the_check_needs_both_ids(run: Run) -> None:
    with pytest.raises(BadInput) as caught:
        run("--check", "--github-owner-id=11")
    assert caught.value.fix == 'add these options\n  --github-repository-id="$(gh api repos/octo-org/hello --jq .id)"'
    assert caught.value.anchor == "bootstrap-ids"
    with pytest.raises(BadInput, match="`--github-owner-id` and `--github-repository-id`"):
        run("--check")
