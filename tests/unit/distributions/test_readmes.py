"""Rendering readmes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from twine.package import PackageFile

from gar_publish.distributions import readmes, render_readmes
from tests.wheels import METADATA, make_wheel

TABLE = "".join([*(f"+{'--+' * 200}\n|{'a |' * 200}\n" for _ in range(200)), f"+{'--+' * 200}\n"])
"""Takes docutils half a minute."""


@pytest.mark.parametrize(
    ("text", "readme"),
    [
        ("Description-Content-Type: text/x-rst; charset=UTF-8\n\nTitle\n=====\n\n", "Title\n====="),
        ("\nno type", "no type"),
        ("Description-Content-Type: text/markdown; charset=UTF-8; variant=GFM\n\n# `broken\n", ""),
        ("Description-Content-Type: text/plain\n\n.. broken::\n", ""),
        ("\nUNKNOWN\n", ""),
        ("", ""),
    ],
    ids=["rst", "no type", "Markdown", "plain text", "what setuptools writes for none", "none"],
)
def test_only_a_readme_that_may_be_rst_is_rendered(tmp_path: Path, text: str, readme: str) -> None:
    package = PackageFile.from_filename(str(make_wheel(tmp_path, metadata=METADATA + text)), comment=None)
    assert readmes.in_rst(package) == readme


def test_a_readme_that_renders() -> None:
    assert readmes.problems(["Title\n=====\n\nfine\n"]) == [""]


def test_code_in_a_readme_needs_no_pygments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image does not have it."""
    monkeypatch.setattr("docutils.utils.code_analyzer.with_pygments", False)
    assert render_readmes._problem(".. role:: python(code)\n   :language: python\n\n:python:`1 + 1`\n") == ""


@pytest.mark.parametrize(
    ("readme", "problem"),
    [
        ("`broken <\n\n.. nothing::\n", "line 1: (WARNING/2) Inline interpreted text or phrase reference start"),
        (".. raw:: html\n\n   <b>\n", 'line 1: (WARNING/2) "raw" directive disabled.'),
        (".. include:: /etc/passwd\n", 'line 1: (WARNING/2) "include" directive disabled.'),
        (".. a comment\n", "No content rendered from RST source."),
        ("- " * 300, "it is nested too deeply"),
    ],
)
def test_a_readme_that_does_not_render(readme: str, problem: str) -> None:
    (found,) = readmes.problems([readme])
    assert found.startswith(problem)
    assert "\n" not in found


def test_no_readme_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(subprocess, "run")
    assert readmes.problems([]) == []


def test_a_readme_that_takes_too_long_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readmes, "_SECONDS", 2)
    started = time.monotonic()
    found = readmes.problems(["fine", TABLE, ".. note::\n\n   fine\n"])
    assert found == ["", "docutils takes more than 2 seconds", ""]
    assert time.monotonic() - started < 10


def test_a_readme_that_ends_docutils_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import json, os, sys\n"
        "for readme in json.load(sys.stdin):\n"
        "    if readme == 'crash': os.abort()\n"
        "    print(json.dumps('rendered'), flush=True)\n"
    )
    monkeypatch.setattr(readmes, "_SCRIPT", script)
    crash, rendered = "docutils failed", "rendered"
    assert readmes.problems(["crash", "a", "b", "crash"]) == [crash, rendered, rendered, crash]


def test_the_process_is_isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import json, os, sys\n"
        "names = sorted({*os.environ} - {'SYSTEMROOT', 'LC_CTYPE'})\n"
        "print(json.dumps(f'{sys.flags.isolated} {os.getcwd()} {names}'))\n"
    )
    monkeypatch.setattr(readmes, "_SCRIPT", script)
    monkeypatch.setenv("A_SECRET", "x")
    assert readmes.problems(["x"]) == [f"1 {Path('/').resolve()} []"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit memory")
def test_the_memory_and_time_of_the_process_are_limited() -> None:
    code = (
        "import resource, runpy, sys\n"
        "runpy.run_path(sys.argv[1])['main'](7)\n"
        "print(resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_CPU)[0])\n"
    )
    command = [sys.executable, "-I", "-c", code, str(readmes._SCRIPT)]
    done = subprocess.run(command, input="[]", capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(1024**3), "7"]


def test_a_docutils_conf_in_the_working_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docutils.conf").write_text("[general]\nwarning_stream: written\nreport_level: 1\nhalt_level: 5\n")
    monkeypatch.chdir(tmp_path)
    assert render_readmes._problem("Twice\n=====\n\nText.\n\nTwice\n=====\n\ndocutils warns of this.\n") == ""
    assert not (tmp_path / "written").exists()
