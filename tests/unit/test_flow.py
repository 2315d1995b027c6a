import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gar_publish import doctor, flow
from gar_publish.context import Context
from gar_publish.errors import BadInput, BuildFailure, Conflict, Failure, Interrupted, Unreachable
from gar_publish.report import render
from gar_publish.report.report import Report
from gar_publish.settings.credential import Ambient, Credential, GivenToken, Key
from tests.unit.servers import Memory

INPUTS = {"repository": "us/demo-project/python", "access-token": "ya29.given"}


class Door:
    """A front door that remembers; `published` is the result of publishing, or the exception that it raises."""

    def __init__(self, published: Report | BaseException, folder: Path) -> None:
        self.console = Memory()
        self.published = published
        self.environment = {"GITHUB_STEP_SUMMARY": str(folder / "summary")}
        self.events: list[Any] = []
        self.context: Context | None = None
        self.hand_out_fails: Exception | None = None

    def publish(self, _: object, context: Context) -> Report:
        self.context = context
        if isinstance(self.published, BaseException):
            raise self.published
        return self.published

    def hand_out(self, outcome: Report | Failure) -> None:
        self.events.append(outcome)
        if self.hand_out_fails:
            raise self.hand_out_fails

    def run(self, *, summary: bool = True, **inputs: str) -> int:
        given = INPUTS | {name.replace("_", "-"): value for name, value in inputs.items()}
        outlet = flow.Outlet(
            self.console, self.hand_out, lambda failure: self.events.append(failure.what), summary, str.upper
        )
        return flow.run(lambda: given, self.environment, outlet, container=True)

    @property
    def summary(self) -> str:
        file = Path(self.environment["GITHUB_STEP_SUMMARY"])
        return file.read_text() if file.exists() else ""


@pytest.fixture
def door(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    door = Door(report, tmp_path)

    def tell_after(*arguments: object) -> None:
        door.events.append(("doctor", *arguments))

    monkeypatch.setattr(flow, "publish", door.publish)
    monkeypatch.setattr(flow, "ignore_signals", lambda: door.events.append("signals ignored"))
    monkeypatch.setattr(doctor, "tell_after", tell_after)
    return door


def test_a_run_that_succeeds(door: Door, report: Report) -> None:
    assert door.run(doctor="true") == 0
    assert door.events == [report]
    assert door.summary == render.as_markdown(report) + "\n"
    assert door.context
    assert (door.context.workspace, door.context.container, door.context.console) == (Path.cwd(), True, door.console)
    assert door.console.masked == ["ya29.given"]


@pytest.mark.parametrize(
    ("error", "code", "what"),
    [
        (Unreachable("no answer", anchor="x"), 7, "NO ANSWER"),
        (KeyboardInterrupt(), 130, "THE RUN WAS CANCELLED."),
        (KeyError("secret"), 1, "INTERNAL ERROR (KEYERROR); PLEASE REPORT IT."),
    ],
)
def test_a_run_without_a_report(door: Door, error: BaseException, code: int, what: str) -> None:
    door.published = error
    assert door.run() == code
    ignored, failure, shown = door.events
    assert (ignored, failure.what, shown) == ("signals ignored", what, what)
    assert door.summary == render.as_markdown(failure) + "\n"
    assert "secret" not in door.summary


def test_a_report_with_failures(door: Door, report: Report) -> None:
    first, second = report.files
    files = (
        replace(first, status="failed", failure=Conflict("one", anchor="x")),
        replace(second, status="failed", failure=Unreachable("two", anchor="x")),
    )
    door.published = replace(report, files=files)
    assert door.run() == 5
    assert door.events[1:] == ["ONE", "TWO"]
    assert [each["what"] for each in json.loads(render.as_json(door.events[0]))["failures"]] == ["ONE", "TWO"]


@pytest.mark.parametrize(
    ("error", "what", "code"),
    [
        (Failure("Not written.", anchor="outputs"), "Not written.", 1),
        (OSError(28, "disk full"), "THE OUTPUTS CANNOT BE WRITTEN: DISK FULL.", 1),
    ],
)
def test_an_outcome_that_cannot_be_handed_out_is_one_more_failure(
    door: Door, error: Exception, what: str, code: int
) -> None:
    door.hand_out_fails = error
    assert door.run(doctor="true") == code
    assert door.events == [door.published, what], "the doctor is not asked"
    assert door.summary
    door.published = Conflict("one", anchor="x")
    assert door.run() == 5
    assert door.events[-2:] == ["ONE", what]


def test_without_a_summary(door: Door) -> None:
    assert door.run(summary=False) == 0
    door.published = Conflict("one", anchor="x")
    assert door.run(summary=False) == 5
    assert door.summary == ""


@pytest.mark.parametrize(("given", "asked"), [("true", True), ("TRUE", True), ("false", False), ("", False)])
def test_the_doctor_is_asked_after_a_failure(door: Door, given: str, asked: bool) -> None:  # noqa: FBT001 - a table
    door.published = Unreachable("one", anchor="x")
    assert door.run(doctor=given) == 7
    called = [each for each in door.events if isinstance(each, tuple)]
    assert bool(called) is asked
    if asked:
        (_, failure, inputs, context, words) = called[0]
        assert (failure.what, inputs["doctor"], context, words) == ("ONE", given, door.context, str.upper)


@pytest.mark.parametrize("failure", [Conflict, BuildFailure, BadInput, Failure, Interrupted])
def test_the_doctor_is_not_asked_what_it_cannot_know(door: Door, failure: type[Failure]) -> None:
    door.published = failure("one", anchor="x")
    assert door.run(doctor="true") == failure.exit_code
    assert not [each for each in door.events if isinstance(each, tuple)]


def test_inputs_that_cannot_be_read_are_not_examined(door: Door) -> None:
    door.environment["GAR_EMULATOR_HOST"] = "ftp://127.0.0.1"
    assert door.run(doctor="true") == 2
    assert not [each for each in door.events if isinstance(each, tuple)]
    assert door.events[-1].startswith("GAR_EMULATOR_HOST")


@pytest.mark.parametrize(
    ("credential", "masked"),
    [
        (GivenToken("ya29.given"), ["ya29.given"]),
        (Key({"private_key": f"-----BEGIN {'B' * 40}\n{'a' * 32}\n{'b' * 31}\n-----END"}), ["a" * 32]),
        (Ambient(), []),
    ],
)
def test_the_secrets_of_a_given_credential_are_masked(credential: Credential, masked: list[str]) -> None:
    console = Memory()
    flow.mask_given(credential, console)
    assert console.masked == masked


def test_nothing_of_the_process_is_read(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "GAR_EMULATOR_HOST", "ftp://127.0.0.1")
    assert door.run() == 0
