import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gar_publish import flow
from gar_publish.cli import publish
from gar_publish.cli.terminal import TerminalConsole
from gar_publish.errors import CONFUSION_DOCS, Conflict, Failure
from gar_publish.report import render
from gar_publish.report.report import Report


def run(
    outcome: Report | Failure, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], **options: Any
) -> tuple[str, str, flow.Outlet]:
    """Return standard error, the JSON report and the outlet of a run."""
    stream, written, outlets = io.StringIO(), list[str](), list[flow.Outlet]()

    def make(*arguments: Any) -> int:
        outlets.append(arguments[2])
        assert arguments[:2] == (dict, environment)
        outlets[0].hand_out(outcome)
        return 5

    monkeypatch.setattr(flow, "run", make)
    console = TerminalConsole(stream, "promote")
    assert publish.run({"summary": None} | options, environment, console, read=dict, write=written.append) == 5
    return stream.getvalue(), "".join(written), outlets[0]


def test_a_report(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"access-token": "-", "credentials-json": "my key.json"}
    shown, written, outlet = run(report, monkeypatch, {"BUILDER_OUTPUT": str(tmp_path)}, **given)
    assert shown == (
        f"{render.as_text(report)}\n\nTo install: gar-publish run --repository us/demo-project/python "
        "--credentials-json 'my key.json' -- pip install one==1.0 other==2.0\n"
        f"Pin hashes to be safe from packages of the same name in other indexes: {CONFUSION_DOCS}\n"
    )
    assert written == render.as_json(report)
    assert json.loads((tmp_path / "output").read_text())["requirements"] == "one==1.0\nother==2.0"
    assert outlet.summary
    assert outlet.words("`packages`, `dry-run: true`") == "`NAME==VERSION`, `--dry-run`"


def test_the_hint_to_install_on_windows(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gar_publish.cli.publish.platform.system", lambda: "Windows")
    shown, _, _ = run(report, monkeypatch, {}, **{"access-token": r"..\token", "credentials-json": "my key.json"})
    assert r'--credentials-json "my key.json" --access-token ..\token -- pip install one==1.0' in shown


@pytest.mark.parametrize("change", ["dry run", "failure", "no files"])
def test_no_hint_to_install(change: str, report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, Any] = {
        "dry run": {"dry_run": True},
        "failure": {"stopped": Conflict("No.", anchor="x")},
        "no files": {"files": ()},
    }
    shown, _, outlet = run(replace(report, **changes[change]), monkeypatch, {}, summary=False)
    assert "To install" not in shown
    assert not outlet.summary


def test_a_failure_is_only_written(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = Conflict("No.", anchor="x")
    shown, written, _ = run(failure, monkeypatch, {})
    assert (shown, written) == ("", render.as_json(failure))
