"""Thirty wheels, each with one planted defect, and what is found in them."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gar_publish.context import Context
from gar_publish.distributions import distribution, wheel_checks
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BuildFailure
from gar_publish.rehearsal.rehearse import Plan, rehearsing
from tests.wheels import make_wheel

HERE = f"3.{sys.version_info.minor}"
_SECONDS = 10


@dataclass(frozen=True)
class Defect:
    """A wheel with a defect.

    Attributes:
        title: What is wrong, for the documents.
        name: The name of its package.
        files: The files of the wheel.
        requires: Its requirements.
        python: Its Requires-Python.
        source: Files that only the project's source has.
        others: Other packages of the same run: name, version and Requires-Python, each with one module.
        published: The source of a module of that name and version 1.0 that the repository has.
    """

    title: str
    name: str
    files: Mapping[str, str]
    requires: Sequence[str] = ()
    python: str = ">=3.11"
    source: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[tuple[str, str, str]] = ()
    published: str = ""


def _script(target: str, group: str = "console_scripts") -> dict[str, str]:
    return {"entry_points.txt": f"[{group}]\nrun = {target}\n"}


DEFECTS = (
    Defect("the backend found no package", "a01", {}, source={"src/other/__init__.py": ""}),
    Defect(
        "the backend found no package, and there are requirements", "a02", {}, ["base"], source={"a02/__init__.py": ""}
    ),
    Defect("a syntax error in a module that nothing imports", "a03", {"a03/__init__.py": "", "a03/x.py": "def (:"}),
    Defect(
        "`requires-python` allows 3.9, and the code has `match`",
        "a04",
        {"a04.py": "match 1:\n    case _: pass\n"},
        python=">=3.9",
    ),
    Defect(
        "a dependency of the same run in a version that does not fit",
        "a05",
        {"a05.py": ""},
        ["b05>=2"],
        others=[("b05", "1.0", "")],
    ),
    Defect("a missing module that the package imports", "a06", {"a06/__init__.py": "from . import core\n"}),
    Defect(
        "a missing module behind an empty `__init__`",
        "a07",
        {"a07/__init__.py": "", "a07/api.py": "from .core import run\n"},
    ),
    Defect(
        "a missing subpackage behind an empty `__init__`",
        "a08",
        {"a08/__init__.py": "", "a08/cli.py": "import a08.commands.run\n"},
    ),
    Defect(
        "`from . import x` of a missing module in a subpackage",
        "a09",
        {"a09/__init__.py": "", "a09/s/__init__.py": "", "a09/s/y.py": "from . import x\n"},
    ),
    Defect("an undeclared dependency", "a10", {"a10.py": "import nowhere_to_be_found\n"}),
    Defect(
        "an undeclared dependency that nothing imports at the top",
        "a11",
        {"a11/__init__.py": "", "a11/x.py": "import nowhere_to_be_found\n"},
    ),
    Defect(
        "an undeclared dependency that only the script imports",
        "a12",
        {
            "a12/__init__.py": "",
            "a12/cli.py": "import nowhere_to_be_found\ndef main(): ...\n",
            **_script("a12.cli:main"),
        },
    ),
    Defect("a requirement that no index has", "a13", {"a13.py": ""}, ["nowhere-to-be-found"]),
    Defect("a requirement in a version that no index has", "a14", {"a14.py": ""}, ["base>=99"]),
    Defect("two requirements that exclude each other", "a15", {"a15.py": ""}, ["base", "base!=1.0"]),
    Defect(
        "`requires-python` is wider than that of a requirement",
        "a16",
        {"a16.py": ""},
        ["b16"],
        others=[("b16", "1.0", ">=3.99")],
    ),
    Defect(
        "a requirement with a marker that leaves it out where it is needed",
        "a17",
        {"a17.py": "import base\n"},
        ["base; python_version < '3'"],
    ),
    Defect(
        "the lowest allowed version of a sibling lacks what is imported",
        "a18",
        {"a18.py": "from b18 import new\n"},
        ["b18>=1"],
        others=[("b18", "1.1", "")],
        published="b18",
    ),
    Defect(
        "a console script to a module that does not exist", "a19", {"a19/__init__.py": "", **_script("a19.cli:main")}
    ),
    Defect("a console script to a function that does not exist", "a20", {"a20.py": "", **_script("a20:main")}),
    Defect(
        "a module that exits when it is imported", "a21", {"a21.py": "import sys\nsys.exit(main() if False else 2)\n"}
    ),
    Defect(
        "a plugin's entry point to a module that does not exist",
        "a22",
        {"a22/__init__.py": "", **_script("a22.plugin", "some.plugins")},
    ),
    Defect(
        "a plugin's entry point to an attribute that does not exist",
        "a23",
        {"a23.py": "", **_script("a23:Plugin", "some.plugins")},
    ),
    Defect(
        "a circular import",
        "a24",
        {
            "a24/__init__.py": "from .x import a\n",
            "a24/x.py": "from .y import b\na = 1\n",
            "a24/y.py": "from .x import a\nb = 1\n",
        },
    ),
    Defect(
        "a data file that is missing when the package is imported",
        "a25",
        {"a25/__init__.py": "open(__file__[:-11] + 'data.json')\n"},
    ),
    Defect(
        "a data file that is missing when a function is called",
        "a26",
        {"a26/__init__.py": "def f(): return open(__file__[:-11] + 'data.json')\n"},
        source={"a26/data.json": "{}"},
    ),
    Defect(
        "the version is read under a name that is not the project's",
        "a27",
        {"a27.py": "from importlib.metadata import version\nversion('a-27')\n"},
    ),
    Defect("an import that does not end", "a28", {"a28.py": "import threading\nthreading.Event().wait()\n"}),
    Defect("`tests` as a top-level package", "a29", {"a29.py": "", "tests/__init__.py": "", "tests/test_a29.py": ""}),
    Defect("a call of a function that does not exist", "a30", {"a30.py": "def run(): return missing()\n"}),
)


def make(folder: Path) -> dict[str, Path]:
    """Write the wheels with the defects, and the source of each project; return the wheels by name."""
    made = {}
    for each in DEFECTS:
        metadata = f"Metadata-Version: 2.1\nName: {each.name}\nVersion: 1.0\nRequires-Python: {each.python}\n"
        metadata += "".join(f"Requires-Dist: {line}\n" for line in each.requires)
        metadata += "Description-Content-Type: text/markdown\n\nA package.\n"
        made[each.name] = make_wheel(folder / "wheels", each.name, files=each.files, metadata=metadata)
        for path, text in each.source.items():
            file = folder / "source" / each.name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    return made


def find(context: Context, folder: Path) -> dict[str, str]:
    """Return for the name of each defect `refused`, `a warning` or `not found`, and what was said.

    No public index is asked: the package `base` is the only one in it.
    """
    wheels = {name: distribution.read(path) for name, path in make(folder).items()}
    found = {name: _check(wheel, folder / "source" / name) for name, wheel in wheels.items()}
    others = [_other(folder, *other) for each in DEFECTS for other in each.others]
    base = make_wheel(folder / "index" / "base", "base")
    (folder / "index" / "base" / "index.html").write_text(f'<!DOCTYPE html>\n<a href="{base.as_uri()}">{base.name}</a>')
    published = make_wheel(folder / "published", "b18")
    listed = {each.published: {published.name: published.as_uri()} for each in DEFECTS if each.published}
    files = [*(wheels[name] for name in wheels if not found[name].startswith("refused")), *others]
    plan = Plan(files, {}, listed, (folder / "index").as_uri(), lambda: False, asked=[HERE], seconds=_SECONDS)
    with rehearsing(plan, context) as rehearser:
        outcomes = rehearser.rehearse()
    for name in wheels.keys() & outcomes.keys():
        problems = [problem for each in outcomes[name] for problem in each.problems if each.state == "failed"]
        warnings = [warning for each in outcomes[name] for warning in each.warnings]
        if problems:
            found[name] = f"refused: {problems[0]}"
        elif warnings and not found[name]:
            found[name] = f"a warning: {warnings[0]}"
    return {name: said or "not found" for name, said in found.items()}


def _check(wheel: Distribution, source: Path) -> str:
    try:
        warnings = wheel_checks.check(wheel) + wheel_checks.check_against_source(wheel, source, {})
    except BuildFailure as failure:
        return f"refused: {failure.what}"
    return f"a warning: {warnings[0]}" if warnings else ""


def _other(folder: Path, name: str, version: str, python: str) -> Distribution:
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Python: {python}\n" if python else ""
    return distribution.read(make_wheel(folder / "wheels", name, version, content="new = 1\n", metadata=metadata))
