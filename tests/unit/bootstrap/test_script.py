import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gar_publish.bootstrap.script import as_script
from tests.conftest import ROOT
from tests.unit.bootstrap.examples import IDS, make_setup
from tests.unit.test_docs import check_gcloud, gcloud_commands

NUMBER = {"projects describe": "echo 123"}
SERVICES = "\n".join(make_setup(account="publisher").services)
SHOWN = {
    "repositories describe": "echo PYTHON STANDARD_REPOSITORY",
    "pools describe": "echo 'ACTIVE '",
    "providers describe": "echo ACTIVE",
    "accounts describe": "echo 'publisher@x '",
}
COMPLETE = {**NUMBER, **SHOWN, "services list": f"echo '{SERVICES}'"}
EMPTY = {**NUMBER, **dict.fromkeys(SHOWN, "exit 1")}
ALL = pytest.mark.parametrize(
    "options",
    [
        {},
        {"account": "publisher", "environment": "release"},
        {"github": "octo-org"},
        {"previews": True},
    ],
    ids=["repository", "account", "organisation", "previews"],
)

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a script with a scripted gcloud; returns the exit code and the calls."""
    (tmp_path / "bin").mkdir()
    log = tmp_path / "log"

    def program(name: str, answers: Mapping[str, str]) -> None:
        cases = "".join(f'*"{words}"*) {answer} ;;\n' for words, answer in answers.items())
        text = f'#!/bin/sh\necho {name} "$@" >>{log}\ncase "$*" in\n{cases}esac\n'
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)

    def run(
        script: str, gcloud: Mapping[str, str], gh: Mapping[str, str] | None = None, shell: str = "sh"
    ) -> tuple[int, str]:
        log.unlink(missing_ok=True)
        program("gcloud", gcloud)
        program("gh", gh or {})
        program("sleep", {})
        environment = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}"}
        done = subprocess.run([shell], input=script, env=environment, text=True, capture_output=True, check=False)
        assert done.stdout == ""
        return done.returncode, (log.read_text() if log.exists() else "") + done.stderr

    return run


@ALL
def test_gcloud_knows_every_command(options: dict[str, Any]) -> None:
    commands = gcloud_commands(as_script(make_setup(**options)).replace("\\\n", " "))
    assert len(commands) > 10
    for command in commands:
        check_gcloud(command)


@ALL
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_shells_can_parse_it(options: dict[str, Any], shell: str) -> None:
    subprocess.run([shell, "-n"], input=as_script(make_setup(**options)), text=True, check=True)


def test_previews_get_no_repository_without_the_label(run: Run) -> None:
    script = as_script(make_setup(previews=True, **IDS))
    code, log = run(script, COMPLETE)
    assert code == 1
    assert "exists, but is not a Python repository with the label gar-publish=previews" in log
    assert "set-cleanup-policies" not in log
    labelled = {**COMPLETE, "repositories describe": "echo PYTHON STANDARD_REPOSITORY previews"}
    code, log = run(script, labelled)
    assert (code, "--role=roles/artifactregistry.repoAdmin" in log) == (0, True)
    assert "repositories create" not in log
    assert "--labels=gar-publish=previews" in run(script, EMPTY)[1]


def test_asks_github_for_ids_that_are_not_given(run: Run) -> None:
    code, log = run(as_script(make_setup()), COMPLETE, {".owner.id": "echo 11", "--jq .id": "echo 22"})
    assert code == 0
    condition = "assertion.repository_owner_id == '11' && assertion.repository_id == '22'"
    assert f"--attribute-condition={condition}" in log
    assert "/workloadIdentityPools/github--octo-org--hello/attribute.repository_id/22" in log
    code, log = run(as_script(make_setup("octo-org")), COMPLETE, {"users/octo-org": "echo 11"})
    assert code == 0
    assert "/workloadIdentityPools/github--octo-org/attribute.repository_owner_id/11" in log
    tenant = make_setup("octo-org", issuer="https://token.actions.octo.ghe.com")
    code, log = run(as_script(tenant), COMPLETE, {"--hostname octo.ghe.com users/octo-org": "echo 11"})
    assert code == 0
    assert "--issuer-uri=https://token.actions.octo.ghe.com" in log


@pytest.mark.parametrize("answer", ["exit 1", "echo", 'echo \'{"message": "Not Found"}\''])
def test_sets_up_nothing_without_ids(run: Run, answer: str) -> None:
    code, log = run(as_script(make_setup()), COMPLETE, {".owner.id": "echo 11", "--jq .id": answer})
    assert code != 0
    assert "gcloud" not in log
    if answer == "exit 1":
        assert "Without gh, give --github-owner-id and --github-repository-id to gar-publish bootstrap: " in log
        assert "https://api.github.com/repos/octo-org/hello shows" in log


def test_sets_up_nothing_without_a_login(run: Run) -> None:
    code, log = run(as_script(make_setup(**IDS)), {**COMPLETE, "auth print-access-token": "exit 1"})
    assert code == 1
    assert log.splitlines()[0] == "gcloud auth print-access-token"
    assert "Log in: gcloud auth login (to install it: " in log
    assert "services list" not in log


@ALL
def test_creates_what_is_missing(run: Run, options: dict[str, Any]) -> None:
    code, log = run(as_script(make_setup(**options, **IDS)), EMPTY)
    assert code == 0
    made = [line.split(" create")[0] for line in log.splitlines() if " create" in line]
    parts = ["artifacts repositories", "iam workload-identity-pools", "iam workload-identity-pools providers"]
    parts += ["iam service-accounts"] if "account" in options else []
    assert made == [f"gcloud {part}" for part in parts]
    assert log.count("add-iam-policy-binding") == (2 if "account" in options else 1)


def test_keeps_what_exists_and_corrects_what_has_changed(run: Run) -> None:
    script = as_script(make_setup(account="publisher", **IDS))
    code, log = run(script, COMPLETE)
    assert code == 0
    assert not [word for word in (" create", "undelete", " update ", "accounts enable") if word in log]
    assert "update-oidc" in log
    changed = {
        **COMPLETE,
        "pools describe": "echo DELETED True",
        "providers describe": "echo DELETED",
        "accounts describe": "echo publisher@x True",
    }
    code, log = run(script, changed)
    assert code == 0
    assert "workload-identity-pools undelete github--octo-org--hello" in log
    assert "workload-identity-pools update github--octo-org--hello" in log
    assert "providers undelete github" in log
    assert "service-accounts enable publisher@my-project.iam.gserviceaccount.com" in log


def test_stops_at_a_repository_of_another_format(run: Run) -> None:
    code, log = run(
        as_script(make_setup(**IDS)), {**COMPLETE, "repositories describe": "echo DOCKER STANDARD_REPOSITORY"}
    )
    assert code == 1
    assert "is not a standard repository for Python packages: DOCKER STANDARD_REPOSITORY" in log
    assert "pools" not in log


def test_retries_what_is_not_visible_yet(run: Run, tmp_path: Path) -> None:
    early = {"add-iam-policy-binding": f"test -e {tmp_path}/late || {{ touch {tmp_path}/late; exit 1; }}"}
    code, log = run(as_script(make_setup(**IDS)), {**EMPTY, **early})
    assert code == 0
    assert log.count("add-iam-policy-binding") == 2
    assert "sleep 5\n" in log


@ALL
def test_retries_what_a_newly_enabled_api_refuses(run: Run, tmp_path: Path, options: dict[str, Any]) -> None:
    """Every command fails once, except those that look something up or enable the APIs."""
    words = ("projects describe", "repositories list", "pools list", " create", "add-iam-policy-binding")
    once = f'file="{tmp_path}/$1-$2-$3-$4"; test -e "$file" || {{ >"$file"; exit 1; }}'
    answers = {**EMPTY, **{each: f"{once}; {EMPTY.get(each, '')}" for each in words}}
    code, log = run(as_script(make_setup(**options, **IDS)), answers)
    assert code == 0
    calls = Counter(line for line in log.splitlines() if any(each in line for each in words))
    assert set(calls.values()) == {2}
    assert all(any(each in call for call in calls) for each in words)
    assert "projects/123/locations" in log


def test_only_the_apis_that_are_missing_are_enabled(run: Run) -> None:
    script = as_script(make_setup(account="publisher", **IDS))
    code, log = run(script, {**COMPLETE, "services list": f"echo '{SERVICES.replace('iam.', 'xiam.')}'"})
    assert code == 0
    assert "services enable --project=my-project iam.googleapis.com\n" in log
    code, log = run(script, COMPLETE)
    assert code == 0
    assert "services enable" not in log


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_does_the_same(run: Run) -> None:
    """Zsh alone does not split the value of a variable into words."""
    script = as_script(make_setup(**IDS))
    late = {"services list": ":", "projects describe": "echo 123456789012", "artifacts repositories list": "exit 1"}
    code, log = run(script, late)
    assert "sleep 10\n" in log
    assert run(script, late, shell="zsh") == (code, log)


def test_what_fails_although_all_is_there_is_not_tried_again(run: Run) -> None:
    code, log = run(as_script(make_setup(**IDS)), {**COMPLETE, "add-iam-policy-binding": "exit 3"})
    assert code == 3
    assert "sleep" not in log
    assert "Done" not in log


def test_half_a_script_does_nothing(run: Run) -> None:
    script = as_script(make_setup(**IDS))
    code, log = run(script[: script.index("# The pool")], COMPLETE)
    assert code != 0
    assert "gcloud" not in log


def test_the_documentation_names_the_roles() -> None:
    head = as_script(make_setup(account="publisher")).partition("{")[0]
    document = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")
    roles = re.findall(r"roles/[\w.]+\w", head)
    assert len(roles) == 4
    assert [role for role in roles if f"`{role}`" not in document] == []
