from dataclasses import replace
from pathlib import Path

import pytest

from emulated import PYTHON
from gar_emulator import World
from gar_emulator.cloud.changes import Changes
from gar_emulator.errors import EmulatorError
from gar_emulator.world.iam import Binding
from gar_emulator.world.world import Account, Pool, Provider


def test_changes_survive_a_restart(default: World, tmp_path: Path) -> None:
    file = tmp_path / "setup.json"
    setup = Changes(file)
    world = setup.applied(default)
    pool = Pool("demo-project", "other-pool", display_name="Other")
    provider = Provider(
        "demo-project", "other-pool", "hub", "https://x", {"google.subject": "assertion.sub"}, allowed_audiences=("a",)
    )
    account = Account("made@demo-project.iam.gserviceaccount.com")
    project = replace(default.projects[0], disabled_services=("sts.googleapis.com",))
    for item in (pool, provider, account, project, replace(account, disabled=True)):
        world = setup.put(world, item)
    binding = Binding("allUsers", "roles/artifactregistry.reader", PYTHON)
    world = setup.set_policy(world, PYTHON, [binding])
    again = Changes(file).applied(default)
    assert again.projects == world.projects == (project,)
    assert again.pools == world.pools == (*default.pools, pool)
    assert again.accounts[-1] == replace(account, disabled=True)
    assert len(again.accounts) == len(default.accounts) + 1
    made = again.providers[-1]
    assert replace(made, mapping=dict(made.mapping)) == provider
    assert [item for item in again.bindings if item.resource == PYTHON] == [binding]
    assert set(again.bindings) == set(world.bindings)


@pytest.mark.parametrize("text", ["nonsense", "{}", '{"items": {"pools": [{"id": 1}]}, "policies": {}}'])
def test_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "setup.json").write_text(text)
    with pytest.raises(EmulatorError, match=r"setup\.json"):
        Changes(tmp_path / "setup.json")
