"""What the answer of a probe means."""

from pathlib import Path
from typing import Any

import pytest

from gar_publish.distributions import distribution
from gar_publish.distributions.distribution import Distribution
from gar_publish.rehearsal.rule import extras_of, judge
from tests.wheels import make_wheel

METADATA = (
    "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\nProvides-Extra: yaml\nProvides-Extra: fast\n"
    'Requires-Dist: PyYAML; extra == "yaml"\nRequires-Dist: fast-lib; extra == "fast"\n'
)


@pytest.fixture
def wheel(tmp_path: Path) -> Distribution:
    return distribution.read(make_wheel(tmp_path, metadata=METADATA))


def loaded(group: str, kind: str = "ModuleNotFoundError", **more: Any) -> dict[str, Any]:
    title = "sample.cli" if group == "module" else f"{group}: run = sample.cli:main"
    usual = {"own": True, "needs": [], "missing": [], "where": [], "message": "no", "module": "sample.cli"}
    return {"group": group, "title": title, "type": kind, "is_of_python": False, **usual, **more}


@pytest.mark.parametrize(
    ("each", "outcome"),
    [
        (loaded("module"), "error"),
        (loaded("console_scripts", "ValueError"), "error"),
        (loaded("gui_scripts", missing=["other"], needs=["other"]), "needs"),
        (loaded("module", missing=["tkinter"], needs=["tkinter"], is_of_python=True), "warning"),
        (loaded("plugins", missing=["sample.cli"]), "error"),
        (loaded("plugins", missing=["sample"]), "error"),
        (loaded("plugins", missing=["sample.client"]), "warning"),
        (loaded("plugins", missing=["pytest"]), "warning"),
        (loaded("plugins", missing=["sample.cli"], own=False), "warning"),
        (loaded("plugins", "AttributeError"), "error"),
        (loaded("plugins", "AttributeError", where=["sample/cli.py, line 3"]), "warning"),
        (loaded("plugins", "RuntimeError"), "warning"),
    ],
)
def test_what_was_loaded(wheel: Distribution, each: dict[str, Any], outcome: str) -> None:
    verdict = judge({"loaded": [each], "found": []}, wheel)
    told = "needs" if verdict.needs else "error" if verdict.errors else "warning"
    assert told == outcome
    assert bool(verdict.warnings) == (outcome == "warning")


def test_what_was_read(wheel: Distribution) -> None:
    found = [
        {"kind": "syntax", "name": "sample.a", "message": "bad (line 1)"},
        {"kind": "own", "name": "sample.b", "missing": "sample.core", "line": 2},
        {"kind": "other", "name": "sample.c", "missing": "django", "line": 1},
        {"kind": "other", "name": "sample.d", "missing": "django", "line": 1},
        {"kind": "other", "name": "sample.e", "missing": "fast_lib", "line": 1},
        {"kind": "other", "name": "sample.f", "missing": "yaml", "line": 1},
    ]
    verdict = judge({"loaded": [], "found": found}, wheel)
    assert list(verdict.errors.values()) == [
        "sample.a: bad (line 1)",
        "sample.b imports sample.core (line 2), which the wheel lacks",
    ]
    assert verdict.warnings == [
        "no requirement brings what modules import: django (sample.c and 1 more), yaml (sample.f)"
    ]


def test_a_message_that_cannot_be_encoded(wheel: Distribution) -> None:
    verdict = judge({"loaded": [loaded("module", "ValueError", message="\udc80")], "found": []}, wheel)
    assert list(verdict.errors.values()) == ["sample.cli: ValueError: ?"]


def test_a_syntax_error_of_a_module_with_a_condition(tmp_path: Path) -> None:
    files = {"zq/__init__.py": "import sys\nif sys.version_info > (3, 11): from . import new", "zq/new.py": ""}
    wheel = distribution.read(make_wheel(tmp_path, files=files))
    found = [{"kind": "syntax", "name": name, "message": "bad"} for name in ("zq.new", "zq.old")]
    assert list(judge({"loaded": [], "found": found}, wheel).errors) == ["zq.old"]


def test_a_compiled_module_of_another_platform_is_a_warning(tmp_path: Path) -> None:
    wheel = distribution.read(make_wheel(tmp_path, tag="cp311-cp311-manylinux_2_28_x86_64"))
    found = [{"kind": "own", "name": "sample.win", "missing": "sample._win", "line": 1}]
    verdict = judge({"loaded": [], "found": found}, wheel)
    assert (verdict.errors, len(verdict.warnings)) == ({}, 1)


def test_the_extras_that_bring_a_module(wheel: Distribution) -> None:
    assert extras_of(wheel, "fast_lib.core") == ["fast"]
    assert extras_of(wheel, "pyyaml") == ["yaml"]
    assert extras_of(wheel, "other") == []


@pytest.mark.parametrize("answer", [{}, {"loaded": 1, "found": []}, {"loaded": ["x"], "found": []}])
def test_a_forged_answer(wheel: Distribution, answer: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        judge(answer, wheel)


def test_a_forged_line(wheel: Distribution) -> None:
    found = [{"kind": "own", "name": "sample.a", "missing": "sample.b", "line": float("inf")}]
    assert list(judge({"loaded": [], "found": found}, wheel).errors) == ["sample.a"]
