from dataclasses import fields

from gar_emulator.world.switches import Switches


def test_docstring_explains_every_switch() -> None:
    for item in fields(Switches):
        assert f"        {item.name}: " in (Switches.__doc__ or "")
