import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath

import pytest

from gar_publish.cli.configure_options import TOOL_NAMES
from gar_publish.configure import places
from gar_publish.configure.places import Machine
from gar_publish.configure.tools import TOOLS, Plan, Request
from gar_publish.errors import BadInput
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.index_url import KEYRING, Login, default_name
from gar_publish.settings.repository import Repository

REPOSITORY = Repository.parse("us-central1/demo-project/python", endpoints=Endpoints())
WITH_KEYRING = [tool for tool in TOOL_NAMES if tool != "netrc"]
SECRET = Login("_json_key_base64", "made+up==")
INDEX = REPOSITORY.index_url
UV = f'[[tool.uv.index]]\nname = "mine"\nurl = "{INDEX}"\n'
POETRY = f'[[tool.poetry.source]]\nname = "mine"\nurl = "{INDEX}"\n'


def make_request(
    folder: Path,
    login: Login = KEYRING,
    *,
    name: str = "",
    only: bool = False,
    user: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Request:
    machine = Machine("Linux", environment or {}, PurePath("/home/me"), lambda _: False)
    return Request(
        repository=REPOSITORY, login=login, name=name or None, only=only, user=user, folder=folder, machine=machine
    )


def texts(plan: Plan, old: str = "") -> dict[str, str]:
    """Return the new text of each file, for the same old text."""
    done: dict[str, str] = {}
    for edit in plan.edits:
        done[edit.path.name] = edit.change(done.get(edit.path.name, old))
    return done


@pytest.fixture(autouse=True)
def weaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the pip.conf of all users, in place of this machine's."""
    file = tmp_path / "etc" / "pip.conf"
    monkeypatch.setattr(places, "weaker_pip_files", lambda _: (file,))
    return file


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def test_the_command_line_has_every_tool() -> None:
    assert tuple(TOOLS) == TOOL_NAMES


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("us-central1/my-project/python", "gar-my-project-python"),
        ("us-central1/example.com:my-project/python", "gar-example-com-my-project-python"),
        ("https://index.example.com/Team/simple/", "gar-index-example-com-team"),
    ],
)
def test_the_default_name_is_valid_for_every_tool(repository: str, name: str) -> None:
    assert default_name(Repository.parse(repository, endpoints=Endpoints())) == name


@pytest.mark.parametrize(
    ("tool", "login"), [*((tool, SECRET) for tool in TOOL_NAMES), *((tool, KEYRING) for tool in WITH_KEYRING)]
)
def test_a_secret_goes_only_into_private_files(project: Path, tool: str, login: Login) -> None:
    plan = TOOLS[tool](make_request(project, login))
    for edit in plan.edits:
        assert ("made" in edit.change("")) == (edit.secret and login is SECRET)
        assert not (edit.secret and edit.path.is_relative_to(project))
    assert "made" not in " ".join((*plan.notes, *plan.warnings))


def test_a_netrc_needs_a_password(project: Path) -> None:
    with pytest.raises(BadInput, match="cannot refer to a keyring"):
        TOOLS["netrc"](make_request(project, KEYRING))


@pytest.mark.parametrize("tool", WITH_KEYRING)
@pytest.mark.parametrize("only", [False, True])
def test_warns_of_dependency_confusion(project: Path, tool: str, *, only: bool) -> None:
    plan = TOOLS[tool](make_request(project, only=only))
    named = ["dependency confusion" in each for each in plan.warnings]
    assert named == ([True] if tool in {"pip", "pdm", "docker"} and not only else [])


def test_pip_names_what_it_replaces_and_hides(project: Path, weaker: Path) -> None:
    own = project / "pip.conf"
    request = make_request(project, environment={"PIP_CONFIG_FILE": str(own)})
    weaker.parent.mkdir()
    weaker.write_text("[global]\nextra-index-url = https://me:made-up@mirror.example.com/\n")
    _, hidden = TOOLS["pip"](request).warnings
    assert hidden.startswith(f"{own} hides other indexes: https://mirror.example.com/ ({weaker}).")
    own.write_text(
        "[global]\nindex-url = https://me:made-up@a.example.com/\nextra-index-url = https://b.example.com/\n"
    )
    (replaced,) = TOOLS["pip"](replace(request, only=True)).warnings
    assert replaced.startswith("pip does not use any more: https://a.example.com/, https://b.example.com/.")


def test_warns_of_dependency_confusion_for_a_user_index_of_uv(project: Path) -> None:
    (warning,) = TOOLS["uv"](make_request(project, user=True)).warnings
    assert "dependency confusion" in warning


@pytest.mark.parametrize("only", [False, True])
@pytest.mark.parametrize("tool", ["pip", "pdm"])
def test_says_what_a_tool_does_without_the_keyring(project: Path, tool: str, *, only: bool) -> None:
    note = TOOLS[tool](make_request(project, only=only)).notes[-1]
    assert "Install the keyring's backend: p" in note
    assert ("takes public packages of the same names" in note) != only


@pytest.mark.parametrize("tool", ["uv", "poetry"])
def test_says_that_required_packages_need_the_index_too(project: Path, tool: str) -> None:
    (note,) = (each for each in TOOLS[tool](make_request(project)).notes if "PACKAGE" in each)
    assert "also for those that only another of your packages requires" in note


@pytest.mark.parametrize(
    ("tool", "text", "says"),
    [("uv", UV, ""), ("poetry", POETRY, 'priority = "supplemental"\n')],
)
def test_an_existing_index_is_not_made_explicit(project: Path, tool: str, text: str, says: str) -> None:
    (project / "pyproject.toml").write_text(text + says)
    plan = TOOLS[tool](make_request(project, SECRET))
    assert says in texts(plan, text + says)["pyproject.toml"]
    assert "explicit = true" not in texts(plan, text + says)["pyproject.toml"]
    assert "mine is not an explicit index" in plan.warnings[0]


@pytest.mark.parametrize(
    ("tool", "text"),
    [("uv", UV), ("poetry", POETRY), ("pdm", POETRY.replace("poetry", "pdm"))],
)
def test_names_other_indexes_beside_the_only_one(project: Path, tool: str, text: str) -> None:
    (project / "pyproject.toml").write_text(text.replace(INDEX, "https://index.example.com/simple/"))
    (warning,) = TOOLS[tool](make_request(project, only=True)).warnings
    assert warning.endswith("still lists other indexes: mine.")


def test_keeps_verify_ssl_of_pdm(project: Path) -> None:
    text = POETRY.replace("poetry", "pdm") + "verify_ssl = false\n"
    (project / "pyproject.toml").write_text(text)
    assert "verify_ssl = false" in texts(TOOLS["pdm"](make_request(project)), text)["pyproject.toml"]


def test_names_what_overrides_pip_conf(tmp_path: Path) -> None:
    environment = {"VIRTUAL_ENV": str(tmp_path), "PIP_EXTRA_INDEX_URL": INDEX, "PIP_INDEX_URL": INDEX}
    machine = Machine("Linux", environment, tmp_path / "home", lambda _: False)
    asked = replace(make_request(tmp_path), machine=machine)
    file = tmp_path / "pip.conf"

    file.write_text("[global]\ntimeout = 60\n")
    assert TOOLS["pip"](asked).warnings[-1].endswith("pip.conf: PIP_EXTRA_INDEX_URL.")
    file.write_text(f"[install]\nindex-url = {INDEX}\n")
    assert TOOLS["pip"](replace(asked, only=True)).warnings[-1].endswith(f"INDEX_URL, PIP_EXTRA_INDEX_URL, {file}.")
    named = replace(machine, environment={"VIRTUAL_ENV": str(tmp_path), "PIP_CONFIG_FILE": str(file)})
    assert TOOLS["pip"](replace(asked, only=True, machine=named)).warnings == ()


@pytest.mark.parametrize(("tool", "text"), [("uv", UV), ("poetry", POETRY), ("pdm", POETRY.replace("poetry", "pdm"))])
@pytest.mark.parametrize(("asked", "expected"), [("", "mine"), ("other", "other")])
def test_keeps_the_name_that_a_project_has(project: Path, tool: str, text: str, *, asked: str, expected: str) -> None:
    (project / "pyproject.toml").write_text(text)
    done = texts(TOOLS[tool](make_request(project, SECRET, name=asked)), text)
    tool_settings = tomllib.loads(done.pop("pyproject.toml"))["tool"][tool]
    assert [each["name"] for each in tool_settings.get("index") or tool_settings["source"]][-1] == expected
    assert all(expected in each for each in done.values())


@pytest.mark.parametrize("tool", ["uv", "pdm", "poetry"])
def test_suggests_user_settings_without_a_project_where_the_tool_has_them(tmp_path: Path, tool: str) -> None:
    with pytest.raises(BadInput, match=r"pyproject\.toml is missing") as caught:
        TOOLS[tool](make_request(tmp_path))
    assert ("--user" in caught.value.fix) is (tool != "poetry")


def test_uv_sources_need_an_index_in_pyproject_even_beside_a_uv_toml(project: Path) -> None:
    (project / "uv.toml").write_text("")
    done = texts(TOOLS["uv"](make_request(project)))
    assert tomllib.loads(done["uv.toml"]) == {"keyring-provider": "subprocess"}
    assert tomllib.loads(done["pyproject.toml"])["tool"]["uv"] == {
        "index": [
            {
                "name": "gar-demo-project-python",
                "url": INDEX.replace("://", "://oauth2accesstoken@"),
                "publish-url": REPOSITORY.upload_url,
                "authenticate": "always",
                "explicit": True,
            }
        ],
    }
    assert TOOLS["uv"](make_request(project, only=True)).edits[-1].path == project / "uv.toml"


def test_settings_of_a_workspace_member_are_those_of_its_root(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["a"]\n')
    (project / "a").mkdir()
    (project / "a/pyproject.toml").write_text("")
    provider, index = TOOLS["uv"](make_request(project / "a")).edits
    assert (provider.path, index.path) == (project / "pyproject.toml", project / "a/pyproject.toml")
    (only,) = TOOLS["uv"](make_request(project / "a", SECRET, only=True)).edits
    assert only.path == project / "pyproject.toml"


def test_a_user_index_of_uv_is_not_explicit(project: Path) -> None:
    (file,) = TOOLS["uv"](make_request(project, SECRET, user=True)).edits
    assert file.path == Path("/home/me/.config/uv/uv.toml")
    assert "explicit" not in file.change("")


def test_poetry_has_no_user_settings(project: Path) -> None:
    with pytest.raises(BadInput, match="Poetry has package sources only in projects"):
        TOOLS["poetry"](make_request(project, user=True))


@pytest.mark.parametrize(("tool", "key", "value"), [("uv", "default", True), ("poetry", "priority", "primary")])
def test_the_only_index_replaces_pypi(project: Path, tool: str, key: str, value: object) -> None:
    settings = tomllib.loads(texts(TOOLS[tool](make_request(project, only=True)))["pyproject.toml"])["tool"][tool]
    (entry,) = settings.get("index") or settings["source"]
    assert entry[key] == value


@pytest.mark.parametrize("user", [False, True])
def test_pdm_names_the_only_index_pypi(project: Path, *, user: bool) -> None:
    done = texts(TOOLS["pdm"](make_request(project, SECRET, only=True, user=user)))
    stored = tomllib.loads(done.pop("config.toml"))["pypi"]
    assert (stored.pop("username"), stored.pop("password")) == ("_json_key_base64", "made+up==")
    assert stored == ({"url": INDEX} if user else {})
    for text in done.values():
        assert tomllib.loads(text)["tool"]["pdm"]["source"] == [{"name": "pypi", "url": INDEX, "verify_ssl": True}]


@pytest.mark.parametrize(
    ("tool", "user"), [("uv", False), ("uv", True), ("poetry", False), ("pdm", False), ("pdm", True)]
)
def test_without_only_an_index_that_replaces_pypi_stays(project: Path, tool: str, *, user: bool) -> None:
    own = {"XDG_CONFIG_HOME": str(project)}
    for edit in TOOLS[tool](make_request(project, SECRET, only=True, user=user, environment=own)).edits:
        edit.path.parent.mkdir(exist_ok=True)
        edit.path.write_text(edit.change(edit.path.read_text() if edit.path.exists() else ""))
    plan = TOOLS[tool](make_request(project, SECRET, user=user, environment=own))
    assert [edit.change(edit.path.read_text()) for edit in plan.edits] == [edit.path.read_text() for edit in plan.edits]
    (warning,) = plan.warnings
    assert "still replaces PyPI by this repository. To use PyPI, too, remove " in warning


@pytest.mark.parametrize("tool", ["poetry", "pdm"])
def test_a_keyring_removes_an_old_login(project: Path, tool: str) -> None:
    before = TOOLS[tool](make_request(project, SECRET)).edits[1:]
    after = TOOLS[tool](make_request(project)).edits[1:]
    for edit, again in zip(before, after, strict=True):
        assert "made" not in again.change(edit.change(""))


def test_docker_shows_how_to_build(project: Path) -> None:
    plan = TOOLS["docker"](make_request(project, SECRET, name="mine"))
    assert plan.notes[0] == 'docker build --secret "id=pip,src=/home/me/.config/gar-publish/mine.pip.conf" .'
    assert "RUN --mount=type=secret,id=pip PIP_CONFIG_FILE=/run/secrets/pip pip install " in plan.notes[1]
