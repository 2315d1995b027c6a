"""The inputs of an action: how they are read, and the ones that it does not have."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from gar_publish.errors import BadInput
from gar_publish.github.inputs import read_inputs, refuse_empty_secrets, refuse_unknown_inputs
from gar_publish.settings.credential import Ambient, read_credential
from gar_publish.settings.inputs import Input
from gar_publish.settings.settings import INPUTS, SETUP_INPUTS
from tests.conftest import ROOT


def test_inputs_are_stripped_and_never_missing() -> None:
    inputs = read_inputs(INPUTS, {"INPUT_DRY-RUN": " true\n", "INPUT_OTHER": "x"})
    assert inputs == {each.name: "" for each in INPUTS} | {"dry-run": "true"}


@pytest.mark.parametrize("wanted", [INPUTS, SETUP_INPUTS])
@pytest.mark.parametrize("name", ["credentials-json", "access-token"])
def test_an_empty_secret_is_not_one_that_is_not_given(name: str, wanted: Iterable[Input]) -> None:
    variable = f"INPUT_{name.upper()}"
    for not_given in ({}, {variable: "none"}):
        refuse_empty_secrets(wanted, not_given)
        assert isinstance(read_credential(read_inputs(wanted, not_given), {}), Ambient)
    with pytest.raises(BadInput, match=f"^`{name}` is set, and empty"):
        refuse_empty_secrets(wanted, {variable: "\n"})


@pytest.mark.parametrize(("folder", "wanted"), [(ROOT, INPUTS), (ROOT / "setup", SETUP_INPUTS)])
def test_accepts_every_input_and_those_of_the_runner(folder: Path, wanted: Iterable[Input]) -> None:
    declared = yaml.safe_load((folder / "action.yml").read_text(encoding="utf-8"))["inputs"]
    own = {f"INPUT_{name.upper()}": "" for name in declared}
    refuse_unknown_inputs(wanted, {**own, "INPUT_ARGS": "", "INPUT_ENTRYPOINT": "", "INPUTRC": "/etc/inputrc"})


@pytest.mark.parametrize(
    ("given", "what", "fix"),
    [
        ("dry_run", "`dry_run` is not an input; did you mean `dry-run`?", "use `dry-run`"),
        ("dryrun", "`dryrun` is not an input; did you mean `dry-run`?", "use `dry-run`"),
        ("packages-dir", "`packages-dir` is not an input.", "set `dist` to the files, or `packages` to the projects"),
        ("packages_dir", "`packages_dir` is not an input.", "set `dist` to the files, or `packages` to the projects"),
        ("skip-existing", "`skip-existing` is not an input.", "`if-exists: skip-identical` is the default"),
        (
            "workload_identity_provider",
            "`workload_identity_provider` is not an input; did you mean `workload-identity-provider`?",
            "use `workload-identity-provider`",
        ),
        ("credentials_json", "`credentials_json` is not an input; did you mean `credentials-json`?", "use `cred"),
        ("user", "`user` is not an input.", "remove it"),
        ("colour", "`colour` is not an input.", "remove it"),
    ],
)
def test_refuses_an_input_that_it_does_not_have(given: str, what: str, fix: str) -> None:
    with pytest.raises(BadInput) as caught:
        refuse_unknown_inputs(INPUTS, {f"INPUT_{given.upper()}": "", "INPUT_DRY-RUN": ""})
    assert caught.value.what == what
    assert caught.value.fix.startswith(fix) or fix in caught.value.fix


def test_names_all_of_them_at_once() -> None:
    with pytest.raises(
        BadInput, match="`dry_run` is not an input; did you mean `dry-run`\\? `user` is not an input\\."
    ):
        refuse_unknown_inputs(INPUTS, {"INPUT_USER": "", "INPUT_DRY_RUN": "true"})


def test_names_no_input_that_setup_does_not_have() -> None:
    with pytest.raises(BadInput) as caught:
        refuse_unknown_inputs(SETUP_INPUTS, {"INPUT_WORKING-DIRECTORY": "libs"})
    assert caught.value.fix == "remove it"


def test_an_example_with_two_ways_to_log_in_works_without_the_secret() -> None:
    workflow = yaml.safe_load((ROOT / "examples/act/.github/workflows/publish.yml").read_text(encoding="utf-8"))
    given = next(
        step["with"] for step in workflow["jobs"]["publish"]["steps"] if "access-token" in step.get("with", {})
    )
    assert given["access-token"] == "${{ secrets.GAR_TOKEN || 'none' }}"  # an empty text is refused
