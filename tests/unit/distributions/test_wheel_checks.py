"""What is wrong with the files inside a wheel."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gar_publish.distributions import distribution, wheel_checks
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BuildFailure
from tests.wheels import make_wheel

OLD = "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\nRequires-Python: >=3.9\n"


def wheel(folder: Path, files: Mapping[str, str], metadata: str = "", requires: Sequence[str] = ()) -> Distribution:
    return distribution.read(make_wheel(folder, files=files, metadata=metadata, requires=requires))


def test_an_empty_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildFailure, match=r"sample-1.0-py3-none-any\.whl is empty") as caught:
        wheel_checks.check(wheel(tmp_path, {}))
    assert caught.value.anchor == "empty-wheel"


def test_a_wheel_of_requirements_or_data_is_not_empty(tmp_path: Path) -> None:
    assert wheel_checks.check(wheel(tmp_path / "a", {}, requires=["lib"])) == []
    assert wheel_checks.check(wheel(tmp_path / "b", {"sample-1.0.data/data/share/x": ""})) == []


def test_a_wheel_without_files_is_empty_if_its_source_has_the_package(tmp_path: Path) -> None:
    only_requires = wheel(tmp_path, {}, requires=["lib"])
    assert wheel_checks.check_against_source(only_requires, tmp_path, {}) == []
    (tmp_path / "src" / "sample").mkdir(parents=True)
    (tmp_path / "src" / "sample" / "__init__.py").touch()
    with pytest.raises(BuildFailure, match="the source has the package sample"):
        wheel_checks.check_against_source(only_requires, tmp_path, {})


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def broken(:\n", "line 1"),
        ("\n\nreturn 1\n", "line 3"),
        ("match 1:\n    case 1: pass\n", "Pattern matching is only supported in Python 3.10"),
        ("try: pass\nexcept* ValueError: pass\n", "Exception groups are only supported in Python 3.11"),
        ("\fmatch 1:\n    case 1: pass\n", "Pattern matching is only supported in Python 3.10"),
        ("class Sample:\n    async def method[T](self): pass\n", "line 2, for Python 3.9"),
    ],
)
def test_a_module_that_the_lowest_python_cannot_compile_is_refused(tmp_path: Path, source: str, problem: str) -> None:
    with pytest.raises(BuildFailure, match=r"cannot be imported, pkg/deep/mod\.py") as caught:
        wheel_checks.check(wheel(tmp_path, {"pkg/deep/mod.py": source}, OLD))
    assert problem in caught.value.what
    assert caught.value.anchor == "broken-module"


def test_an_encrypted_module_is_refused(tmp_path: Path) -> None:
    found = wheel(tmp_path, {"sample.py": ""})
    content = bytearray(found.path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    found.path.write_bytes(content)
    with pytest.raises(BuildFailure, match=r"cannot be imported, sample\.py: it is damaged: .* is encrypted"):
        wheel_checks.check(found)


@pytest.mark.parametrize(
    "path",
    ["pkg/_py2.py", "pkg/compat_310.py", "pkg/py27/mod.py", "pkg/templates/mod.py", "pkg/tests/mod.py", "pkg/a-b/m.py"],
)
def test_modules_that_nobody_imports_need_not_compile(tmp_path: Path, path: str) -> None:
    assert wheel_checks.check(wheel(tmp_path, {path: "print 'x'\n"}, OLD)) == []


@pytest.mark.parametrize(
    "files",
    [
        {"pkg/__init__.py": "", "pkg/skeleton/main.py": "not python\n"},
        {"pkg/__init__.py": "", "pkg/skeleton/__init__.py": "", "pkg/skeleton/main.py": "import {{ name }}\n"},
        {"mod.py": "# -*- coding: of-a-requirement -*-\n"},
        {
            "pkg/__init__.py": "if sys.version_info >= (3, 10): from . import new",
            "pkg/new.py": "match 1:\n case 1: 1\n",
        },
    ],
)
def test_templates_and_modules_with_a_condition_need_not_compile(tmp_path: Path, files: dict[str, str]) -> None:
    assert wheel_checks.check(wheel(tmp_path, files, OLD)) == []


def test_a_wheel_for_python_2_is_not_compiled(tmp_path: Path) -> None:
    python_2 = distribution.read(make_wheel(tmp_path, content="print 'x'\n", tag="py2-none-any"))
    assert wheel_checks.check(python_2) == []


@pytest.mark.parametrize("lowest", [f"3.{sys.version_info.minor + 1}", "4"])
def test_the_grammar_of_a_newer_python_is_not_known(tmp_path: Path, lowest: str) -> None:
    assert wheel_checks.check(wheel(tmp_path, {"sample.py": "new grammar\n"}, OLD.replace("3.9", lowest))) == []


def test_newer_grammar_is_fine_where_the_lowest_python_has_it(tmp_path: Path) -> None:
    source = "match 1:\n    case 1: pass\nwith (open('x')): pass\n"
    assert wheel_checks.check(wheel(tmp_path, {"sample.py": source}, OLD.replace(">=3.9", ">=3.11.2"))) == []
    assert wheel_checks.check(wheel(tmp_path, {"sample.py": "with (open('x')): pass\n"}, OLD.replace("9", "7"))) == []


def test_what_is_installed_beside_other_packages_is_a_warning(tmp_path: Path) -> None:
    files = [
        "sample/__init__.py",
        "tests/test_sample.py",
        "docs/conf.py",
        "setup.py",
        "README.md",
        "sample.pth",
        "x.so",
    ]
    first, second = wheel_checks.check(wheel(tmp_path, dict.fromkeys(files, "")))
    assert "installs docs, tests as top-level packages" in first
    assert "installs README.md, setup.py beside all packages" in second


def test_a_pointer_of_git_lfs_is_a_warning(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 123456\n"
    files = {"sample/__init__.py": "", "sample/model.onnx": pointer, "sample/notes.txt": pointer * 2}
    (warning,) = wheel_checks.check(wheel(tmp_path, files))
    assert "has pointers of Git LFS instead of files: sample/model.onnx. Set `lfs: true`" in warning


def test_what_the_source_has_and_the_wheel_lacks_is_a_warning(tmp_path: Path) -> None:
    names = "__init__.py core.py sub/__init__.py schema.json unused.json tests/test_x.py conftest.py my.local.py gen.py"
    names += " x_tests.py FSTests.py CoreTest.py"
    for name in names.split():
        path = tmp_path / "src" / "sample" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / ".gitignore").write_text("gen.py\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    built = wheel(tmp_path, {"sample/__init__.py": "open('schema.json')"})
    (warning,) = wheel_checks.check_against_source(built, tmp_path, {})
    lacking = "sample/core.py, sample/my.local.py, sample/schema.json, sample/sub/__init__.py"
    assert warning.startswith(f"sample-1.0-py3-none-any.whl lacks {lacking}, which the source has.")


@pytest.mark.parametrize("marker", ["setup.py", "pyproject.toml"])
def test_a_project_in_the_folder_of_a_package_is_another_one(tmp_path: Path, marker: str) -> None:
    for name in (
        "sample/__init__.py",
        "sample/setup.py",
        "sample/core.py",
        f"sample/cli/{marker}",
        "sample/cli/app/a.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    built = wheel(tmp_path, {"sample/__init__.py": "", "sample/setup.py": ""})  # a module
    (warning,) = wheel_checks.check_against_source(built, tmp_path, {})
    assert "lacks sample/core.py, which" in warning


def test_a_complete_wheel_has_no_warning(tmp_path: Path) -> None:
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "__init__.py").touch()
    assert wheel_checks.check_against_source(wheel(tmp_path, {"sample/__init__.py": ""}), tmp_path, {}) == []


def test_what_the_sdist_lacks_is_a_warning(tmp_path: Path) -> None:
    tests = dict.fromkeys(("a/x_test.py", "a/test_x.py", "a/conftest.py", "a/tests/data.json"), "")
    data = {f"a/{number}.json": "" for number in range(7)}
    built = wheel(tmp_path / "built", {"a/__init__.py": str([*data])})
    complete = wheel(tmp_path / "complete", {"a/__init__.py": "", **tests})
    assert wheel_checks.check_against_source(built, tmp_path, {}, complete.path) == []
    complete = wheel(tmp_path / "complete", {"a/__init__.py": "", **tests, **data})
    for name in data:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (warning,) = wheel_checks.check_against_source(built, tmp_path, {}, complete.path)
    assert "sdist, which lacks a/0.json, a/1.json, a/2.json, a/3.json, a/4.json and 2 more." in warning


@pytest.mark.parametrize(
    "line",
    [
        "__path__ = extend_path(__path__, __name__)",
        "__path__ = __import__('pkgutil').extend_path(__path__, __name__)",
        "__import__('pkg_resources').declare_namespace(__name__)",
    ],
)
def test_a_wheel_need_not_have_what_declares_a_namespace(tmp_path: Path, line: str) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "__init__.py").write_text(f"{line}\n")
    assert wheel_checks.check_against_source(wheel(tmp_path, {"shared/sample/__init__.py": ""}), tmp_path, {}) == []


def test_a_module_in_several_wheels_is_checked_once_for_each_lowest_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"pkg/of_two_wheels.py": "match 1:\n    case 1: pass\n"}
    newer = OLD.replace(">=3.9", ">=3.10")
    wheel_checks.check(wheel(tmp_path / "a", files, newer))
    with pytest.raises(BuildFailure, match="Pattern matching is only supported"):
        wheel_checks.check(wheel(tmp_path / "b", files, OLD))
    monkeypatch.setattr(wheel_checks, "compile", lambda *_, **__: pytest.fail("it is checked again"), raising=False)
    wheel_checks.check(wheel(tmp_path / "c", files, newer))
