import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from gar_publish.cli.configure_options import add_options


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(arguments)


def test_defaults() -> None:
    assert vars(parse("uv")) == {
        "tool": "uv",
        "name": None,
        "only": False,
        "user": False,
        "folder": Path(),
        "preview": False,
    }


@pytest.mark.parametrize("name", ["a.b", "-a", "a-", "", "a b", "ä", "distutils", "DEFAULT"])
def test_a_name_that_some_tools_refuse(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("uv", f"--name={name}")
    assert "use letters, digits, - and _" in capsys.readouterr().err


def test_help_imports_no_library_of_configure() -> None:
    program = "import sys, gar_publish.cli.main; print(sorted({'tomlkit', 'configupdater'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"[]\n"
