"""Answers and failures of build backends. The backends are in the projects: nothing is downloaded."""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from gar_publish.builder.backend import Backend, Kind
from gar_publish.builder.environments import Environments
from gar_publish.builder.installer import Installer
from gar_publish.builder.process import Works
from gar_publish.builder.sandbox import Sandbox
from gar_publish.errors import BadInput, BuildFailure

Make = Callable[..., Backend]
TABLE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
WHEEL = "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
GOOD = (
    f"{WHEEL}    open(wheel_directory + '/a-1.0-py3-none-any.whl', 'w').close()\n    return 'a-1.0-py3-none-any.whl'\n"
)


@pytest.fixture
def make(tmp_path: Path, clean_env: dict[str, str], sandbox: Sandbox, works: Works, said: list[str]) -> Make:
    def make(backend: str, table: str = TABLE, **extra: str) -> Backend:
        (sandbox.tree / "backend.py").write_text(backend)
        (sandbox.tree / "pyproject.toml").write_text(table)
        environments = Environments(
            tmp_path,
            clean_env["PATH"],
            Installer(tmp_path, clean_env, works, are_isolated=False),
            are_several=False,
            may_fork=True,
            private_index=lambda _names: Future(),  # nobody waits for it
        )
        return Backend(
            tree=sandbox.tree,
            label="mine",
            sandbox=sandbox,
            environments=environments,
            extra=extra,
            show=said.append,
            withheld={"RELEASE_VERSION", "HOME"},
            left_out={sandbox.tree / "cache": "it is a cache"},
        )

    return make


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
    ("line", "tool"),
    [
        ("error: command 'gcc' failed: No such file or directory", "gcc"),
        (
            "error: command '/usr/bin/x86_64-linux-gnu-gcc' failed: No such file or directory",
            "x86_64-linux-gnu-gcc",
        ),
        ("/bin/sh: 1: cc: not found", "cc"),
        ("bash: rustc: command not found", "rustc"),
        ("sh: 1: npm: Permission denied", "npm"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'cargo'", "cargo"),
        ("error: linker `cc` not found", "cc"),
        ("error: Microsoft Visual C++ 14.0 or greater is required.", "C++"),
        ("error: can't find Rust compiler", "Rust"),
        ("ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]", "compiler"),
        ("Cargo, the Rust package manager, is not installed or is not on PATH.", "Cargo"),
        ("  Caused by: Cargo metadata failed. Do you have cargo in your PATH?", "cargo"),
        ('  File "/site-packages/puccinialin/_setup_rust.py", line 34, in download_rustup', "rust"),
        ("CMake Error: No CMAKE_CXX_COMPILER could be found.", "compiler"),
        ("CMake Error: CMAKE_CXX_COMPILER not set, after EnableLanguage", "compiler"),
        ("Could not find compiler set in environment variable CC:\n\n  x86_64-linux-gnu-gcc.", "x86_64-linux-gnu-gcc"),
        ("RuntimeError: Unsupported compiler -- at least C++11 support is needed!", "compiler"),
        ("ValueError: Please install Node.js and npm before continuing installation.", "Node.js"),
        ("ValueError: Please install nodejs and npm before continuing installation.", "nodejs"),
        ("fatal error: Python.h: No such file or directory", "Python.h"),
        ("a.c:1:10: fatal error: 'Python.h' file not found", "Python.h"),
        ("Did not find the 'go' binary. You need Go.", "go"),
    ],
)
def test_a_missing_program(make: Make, line: str, tool: str) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    print({line!r})\n    raise SystemExit(1)\n").make("wheel")
    assert caught.value.anchor == "missing-program"
    assert caught.value.what == f"The build of mine needs {tool}, and cannot run or find it."
    assert f"it runs as you, with Python {sys.version_info.major}.{sys.version_info.minor}" in caught.value.cause
    assert "cibuildwheel" in caught.value.fix


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("a.c:1:10: fatal error: srtp2/srtp.h: No such file or directory", "there is no srtp2/srtp.h: "),
        ("a.c:1:10: fatal error: 'lber.h' file not found", "there is no lber.h: "),
        ("_try.c:1:10: fatal error: a.h: No such file\nb.c:1:10: fatal error: b.h: No such file", "there is no b.h: "),
        ("urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>", "could not reach the server"),
        ("fatal: unable to access 'https://a.org/b/': Could not resolve host: a.org", "could not reach the server"),
    ],
)
def test_something_else_that_a_build_lacks(make: Make, line: str, cause: str) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    print({line!r})\n    raise SystemExit(1)\n").make("wheel")
    assert cause in caught.value.cause
    assert "set `dist` to them" in caught.value.fix


@pytest.mark.parametrize("module", ["numpy", "numpy.distutils"])
def test_a_module_that_no_build_requirement_has(make: Make, module: str) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    raise ModuleNotFoundError({f'No module named {module!r}'!r})\n").make("wheel")
    assert caught.value.cause.startswith(f"it imports {module}, which neither its build requirements nor Python 3.")
    assert "`requires` of [build-system]" in caught.value.fix


@pytest.mark.parametrize(
    ("file", "module", "place"),
    [
        ("helper.py", "helper", "."),
        ("mine/__init__.py", "mine", "."),
        ("mine/__init__.py", "mine._speedups", "."),
        ("src/mine/__init__.py", "mine", "src"),
    ],
)
def test_a_module_of_the_project_is_in_no_package_of_an_index(
    make: Make, sandbox: Sandbox, file: str, module: str, place: str
) -> None:
    (sandbox.tree / file).parent.mkdir(parents=True, exist_ok=True)
    (sandbox.tree / file).touch()
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    raise ModuleNotFoundError({f'No module named {module!r}'!r})\n").make("wheel")
    assert caught.value.cause.startswith(f"it imports {module.partition('.')[0]}, which is the project's own")
    assert caught.value.fix.endswith(f'`sys.path.insert(0, "{place}")` before')


def test_long_output_is_searched_at_once(make: Make) -> None:
    """To search for the last match took four minutes."""
    deed = "    for _ in range(60): print('not found ' + '.' * 1980)\n    raise SystemExit(1)\n"
    started = time.monotonic()
    with pytest.raises(BuildFailure):
        make(f"{WHEEL}{deed}").make("wheel")
    assert time.monotonic() - started < 60


def test_a_module_that_setuptools_had(make: Make) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    raise ModuleNotFoundError(\"No module named 'pkg_resources'\")\n").make("wheel")
    assert caught.value.cause == "it imports pkg_resources, which setuptools 82 has no more"
    assert "setuptools<82" in caught.value.fix


def test_a_module_that_a_build_can_do_without(make: Make) -> None:
    deed = "    try: import no_such_module\n    except ImportError: raise ValueError('the end')\n"
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}{deed}").make("wheel")
    assert "ModuleNotFoundError" in caught.value.detail
    assert caught.value.cause == "the last lines of the build's output show why"


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_program_that_cannot_be_started(make: Make, tmp_path: Path, mode: int | None) -> None:
    if mode:
        (tmp_path / "npm").touch(mode)
    deed = (
        f"import os, subprocess\n{WHEEL}    os.environ['PATH'] = {str(tmp_path)!r}\n    subprocess.run(['npm', 'ci'])\n"
    )
    with pytest.raises(BuildFailure, match="needs npm, and cannot run or find it"):
        make(deed).make("wheel")


@pytest.mark.parametrize("name", ["README.md", "data/version", "VERSION"])
def test_a_missing_file_is_no_program(make: Make, name: str) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    open({name!r})\n").make("wheel")
    assert caught.value.anchor == "build-failed"


def test_a_build_that_a_signal_ends(make: Make) -> None:
    with pytest.raises(BuildFailure, match="was ended by SIGKILL") as caught:
        make(f"import os\n{WHEEL}    os.kill(os.getpid(), 9)\n").make("wheel")
    assert (caught.value.anchor, caught.value.cause) == ("build-killed", "there was not enough memory")


def test_names_a_variable_that_was_withheld(make: Make) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"import os\n{WHEEL}    os.environ['RELEASE_VERSION']\n").make("wheel")
    assert caught.value.cause == "it reads variables that builds do not get: RELEASE_VERSION"
    assert caught.value.fix == "set `build-env: RELEASE_VERSION`"


@pytest.mark.parametrize("error", ["", "Name or service not known"])
def test_names_a_variable_that_a_file_of_the_project_reads(make: Make, sandbox: Sandbox, error: str) -> None:
    (sandbox.tree / "setup.py").write_text("os.environ.get('RELEASE_VERSION', '')")
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    raise ValueError({error!r})\n").make("wheel")
    assert caught.value.fix == "set `build-env: RELEASE_VERSION`"


def test_names_a_folder_that_is_not_in_the_copy(make: Make, sandbox: Sandbox) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    open('cache/text')\n").make("wheel")
    assert (
        caught.value.cause == f"{sandbox.tree / 'cache'} is not in the copy of the workspace for builds: it is a cache"
    )


@pytest.mark.parametrize(
    "how", ["raise ValueError('x')", "try: 1 / 0\n    except ZeroDivisionError: raise ValueError('x')"]
)
def test_a_traceback_begins_in_the_backend(make: Make, said: list[str], how: str) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    {how}\n").make("wheel")
    frames = [line for line in said if line.startswith("  File ")]
    assert frames
    assert all("backend.py" in frame for frame in frames)
    assert "_in_process" not in caught.value.detail
    assert caught.value.detail.endswith("ValueError: x")


def test_a_compiler_error(make: Make) -> None:
    with pytest.raises(BuildFailure) as caught:
        make(f"{WHEEL}    print('error: command gcc failed with exit code 1')\n    raise SystemExit(1)\n").make("wheel")
    assert caught.value.anchor == "build-failed"


@pytest.mark.parametrize(
    "answer",
    [
        "../../escaped.whl",
        "{tree}/backend.py",
        "nothing.whl",
        "link.whl",
        "folder.whl",
        "pipe.whl",
        ".hidden.whl",
        "-rf.whl",
        "a b.whl",
        "a\n.whl",
        "ä-1.0-py3-none-any.whl",
        "a-1.0.tar.gz",
        "a.whl.sh",
        "",
        ".",
        None,
        1,
        "a" * 5000 + ".whl",
    ],
)
def test_refuses_a_result_that_is_no_wheel_in_its_folder(make: Make, sandbox: Sandbox, answer: object) -> None:
    if isinstance(answer, str):
        answer = answer.format(tree=sandbox.tree)
    backend = f"""
import contextlib, os
{WHEEL}
    os.chdir(wheel_directory)
    answer = {answer!r}
    os.symlink({str(sandbox.tree / "backend.py")!r}, "link.whl")
    os.mkdir("folder.whl")
    os.mkfifo("pipe.whl")
    if answer != "nothing.whl":
        with contextlib.suppress(OSError, TypeError):
            open(answer, "x").close()
    return answer
"""
    with pytest.raises(BuildFailure) as caught:
        make(backend).make("wheel")
    assert caught.value.anchor == "build-failed"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("wheel", "a-1.0-py3-none-any.whl"),
        ("wheel", "A_b.c-1!2.0.post1+local.1-1-cp311.py3-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
        ("wheel", "7zip-1.0-py3-none-any.whl"),
        ("sdist", "a-1.0.tar.gz"),
        ("sdist", "A.b-c_d-1!2.0.dev1+l.tar.gz"),
        ("sdist", "a-1.0.zip"),
    ],
)
def test_takes_the_names_that_backends_give(make: Make, kind: Kind, name: str) -> None:
    backend = f"""
def build_{kind}(folder, *_, **__):
    open(folder + "/" + {name!r}, "w").close()
    return {name!r}
"""
    assert make(backend).make(kind).name == name


@pytest.mark.parametrize(
    "deed",
    [
        "os._exit(0)",
        "os.symlink('/etc/hostname', control + '/output.json'); os._exit(0)",
        "os.mkfifo(control + '/output.json'); os._exit(0)",
        "open(control + '/output.json', 'w').write('[]'); os._exit(0)",
        "open(control + '/output.json', 'w').write('{}'); os._exit(0)",
        "open(control + '/output.json', 'w').write('{\"warnings\": 1}'); os._exit(0)",
        "open(control + '/output.json', 'w').write('{\"warnings\": [1]}'); os._exit(0)",
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


SDIST = """
import io, tarfile
def build_sdist(folder, config_settings=None):
    with tarfile.open(folder + "/a-1.0.tar.gz", "w:gz") as archive:
        for name in NAMES:
            archive.add(name, "a-1.0/" + name)
        for name, target in LINKS.items():
            link = tarfile.TarInfo("a-1.0/" + name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    return "a-1.0.tar.gz"
"""


def sdist(*names: str, **links: str) -> str:
    """Return a backend that puts files and links (`__` is a dot) into an sdist, and builds a wheel of it."""
    targets = {name.replace("__", "."): target for name, target in links.items()}
    return f"NAMES, LINKS = {names!r}, {targets!r}\n{SDIST}\n{GOOD}"


def test_builds_a_wheel_from_an_sdist(make: Make, tmp_path: Path) -> None:
    maker = make(sdist("backend.py", "pyproject.toml"))
    unpacked = maker.unpacked(maker.make("sdist"))
    assert sorted(file.name for file in unpacked.tree.iterdir()) == ["backend.py", "pyproject.toml"]
    assert unpacked.tree.name == "a-1.0"
    assert unpacked.tree.is_relative_to(tmp_path / "scratch-of-tree")
    assert unpacked.make("wheel").name == "a-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("deed", "name"),
    [
        ("open('requirements.txt')", "requirements.txt"),
        ("open('LICENSE')", "LICENSE"),
        ("open(os.path.abspath('lib/VERSION'))", "lib/VERSION"),
        ("open('../README.md')", "../README.md"),
        ("import helper", "helper.py"),
        ("raise OSError('Readme file does not exist: README.md')", "README.md"),
        ("raise OSError('File does not exist: LICENSE')", "LICENSE"),
    ],
)
def test_a_file_that_the_sdist_lacks(make: Make, sandbox: Sandbox, deed: str, name: str) -> None:
    for each in ("requirements.txt", "LICENSE", "lib/VERSION", "../README.md", "helper.py", "README.md"):
        (sandbox.tree / each).parent.mkdir(exist_ok=True)
        (sandbox.tree / each).touch()
    hook = f"import os\ndef get_requires_for_build_wheel(_=None): {deed}\n"
    maker = make(f"{sdist('backend.py', 'pyproject.toml')}\n{hook}")
    unpacked = maker.unpacked(maker.make("sdist"))
    with pytest.raises(BuildFailure) as caught:
        unpacked.make("wheel")
    assert caught.value.cause == f"the wheel is built from the sdist, which lacks {name}"
    assert "`formats: wheel`" in caught.value.fix


@pytest.mark.parametrize("file", ["link/secret", "/etc/hostname", "x\0y", "x" * 5000])
def test_nothing_is_told_of_files_outside(make: Make, sandbox: Sandbox, tmp_path: Path, file: str) -> None:
    """The output and the links are those of the project, which may not know what root can see."""
    (tmp_path / "secret").touch()
    (sandbox.tree / "link").symlink_to(tmp_path)
    hook = f"raise FileNotFoundError(2, 'No such file or directory', {file!r})"
    maker = make(f"{sdist('backend.py', 'pyproject.toml')}\ndef get_requires_for_build_wheel(_=None): {hook}\n")
    unpacked = maker.unpacked(maker.make("sdist"))
    with pytest.raises(BuildFailure) as caught:
        unpacked.make("wheel")
    assert caught.value.cause.startswith("the last lines of the build's output show why")


def test_a_link_that_leads_nowhere_in_the_sdist(make: Make, sandbox: Sandbox) -> None:
    """A readme that is a link to that of the repository, for example: hatchling packs the link."""
    (sandbox.tree / "../README.md").touch()
    (sandbox.tree / "README.md").symlink_to("../README.md")
    hook = "def get_requires_for_build_wheel(_=None): open('README.md')\n"
    maker = make(f"{sdist('backend.py', 'pyproject.toml')}\n{hook}")
    unpacked = maker.unpacked(maker.make("sdist"))
    (unpacked.tree / "README.md").symlink_to("../README.md")  # as tarfile unpacks it
    with pytest.raises(BuildFailure) as caught:
        unpacked.make("wheel")
    assert caught.value.cause == "the wheel is built from the sdist, which lacks README.md"


def test_a_file_that_the_project_lacks_too(make: Make) -> None:
    maker = make(f"{sdist('backend.py', 'pyproject.toml')}\ndef get_requires_for_build_wheel(_=None): open('x')\n")
    unpacked = maker.unpacked(maker.make("sdist"))
    with pytest.raises(BuildFailure) as caught:
        unpacked.make("wheel")
    assert (
        caught.value.cause
        == "the last lines of the build's output show why, and the wheel is built from what the sdist has"
    )


@pytest.mark.parametrize("folder", ["back", "deep/er"])
def test_a_backend_in_a_folder_of_the_sdist(make: Make, sandbox: Sandbox, said: list[str], folder: str) -> None:
    """The one that is called is that of the sdist."""
    (sandbox.tree / folder).mkdir(parents=True)
    (sandbox.tree / folder / "backend.py").write_text(f"{sdist(folder, 'pyproject.toml')}\nprint('mine', __file__)\n")
    maker = make("", TABLE.replace('["."]', f'["{folder}"]'))
    unpacked = maker.unpacked(maker.make("sdist"))
    said.clear()
    unpacked.make("wheel")
    assert set(said) == {f"mine {unpacked.tree / folder / 'backend.py'}"}


@pytest.mark.parametrize("path", ["..", "{outside}/out", "../out", "a/../../out"])
def test_a_backend_path_that_leads_out_of_the_sdist(make: Make, sandbox: Sandbox, tmp_path: Path, path: str) -> None:
    table = TABLE.replace('["."]', f'["{path.format(outside=tmp_path)}"]')
    (sandbox.tree / "settings.toml").write_text(table)
    maker = make(sdist("backend.py", "settings.toml", pyproject__toml="settings.toml"))
    with pytest.raises(BadInput):
        maker.unpacked(maker.make("sdist"))
    assert not list(tmp_path.rglob("out"))


def test_the_settings_of_an_sdist_may_be_a_link_inside_of_it(make: Make, sandbox: Sandbox) -> None:
    (sandbox.tree / "settings.toml").write_text(TABLE)
    maker = make(sdist("backend.py", "settings.toml", pyproject__toml="settings.toml"))
    unpacked = maker.unpacked(maker.make("sdist"))
    assert unpacked.make("wheel").name == "a-1.0-py3-none-any.whl"


def test_the_settings_of_an_sdist_are_not_read_from_outside(make: Make, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    for target in (str(tmp_path / "pyproject.toml"), "../../../../pyproject.toml", "pyproject.toml"):
        maker = make(sdist("backend.py", pyproject__toml=target))
        with pytest.raises(BuildFailure) as caught:
            maker.unpacked(maker.make("sdist"))
        assert caught.value.anchor == "build-failed"


def test_the_settings_of_an_sdist_cannot_change_later(make: Make) -> None:
    """The hooks of the wheel run where the sdist was unpacked."""
    evil = TABLE.replace('"backend"', '"evil"')
    hook = (
        f"def get_requires_for_build_wheel(_=None):\n    open('pyproject.toml', 'w').write({evil!r})\n    return []\n"
    )
    maker = make(f"{sdist('backend.py', 'pyproject.toml')}\n{hook}")
    unpacked = maker.unpacked(maker.make("sdist"))
    assert unpacked.make("wheel").name == "a-1.0-py3-none-any.whl"
    assert (unpacked.tree / "pyproject.toml").read_text() == evil


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08"])
def test_refuses_an_invalid_sdist(make: Make, content: bytes) -> None:
    backend = f"""
def build_sdist(folder, config_settings=None):
    open(folder + "/a.tar.gz", "wb").write({content!r})
    return "a.tar.gz"
"""
    maker = make(backend)
    with pytest.raises(BuildFailure):
        maker.unpacked(maker.make("sdist"))


def test_no_secret_of_this_process_reaches_a_hook(make: Make, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "x")
    make(f"import os\nprint(sorted(os.environ))\n{GOOD}").make("wheel")
    assert os.environ["SOME_TOKEN"] == "x"
    assert any("'PATH'" in line for line in said)
    assert not any("SOME_TOKEN" in line for line in said)


def test_a_submodule_that_is_not_checked_out(make: Make, sandbox: Sandbox) -> None:
    backend = make(f"{WHEEL}    raise FileNotFoundError('lib/fast/fast.h')\n")
    with (sandbox.tree / "pyproject.toml").open("a") as settings:
        settings.write("[project]\nname = 'a'\nversion = '1.0'\nreadme = 'docs/index.md'\n")
    for name in ("lib/fast", "lib/there", "theme", "FileNot", "docs/theme"):
        (sandbox.tree / name).mkdir(parents=True)
    (sandbox.tree / "lib/there/file").touch()
    names = ("lib/fast", "lib/there", "lib/nowhere", "theme", "docs/theme", "FileNot")  # of FileNotFoundError
    (sandbox.tree / ".gitmodules").write_text("".join(f'[submodule "x"]\n\tpath = {name}\n' for name in names))
    with pytest.raises(BuildFailure) as caught:
        backend.make("wheel")
    assert caught.value.cause == "these git submodules are not checked out: lib/fast"
    assert "`submodules: recursive`" in caught.value.fix


def test_a_submodule_that_is_not_checked_out_and_so_not_in_the_sdist(make: Make, sandbox: Sandbox) -> None:
    maker = make(f"{sdist('backend.py', 'pyproject.toml')}\n{WHEEL}    open('lib/fast/fast.h')\n")
    (sandbox.tree / "lib/fast").mkdir(parents=True)
    (sandbox.tree / ".gitmodules").write_text('[submodule "fast"]\n\tpath = lib/fast\n')
    unpacked = maker.unpacked(maker.make("sdist"))
    with pytest.raises(BuildFailure) as caught:
        unpacked.make("wheel")
    assert caught.value.cause == "these git submodules are not checked out: lib/fast"
