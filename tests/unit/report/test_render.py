import json
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from gar_publish.errors import BuildFailure, Conflict, Failure, RegistryRefused, as_failure
from gar_publish.registry.outcomes import NotBuilt
from gar_publish.report import render
from gar_publish.report.report import Report
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository

CANCELLED = as_failure(KeyboardInterrupt())


def test_nothing_contains_the_token(report: Report) -> None:
    for text in (render.as_json(report), render.as_text(report), render.as_markdown(report)):
        assert "secret" not in text


def test_the_log_has_a_line_for_each_file(report: Report) -> None:
    other, one = report.files
    size, other_size = one.distribution.size, other.distribution.size
    assert render.as_text(report).splitlines() == [
        f"identical  other-2.0-py3-none-any.whl  {other_size} B  sha256 {other.sha256}",
        f"uploaded   one-1.0-py3-none-any.whl  {size} B  sha256 {one.sha256}",
        "Every file was read back from the index, and its SHA-256 is the one above.",
    ]


def test_the_log_says_where_the_lock_is(report: Report) -> None:
    assert render.as_text(replace(report, lock="dist/lock-1.txt")).endswith("\nlock  dist/lock-1.txt")


def test_the_summary_says_what_was_published_and_how_to_install_it(report: Report) -> None:
    summary = render.as_markdown(report, "gar")
    assert summary.startswith("### Published to `us/demo-project/python`\n")
    page = "https://console.cloud.google.com/artifacts/python/demo-project/us/python/one?project=demo-project"
    assert f"| [one]({page}) | 1.0 |" in summary
    assert "OPTION: ${{ steps.gar.outputs.extra-index-url }}" in summary
    assert "REQUIREMENTS: ${{ steps.gar.outputs.requirements-hashed }}" in summary
    assert f"one==1.0 --hash=sha256:{report.files[1].sha256}\n" in summary
    assert "gar-publish run --repository us/demo-project/python -- pip install" in summary
    assert "read back" in summary


@pytest.mark.parametrize("step", ["__org_gar-publish", "__run_2", "0", ""])
def test_a_step_without_an_id_has_a_place_for_it(report: Report, step: str) -> None:
    assert "steps.ID_OF_THE_STEP.outputs" in render.as_markdown(report, step)


def test_where_no_option_is_handed_out_the_summary_shows_none(report: Report) -> None:
    assert "steps." not in render.as_markdown(replace(report, index_token=""), "gar")
    assert "steps." not in render.as_markdown(report)


def test_a_package_of_another_index_has_no_link(report: Report) -> None:
    other = Repository.parse("https://index.example.com/", endpoints=Endpoints())
    assert "| one | 1.0 |" in render.as_markdown(replace(report, repository=other))


def test_what_was_only_built_is_not_compared_with_a_repository(report: Report) -> None:
    files = tuple(replace(each, status="checked") for each in report.files)
    summary = render.as_markdown(replace(report, repository=None, dry_run=True, verified=False, files=files))
    assert summary.startswith("### Built and checked\n")
    assert "nothing was compared with a registry" in summary
    assert "pip install" not in summary


def test_the_summary_of_a_dry_run(report: Report) -> None:
    summary = render.as_markdown(replace(report, dry_run=True, verified=False))
    assert summary.startswith("### Would publish to")
    assert "pip install" not in summary
    assert "read back" not in summary


def test_a_failure_is_explained_once_and_not_in_the_log(report: Report) -> None:
    first, second = report.files
    refused = replace(first, status="failed", failure=RegistryRefused("No.", fix="ask", anchor="x"))
    not_built = NotBuilt("libs/a", BuildFailure("No build.", anchor="x"))
    bad = replace(report, verified=False, index_token="", files=(refused, second), not_built=(not_built,))
    summary = render.as_markdown(bad)
    assert summary.startswith("### Did not finish publishing to")
    assert (summary.count("No."), summary.count("No build."), summary.count("**Fix:** ask")) == (1, 1, 1)
    assert summary.index("Fix") < summary.index("| package |")
    assert "pip install" not in summary
    text = render.as_text(bad)
    assert text.splitlines()[0] == "not built  libs/a"
    assert text.splitlines()[1].startswith("failed    other-2.0-py3-none-any.whl")
    assert "No" not in text
    public = json.loads(render.as_json(bad))
    assert public["failure"]["exit-code"] == 4
    assert [(each.get("project"), each.get("filename"), each["what"]) for each in public["failures"]] == [
        ("libs/a", None, "No build."),
        (None, "other-2.0-py3-none-any.whl", "No."),
    ]


def test_json_has_each_file_with_its_failure(report: Report) -> None:
    conflict, refused = Conflict("Different.", anchor="x"), RegistryRefused("No.", anchor="x")
    first, second = report.files
    files = (replace(first, failure=conflict), replace(second, failure=refused), replace(second, failure=refused))
    public = json.loads(render.as_json(replace(report, files=files)))
    assert [each["exit-code"] for each in public["failures"]] == [5, 6, 6]


def test_a_file_that_was_not_tried_has_a_reason(report: Report) -> None:
    first, second = report.files
    skipped = replace(report, files=(replace(first, status="not tried", why="requires lib"), second))
    assert render.as_text(skipped).splitlines()[1] == "           requires lib"
    assert "| not tried: requires lib |" in render.as_markdown(skipped)


def test_a_cancelled_run_explains_the_status_unknown(report: Report) -> None:
    first, second = report.files
    stopped = replace(report, verified=False, files=(replace(first, status="unknown"), second), stopped=CANCELLED)
    for text in (render.as_text(stopped), render.as_markdown(stopped)):
        assert "Run the same command again to find out." in text
    assert json.loads(render.as_json(stopped))["failure"]["exit-code"] == 130


def test_a_run_that_was_cancelled_before_there_were_files_has_no_table(report: Report) -> None:
    summary = render.as_markdown(replace(report, verified=False, files=(), stopped=CANCELLED))
    assert "|" not in summary
    assert "#### The run was cancelled." in summary


def test_the_failure_of_a_run_without_a_report() -> None:
    failure = RegistryRefused("No.", cause="why", fix="do", anchor="x", detail="they")
    assert render.as_markdown(failure) == (
        f"### No.\n\n**Fix:** do\n\n**Likely cause:** why\n\n```\nthey\n```\n\n[More about this]({failure.docs})\n"
    )
    assert json.loads(render.as_json(failure)) == {
        "failure": {
            "what": "No.",
            "cause": "why",
            "fix": "do",
            "detail": "they",
            "docs": failure.docs,
            "exit-code": 6,
        }
    }


@pytest.mark.parametrize(
    ("failure", "written"),
    [
        (
            Failure("No\n\n# Alert\n\\[click](https:evil) <b>", anchor="x"),
            "### No # Alert &#92;&#91;click](https:evil) &lt;b&gt;\n",
        ),
        (Failure("No.", anchor="x", detail="a\n````\n# b\x1b"), "\n`````\na\n````\n# b\n`````\n"),
        (Failure("No `a_b`*c* a_b _c `", anchor="x"), "### No `a_b`&#42;c&#42; a_b &#95;c &#96;\n"),
        (
            Failure("No.", anchor="x", fix="grant the role\n  gcloud a --b='c'\n  gcloud d\nor <not>"),
            "**Fix:** grant the role\n\n```\ngcloud a --b='c'\ngcloud d\n```\nor &lt;not&gt;\n",
        ),
    ],
)
def test_a_failure_cannot_write_other_markdown(failure: Failure, written: str) -> None:
    summary = render.failure_as_markdown(failure)
    assert written in summary
    shown = MarkdownIt("gfm-like", {"linkify": False}).render(summary)
    assert (shown.count("<h"), shown.count("<a "), shown.count("<b>")) == (1, 1, 0)


def test_tildes_strike_nothing_through() -> None:
    """GitHub takes one on each side, too, and paths of Windows such as RUNNER~1 have them."""
    assert render.as_inline("~~a~~ RUNNER~1") == "&#126;&#126;a&#126;&#126; RUNNER&#126;1"


def test_evidence_has_a_row_for_each_version(report: Report, proved: Report) -> None:
    sbom = proved.evidence[0].evidence
    assert "not attached  p.intoto.json  to other 2.0" in render.as_text(proved)
    assert f"| one | 1.0 | attached | `one.whl.cdx.json` | `{sbom.sha256}` |" in render.as_markdown(proved)
    body = json.loads(render.as_json(proved))
    assert [each["attachment"] for each in body["evidence"]] == ["a/sbom-1", "a/provenance-1", ""]
    assert body["failures"][0]["filename"] == "p.intoto.json"
    assert "| evidence |" not in render.as_markdown(report)
