import json
from dataclasses import replace

from packaging.requirements import Requirement

from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import Conflict, RegistryRefused
from gar_publish.registry.outcomes import NotBuilt, Status
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


def test_only_the_first_output_has_the_token(report: Report) -> None:
    public = [value for name, value in report.outputs().items() if name != "extra-index-url"]
    for text in (*public, repr(report)):
        assert "secret" not in text


def test_without_a_token_there_is_no_install_option(report: Report) -> None:
    outputs = replace(report, index_token="").outputs()
    assert (outputs["extra-index-url"], outputs["token-expires-at"]) == ("", "")


def test_a_file_that_is_not_in_the_registry_is_not_pinned(report: Report) -> None:
    first, second = report.files

    def pinned(status: Status) -> list[str]:
        refused = replace(first, status=status, failure=RegistryRefused("No.", anchor="x"))
        return list(replace(report, files=(refused, second)).pins)

    assert pinned("failed") == ["one==1.0"]
    assert pinned("uploaded") == ["one==1.0", "other==2.0"]


def test_the_first_failure_counts_and_each_is_listed_once(report: Report) -> None:
    conflict, refused = Conflict("Different contents.", anchor="x"), RegistryRefused("No.", anchor="x")
    first, second = report.files
    files = (replace(first, failure=conflict), replace(second, failure=refused), replace(second, failure=refused))
    bad = replace(report, files=files)
    assert bad.failures == [conflict, refused]
    assert bad.failure is conflict


def test_each_piece_of_evidence_is_one_output_line(proved: Report) -> None:
    outputs = proved.outputs()
    assert (outputs["sboms"], outputs["provenance"]) == ("dist/one.whl.cdx.json", "dist/p.intoto.json")
    assert [each.what for each in proved.failures] == ["Not attached."]


def test_all_failures_are_translated(proved: Report) -> None:
    failure = RegistryRefused("no.", cause="no", fix="no", anchor="no", detail="no")
    report = replace(
        proved,
        stopped=failure,
        not_built=(NotBuilt("a", failure),),
        files=(replace(proved.files[0], failure=failure), proved.files[1]),
    )
    translated = report.translated(str.upper)
    first, _ = translated.files
    for each in (translated.stopped, translated.not_built[0].failure, first.failure):
        assert isinstance(each, RegistryRefused)
        assert (each.what, each.cause, each.fix, each.anchor, each.detail) == ("NO.", "NO", "NO", "no", "no")
    assert [each.failure and each.failure.what for each in translated.evidence] == [None, None, "NOT ATTACHED."]
    assert translated.files[1] == proved.files[1]
    assert translated.outputs() == report.outputs()


def test_the_command_for_uv_names_the_prereleases_that_a_preview_pins(report: Report) -> None:
    """The tool takes a pre-release of a dependency only if the command asks for it."""
    required = (
        *("api==1.0rc1", "conventions[all]==0.65b0; python_version < '4'", "other==2.0.dev1+pr42.gabc1234"),
        *(
            "stable==1.0",
            "range>=1.0rc1",
            "stable==1.0rc1; extra == 'fast'",
            "remote @ https://example.org/a-1.0rc1.zip",
        ),
    )
    requirements = tuple(map(Requirement, required))
    names = frozenset({"api", "conventions", "other", "stable", "range", "remote"})
    one = report.files[1]
    assert isinstance(one.distribution, Distribution)
    changed = replace(one, distribution=replace(one.distribution, requirements=requirements, requires=names))
    outputs = replace(report, preview="pr42", files=(report.files[0], changed, changed)).outputs()
    more = ["api==1.0rc1", "'conventions[all]==0.65b0; python_version < \"4\"'"]
    assert outputs["preview-install-uv"].endswith(" ".join([" one==1.0", "other==2.0", *more]))
    assert outputs["preview-install"].endswith(" one==1.0 other==2.0")


def test_the_commands_of_a_preview_pin_all_packages_and_have_no_token(report: Report) -> None:
    whole = replace(report, preview="pr42")
    url = "https://us-python.pkg.dev/demo-project/python/simple/"
    outputs = whole.outputs()
    assert outputs["preview-install"] == f"pip install --extra-index-url {url} one==1.0 other==2.0"
    assert outputs["preview-install-uv"] == (
        f"uv pip install --index {url} --index-strategy unsafe-first-match --prerelease explicit one==1.0 other==2.0"
    )
    failed = replace(report.files[0], failure=RegistryRefused("No.", anchor="x"))
    for without in (
        report,
        replace(whole, dry_run=True),
        replace(whole, files=()),
        replace(whole, files=(failed, report.files[1])),
    ):
        outputs = without.outputs()
        assert (outputs["preview-install"], outputs["preview-install-uv"]) == ("", "")
