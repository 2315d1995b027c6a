"""What a probe imports, and what it reads, of an installed distribution."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gar_publish.rehearsal import probe
from gar_publish.rehearsal.probe import Installed
from tests.wheels import make_wheel

Install = Callable[[Mapping[str, str]], Installed]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    def install(files: Mapping[str, str]) -> Installed:
        site = tmp_path / "site"
        zipfile.ZipFile(make_wheel(tmp_path, "zq", files=files)).extractall(site)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setattr(sys, "modules", dict(sys.modules))
        return Installed("zq")

    return install


def test_the_modules_at_the_top_are_imported_and_the_others_are_read(install: Install) -> None:
    names = "zq/__init__.py zq/deep.py zq/tests/x.py zq/_py2.py zq/s3.py ns/mod.py ns/pkg/__init__.py ns/pkg/deep.py"
    more = " single.py setup.py conftest.py a-b/x.py ns/__main__.py tests/x.py zq-stubs/__init__.pyi"
    installed = install(dict.fromkeys((names + more).split(), ""))
    assert installed.top() == ["ns.mod", "ns.pkg", "single", "zq"]
    assert installed.deep() == ["ns.pkg.deep", "zq.deep", "zq.s3"]


def found(installed: Installed, name: str = "zq.x") -> list[tuple[str, str]]:
    return [(each["kind"], each["missing"]) for each in probe.examine(installed, name)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import zq.gone", [("own", "zq.gone")]),
        ("from zq.gone.more import y", [("own", "zq.gone")]),
        ("from .gone import y", [("own", "zq.gone")]),
        ("from . import gone", [("own", "zq.gone")]),
        ("from .bare import gone", [("own", "zq.bare.gone")]),
        ("from .full import anything", []),
        ("from .bare import there", []),
        ("import nowhere_zq, os.path, json", [("other", "nowhere_zq")]),
        ("try:\n    import zq.gone\nexcept ImportError: pass", []),
        ("if False:\n    import zq.gone", []),
        ("def f():\n    import zq.gone", []),
        ("import sys\nif sys.platform != 'x':\n    raise ImportError\nimport zq.gone", []),
        ("from .made import six", []),
        ("from ... import too_far", []),
    ],
)
def test_what_a_module_always_imports(install: Install, source: str, expected: list[tuple[str, str]]) -> None:
    files = {
        "zq/__init__.py": "",
        "zq/x.py": source,
        "zq/bare/__init__.py": '"""Nothing else."""\n',
        "zq/bare/there.py": "",
        "zq/full/__init__.py": "anything = 1\n",
        "zq/made/__init__.py": "import sys\nsys.modules[__name__ + '.six'] = sys\nsix = sys\n",
    }
    assert found(install(files)) == expected


def test_a_syntax_error(install: Install) -> None:
    (problem,) = probe.examine(install({"zq/__init__.py": "", "zq/x.py": "\nx = (\n"}), "zq.x")
    assert (problem["kind"], problem["name"]) == ("syntax", "zq.x")
    assert problem["message"].endswith("(line 2)")


def test_what_was_missing_behind_another_exception(install: Install) -> None:
    source = "try:\n    import nowhere_zq\nexcept ImportError as e:\n    raise RuntimeError('pip install it') from e\n"
    install({"zq.py": source})
    failure = probe.load("zq")
    assert failure == {
        "type": "RuntimeError",
        "message": "pip install it",
        "missing": ["nowhere_zq"],
        "where": ["zq.py, line 4"],
    }


def test_exits_and_attributes(install: Install) -> None:
    install({"zq.py": "class A:\n    b = 1\n", "zq_exit.py": "raise SystemExit(3)\n"})
    assert probe.load("zq", "A.b") is None
    missing, ended = probe.load("zq", "A.c"), probe.load("zq_exit")
    assert missing
    assert (missing["type"], missing["where"]) == ("AttributeError", [])
    assert ended
    assert (ended["type"], ended["message"]) == ("SystemExit", "3")


def test_comments_are_no_entry_points(tmp_path: Path) -> None:
    (tmp_path / "entry_points.txt").write_text("[console_scripts]\n# old = gone:main\nnew = zq:main\n")
    assert list(probe.entry_points(tmp_path / "entry_points.txt")) == [("console_scripts", "new", "zq", "main")]


def test_a_whole_probe(install: Install, tmp_path: Path) -> None:
    """A module takes standard output away, another one of the same namespace is missing, and so is one of Python's."""
    files = {"zn/core.py": "import zn.other\n", "zq.py": "import sys\nsys.stdout = None\n", "__init__.py": ""}
    install({**files, "zs.py": "import fcntl, msvcrt\n"})
    (tmp_path / "request.json").write_text('{"name": "zq", "only": null}')
    start = (
        f"import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_path({probe.__file__!r}, run_name='__main__')"
    )
    subprocess.run([sys.executable, "-c", start, tmp_path / "site", tmp_path], check=True)
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert [(each["title"], each["needs"][:1], each["is_of_python"]) for each in answer["loaded"]] == [
        ("zn.core", ["zn.other"], False),
        ("zs", ["msvcrt" if sys.platform != "win32" else "fcntl"], True),
    ]
