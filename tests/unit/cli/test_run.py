import os
import signal
import subprocess
import sys

import pytest

from gar_publish.cli import run


class ProgramOnWindows:
    """A program in a console in which somebody presses Ctrl-C, as `subprocess` shows it on Windows."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def send_signal(self, number: int) -> None:
        raise ValueError(f"Unsupported signal: {number}")

    def wait(self) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return 0xC000013A  # STATUS_CONTROL_C_EXIT


def test_ctrl_c_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "Popen", ProgramOnWindows)
    try:
        code = run._follow(["program"], {})
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    assert code & 0xFFFFFFFF == 0xC000013A
    assert code < 0
