import json
from dataclasses import replace

from gar_publish.errors import Conflict, RegistryRefused, cancelled
from gar_publish.report import render
from gar_publish.report.report import Report


def test_the_token_is_in_none_of_it(report: Report) -> None:
    for text in (render.as_json(report), render.as_text(report), render.as_markdown(report)):
        assert "secret" not in text


def test_the_summary_says_what_where_and_how_to_install(report: Report) -> None:
    summary = render.as_markdown(report)
    assert "### Published to `us/demo-project/python`" in summary
    assert report.files[1].sha256 in summary
    assert "pip install ${{ steps.id.outputs.extra-index-url }} one==1.0 other==2.0" in summary
    assert "read back" in summary


def test_a_dry_run_claims_nothing(report: Report) -> None:
    summary = render.as_markdown(replace(report, dry_run=True, verified=False))
    assert summary.startswith("### Would publish to")
    assert "pip install" not in summary
    assert "read back" not in summary


def test_a_failure_is_everywhere_with_its_file(report: Report) -> None:
    first, second = report.files
    refused = replace(first, status="failed", failure=RegistryRefused("No.", fix="ask", anchor="x"))
    bad = replace(report, verified=False, index_token="", files=(refused, second))
    summary = render.as_markdown(bad)
    assert summary.startswith("### Did not finish publishing to")
    assert "### No." in summary
    assert "pip install" not in summary
    assert "other-2.0-py3-none-any.whl" in render.as_text(bad).splitlines()[0]
    assert render.as_text(bad).splitlines()[1].strip() == "No."
    public = json.loads(render.as_json(bad))
    assert public["failure"]["exit-code"] == 6
    (one,) = public["failures"]
    assert one == {"filename": "other-2.0-py3-none-any.whl", **public["failure"]}


def test_a_failure_is_told_with_each_file_that_it_stopped(report: Report) -> None:
    conflict, refused = Conflict("Other bytes.", anchor="x"), RegistryRefused("No.", anchor="x")
    first, second = report.files
    files = (replace(first, failure=conflict), replace(second, failure=refused), replace(second, failure=refused))
    public = json.loads(render.as_json(replace(report, files=files)))
    assert [each["exit-code"] for each in public["failures"]] == [5, 6, 6]


def test_a_cancelled_run_says_what_is_not_known(report: Report) -> None:
    first, second = report.files
    stopped = replace(report, verified=False, files=(replace(first, status="unknown"), second), stopped=cancelled())
    for text in (render.as_text(stopped), render.as_markdown(stopped)):
        assert "settled by running the same command again" in text
    assert json.loads(render.as_json(stopped))["failure"]["exit-code"] == 130


def test_a_run_that_was_cancelled_before_there_were_files_has_no_table(report: Report) -> None:
    summary = render.as_markdown(replace(report, verified=False, files=(), stopped=cancelled()))
    assert "|" not in summary
    assert "### The run was cancelled." in summary


def test_a_failure_writes_one_heading_and_no_link() -> None:
    summary = render.failure_as_markdown(RegistryRefused("No\n\n# Alert\n\\[click](https:evil) <b>", anchor="x"))
    assert [line for line in summary.splitlines() if line.startswith("#")] == [
        "### No # Alert \\&#91;click](https:evil) &lt;b&gt;",
        "# Alert",  # inside the fence
    ]


def test_evidence_is_told_with_each_version_that_it_is_for(report: Report, proved: Report) -> None:
    sbom = proved.evidence[0].evidence
    assert "not attached  p.intoto.json  to other 2.0" in render.as_text(proved)
    assert f"| one | 1.0 | `one.whl.cdx.json` | `{sbom.sha256}` | attached |" in render.as_markdown(proved)
    body = json.loads(render.as_json(proved))
    assert [each["attachment"] for each in body["evidence"]] == ["a/sbom-1", "a/provenance-1", ""]
    assert body["failures"][0]["filename"] == "p.intoto.json"
    assert "| evidence |" not in render.as_markdown(report)
