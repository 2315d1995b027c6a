import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from gar_publish.builder.image_backends import asks_pypi_alone, choose, link

Install = Callable[..., None]


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    folders = tmp_path / "backends", tmp_path / "ours"
    for folder in folders:
        folder.mkdir()
    return folders


@pytest.fixture
def install(places: tuple[Path, Path]) -> Install:
    """Return a function that puts a distribution with one package into a folder."""

    def install(name: str, version: str, *requires: str, place: int = 0, record: str = "") -> None:
        module = name.replace("-", "_")
        package, info = places[place] / module, places[place] / f"{module}-{version}.dist-info"
        package.mkdir()
        info.mkdir()
        (package / "__init__.py").write_text(f"def main():\n    print({version!r})\n")
        lines = "".join(f"Requires-Dist: {each}\n" for each in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{lines}")
        (info / "entry_points.txt").write_text(f"[console_scripts]\nsay-{name} = {module}:main\n")
        (info / "RECORD").write_text(
            f"{module}/__init__.py,,\n{info.name}/RECORD,,\n../../bin/say,,\nbin/x,,\n{record}"
        )

    return install


def _chosen(places: tuple[Path, Path], *requirements: str) -> list[str] | None:
    chosen = choose([Requirement(each) for each in requirements], places)
    return None if chosen is None else sorted(each.name for each in chosen)


@pytest.mark.parametrize("asked", ["A.Backend", "a-backend", "a_backend>=2,<3", 'a-backend; python_version > "3"'])
def test_chooses_the_requirements_and_what_they_require(
    asked: str, places: tuple[Path, Path], install: Install
) -> None:
    install("a-backend", "2.5", "helper>=1", 'never; python_version < "3"', 'more; extra == "all"')
    install("helper", "1.0", "a-backend", place=1)  # two may require each other
    install("unasked", "1.0")
    assert _chosen(places, asked) == ["a-backend", "helper"]
    install("more", "1.0")
    assert _chosen(places, "a-backend[all]") == ["a-backend", "helper", "more"]


@pytest.mark.parametrize(
    "asked",
    [
        ["a-backend", "other"],
        ["a-backend<2"],
        ["a-backend==2.5", "a-backend!=2.5"],
        ["a-backend @ https://example.org/a_backend-2.5-py3-none-any.whl"],
        ["a-backend[all]"],
        ["broken"],
    ],
)
def test_chooses_nothing_if_anything_is_missing(asked: list[str], places: tuple[Path, Path], install: Install) -> None:
    install("a-backend", "2.5", 'more; extra == "all"')
    install("broken", "1.0", "a-backend<2")
    assert _chosen(places, *asked) is None


def test_chooses_nothing_of_gar_publish_for_a_project(places: tuple[Path, Path], install: Install) -> None:
    """The image lacks parts of it: cffi's compiler, for example."""
    install("a-backend", "2.5", "helper")
    install("helper", "1.0", place=1)
    install("cffi", "2.0", place=1)
    assert _chosen(places, "a-backend", "cffi") is None
    assert _chosen(places, "a-backend") == ["a-backend", "helper"]


def test_chooses_nothing_outside_the_image(tmp_path: Path, places: tuple[Path, Path], install: Install) -> None:
    install("a-backend", "2.5", place=1)
    assert _chosen((tmp_path / "none", places[1]), "a-backend") is None
    assert choose([Requirement("packaging")]) is None


def test_an_environment_has_only_what_was_chosen(tmp_path: Path, places: tuple[Path, Path], install: Install) -> None:
    install("a-backend", "2.5", "helper")
    install("helper", "1.0", place=1)
    install("unasked", "1.0")
    chosen = choose([Requirement("a-backend")], places)
    assert chosen
    link(chosen, tmp_path / "environment")
    programs = tmp_path / "environment" / "bin"
    script = "import json, importlib.metadata as m; print(json.dumps(sorted(d.name for d in m.distributions())))"
    seen = subprocess.run([programs / "python", "-c", script], capture_output=True, check=True, text=True)
    assert json.loads(seen.stdout) == ["a-backend", "helper"]
    said = subprocess.run([programs / "say-a-backend"], capture_output=True, check=True, text=True)
    assert said.stdout == "2.5\n"
    assert sorted(path.name for path in programs.glob("say*")) == ["say-a-backend", "say-helper"]


def test_links_packages_that_have_only_byte_code(tmp_path: Path, places: tuple[Path, Path], install: Install) -> None:
    install("a-backend", "2.5", record="a_hook/__init__.py,,\na-hook.pth,,\n")
    (places[0] / "a_hook").mkdir()
    (places[0] / "a-hook.pth").touch()
    chosen = choose([Requirement("a-backend")], places)
    assert chosen
    link(chosen, tmp_path / "environment")
    (site,) = (tmp_path / "environment").glob("lib/python3*/site-packages")
    assert {path.name for path in site.iterdir()} == {"a_backend", "a_backend-2.5.dist-info", "a_hook", "a-hook.pth"}


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "etc")}


def test_other_settings_of_uv_do_not_count(home: dict[str, str]) -> None:
    assert asks_pypi_alone(home)
    assert asks_pypi_alone(home | {"XDG_CONFIG_HOME": "x" * 5000})  # may not be looked at
    assert asks_pypi_alone(home | {"UV_CACHE_DIR": "x", "UV_OFFLINE": "1", "UV_INDEX": "", "HTTPS_PROXY": "x"})


@pytest.mark.parametrize("name", ["UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXCLUDE_NEWER", "UV_CONFIG_FILE"])
def test_a_variable_that_names_an_index_counts(name: str, home: dict[str, str]) -> None:
    assert not asks_pypi_alone(home | {name: "x"})


@pytest.mark.parametrize("folder", [".config", "etc"])
def test_a_settings_file_of_uv_counts(folder: str, tmp_path: Path, home: dict[str, str]) -> None:
    file = tmp_path / folder / "uv" / "uv.toml"
    file.parent.mkdir(parents=True)
    file.touch()
    assert not asks_pypi_alone(home)
