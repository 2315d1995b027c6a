"""`gar-publish previews` lists the previews in a repository, and deletes those of one pull request."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import previews_kill
from bench.previews_kill import kill, put, stock
from gar_emulator import Emulator
from gar_emulator.world.fault import Fault
from gar_emulator.world.iam import Binding
from gar_publish.previews.versions import branch_label
from tests.integration.frontdoors import PUBLISHER, Doors

PREVIEWS = previews_kill.previews_repository("previews")
WHERE = "--repository=us-central1/demo-project/previews"
DAY = 24 * 60 * 60


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """Yield an emulator with a repository for previews, and with previews of several pull requests and branches."""
    world = previews_kill.world()
    with Emulator(replace(world, repositories=(*world.repositories, PREVIEWS)), data=tmp_path / "emulator") as running:
        stock(running, PREVIEWS, ("alpha", "beta", "gamma"))
        yield running


def versions(emulator: Emulator) -> list[tuple[str, str]]:
    return [(stored.package, stored.version) for stored in emulator.cloud.store.files(PREVIEWS)]


def test_lists_what_it_deletes(doors: Doors, emulator: Emulator) -> None:
    before = versions(emulator)
    done = doors.command("previews", "list", "42", WHERE)
    listed = [tuple(line.split("\t")) for line in done.out.splitlines()]
    assert [label for label, _ in listed] == ["pr42"] * 12
    assert versions(emulator) == before
    deleted = doors.command("previews", "delete", "42", WHERE)
    assert (deleted.code, deleted.out) == (0, done.out)
    gone = {tuple(pin.split("==")) for _, pin in listed}
    assert versions(emulator) == [each for each in before if each not in gone]
    assert len(gone) == 12
    again = doors.command("previews", "delete", "42", WHERE)
    assert (again.code, again.out, again.err) == (0, "", again.err)
    assert len(doors.command("previews", WHERE).out.splitlines()) == 4 * 12


def test_deletes_what_is_old_and_a_branch(doors: Doors, emulator: Emulator) -> None:
    put(emulator, PREVIEWS, "old", "1.0.1.dev1+pr7.gabc1234", created=time.time() - 31 * DAY)
    put(emulator, PREVIEWS, "old", "1.0", created=time.time() - 31 * DAY)
    done = doors.command("previews", "delete", "--older-than=30d", WHERE)
    assert (done.code, done.out) == (0, "pr7\told==1.0.1.dev1+pr7.gabc1234\n")
    assert ("old", "1.0") in versions(emulator)
    label = branch_label("42")
    done = doors.command("previews", "delete", label, WHERE)
    assert {line.split("\t")[0] for line in done.out.splitlines()} == {label}
    assert doors.command("previews", "delete", WHERE).code == 2


def test_touches_only_a_repository_with_the_label(doors: Doors, emulator: Emulator) -> None:
    emulator.cloud.store.create(replace(PREVIEWS, labels={"gar-publish": "releases"}))
    before = versions(emulator)
    done = doors.command("previews", "delete", "42", WHERE)
    assert done.code == 6
    assert "lacks the label gar-publish=previews" in done.err
    assert versions(emulator) == before
    assert doors.command("previews", "--repository=http://127.0.0.1/simple/").code == 2


def test_says_which_role_is_missing(doors: Doors, emulator: Emulator) -> None:
    account = f"serviceAccount:{PUBLISHER}"
    emulator.cloud.set_policy("projects/demo-project", [])
    emulator.cloud.set_policy(PREVIEWS.resource, [Binding(account, "roles/artifactregistry.writer", PREVIEWS.resource)])
    done = doors.command("previews", "delete", "42", WHERE)
    assert done.code == 6
    assert f"--member={account} --role=roles/artifactregistry.repoAdmin" in done.err
    emulator.cloud.set_policy(PREVIEWS.resource, [])
    done = doors.command("previews", WHERE)
    assert (done.code, "cannot be read" in done.err) == (6, True)


def test_a_batch_that_fails_is_sent_again(doors: Doors, emulator: Emulator) -> None:
    emulator.inject(Fault("repository", "500", times=4))
    assert doors.command("previews", "delete", "42", WHERE, hurried=True).code == 0
    assert not any("+pr42.g" in version and ".dev" in version for _, version in versions(emulator))


def event(doors: Doors, **content: object) -> dict[str, str]:
    file = doors.folder.parent / "event.json"
    file.write_text(json.dumps(content))
    return {"GITHUB_EVENT_PATH": str(file)}


def test_the_action_deletes_the_previews_of_the_closed_pull_request(doors: Doors, emulator: Emulator) -> None:
    inputs = {"repository": "us-central1/demo-project/previews", "preview": "delete"}
    before = versions(emulator)
    nothing = doors.action(inputs, {"GITHUB_REF": "refs/pull/42/merge"})
    assert (nothing.code, versions(emulator)) == (2, before)
    closed = event(doors, action="closed", pull_request={"number": 42})
    assert "Would delete 12 previews of pr42" in doors.action({**inputs, "dry-run": "true"}, closed).summary
    assert versions(emulator) == before
    step = doors.action(inputs, closed)
    assert step.code == 0, step.log
    assert "Deleted 12 previews of pr42" in step.summary
    gone = set(before) - set(versions(emulator))
    assert {version.partition("+")[2].partition(".g")[0] for _, version in gone} == {"pr42"}
    assert len(gone) == 12
    branch = doors.action(inputs, {**event(doors, ref="42", ref_type="branch"), "GITHUB_EVENT_NAME": "delete"})
    assert f"Deleted 12 previews of {branch_label('42')}" in branch.summary


def test_killed_deletions_are_completed_by_the_same_command(tmp_path: Path) -> None:
    """A sample of what docs/reliability.md shows."""
    assert kill(range(2), seed=1, folder=tmp_path) == 2
