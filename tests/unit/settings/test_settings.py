import json

import pytest
import yaml
from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.settings.credential import Ambient, GivenToken
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.inputs import Input
from gar_publish.settings.promotion import Pin, Promotion
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import (
    CHANGED_SINCE,
    DELIVERY_INPUTS,
    INPUTS,
    JSON_KEY,
    OPTIONS,
    SETUP_INPUTS,
    Settings,
    SetupSettings,
    read_repository,
    refuse_key_elsewhere,
)
from tests.conftest import ROOT

KEY = json.dumps({"type": "service_account", "client_email": "a@b", "private_key": "c", "private_key_id": "1"})
GOOGLE = Endpoints()
PYTHON = Repository.parse("us/demo-project/python", endpoints=GOOGLE)
SKIP = "`if-exists: skip` and `promote-from` cannot be combined:"
INDEX = "https://index.example.com/"


def read(**inputs: str) -> Settings:
    named = {name.replace("_", "-"): value for name, value in inputs.items()}
    return Settings.from_inputs({"repository": "us/demo-project/python", **named}, environment={}, endpoints=GOOGLE)


def test_defaults() -> None:
    assert read() == Settings(
        repository=PYTHON,
        credential=Ambient(),
        promotion=None,
        packages=(".",),
        dist=(),
        formats=frozenset({"wheel"}),
        if_exists="skip-identical",
        expected_version=None,
        index_token="auto",
        dry_run=False,
        verify=True,
        create_repository=False,
        jobs=0,
        summary=True,
        doctor=False,
        sbom=False,
        provenance=False,
        rehearse=False,
        rehearse_python=(),
        rehearse_command=None,
        rehearse_timeout=120,
        name_guard="none",
        changed_since=None,
    )


def test_every_input_is_read() -> None:
    settings = read(
        access_token="ya29.x",
        packages="libs/*\n\n  app \n",
        formats="wheel, sdist",
        if_exists="fail",
        expected_version="v1.2.3",
        index_token="publisher",
        dry_run="true",
        verify="false",
        create_repository="true",
        jobs="4",
        summary="false",
        doctor="true",
        sbom="true",
        provenance="true",
        rehearse="true",
        rehearse_python="3.11, 3.13.1",
        rehearse_command="pytest -q",
        rehearse_timeout="60",
        name_guard="strict",
    )
    assert settings == Settings(
        repository=PYTHON,
        credential=GivenToken("ya29.x"),
        packages=("libs/*", "app"),
        formats=frozenset({"wheel", "sdist"}),
        if_exists="fail",
        expected_version=Version("1.2.3"),
        index_token="publisher",
        dry_run=True,
        verify=False,
        create_repository=True,
        jobs=4,
        summary=False,
        doctor=True,
        sbom=True,
        provenance=True,
        rehearse=True,
        rehearse_python=("3.11", "3.13.1"),
        rehearse_command="pytest -q",
        rehearse_timeout=60,
        name_guard="strict",
    )
    assert read(changed_since="v1.0").changed_since == "v1.0"
    assert read(dist="out").dist == ("out",)


def test_inputs_of_the_setup_action() -> None:
    def read_setup(**inputs: str) -> SetupSettings:
        given = {"repository": "us/demo-project/python", **inputs}
        return SetupSettings.from_inputs(given, environment={}, endpoints=GOOGLE)

    assert read_setup() == SetupSettings(PYTHON, Ambient(), only=False, index_name=None)
    assert read_setup(**{"only": "true", "index-name": "mine", "access-token": "ya29.x"}) == SetupSettings(
        PYTHON, GivenToken("ya29.x"), only=True, index_name="mine"
    )
    with pytest.raises(BadInput, match="`index-name` is 'a b'; it takes letters"):
        read_setup(**{"index-name": "a b"})


def test_each_input_is_an_option() -> None:
    names = [each.name for each in INPUTS]
    assert len(set(names)) == len(names)
    assert set(OPTIONS) == {*names, "json-key", "changed-since", "outdir"}
    assert all(OPTIONS[each.name] == each for each in (*INPUTS, *SETUP_INPUTS[:-2], JSON_KEY, CHANGED_SINCE))
    assert {each.name for each in (*INPUTS, JSON_KEY) if each.kind == "secret"} == {
        "credentials-json",
        "access-token",
        "github-token",
        "json-key",
    }
    assert [each.name for each in SETUP_INPUTS[-2:]] == ["only", "index-name"]


@pytest.mark.parametrize(("file", "inputs"), [("action.yml", INPUTS), ("setup/action.yml", SETUP_INPUTS)])
def test_the_actions_have_the_declared_inputs(file: str, inputs: tuple[Input, ...]) -> None:
    declared = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["inputs"]
    declared.pop("runner-temp", None)
    assert {name: (each["description"], each.get("default", "")) for name, each in declared.items()} == {
        each.name: (each.help, each.default) for each in inputs
    }
    assert [name for name, each in declared.items() if each.get("required")] == ["repository"]


def test_a_promotion_takes_the_inputs_of_delivery() -> None:
    assert [each.name for each in DELIVERY_INPUTS] == [
        *("jobs", "if-exists", "index-token", "dry-run", "verify", "create-repository", "summary"),
        *("doctor", "lock", "sbom", "rehearse", "rehearse-python", "rehearse-command", "rehearse-timeout"),
        "name-guard",
    ]


def test_a_bare_repository_takes_project_and_location() -> None:
    inputs = {"repository": "python", "project": "demo-project", "location": "us"}
    assert read_repository(inputs, GOOGLE) == PYTHON
    assert read_repository({**inputs, "file-hosts": "a.example\nb.example"}, GOOGLE).file_hosts == (
        "a.example",
        "b.example",
    )


@pytest.mark.parametrize(
    ("inputs", "what", "fix", "anchor"),
    [
        (
            {"formats": "wheels"},
            "`formats` is 'wheels'; it takes one of wheel, sdist.",
            "use `formats: wheel`",
            "choices",
        ),
        (
            {"if_exists": "overwrite"},
            "`if-exists` is 'overwrite'; it takes one of skip-identical, skip, fail.",
            "use `if-exists: skip-identical`",
            "choices",
        ),
        (
            {"index_token": "yes"},
            "`index-token` is 'yes'; it takes one of auto, read-only, publisher, none.",
            "use `index-token: auto`",
            "choices",
        ),
        ({"jobs": "-1"}, "`jobs` is '-1'; it takes a number from 0 to 999.", "use `jobs: 0`", "choices"),
        (
            {"expected_version": "main"},
            "`expected-version` is not a version: main",
            "use `expected-version: 1.2.3`",
            "expected-version",
        ),
        (
            {"index_token": "read-only", "access_token": "ya29.x"},
            "`index-token: read-only` cannot be combined with `access-token`.",
            "use `workload-identity-provider` or `credentials-json`, or set `index-token: none`",
            "index-token",
        ),
        *(
            (
                {**inputs, "dist": "dist"},
                f"{what} and `dist` cannot be combined: with `dist`, nothing is built.",
                "remove one of the two",
                "dist-or-packages",
            )
            for inputs, what in (
                ({"changed_since": "v1.0"}, "`--changed-since`"),
                ({"changed_since": "v1.0", "preview": "true"}, "`--changed-since`"),
                ({"formats": "sdist"}, "`formats`"),
                ({"packages": "libs/*"}, "A project (libs/*)"),
            )
        ),
        (
            {"with_dependencies": "true"},
            "`with-dependencies` is set, but `promote-from` is missing.",
            "set `promote-from` to the repository that has the packages, or remove `with-dependencies`",
            "promote-from",
        ),
        *(
            (
                {"json_key": KEY, name.replace("-", "_"): value},
                f"`{name}` needs a token, but `--json-key` sends the key as a password and makes none.",
                f"remove `{name}`, or use `credentials-json` instead of `--json-key`",
                "json-key",
            )
            for name, value in (
                *(("create-repository", "true"), ("sbom", "true"), ("provenance", "true")),
                *(("index-token", "publisher"), ("index-token", "read-only")),
            )
        ),
        (
            {"json_key": KEY, "repository": INDEX},
            f"{INDEX} is not Artifact Registry, so the key is not sent there.",
            "use `credentials-json`, which sends only a token that expires within an hour, instead of `--json-key`",
            "json-key",
        ),
        *(
            (
                {"repository": INDEX, name: "true"},
                f"`{name}` needs Artifact Registry, but {INDEX} is another index.",
                f"remove `{name}`",
                "evidence-elsewhere",
            )
            for name in ("sbom", "provenance")
        ),
        *(
            (
                {"promote_from": "dev", name.replace("-", "_"): value},
                f"`{name}` and `promote-from` cannot be combined: a promotion copies files and builds nothing.",
                f"remove `{name}`",
                "promote-from",
            )
            for name, value in {"dist": "d", "formats": "sdist", "expected-version": "1", "provenance": "true"}.items()
        ),
        *(
            (
                {f"rehearse_{name}": value},
                f"`rehearse-{name}` is set, but `rehearse` is not.",
                f"set `rehearse: true`, or remove `rehearse-{name}`",
                "rehearse-python",
            )
            for name, value in {"python": "3.12", "command": "pytest", "timeout": "60"}.items()
        ),
        (
            {"rehearse": "true", "rehearse_command": "say 'hello"},
            "`rehearse-command` is no command: No closing quotation.",
            "correct the quotes",
            "rehearse-python",
        ),
        (
            {"rehearse": "true", "rehearse_python": "3.11, python3"},
            "`rehearse-python` is '3.11, python3'; it takes versions of Python, comma-separated.",
            "use `rehearse-python: 3.11, 3.13`",
            "choices",
        ),
        (
            {"promote_from": "dev", "if_exists": "skip"},
            f"{SKIP} a file with different contents would count as promoted.",
            "use `if-exists: skip-identical`",
            "promote-from",
        ),
    ],
)  # fmt: skip
def test_inputs_that_exclude_each_other(inputs: dict[str, str], what: str, fix: str, anchor: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(**inputs)
    assert (caught.value.what, caught.value.fix, caught.value.anchor) == (what, fix, anchor)


def test_a_key_as_the_password_leaves_no_token_for_the_install_option() -> None:
    assert read(json_key=KEY).index_token == "none"
    assert read(json_key=KEY, index_token="none").index_token == "none"
    refuse_key_elsewhere(PYTHON)


@pytest.mark.parametrize("token", ["auto", "read-only", "publisher", "none"])
def test_other_credentials_leave_the_index_token_as_it_is(token: str) -> None:
    assert read(index_token=token).index_token == token
    assert token == "read-only" or read(index_token=token, access_token="ya29.x").index_token == token


def test_a_promotion() -> None:
    pins = (Pin("hello", Version("1.2.3")), Pin("lib", Version("2.0")))
    dev = Repository.parse("us/demo-project/dev", endpoints=GOOGLE)
    inputs = {"promote_from": "dev", "packages": "hello==1.2.3\nlib==2.0", "formats": "wheel", "if_exists": "fail"}
    assert read(**inputs).promotion == Promotion(dev, pins, with_dependencies=False)
    assert read(**inputs, with_dependencies="true", sbom="true").promotion == Promotion(
        dev, pins, with_dependencies=True
    )
    with pytest.raises(BadInput, match="does not name one version"):
        read(promote_from="dev")


def test_a_given_token_cannot_become_read_only() -> None:
    with pytest.raises(BadInput) as caught:
        read(index_token="read-only", access_token="ya29.x")
    assert caught.value.cause == "gar-publish cannot take rights away from a token that exists already"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("formats", "wheel, sdist"),
        ("expected_version", "1.0"),
        ("create_repository", "true"),
        ("lock", "true"),
        ("sbom", "true"),
        ("provenance", "true"),
    ],
)
def test_what_a_preview_cannot_have(name: str, value: str) -> None:
    assert read(preview="true", dist="dist", if_exists="skip", build_env="X").preview
    with pytest.raises(BadInput, match=f"`{name.replace('_', '-')}` and `preview` cannot be combined"):
        read(preview="true", **{name: value})


def test_a_preview_is_not_promoted() -> None:
    with pytest.raises(BadInput, match="`preview` and `promote-from` cannot be combined"):
        read(preview="true", promote_from="dev", packages="hello==1.2.3")
