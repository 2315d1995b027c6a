import json

from gar_publish.doctor import Diagnosis, Link, render
from gar_publish.errors import RegistryRefused

FAILURE = RegistryRefused(
    "The upload is refused.",
    cause="a role is missing",
    fix="give it\n  gcloud artifacts repositories add-iam-policy-binding python --member=MEMBER\n  repository: us/p/r",
    anchor="registry-403",
)
BROKEN = Diagnosis(
    (
        Link("inputs", "Inputs", "ok", ("repository: us/p/r|x",)),
        Link("permissions", "Permissions", "broken", ("upload: not granted",), FAILURE),
        Link("index", "Index", "not reached"),
    )
)
WHOLE = Diagnosis((Link("inputs", "Inputs", "ok"),))


def test_the_tree_shows_the_fix_of_the_broken_link() -> None:
    assert render.as_text(BROKEN).splitlines() == [
        "+ Inputs: ok",
        "  | repository: us/p/r|x",
        "x Permissions: broken",
        "  | upload: not granted",
        "  ` The upload is refused.",
        "  ` Fix: give it",
        "  `   gcloud artifacts repositories add-iam-policy-binding python --member=MEMBER",
        "  `   repository: us/p/r",
        "  ` Likely cause: a role is missing",
        f"  ` More: {FAILURE.docs}",
        ". Index: not reached",
    ]


def test_the_summary_has_a_row_for_each_link() -> None:
    text = render.as_markdown(BROKEN)
    assert "| ✅ Inputs | ok | repository: us/p/r&#124;x |\n" in text
    assert "| ❌ Permissions | broken | upload: not granted |\n" in text
    assert text.index("**Fix:** give it") < text.index(
        "<details><summary>gar-publish doctor: what is broken: Permissions"
    )


def test_what_the_run_has_said_already_is_not_said_again() -> None:
    tree = render.as_text(BROKEN, FAILURE)
    assert "  ` This is the failure above.\n" in tree
    assert "give it" not in tree
    assert render.as_markdown(BROKEN, FAILURE).startswith("<details><summary>")
    vague = RegistryRefused(FAILURE.what, cause="unknown", fix="look", anchor="registry-403")
    assert "give it" in render.as_text(BROKEN, vague)
    assert "give it" in render.as_markdown(BROKEN, vague)


def test_json_has_the_commands() -> None:
    read = json.loads(render.as_json(BROKEN))
    assert (read["broken"], read["exit-code"]) == ("permissions", 6)
    assert read["commands"] == ["gcloud artifacts repositories add-iam-policy-binding python --member=MEMBER"]
    assert [link["state"] for link in read["links"]] == ["ok", "broken", "not reached"]
    assert read["links"][1]["failure"]["cause"] == "a role is missing"


def test_facts_and_failures_are_translated() -> None:
    (link,) = (
        Diagnosis((Link("a", "A", "broken", ("fact",), RegistryRefused("what", anchor="x")),))
        .translated(str.upper)
        .links
    )
    assert link.failure
    assert (link.facts, link.failure.what) == (("FACT",), "WHAT")


def test_says_that_a_whole_chain_is_ok() -> None:
    assert "All links that could be checked are ok." in render.as_text(WHOLE)
    assert "All links that could be checked are ok." in render.as_markdown(WHOLE)
    assert json.loads(render.as_json(WHOLE)) == {
        "broken": None,
        "exit-code": 0,
        "commands": [],
        "links": [{"name": "inputs", "title": "Inputs", "state": "ok", "facts": []}],
    }


def test_a_claim_cannot_forge_output() -> None:
    claim = "ref: main\n| ❌ x | y |\r\n## [a](https://b)\\[a](https://b)<img>\x1b[31m"
    found = Diagnosis((Link("subject-token", "Identity token of the job", "ok", (claim,)),))
    assert len(render.as_text(found).splitlines()) == 3
    (row,) = [line for line in render.as_markdown(found).splitlines() if "ref: main" in line]
    assert row.count("|") == 4
    assert not set(row) & set("[\\<`\x1b")
