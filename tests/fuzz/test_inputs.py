"""Any inputs return settings or raise a Failure."""

import contextlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from gar_emulator.errors import EmulatorError
from gar_emulator.world.world import World
from gar_publish.console import printable
from gar_publish.distributions import prebuilt
from gar_publish.errors import BadInput, Failure
from gar_publish.projects import find, metadata, workspaces
from gar_publish.settings.credential import parse_key
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import INPUTS, Settings
from gar_publish.transport.session import new_session
from gar_publish.urls import refuse_plain_http
from tests.fuzz.strategies import either, json_values, objects, text, words

PROVIDER = "projects/1/locations/global/workloadIdentityPools/github/providers/github"
GOOD = {
    "repository": [
        "us-central1/my-project/python",
        "python",
        "https://index.example.com/x/",
        "projects/p/locations/us/",
    ],
    "project": ["my-project"],
    "location": ["us"],
    "workload-identity-provider": [PROVIDER, f"https://iam.googleapis.com/{PROVIDER}"],
    "service-account": ["a@b.iam.gserviceaccount.com"],
    "credentials-json": ['{"type": "service_account", "client_email": "a@b"}', "e30="],
    "access-token": ["ya29.x"],
    "formats": ["wheel,sdist", "sdist"],
    "expected-version": ["v1.0"],
    "index-token": ["none", "read-only"],
    "jobs": ["4"],
    "dry-run": ["true"],
}
KEYS = ("number", "id", "mode", "disabled", "allowed-audiences", "condition", "jwks", "switches", "pools", "x")
SECRETS = ("credentials-json", "access-token")
RUNNER = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x.example/?a=b", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"}

inputs = st.fixed_dictionaries(
    {"repository": st.one_of(st.sampled_from(GOOD["repository"]), text)},
    optional={
        each.name: st.one_of(st.sampled_from(GOOD.get(each.name, [each.default])), text)
        for each in INPUTS
        if each.name != "repository"
    },
)


@given(inputs)
def test_inputs(given_inputs: dict[str, str]) -> None:
    secrets = [given_inputs.get(name, "").strip() for name in SECRETS]
    said = ""
    try:
        Settings.from_inputs(given_inputs, environment=RUNNER, endpoints=Endpoints())
    except Failure as failure:
        said = failure.explain()
    others = " ".join(value for name, value in given_inputs.items() if name not in SECRETS)
    for secret in secrets:
        assert len(secret) < 12 or secret in others or secret not in said


parts = st.lists(
    st.one_of(
        st.sampled_from(
            ["https://", "http://", "us-central1-python.pkg.dev", "/", "p", "projects/p", "simple", ":99999"]
        ),
        words,
    ),
    max_size=6,
)


@given(parts.map("".join), st.sampled_from(["", "p", "../x"]), st.sampled_from(["", "us", "us/../x"]))
def test_a_repository_is_one_url_of_one_host(form: str, project: str, location: str) -> None:
    try:
        found = Repository.parse(form, project=project, location=location, endpoints=Endpoints())
        refuse_plain_http(found.upload_url)
    except BadInput:
        return
    url = urlsplit(found.upload_url)
    assert found.index_url == f"{found.upload_url}simple/"
    assert not url.query
    assert not url.fragment
    assert url.username is None
    assert printable(found.upload_url) == found.upload_url
    if found.resource:
        assert re.fullmatch(
            r"https://[a-z0-9-]+-python\.pkg\.dev/([a-z0-9.-]+/)?[a-z0-9-]+/[a-z0-9-]+/", found.upload_url
        )
    # An invalid host fails only at the request.
    with contextlib.suppress(OSError):
        new_session().prepare_request(requests.Request("GET", f"{found.index_url}sample/"))


@given(
    st.one_of(
        text,
        objects(
            type=either("service_account", "authorized_user"),
            client_email=either("a@b.iam.gserviceaccount.com"),
            private_key=either("-----BEGIN PRIVATE KEY-----\n"),
            private_key_id=either("0123"),
        ).map(json.dumps),
    )
)
def test_a_key(given_key: str) -> None:
    try:
        info = parse_key(given_key)
    except BadInput:
        pass
    else:
        assert all(isinstance(info[name], str) for name in ("client_email", "private_key", "private_key_id"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "dist").mkdir()
    (folder / "dist" / "sample-1.0.tar.gz").touch()
    (folder / "a").mkdir()
    (folder / "a" / "pyproject.toml").touch()
    return folder


patterns = st.lists(
    st.one_of(st.sampled_from(["dist", "*", "**", "a", "/", "[", "]", "[!", "..", "~", "?"]), words), max_size=3
).map("".join)


@given(patterns)
def test_patterns_of_files(workspace: Path, pattern: str) -> None:
    if not pattern.startswith("/") and ".." not in pattern and "**" not in pattern:
        with contextlib.suppress(BadInput):
            prebuilt.collect([pattern], workspace)


@given(patterns)
def test_patterns_of_projects(workspace: Path, pattern: str) -> None:
    if not pattern.startswith("/") and ".." not in pattern and "**" not in pattern:
        with contextlib.suppress(BadInput):
            find.find([pattern], workspace)


WORLD = (files("gar_emulator") / "default.toml").read_text(encoding="utf-8").splitlines()
worlds = st.lists(
    st.one_of(
        st.sampled_from(WORLD), st.builds("{} = {}".format, st.sampled_from(KEYS), json_values.map(json.dumps)), words
    ),
    max_size=8,
).flatmap(lambda lines: st.integers(0, len(WORLD)).map(lambda at: "\n".join([*WORLD[:at], *lines, *WORLD[at:]])))


@given(worlds)
def test_a_world_file(tmp_path: Path, world: str) -> None:
    (tmp_path / "world.toml").write_bytes(world.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(EmulatorError):
        World.load(tmp_path / "world.toml")


toml = st.lists(
    st.one_of(
        st.sampled_from(["[project]\n", "name", " = ", "'x'", "1\n", "\n", "[", "]", "{", "}", "[[build-system]]\n"]),
        words,
    ),
    max_size=12,
).map("".join)


@given(toml)
def test_a_pyproject(tmp_path: Path, content: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(BadInput):
        find.find(["."], tmp_path)


NAMES = ["requests>=2", "a[b]; python_version < '3'", "x @ https://e.example/x.whl", f"x; {'(' * 3000}", "libs/*", "."]
lists = st.lists(either(*NAMES), max_size=3)
tables = objects(
    **{
        "build-system": objects(**{"requires": lists, "build-backend": either("poetry.core.masonry.api", "hatchling")}),
        "project": objects(
            **{
                "name": either("x"),
                "version": either("1.0"),
                "dynamic": either(["version", "dependencies"]),
                "dependencies": lists,
                "optional-dependencies": either({"x": ["a"]}),
            }
        ),
        "tool": objects(
            poetry=objects(
                name=either("x"), dependencies=either({"a": "*", "b": {"optional": True}}), extras=either({"x": ["b"]})
            ),
            uv=objects(package=st.booleans(), workspace=objects(members=lists, exclude=lists)),
            hatch=objects(envs=either({"x": {"workspace": {"members": ["libs/a", {"path": "libs/b"}]}}})),
        ),
    }
)
setup_cfgs = st.lists(
    st.one_of(
        st.sampled_from(
            ["[metadata]\n", "[options]\n", "[egg_info]\n", "name", "install_requires", " = ", "x\n", "%(y)s"]
        ),
        words,
    ),
    max_size=12,
).map("".join)


@given(tables, setup_cfgs)
def test_declared_metadata(tmp_path: Path, pyproject: dict[str, Any], setup_cfg: str) -> None:
    found = metadata.declared(pyproject, setup_cfg)
    assert found.name is None or re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", found.name)
    for folder in workspaces.members(tmp_path, pyproject, {}) or []:
        assert folder.is_relative_to(tmp_path)
