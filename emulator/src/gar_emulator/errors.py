"""The error for which the user of the emulator is told a fix."""


class EmulatorError(Exception):
    """The emulator cannot start: it cannot use a world file, its data folder or the port.

    Args:
        what: What happened, as one sentence.
        fix: One command or option that fixes it.
        anchor: The heading in `docs/troubleshooting.md` that explains it.
    """

    def __init__(self, what: str, *, fix: str, anchor: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.anchor = anchor
