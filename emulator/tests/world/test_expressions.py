from gar_emulator.world.expressions import check


def test_check_names_what_is_not_cel() -> None:
    assert check("assertion.sub == 'x'") == ""
    assert "assertion ==" in check("assertion ==")
