"""Answers and failures of build backends. The backends are in the projects: nothing is downloaded."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gar_publish.builder.backend import Backend
from gar_publish.builder.builds import no_index
from gar_publish.builder.environments import Environments
from gar_publish.builder.hooks import Hooks
from gar_publish.builder.sandbox import Sandbox
from gar_publish.builder.zygotes import Zygotes
from gar_publish.errors import BadInput, BuildFailure

Make = Callable[..., Backend]
TABLE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
WHEEL = "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
GOOD = (
    f"{WHEEL}    open(wheel_directory + '/a-1.0-py3-none-any.whl', 'w').close()\n    return 'a-1.0-py3-none-any.whl'\n"
)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, clean_env: dict[str, str], said: list[str]) -> Iterator[Make]:
    opened = ExitStack()

    def make(backend: str, table: str = TABLE, **extra: str) -> Backend:
        tree, scratch = tmp_path / "tree", tmp_path / "scratch"
        tree.mkdir()
        scratch.mkdir()
        (tree / "backend.py").write_text(backend)
        (tree / "pyproject.toml").write_text(table)
        sandbox = Sandbox(scratch, None, clean_env)
        environments = Environments(scratch, clean_env, works=sandbox.works, private_index=no_index)
        hooks = Hooks(sandbox, Zygotes())
        opened.callback(hooks.close)
        return Backend(
            tree,
            label="mine",
            sandbox=sandbox,
            hooks=hooks,
            environments=environments,
            extra=extra,
            show=said.append,
        )

    with opened:
        yield make


def test_a_wheel(make: Make, said: list[str]) -> None:
    backend = f"import os, warnings\nprint(os.environ['SOURCE_DATE_EPOCH'])\nwarnings.warn('careful')\n{GOOD}"
    made = make(backend, SOURCE_DATE_EPOCH="315532800").make("wheel")
    assert made.name == "a-1.0-py3-none-any.whl"
    assert made.is_file()
    assert "315532800" in said
    assert any("careful" in line for line in said)


def test_a_misspelt_key_in_the_table(make: Make) -> None:
    with pytest.raises(BadInput) as caught:
        make(GOOD, TABLE.replace("requires", "reqiures")).make("wheel")
    assert "did you mean 'requires'?" in caught.value.detail


@pytest.mark.parametrize(
    "table",
    [
        "build-system = 1\n",
        "[build-system]\n",
        "[build-system]\nrequires = 'x'\n",
        "[build-system]\nrequires = []\nbuild-backend = 1\n",
        "[build-system]\nrequires = []\nbuild-backend = 'b'\nbackend-path = ['nothing']\n",
        "[build-system]\nrequires = []\nnonsense = 1\n",
    ],
)
def test_a_malformed_table(make: Make, table: str) -> None:
    with pytest.raises(BadInput) as caught:
        make(GOOD, table).make("wheel")
    assert caught.value.anchor == "invalid-pyproject"


def test_a_backend_that_cannot_be_imported(make: Make) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(GOOD, TABLE.replace('"backend"', '"no_such_backend"')).make("wheel")
    assert caught.value.anchor == "build-backend"


def test_backend_path_outside_of_the_project(make: Make) -> None:
    with pytest.raises(BadInput):
        make(GOOD, TABLE.replace('["."]', '[".."]')).make("wheel")


def test_shows_the_last_lines_of_a_failed_build(make: Make, said: list[str]) -> None:
    backend = f"{WHEEL}    for number in range(100): print(f'line {{number}}.')\n    raise ValueError('the end')\n"
    with pytest.raises(BuildFailure) as caught:
        make(backend).make("wheel")
    assert caught.value.anchor == "build-failed"
    assert "ValueError: the end" in caught.value.detail
    assert "line 99." in caught.value.detail
    assert "line 0." not in caught.value.detail
    assert "line 0." in said


@pytest.mark.parametrize(
    "line",
    [
        "error: command 'gcc' failed: No such file or directory",
        "error: command '/usr/bin/x86_64-linux-gnu-gcc' failed: No such file or directory",
        "/bin/sh: 1: cc: not found",
        "bash: rustc: command not found",
        "FileNotFoundError: [Errno 2] No such file or directory: 'cargo'",
        "error: Microsoft Visual C++ 14.0 or greater is required.",
        "error: can't find Rust compiler",
        "ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]",
        "Cargo, the Rust package manager, is not installed or is not on PATH.",
        "CMake Error: No CMAKE_CXX_COMPILER could be found.",
        "fatal error: Python.h: No such file or directory",
    ],
)
def test_a_missing_compiler(make: Make, line: str) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    print({line!r})\n    raise SystemExit(1)\n").make("wheel")
    assert caught.value.anchor == "needs-a-compiler"
    assert "cibuildwheel" in caught.value.fix


def test_a_compiler_error(make: Make) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    print('error: command gcc failed with exit code 1')\n    raise SystemExit(1)\n").make("wheel")
    assert caught.value.anchor == "build-failed"


@pytest.mark.parametrize(
    "answer",
    [
        "'../../escaped.whl'",
        "os.path.abspath('backend.py')",
        "'nothing.whl'",
        "'link.whl'",
        "'folder.whl'",
        "'pipe.whl'",
        "None",
        "1",
    ],
)
def test_refuses_a_result_that_is_not_a_file_in_its_folder(make: Make, tmp_path: Path, answer: str) -> None:
    backend = f"""
import os
{WHEEL}
    os.chdir(wheel_directory)
    os.symlink({str(tmp_path / "tree/backend.py")!r}, "link.whl")
    os.mkdir("folder.whl")
    os.mkfifo("pipe.whl")
    open("../../escaped.whl", "w").close()
    return {answer}
"""
    with pytest.raises(BuildFailure) as caught:
        make(backend).make("wheel")
    assert caught.value.anchor == "build-failed"


@pytest.mark.parametrize(
    "deed",
    [
        "os._exit(0)",
        "os.symlink('/etc/hostname', control + '/output.json'); os._exit(0)",
        "os.mkfifo(control + '/output.json'); os._exit(0)",
        "open(control + '/output.json', 'w').write('[]'); os._exit(0)",
        "open(control + '/output.json', 'w').write('{}'); os._exit(0)",
        "open(control + '/output.json', 'w').write('{\"warnings\": 1}'); os._exit(0)",
        "open(control + '/output.json', 'w').write('[' * 100000); os._exit(0)",
    ],
)
def test_refuses_an_invalid_answer(make: Make, deed: str) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"import os, sys\n{WHEEL}    control = sys.argv[-1]\n    {deed}\n").make("wheel")
    assert caught.value.anchor == "build-failed"


@pytest.mark.parametrize("requires", ["None", "'--index-url=x'", "['--index-url=x']", "[1]", "[None]"])
def test_refuses_invalid_requirements(make: Make, requires: str) -> None:
    with pytest.raises(BuildFailure):
        make(f"def get_requires_for_build_wheel(config_settings=None):\n    return {requires}\n{GOOD}").make("wheel")


def test_an_unsupported_kind(make: Make) -> None:
    backend = """
class UnsupportedOperation(Exception): pass
def build_sdist(folder, config_settings=None): raise UnsupportedOperation()
"""
    with pytest.raises(BuildFailure, match="does not support building an sdist"):
        make(backend).make("sdist")


def test_unpacks_an_sdist(make: Make, tmp_path: Path) -> None:
    backend = """
import io, tarfile
def build_sdist(folder, config_settings=None):
    with tarfile.open(folder + "/a-1.0.tar.gz", "w:gz") as archive:
        archive.add("backend.py", "a-1.0/backend.py")
    return "a-1.0.tar.gz"
"""
    maker = make(backend)
    tree = maker.unpack(maker.make("sdist"))
    assert [file.name for file in tree.iterdir()] == ["backend.py"]
    assert tree.is_relative_to(tmp_path / "scratch")


def test_refuses_an_invalid_sdist(make: Make) -> None:
    backend = """
def build_sdist(folder, config_settings=None):
    open(folder + "/a.tar.gz", "w").close()
    return "a.tar.gz"
"""
    maker = make(backend)
    with pytest.raises(BuildFailure):
        maker.unpack(maker.make("sdist"))


def test_no_secret_of_this_process_reaches_a_hook(make: Make, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "x")
    make(f"import os\nprint(sorted(os.environ))\n{GOOD}").make("wheel")
    assert os.environ["SOME_TOKEN"] == "x"
    assert not any("SOME_TOKEN" in line for line in said)
