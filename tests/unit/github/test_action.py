import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gar_publish import flow
from gar_publish.context import Context
from gar_publish.errors import BadInput, RegistryRefused
from gar_publish.github import action
from gar_publish.report import render
from gar_publish.report.report import Report
from gar_publish.settings.settings import Settings
from tests.runner import commands
from tests.unit.github.conftest import Runner

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def published(runner: Runner, report: Report, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace publishing; the result is what it returns or raises, and how it was called."""
    seen: dict[str, Any] = {"result": report}

    def publish(settings: Settings, context: Context) -> Report:
        seen.update(settings=settings, context=context)
        if isinstance(seen["result"], Report):
            return seen["result"]
        raise seen["result"]

    monkeypatch.setattr(flow, "publish", publish)
    assert runner.calls == []
    os.environ |= {"INPUT_REPOSITORY": "us/demo-project/python", "INPUT_ACCESS-TOKEN": "ya29.given"}
    return seen


def test_a_run_that_succeeds(published: dict[str, Any], report: Report, runner: Runner, capfd: Capture) -> None:
    os.environ["GITHUB_WORKSPACE"] = str(runner.folder)
    assert action.main() == 0
    assert runner.written("GITHUB_OUTPUT") == report.outputs()
    assert runner.summary == f"{render.as_markdown(report, '')}\n"
    out = capfd.readouterr().out
    assert f"\n{render.as_text(report)}\n" in out
    assert {("add-mask", "ya29.given"), ("add-mask", "ya29.secret")} <= {*commands(out)}
    assert "::error" not in out
    assert "::warning" not in out
    context = published["context"]
    assert (context.workspace, context.container) == (runner.folder, True)
    assert context.environment == dict(os.environ)


@pytest.mark.parametrize("path", ["dist/lock-1.txt", "/github/runner_temp/gar-publish/lock-1.txt"])
def test_the_lock_has_its_path_on_the_runner(
    published: dict[str, Any], report: Report, runner: Runner, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    published["result"] = replace(report, lock=path)
    os.environ["RUNNER_TEMP"] = "/github/runner_temp"
    monkeypatch.setattr(sys, "argv", ["entrypoint.py", "action", "/home/runner/work/_temp"])
    assert action.main() == 0
    assert runner.written("GITHUB_OUTPUT")["lock"] == path.replace("/github/runner_temp", "/home/runner/work/_temp")


@pytest.mark.usefixtures("published")
def test_outside_a_job(runner: Runner, capfd: Capture, published: dict[str, Any]) -> None:
    os.environ["GITHUB_OUTPUT"] = ""
    assert action.main() == 0
    assert (
        "::warning::The outputs could not be set: the environment variable GITHUB_OUTPUT is not set"
        in capfd.readouterr().out
    )
    assert published["context"].workspace == Path.cwd()
    assert runner.written("GITHUB_OUTPUT") == {}


@pytest.mark.parametrize("summary", ["false", "False", "FALSE"])
@pytest.mark.parametrize("fails", [False, True])
def test_no_summary(published: dict[str, Any], runner: Runner, summary: str, fails: bool) -> None:  # noqa: FBT001 - a table
    os.environ["INPUT_SUMMARY"] = summary
    if fails:
        published["result"] = BadInput("No.", anchor="x")
    assert action.main() == (2 if fails else 0)
    assert runner.summary == ""


def test_a_run_that_fails_before_there_is_a_report(published: dict[str, Any], runner: Runner, capfd: Capture) -> None:
    published["result"] = RegistryRefused("No `dry-run`.", fix="do", anchor="x")
    assert action.main() == 6
    out = capfd.readouterr().out
    assert [each for each in commands(out) if each[0] != "add-mask"] == [("error", "No `dry-run`.")]
    assert out.count("Fix: do\n") == 1
    assert runner.summary.startswith("### No `dry-run`.\n")
    assert runner.written("GITHUB_OUTPUT") == {}


def test_a_report_with_failures_still_has_outputs(
    published: dict[str, Any], report: Report, runner: Runner, capfd: Capture
) -> None:
    file = replace(report.files[0], status="failed", failure=RegistryRefused("No.", anchor="x"))
    published["result"] = bad = replace(report, files=(file,), index_token="")
    assert action.main() == 6
    assert runner.written("GITHUB_OUTPUT") == bad.outputs()
    assert [*commands(capfd.readouterr().out)][-1] == ("error", "No.")
