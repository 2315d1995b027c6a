"""A fork's preview: a run with an identity publishes what a run without rights has built, and writes the comment."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import previews_kill
from gar_emulator import Emulator
from tests.github_api import BOT, TOKEN, GitHubApi, github_api
from tests.integration.frontdoors import Doors, Step
from tests.wheels import make_wheel

COMMIT = "abc1234" + "0" * 33
PREVIEWS = previews_kill.previews_repository("previews")
WHERE = "us-central1/demo-project/previews"
TIME = 1795946401


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """Yield an emulator with a repository for previews."""
    world = previews_kill.world()
    with Emulator(replace(world, repositories=(*world.repositories, PREVIEWS)), data=tmp_path / "emulator") as running:
        yield running


@pytest.fixture
def github() -> Iterator[GitHubApi]:
    """Yield GitHub's API with one open pull request, of a fork."""
    with github_api() as api:
        api.pulls.append({"number": 42, "head": {"sha": COMMIT, "repo": {"id": 7}}})
        yield api


def publish(doors: Doors, github: GitHubApi, *, commit: str = COMMIT, **inputs: str) -> Step:
    """Run the second workflow, for files in `wheels`."""
    run: dict[str, Any] = {
        "event": "pull_request",
        "conclusion": "success",
        "head_sha": commit,
        "head_branch": "fix",
        "head_repository": {"id": 7, "owner": {"login": "stranger"}},
        "head_commit": {"timestamp": "2026-11-29T10:00:01Z"},
        "pull_requests": [],
    }
    event = doors.folder.parent / "event.json"
    event.write_text(json.dumps({"workflow_run": run, "repository": {"id": 1}}))
    given = {"repository": WHERE, "preview": "true", "dist": "wheels", "packages": "greetings\nwelcome"}
    return doors.action(
        {**given, "github-token": TOKEN, **inputs},
        {**github.environment, "GITHUB_EVENT_NAME": "workflow_run", "GITHUB_EVENT_PATH": str(event)},
    )


def stored(emulator: Emulator) -> list[str]:
    return [each.filename for each in emulator.files(WHERE)]


def test_publishes_with_one_comment_that_is_edited(doors: Doors, emulator: Emulator, github: GitHubApi) -> None:
    github.add(42, "stranger", f"<!-- gar-publish preview {WHERE} -->")
    make_wheel(doors.folder / "wheels", "greetings", "1.0")
    make_wheel(doors.folder / "wheels", "welcome", "1.0.1.dev9+pr7.gabc1234", requires=["greetings>=1.0"])
    step = publish(doors, github)
    assert step.code == 0, step.log
    first = f"1.0.1.dev{TIME}+pr42.gabc1234"
    assert stored(emulator) == [
        f"greetings-{first}-py3-none-any.whl",
        f"welcome-1.0.2.dev{TIME}+pr42.gabc1234-py3-none-any.whl",
    ]
    _, comment = github.comments[42]
    assert comment["user"]["login"] == BOT
    for part in (f"greetings=={first}", COMMIT, "pip install", "uv pip install", "deleted when this pull request is"):
        assert part in comment["body"]

    commit = "def5678" + "0" * 33
    github.pulls[0]["head"]["sha"] = commit
    assert publish(doors, github, commit=commit).code == 0
    assert github.written == ["POST", "PATCH"]
    assert commit in github.comments[42][1]["body"]
    assert TOKEN not in step.log.replace(f"::add-mask::{TOKEN}", "")


def test_without_the_right_to_comment_the_packages_are_published_all_the_same(
    doors: Doors, emulator: Emulator, github: GitHubApi
) -> None:
    github.may_write = False
    make_wheel(doors.folder / "wheels", "greetings")
    step = publish(doors, github)
    assert step.code == 0
    assert "::warning::`github-token` may not comment on the pull request 42" in step.log
    assert len(stored(emulator)) == 1


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("requests-1.0-py3-none-any.whl", "of requests, which `packages` does not list"),
        ("greetings-1.0-py3-none-any.whl", "not a regular file"),
        ("greetings-1.0+x:y-py3-none-any.whl", "not the name of a wheel"),
    ],
    ids=["another name", "a link", "a strange name"],
)
def test_publishes_nothing_of_hostile_files(
    doors: Doors, emulator: Emulator, github: GitHubApi, name: str, why: str
) -> None:
    wheels = doors.folder / "wheels"
    good = make_wheel(wheels, "welcome")
    if "regular" in why:
        (wheels / name).symlink_to(make_wheel(doors.folder / "elsewhere", "greetings"))
    else:
        good.rename(wheels / name)
        make_wheel(wheels, "welcome")
    step = publish(doors, github)
    assert step.code == 4
    assert why in step.log
    assert stored(emulator) == []
    assert 42 not in github.comments


def test_requirements_of_a_wheel_are_neither_commands_nor_markdown(
    doors: Doors, emulator: Emulator, github: GitHubApi
) -> None:
    """The command for uv has the exact pre-releases that a stranger's wheel requires."""
    markers = [r"\n```\n# gotcha\n```\n", r"A\x5c\x27; gotcha", r"\x27\x22 gotcha", r"\ud800 gotcha"]
    requires = ["plain==1.0b1", *(f'other==1.0b1; platform_machine != "{each}"' for each in markers)]
    make_wheel(doors.folder / "wheels", "greetings", requires=requires)
    step = publish(doors, github)
    assert (step.code, len(stored(emulator))) == (0, 1), step.log
    assert step.outputs["preview-install-uv"].endswith(" plain==1.0b1")
    assert "gotcha" not in step.summary + github.comments[42][-1]["body"]


def test_paths_in_a_wheel_are_neither_commands_nor_markdown(
    doors: Doors, emulator: Emulator, github: GitHubApi
) -> None:
    wheel = make_wheel(doors.folder / "wheels", "greetings")
    path = "METADATA\r\n::error::gotcha\n```\n## [gotcha](https://example.org)"
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr(path, "x")  # the message of the failure has it
    step = publish(doors, github)
    assert (step.code, stored(emulator)) == (4, [])
    assert "::error::gotcha" in step.log
    assert "gotcha" not in re.sub(r"::stop-commands::(\w+)\n.*?\n::\1::\n", "", step.log, flags=re.DOTALL)
    assert re.search(r"^(````+)\n[^`]*::error::gotcha\n```\n## \[gotcha\].*\n\1$", step.summary, re.MULTILINE)


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"dist": ""}, "nothing is built here"),
        ({"packages": "."}, "must list the names"),
        ({"packages": "packages/*"}, "must list the names"),
        ({"github-token": ""}, "number of the pull request is not known"),
    ],
)
def test_refuses_a_workflow_that_trusts_the_files(
    doors: Doors, emulator: Emulator, github: GitHubApi, inputs: dict[str, str], why: str
) -> None:
    make_wheel(doors.folder / "wheels", "greetings")
    step = publish(doors, github, **inputs)
    assert (step.code, stored(emulator)) == (2, [])
    assert why in step.log


def test_a_metadata_name_does_not_matter_if_the_file_has_another(
    doors: Doors, emulator: Emulator, github: GitHubApi
) -> None:
    metadata = "Metadata-Version: 2.1\nName: requests\nVersion: 1.0\n"
    make_wheel(doors.folder / "wheels", "greetings", metadata=metadata)
    assert publish(doors, github).code == 4
    assert stored(emulator) == []
