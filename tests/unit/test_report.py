import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gar_publish import distributions
from gar_publish.endpoints import Endpoints
from gar_publish.errors import Conflict, RegistryRefused, cancelled
from gar_publish.evidence import AttachedEvidence, Evidence
from gar_publish.report import PublishedFile, Report, Status, failure_as_markdown, human_size
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


def failed(report: Report, status: Status = "failed") -> Report:
    """The report, but that its first file has a failure."""
    failure = RegistryRefused("No.", fix="ask", anchor="x")
    return replace(
        report,
        verified=False,
        index_token="",
        files=(replace(report.files[0], status=status, failure=failure), *report.files[1:]),
    )


def test_a_failure_is_everywhere_with_its_file(report: Report) -> None:
    bad = failed(report)
    summary = bad.as_markdown()
    assert summary.startswith("### Did not finish publishing to")
    assert "### No." in summary
    assert "pip install" not in summary
    assert "other-2.0-py3-none-any.whl" in bad.as_text().splitlines()[0]
    assert bad.as_text().splitlines()[1].strip() == "No."
    public = json.loads(bad.as_json())
    assert public["failure"]["exit-code"] == 6
    (one,) = public["failures"]
    assert one == {"filename": "other-2.0-py3-none-any.whl", **public["failure"]}


def test_what_the_registry_does_not_hold_is_not_pinned(report: Report) -> None:
    assert failed(report).outputs()["requirements"] == "one==1.0"
    assert failed(report, "uploaded").outputs()["requirements"] == "one==1.0\nother==2.0"


def test_the_first_failure_counts_and_each_is_told_once(report: Report) -> None:
    conflict, refused = Conflict("Other bytes.", anchor="x"), RegistryRefused("No.", anchor="x")
    first, second = report.files
    files = (replace(first, failure=conflict), replace(second, failure=refused), replace(second, failure=refused))
    bad = replace(report, files=files)
    assert bad.failures == [conflict, refused]
    assert bad.failure is conflict
    assert [each["exit-code"] for each in json.loads(bad.as_json())["failures"]] == [5, 6, 6]


def test_a_cancelled_run_says_what_is_not_known(report: Report) -> None:
    first, second = report.files
    stopped = replace(report, verified=False, files=(replace(first, status="unknown"), second), stopped=cancelled())
    for text in (stopped.as_text(), stopped.as_markdown()):
        assert "settled by running the same command again" in text
    assert json.loads(stopped.as_json())["failure"]["exit-code"] == 130


def test_a_run_that_was_cancelled_before_there_were_files_has_no_table(report: Report) -> None:
    summary = replace(report, verified=False, files=(), stopped=cancelled()).as_markdown()
    assert "|" not in summary
    assert "### The run was cancelled." in summary


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_000_000_000, "2.0 GB")])
def test_sizes_for_people(size: int, text: str) -> None:
    assert human_size(size) == text


def test_a_failure_writes_one_heading_and_no_link() -> None:
    summary = failure_as_markdown(RegistryRefused("No\n\n# Alert\n\\[click](https:evil) <b>", anchor="x"))
    assert [line for line in summary.splitlines() if line.startswith("#")] == [
        "### No # Alert \\&#91;click](https:evil) &lt;b&gt;",
        "# Alert",  # inside the fence
    ]


def test_evidence_is_told_with_each_version_that_it_is_for(report: Report) -> None:
    sbom, statement = Evidence("sbom", "one.whl.cdx.json", b"{}"), Evidence("provenance", "p.intoto.json", b"{}")
    refused = RegistryRefused("Not attached.", anchor="evidence-refused")
    told = replace(
        report,
        evidence=(
            AttachedEvidence(sbom, "one", "1.0", "dist/one.whl.cdx.json", "a/sbom-1"),
            AttachedEvidence(statement, "one", "1.0", "dist/p.intoto.json", "a/provenance-1"),
            AttachedEvidence(statement, "other", "2.0", "dist/p.intoto.json", failure=refused),
        ),
    )
    assert (told.outputs()["sboms"], told.outputs()["provenance"]) == ("dist/one.whl.cdx.json", "dist/p.intoto.json")
    assert told.failures == [refused]
    assert "not attached  p.intoto.json  to other 2.0" in told.as_text()
    assert f"| one | 1.0 | `one.whl.cdx.json` | `{sbom.sha256}` | attached |" in told.as_markdown()
    body = json.loads(told.as_json())
    assert [each["attachment"] for each in body["evidence"]] == ["a/sbom-1", "a/provenance-1", ""]
    assert body["failures"][0]["filename"] == "p.intoto.json"
    assert "| evidence |" not in report.as_markdown()
