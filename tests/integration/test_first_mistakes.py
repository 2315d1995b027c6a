"""More first mistakes of new users: each ends with one screen that has the command or the input which corrects it."""

import io
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest

from gar_publish import flow
from gar_publish.cli import main as command
from gar_publish.github import action, workflow_commands
from tests.integration.frontdoors import PROVIDER, REPOSITORY, rows
from tests.wheels import make_wheel

WORD = REPOSITORY.replace("python", "pithon")
TABLE = '[tool.gar-publish]\naccess-token = "ya29.made-up"\n'


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        fix: What the screen has: a command, an option or an input.
        shell: The arguments of the command; none for the action.
        inputs: The inputs of the action.
        variables: More environment variables.
        files: Files in the current folder.
        code: The exit code.
    """

    fix: str
    shell: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    code: int = 2


def step(fix: str, code: int = 2, **inputs: str) -> Mistake:
    """Return a mistake in a workflow; inputs that the test leaves out are correct."""
    right = {"repository": REPOSITORY, "dist": "dist"}
    return Mistake(fix, inputs=right | {name.replace("_", "-"): text for name, text in inputs.items()}, code=code)


def other(fix: str, name: str, value: str = "x") -> Mistake:
    """Return a mistake in a workflow: an input that there is not."""
    return Mistake(fix, inputs={"repository": REPOSITORY, "dist": "dist", name: value})


PUBLISH = f"publish --repository {REPOSITORY}"
MISTAKES = {
    "files as for PyPI": other("set `dist` to the files", "packages-dir", "dist"),
    "skip as for PyPI": other("`if-exists: skip-identical` is the default", "skip-existing", "true"),
    "URL as for PyPI": other("set `repository: LOCATION/PROJECT/NAME`", "repository-url"),
    "password as for PyPI": other("set `access-token`, `credentials-json` or `workload-identity", "password"),
    "provider as for Google's login": other("use `workload-identity-provider`", "workload_identity_provider"),
    "key as for Google's login": other("use `credentials-json`", "credentials_json"),
    "a secret that a fork cannot read": step("gh secret set NAME", credentials_json=""),
    "a step before that made no token": step("remove `access-token`", access_token=""),
    "the name of a key's file": step("gh secret set GAR_KEY < key.json", credentials_json="key.json"),
    "no checkout": step("Fix: check out the source before this step (actions/checkout)", dist=""),
    "a misspelt command": Mistake("did you mean `publish`?", "pubish"),
    "twine's command": Mistake("did you mean `publish`?", "upload dist/*"),
    "twine's files": Mistake("set `--dist dist/*.whl`", f"{PUBLISH} dist/*.whl"),
    "twine's option": Mistake("`--if-exists skip-identical` is the default", f"{PUBLISH} --skip-existing"),
    "a misspelt option": Mistake("did you mean `--dry-run`?", f"{PUBLISH} --dry_run"),
    "a value of a flag": Mistake("use `--dry-run` or `--no-dry-run`", f"{PUBLISH} --dry-run=true"),
    "a value after a flag": Mistake("write `--dry-run` for true", f"{PUBLISH} --dry-run true"),
    "a token in pyproject.toml": Mistake("use `--access-token FILE`", "publish", files={"pyproject.toml": TABLE}),
    "a folder without a project": Mistake("give project folders", "plan"),
    "no repository in a shell": Mistake("use `--repository LOCATION/PROJECT/REPOSITORY`", "index-url"),
    "a job's identity on a laptop": Mistake(
        "gcloud auth application-default login", f"{PUBLISH} --workload-identity-provider {PROVIDER}", code=3
    ),
    "no login": Mistake(
        "gcloud auth login", f"index-url --repository {REPOSITORY}", variables={"NO_GCE_CHECK": "true"}, code=3
    ),
    "two logins": Mistake(
        "use `--token` instead of `--keyring`",
        f"index-url --repository {REPOSITORY} --keyring --access-token dist/token",
        files={"dist/token": "ya29.made-up"},
    ),
    "a name without a version": Mistake(
        "write each version as NAME==VERSION", f"promote hello --from {WORD} --repository {REPOSITORY}"
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=list(MISTAKES))
def test_ends_with_one_screen(
    mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for module in (command, flow, workflow_commands):  # this process goes on
        for name in ("raise_on_signals", "hide_this_process", "ignore_signals"):
            monkeypatch.setattr(module, name, lambda: None, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    if mistake.inputs.get("dist"):
        make_wheel(tmp_path / "dist")
    for name, text in mistake.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    variables = {"HOME": str(tmp_path), "PATH": "", **mistake.variables}
    if mistake.inputs:
        variables |= {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path)}
        variables |= {f"INPUT_{name.upper()}": value for name, value in mistake.inputs.items()}
    with mock.patch.dict(os.environ, variables, clear=True):
        code = action.main() if mistake.inputs else command.main(mistake.shell.split())
    captured = capfd.readouterr()
    screen = captured.out + captured.err

    assert code == mistake.code, screen
    assert mistake.fix in screen.replace("%0A", "\n"), screen
    assert len(re.findall(r"^(?:::)?error:", screen, re.MULTILINE)) == 1, screen
    assert rows(screen) <= 24, screen
