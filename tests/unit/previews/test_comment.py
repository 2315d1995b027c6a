"""The comment on a pull request."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gar_publish.context import Context
from gar_publish.previews import comment
from gar_publish.report.report import Report
from tests.github_api import TOKEN, at
from tests.unit.servers import ScriptedServer


@pytest.fixture
def preview(report: Report) -> Report:
    return replace(report, preview="pr42")


def test_says_what_to_install_and_when_it_goes(preview: Report) -> None:
    text = comment.text_of(preview, "abc1234")
    assert text.startswith("**Preview of abc1234**\n")
    for part in ("| one | `1.0` |", "| other | `2.0` |", "deleted when this pull request is closed"):
        assert part in text
    assert f"```sh\n{preview.preview_install('pip')}\n```" in text
    assert f"```sh\n{preview.preview_install('uv')}\n```" in text


def test_fits_into_what_github_takes(preview: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = comment.text_of(preview, "abc1234")
    monkeypatch.setattr(comment, "_LONGEST", len(whole) - 1)
    shorter = comment.text_of(preview, "abc1234")
    assert "pip install" in shorter
    assert "| one |" not in shorter
    monkeypatch.setattr(comment, "_LONGEST", len(shorter) - 1)
    assert "2 packages" in comment.text_of(preview, "abc1234")


@pytest.mark.parametrize(
    "change", [{"preview": "b.main.h1a2b3c"}, {"preview": ""}, {"dry_run": True}], ids=["branch", "release", "dry run"]
)
def test_only_a_published_preview_of_a_pull_request_has_one(
    context: Context, server: ScriptedServer, preview: Report, change: dict[str, object]
) -> None:
    api = at(server)
    comment.write(replace(preview, **change), TOKEN, replace(context, environment=api.environment))  # type: ignore[arg-type]
    assert server.seen == []


@pytest.mark.parametrize(
    "event", [{"pull_request": {"head": {"sha": "abc1234"}}}, {"workflow_run": {"head_sha": "abc1234"}}]
)
def test_names_the_newest_commit(
    context: Context, server: ScriptedServer, preview: Report, event: dict[str, object], tmp_path: Path
) -> None:
    api = at(server)
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    environment = {**api.environment, "GITHUB_EVENT_PATH": str(file)}
    comment.write(preview, TOKEN, replace(context, environment=environment))
    (written,) = api.comments[42]
    assert "**Preview of abc1234**" in written["body"]
