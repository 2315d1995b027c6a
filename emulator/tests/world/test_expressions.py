from gar_emulator.world.expressions import check


def test_check_explains_invalid_cel() -> None:
    assert check("assertion.sub == 'x'") == ""
    assert "assertion ==" in check("assertion ==")
