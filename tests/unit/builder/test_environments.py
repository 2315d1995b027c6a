"""Making and sharing build environments, with a real uv and local indexes."""

import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from gar_publish.builder.environment import Environment
from gar_publish.builder.environments import Environments
from gar_publish.builder.installer import Installer
from gar_publish.builder.process import Works
from gar_publish.builder.sandbox import Sandbox
from gar_publish.builder.templates import Templates
from gar_publish.builder.variables import for_backend
from gar_publish.errors import BuildFailure, Unreachable
from tests.unit.builder.indexes import TOKEN, Index, run
from tests.unit.servers import Reply, serve
from tests.wheels import make_wheel

Ask = Callable[[Collection[str]], str | None]


class Here:
    """Environments of projects in one sandbox in place."""

    def __init__(
        self, scratch: Path, variables: dict[str, str], ask: Ask, *, are_several: bool, own: Collection[str]
    ) -> None:
        def private_index(names: Collection[str]) -> "Future[str | None]":
            answer: Future[str | None] = Future()
            answer.set_result(ask(names))
            return answer

        works = Works()
        given = for_backend(variables, personal=True)
        self._sandbox = Sandbox(scratch, scratch, given, works, Templates(given))
        self._made = Environments(
            scratch,
            variables["PATH"],
            Installer(scratch, variables, works, are_isolated=False),
            are_several=are_several,
            may_fork=True,
            private_index=private_index,
            own=own,
        )

    def get(self, requirements: Collection[str], *, project: str) -> Environment:
        return self._made.get(requirements, project=project, sandbox=self._sandbox)


def environments(
    tmp_path: Path,
    variables: dict[str, str],
    *,
    private: str | None = None,
    asked: list[Collection[str]] | None = None,
    are_several: bool = True,
    own: Collection[str] = (),
) -> Here:
    def private_index(names: Collection[str]) -> str | None:
        if asked is not None:
            asked.append(names)
        return private

    scratch = tmp_path / "scratch"
    scratch.mkdir(parents=True)
    return Here(scratch, variables, private_index, are_several=are_several, own=own)


def test_equal_requirements_share_an_environment(tmp_path: Path, variables: dict[str, str], index: Index) -> None:
    made = environments(tmp_path, {**variables, "UV_DEFAULT_INDEX": index.url()})
    first = made.get({"sample >= 1"}, project="one")
    assert made.get(["sample>=1"], project="two") is first
    assert made.get([], project="three") is not first
    assert run(first.python_executable, "import sample, sys; print(sys.prefix)") == str(first.folder)
    assert first.variables["PATH"].startswith(f"{first.folder / 'bin'}{os.pathsep}")


def test_the_path_of_an_environment_does_not_depend_on_which_build_is_first(
    tmp_path: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compilers write the paths of headers into their results."""
    monkeypatch.setattr(Installer, "install_wheels", lambda _self, _folder, _names, _private: None)
    found = []
    for run_of, order in enumerate([("a", "b"), ("b", "a")]):
        made = environments(tmp_path / str(run_of), variables)
        found.append({name: made.get([name], project=name).folder.name for name in order})
    assert found[0] == found[1]


@pytest.mark.parametrize("are_several", [True, False])
def test_an_import_is_shared_in_place(
    tmp_path: Path, variables: dict[str, str], index: Index, *, are_several: bool
) -> None:
    made = environments(tmp_path, {**variables, "UV_DEFAULT_INDEX": index.url()}, are_several=are_several)
    assert made.get(["sample"], project="one").is_trusted


def test_the_installer_gets_requirements_in_order(
    tmp_path: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may choose versions by the order, and a set has another one in each run."""
    seen: list[Sequence[str]] = []
    monkeypatch.setattr(Installer, "install_wheels", lambda _self, _folder, names, _private: seen.append(names))
    made = environments(tmp_path, variables)
    made.get({"wheel", "setuptools>64", "setuptools<80", "a", "b", "c"}, project="one")
    assert seen == [["a", "b", "c", "setuptools<80", "setuptools>64", "wheel"]]


def test_the_private_repository_wins(tmp_path: Path, variables: dict[str, str]) -> None:
    """A package of the same name and a higher version in another index is not installed."""
    mine = make_wheel(tmp_path / "mine", "sample", "1.0", requires=["other"], content="origin = 'private'")
    evil = make_wheel(tmp_path / "evil", "sample", "9.0", content="origin = 'public'")
    other = make_wheel(tmp_path / "wheels", "other")
    asked: list[Collection[str]] = []
    with Index(tmp_path / "2", mine, token=TOKEN) as private, Index(tmp_path / "1", evil, other) as public:
        given = {**variables, "UV_DEFAULT_INDEX": public.url()}
        made = environments(tmp_path, given, private=private.url(TOKEN), asked=asked)
        python = made.get(["Sample"], project="one").python_executable
    assert run(python, "import sample, other; print(sample.origin)") == "private"
    assert asked == [{"sample"}]
    assert set(public.authorizations) == {None}


def test_does_not_look_for_common_backends_in_the_repository(tmp_path: Path, variables: dict[str, str]) -> None:
    asked: list[Collection[str]] = []
    with Index(tmp_path / "1", *(make_wheel(tmp_path / "wheels", name) for name in ("hatchling", "other"))) as index:
        made = environments(tmp_path, {**variables, "UV_DEFAULT_INDEX": index.url()}, asked=asked)
        made.get(["hatchling"], project="one")
        made.get(["Hatchling", "other"], project="two")
    assert asked == [{"other"}]


def test_looks_for_a_common_backend_that_the_run_publishes(tmp_path: Path, variables: dict[str, str]) -> None:
    asked: list[Collection[str]] = []
    with Index(tmp_path / "1", make_wheel(tmp_path / "wheels", "hatchling")) as index:
        given = {**variables, "UV_DEFAULT_INDEX": index.url()}
        environments(tmp_path, given, asked=asked, own={"hatchling"}).get(["Hatchling"], project="one")
    assert asked == [{"hatchling"}]


def test_does_not_repeat_a_failed_installation(tmp_path: Path, variables: dict[str, str], index: Index) -> None:
    made = environments(tmp_path, {**variables, "UV_DEFAULT_INDEX": index.url()})
    failures = []
    for project in ("one", "two"):
        with pytest.raises(BuildFailure) as caught:
            made.get(["nobodys"], project=project)
        failures.append(caught.value)
    assert failures[0] is failures[1]
    assert len(index.authorizations) == 1


def test_a_requirement_that_does_not_exist(tmp_path: Path, variables: dict[str, str], index: Index) -> None:
    made = environments(tmp_path, {**variables, "UV_DEFAULT_INDEX": index.url()})
    with pytest.raises(BuildFailure) as caught:
        made.get(["nobodys"], project="one")
    assert caught.value.anchor == "build-requirements"
    assert "nobodys was not found" in caught.value.detail


def test_an_unreachable_index(tmp_path: Path, variables: dict[str, str]) -> None:
    with serve() as server:
        server.on("/", Reply(drop=True))
        made = environments(tmp_path, {**variables, "UV_DEFAULT_INDEX": f"{server.url}/simple/"})
        with pytest.raises(Unreachable):
            made.get(["sample"], project="one")


@pytest.mark.parametrize("requirement", ["--index-url=http://evil/", "-r /etc/passwd", "sample=>1", "", "a\n--pre"])
def test_refuses_a_malformed_requirement(
    tmp_path: Path, variables: dict[str, str], index: Index, requirement: str
) -> None:
    made = environments(tmp_path, {**variables, "UV_DEFAULT_INDEX": index.url()})
    with pytest.raises(BuildFailure, match="Invalid build requirement"):
        made.get([requirement], project="one")
    assert index.authorizations == []


BACKEND = """
import os, pathlib, zipfile
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    assert "canary" not in str(os.environ)
    name = "sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as archive:
        archive.writestr("sample.py", "origin = 'built'")
        archive.writestr("sample-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: sample\\nVersion: 1.0\\n")
        archive.writestr("sample-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        archive.writestr("sample-1.0.dist-info/RECORD", "")
    return name
"""


def test_builds_a_requirement_with_a_url_without_credentials(tmp_path: Path, variables: dict[str, str]) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "backend.py").write_text(BACKEND)
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    asked: list[Collection[str]] = []
    url = f"http://x:{TOKEN}@127.0.0.1:9/simple/"
    given = {**variables, "UV_INDEX": url, "HTTP_PROXY": url, "UV_INDEX_MINE_PASSWORD": TOKEN}
    made = environments(tmp_path, given, asked=asked)
    python = made.get([f"sample @ {project.as_uri()}"], project="one").python_executable
    assert run(python, "import sample; print(sample.origin)") == "built"
    assert asked == [{"sample"}]
    with pytest.raises(BuildFailure, match="Both cannot be installed"):
        environments(tmp_path / "again", given, private=url).get([f"sample @ {project.as_uri()}"], project="one")
