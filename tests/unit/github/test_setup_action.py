import stat
from pathlib import Path

import pytest
import yaml

from gar_publish.github.setup_action import _remove, write_secret
from gar_publish.settings.inputs import SETUP_INPUTS

ACTION = Path(__file__).parents[3] / "setup" / "action.yml"


def test_the_inputs_are_those_of_its_action_yml() -> None:
    declared = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["inputs"]
    del declared["runner-temp"]  # is for the arguments
    assert {name: about.get("default", "") for name, about in declared.items()} == {
        each.name: each.default for each in SETUP_INPUTS
    }


def test_a_secret_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    write_secret(file, "text")
    assert (stat.filemode(file.stat().st_mode), file.read_text()) == ("-rw-------", "text")


def test_a_secret_follows_no_link_and_replaces_nothing(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    with pytest.raises(FileExistsError):
        write_secret(link, "text")
    assert not target.exists()
    target.touch()
    with pytest.raises(FileExistsError):
        write_secret(target, "text")


def test_afterwards_the_file_goes_and_not_what_took_its_place(tmp_path: Path) -> None:
    target, file = tmp_path / "target", tmp_path / "pip.conf"
    target.touch()
    file.symlink_to(target)
    assert [_remove(str(file)), _remove(str(file)), _remove("")] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
