"""The one error that a user of the emulator can cause."""


class EmulatorError(Exception):
    """The emulator cannot start: a world file, the data folder or the port cannot be used.

    Args:
        what: What happened, as one sentence.
        fix: One command or option that fixes it.
        anchor: The heading in `docs/troubleshooting.md` that says more.
    """

    def __init__(self, what: str, *, fix: str, anchor: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.anchor = anchor
