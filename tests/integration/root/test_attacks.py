"""Hostile builds read, change and leave nothing: a sample of the attacks of `bench.attacks`, outside of a container."""

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from bench.attacks.places import Outside, Result, compiled
from bench.attacks.table import named
from tests.integration.root.rooms import needs_root

pytestmark = needs_root

SAMPLE = (
    "a daemon that waits for secrets after success",
    "a daemon that waits for secrets after SIGINT",
    "daemons that ignore all signals, hide in /proc, and adopt orphans",
    "stopped processes",
    "processes of others: read, trace, stop, limit, kill",
    "a requirement of two projects that changes a third",
    "a template of its own that lies about its forks",
    "files above all projects: .git, .gitignore, settings",
    "a project above another one",
    "secrets in its own tree, home and variables",
    "a .git that leads to another folder of the user, or to secrets",
    "an unpacked sdist that becomes a link, or a pipe",
    "folders that are swapped for links while root works",
    "what it leaves in the tree that the next project gets",
    "folders of its tree in the hands of another project",
    "folders of its tree that belong to another project",
    "folders of its tree that another project fills while root removes them",
    "names of files",
    "answers",
    "imported: a daemon that waits for secrets after success",
    "imported: a daemon that waits for secrets after SIGINT",
    "imported: a daemon that waits for secrets after an exception",
    "imported: daemons that ignore all signals, hide in /proc, and adopt orphans",
    "imported: processes of others: read, trace, stop, limit, kill",
    "imported: a hunt for the token while uv installs others",
    "imported: environments of others, and files that every user can write to",
    "imported: an import without end",
    "imported: a full disk",
    "imported: an answer that is a link to a secret, a pipe, or endless",
)
"""Those that leave the processors to other tests."""

AT_ONCE = 4
"""Most of the time, an attack waits for secrets."""


@pytest.fixture(scope="module")
def results(
    python_for_every_user: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, "Future[Result]"]]:
    """Start all attacks of this session."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    place = Outside(python_for_every_user, compiled(tmp_path_factory.mktemp("attacks")))
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    here = [item for item in tests if item.originalname == test_an_attack_fails.__name__]
    names = [item.callspec.params["name"] for item in here]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {str(name): pool.submit(place.run, named(str(name))) for name in names}


@pytest.mark.parametrize("name", SAMPLE)
def test_an_attack_fails(name: str, results: dict[str, "Future[Result]"]) -> None:
    assert results[name].result().problems == []
