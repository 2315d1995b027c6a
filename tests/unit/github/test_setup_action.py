import errno
import os
import stat
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from actions_toolkit import core

from gar_publish.auth.tokens import Token
from gar_publish.errors import DOCS
from gar_publish.github import setup_action
from gar_publish.github.job_environment import pip_configuration, variables
from gar_publish.github.setup_action import main, post, write_secret
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from tests.runner import commands
from tests.unit.github.conftest import Runner

Capture = pytest.CaptureFixture[str]
REPOSITORY = Repository.parse("us/demo-project/python", endpoints=Endpoints())
EXPIRES = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INDEX = "https://us-python.pkg.dev/demo-project/python/simple/"


@pytest.fixture
def token(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the exchange for a read-only token; the result is that token and the call's arguments."""
    given: dict[str, Any] = {"token": Token("ya29.reader", EXPIRES)}

    def read_only_token(*arguments: object) -> Token:
        given["arguments"] = arguments
        assert "ignore_signals" not in runner.calls
        token: Token = given["token"]
        return token

    monkeypatch.setattr(setup_action, "read_only_token", read_only_token)
    os.environ |= {"INPUT_REPOSITORY": "us/demo-project/python", "INPUT_ACCESS-TOKEN": "ya29.given"}
    return given


def exported(**options: Any) -> Mapping[str, str]:
    return variables(
        REPOSITORY,
        "ya29.reader",
        **{"only": False, "index_name": None, "in_uv": None, "has_netrc": False, "before": {}} | options,
    )


def test_what_later_steps_get(token: dict[str, Any], runner: Runner, capfd: Capture) -> None:
    assert main() == 0
    assert runner.written("GITHUB_ENV") == exported()
    assert runner.written("GITHUB_OUTPUT") == {
        "extra-index-url": f"--extra-index-url {INDEX.replace('https://', 'https://oauth2accesstoken:ya29.reader@')}",
        "index-url": INDEX,
        "token": "ya29.reader",
        "token-expires-at": "2026-01-02T03:04:05Z",
    }
    assert runner.written("GITHUB_STATE") == {}
    repository, credential, context = token["arguments"]
    assert (repository, credential.value, context.workspace) == (REPOSITORY, "ya29.given", Path.cwd())
    out = capfd.readouterr().out
    assert {("add-mask", "ya29.given"), ("add-mask", "ya29.reader")} <= {*commands(out)}
    assert f"Exported for this job, until 2026-01-02T03:04:05Z: {', '.join(exported())}.\n" in out
    assert out.count("::warning::With an extra index, pip installs the highest version") == 1
    assert runner.calls == ["raise_on_signals", "hide_this_process", "ignore_signals"]


def test_the_only_index_with_a_name_and_a_token_without_an_end(
    token: dict[str, Any], runner: Runner, capfd: Capture
) -> None:
    token["token"] = Token("ya29.reader", None)
    os.environ |= {"INPUT_ONLY": "true", "INPUT_INDEX-NAME": "mine", "UV_INDEX": "https://other.example.com/"}
    assert main() == 0
    assert runner.written("GITHUB_ENV") == exported(
        only=True, index_name="mine", before={"UV_INDEX": "https://other.example.com/"}
    )
    assert runner.written("GITHUB_OUTPUT")["token-expires-at"] == ""
    out = capfd.readouterr().out
    assert "Exported for this job: " in out
    assert "::warning" not in out


@pytest.mark.usefixtures("token")
def test_files_with_the_token_where_the_temporary_folder_is_a_mount(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["main.py", "/home/runner/_temp"])
    earlier = tmp_path / "earlier"
    earlier.write_text("machine us-python.pkg.dev login a password b machine example.com login me password x\n")
    os.environ |= {"RUNNER_TEMP": str(tmp_path), "NETRC": str(earlier)}
    assert main() == 0
    (pip,) = tmp_path.glob("gar-*.pip_conf")
    (netrc,) = tmp_path.glob("gar-*.netrc")
    assert pip.read_text() == pip_configuration(REPOSITORY, "ya29.reader", only=False)
    assert netrc.read_text() == (
        "machine us-python.pkg.dev login oauth2accesstoken password ya29.reader "
        "machine example.com login me password x\n"
    )
    files = {"GAR_PIP_CONF": f"/home/runner/_temp/{pip.name}", "NETRC": f"/home/runner/_temp/{netrc.name}"}
    assert runner.written("GITHUB_ENV") == {**exported(has_netrc=True), **files}
    os.environ |= {f"STATE_{name}": value for name, value in runner.written("GITHUB_STATE").items()}
    assert post() == 0
    assert not pip.exists()
    assert not netrc.exists()
    assert post() == 0


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("name", ["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE"])
def test_outside_a_job(name: str, runner: Runner, capfd: Capture) -> None:
    os.environ[name] = ""
    assert main() == 2
    assert capfd.readouterr().out == (
        f"::error::The environment variable {name} is not set to a file, so the setup action cannot configure "
        "anything.\n"
        "Fix: outside a workflow job, use the command line\n  gar-publish index-url\n"
        "Likely cause: the setup action was started outside a workflow job\n"
        f"More: {DOCS}#setup-job\n"
    )
    assert (runner.folder / "GITHUB_OUTPUT").read_text() == ""


def test_a_wrong_input_or_a_refused_token_exports_nothing(token: dict[str, Any], runner: Runner) -> None:
    os.environ["INPUT_ONLY"] = "yes"
    assert main() == 2
    assert "arguments" not in token
    os.environ["INPUT_ONLY"] = "false"
    token.pop("token")
    assert main() == 1
    assert runner.written("GITHUB_ENV") == runner.written("GITHUB_OUTPUT") == {}


def test_without_a_pip_configuration_there_is_nothing_to_remove(runner: Runner) -> None:
    assert post() == 0
    assert runner.calls == ["raise_on_signals", "hide_this_process"]


def test_a_secret_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    write_secret(file, "text")
    assert (stat.filemode(file.stat().st_mode), file.read_text()) == ("-rw-------", "text")


@pytest.mark.parametrize(("user", "owners"), [(0, [(7, 8)]), (1000, [])])
def test_root_gives_a_secret_file_to_the_owner_of_its_folder(
    user: int, owners: list[tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: list[tuple[int, int]] = []
    folder = os.stat_result((0o40755, 0, 0, 0, 7, 8, 0, 0, 0, 0))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", lambda _: folder)
        patch.setattr(os, "geteuid", lambda: user)
        patch.setattr(os, "fchown", lambda _, *owner: changed.append(owner))
        write_secret(tmp_path / "pip.conf", "text")
    assert changed == owners


def test_a_secret_file_follows_no_link_and_replaces_nothing(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    with pytest.raises(FileExistsError):
        write_secret(link, "text")
    assert not target.exists()
    target.touch()
    with pytest.raises(FileExistsError):
        write_secret(target, "text")


@pytest.mark.usefixtures("token", "runner")
def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(core, "export_variable", full)
    assert main() == 1
    assert "::error::The outputs cannot be written: No space left on device." in capfd.readouterr().out


@pytest.mark.usefixtures("runner")
def test_the_cleanup_removes_a_link_and_not_its_target(tmp_path: Path) -> None:
    target, file = tmp_path / "target", tmp_path / "pip.conf"
    target.touch()
    file.symlink_to(target)
    os.environ[f"STATE_{setup_action._STATES[0]}"] = str(file)
    assert [post(), post()] == [0, 0]
    assert target.exists()
    assert not file.is_symlink()
