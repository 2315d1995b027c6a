import os
from pathlib import Path

import pytest

from gar_publish.cli.defaults import read_defaults
from gar_publish.errors import BadInput
from tests.blocks import blocks
from tests.conftest import ROOT
from tests.unit.cli.test_parser import inputs

(TABLE,) = (block.text for block in blocks(ROOT / "docs" / "local.md") if block.language == "toml")
REPOSITORY = "us-central1/my-project/python"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(f"\ufeff{TABLE}", encoding="utf-8")  # as editors on Windows do
    return tmp_path


def test_the_table_sets_what_no_option_sets(project: Path) -> None:
    assert inputs("publish", folder=project) == {
        "repository": REPOSITORY,
        "formats": "wheel\nsdist",
        "packages": "libs/*\n!libs/old",
    }
    given = inputs("publish", "app", "--repository=us/p/other", "--formats=sdist", folder=project)
    assert given == {"repository": "us/p/other", "formats": "sdist", "packages": "app"}


def test_a_command_takes_only_its_own_options(project: Path) -> None:
    assert inputs("doctor", folder=project) == {"repository": REPOSITORY}
    assert inputs("publish", "--dist=dist", folder=project) == {"repository": REPOSITORY, "dist": "dist"}
    promotion = inputs("promote", "a==1", "--from=us/p/dev", folder=project)
    assert promotion == {"repository": REPOSITORY, "packages": "a==1", "promote-from": "us/p/dev"}


def test_the_variable_comes_before_the_table(project: Path) -> None:
    environment = {"GAR_PUBLISH_REPOSITORY": "us/p/mine"}
    assert inputs("doctor", environment=environment, folder=project) == {"repository": "us/p/mine"}
    given = inputs("doctor", "--repository=us/p/given", environment=environment, folder=project)
    assert given == {"repository": "us/p/given"}


@pytest.mark.parametrize("text", ["[tool", f"x = {'[' * 5000}"])
def test_what_an_option_sets_is_not_read_from_a_broken_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert inputs("doctor", "--repository=us/p/given", folder=tmp_path) == {"repository": "us/p/given"}
    with pytest.raises(BadInput, match=r"pyproject\.toml cannot be read: ") as caught:
        inputs("doctor", folder=tmp_path)
    assert caught.value.anchor == "invalid-pyproject"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("access-token = 'ya29.secret'", "contains access-token: a credential must not be in a file"),
        ("json-key = 'secret'", "contains json-key: a credential must not be in a file that is committed"),
        ("dist = 'dist'", "has no setting 'dist'; it takes repository, formats, packages"),
        ("repository = 'https://elsewhere.example/simple/'", "is a URL: a checkout must not decide which server"),
        ("repository = ['us/p/r']", r"repository in \[tool.gar-publish\] takes a string"),
        ("packages = []", r"packages in \[tool.gar-publish\] is empty"),
        ("repository = ' '", r"repository in \[tool.gar-publish\] is empty"),
        ("packages = [1]", r"packages in \[tool.gar-publish\] takes a string or an array of strings"),
    ],
)
def test_other_settings_are_refused(line: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.gar-publish]\n{line}\n")
    with pytest.raises(BadInput, match=says) as caught:
        read_defaults(["repository", "packages"], {}, tmp_path)
    assert caught.value.anchor == "project-settings"
    assert "secret" not in caught.value.explain()


def test_a_folder_without_a_project_has_no_settings(tmp_path: Path) -> None:
    assert read_defaults(["repository"], {}, tmp_path) == {}


def test_a_pipe_is_no_file_with_settings(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pyproject.toml")
    assert inputs("doctor", folder=tmp_path) == {}
