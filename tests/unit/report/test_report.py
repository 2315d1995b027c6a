import json
from dataclasses import replace

from gar_publish.errors import Conflict, RegistryRefused
from gar_publish.registry.outcomes import Status
from gar_publish.report.report import Report


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
    for text in (*public, repr(report)):
        assert "secret" not in text


def test_without_a_token_there_is_no_line(report: Report) -> None:
    outputs = replace(report, index_token="").outputs()
    assert (outputs["extra-index-url"], outputs["token-expires-at"]) == ("", "")


def test_what_the_registry_does_not_hold_is_not_pinned(report: Report) -> None:
    first, second = report.files

    def pinned(status: Status) -> list[str]:
        refused = replace(first, status=status, failure=RegistryRefused("No.", anchor="x"))
        return list(replace(report, files=(refused, second)).pins)

    assert pinned("failed") == ["one==1.0"]
    assert pinned("uploaded") == ["one==1.0", "other==2.0"]


def test_the_first_failure_counts_and_each_is_told_once(report: Report) -> None:
    conflict, refused = Conflict("Other bytes.", anchor="x"), RegistryRefused("No.", anchor="x")
    first, second = report.files
    files = (replace(first, failure=conflict), replace(second, failure=refused), replace(second, failure=refused))
    bad = replace(report, files=files)
    assert bad.failures == [conflict, refused]
    assert bad.failure is conflict


def test_evidence_is_handed_out_each_once(proved: Report) -> None:
    outputs = proved.outputs()
    assert (outputs["sboms"], outputs["provenance"]) == ("dist/one.whl.cdx.json", "dist/p.intoto.json")
    assert [each.what for each in proved.failures] == ["Not attached."]
