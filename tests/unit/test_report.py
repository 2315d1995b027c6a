import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gar_publish import distributions
from gar_publish.endpoints import Endpoints
from gar_publish.errors import RegistryRefused
from gar_publish.report import PublishedFile, Report, failure_as_markdown, human_size
from gar_publish.repository import Repository
from tests.wheels import make_wheel


@pytest.fixture
def report(tmp_path: Path) -> Report:
    one = distributions.read(make_wheel(tmp_path, "one", "1.0"))
    other = distributions.read(make_wheel(tmp_path, "other", "2.0"))
    return Report(
        repository=Repository.parse("us/demo-project/python", endpoints=Endpoints()),
        files=(
            PublishedFile(other, "identical", other.sha256, "https://host/other"),
            PublishedFile(one, "uploaded", one.sha256, "https://host/one"),
        ),
        dry_run=False,
        verified=True,
        index_token="ya29.secret",
        token_expires_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


def test_outputs(report: Report) -> None:
    one, other = report.files[1], report.files[0]
    outputs = report.outputs()
    assert outputs["extra-index-url"].startswith("--extra-index-url https://oauth2accesstoken:ya29.secret@us-python")
    assert outputs["index-url"] == "https://us-python.pkg.dev/demo-project/python/simple/"
    assert outputs["requirements"] == "one==1.0\nother==2.0"
    assert outputs["requirements-hashed"].splitlines()[1] == f"other==2.0 --hash=sha256:{other.sha256}"
    assert json.loads(outputs["packages"])[0] == {
        "name": "one",
        "version": "1.0",
        "files": [
            {
                "filename": "one-1.0-py3-none-any.whl",
                "sha256": one.sha256,
                "size": one.distribution.size,
                "url": "https://host/one",
                "status": "uploaded",
            }
        ],
    }
    assert (outputs["name"], outputs["version"], outputs["published"]) == ("", "", "true")
    assert outputs["token-expires-at"] == "2026-01-02T03:04:05Z"


def test_one_package_is_named(report: Report) -> None:
    outputs = replace(report, files=report.files[:1]).outputs()
    assert (outputs["name"], outputs["version"], outputs["published"]) == ("other", "2.0", "false")


def test_only_the_first_output_holds_the_token(report: Report) -> None:
    public = [value for name, value in report.outputs().items() if name != "extra-index-url"]
    for text in (*public, report.as_json(), report.as_text(), report.as_markdown(), repr(report)):
        assert "secret" not in text


def test_without_a_token_there_is_no_line(report: Report) -> None:
    outputs = replace(report, index_token="").outputs()
    assert (outputs["extra-index-url"], outputs["token-expires-at"]) == ("", "")


def test_the_summary_says_what_where_and_how_to_install(report: Report) -> None:
    summary = report.as_markdown()
    assert "### Published to `us/demo-project/python`" in summary
    assert report.files[1].sha256 in summary
    assert "pip install ${{ steps.id.outputs.extra-index-url }} one==1.0 other==2.0" in summary
    assert "read back" in summary


def test_a_dry_run_claims_nothing(report: Report) -> None:
    summary = replace(report, dry_run=True, verified=False).as_markdown()
    assert summary.startswith("### Would publish to")
    assert "pip install" not in summary
    assert "read back" not in summary


def test_a_failure_is_in_the_summary_and_in_the_json(report: Report) -> None:
    failed = replace(report, verified=False, failure=RegistryRefused("No.", fix="ask", anchor="x"))
    assert "### No." in failed.as_markdown()
    assert json.loads(failed.as_json())["failure"]["exit-code"] == 6


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_000_000_000, "2.0 GB")])
def test_sizes_for_people(size: int, text: str) -> None:
    assert human_size(size) == text


def test_a_failure_writes_one_heading_and_no_link() -> None:
    summary = failure_as_markdown(RegistryRefused("No\n\n# Alert\n[click](https:evil) <b>", anchor="x"))
    assert [line for line in summary.splitlines() if line.startswith("#")] == [
        "### No # Alert \\[click](https:evil) &lt;b&gt;",
        "# Alert",  # inside the fence
    ]
