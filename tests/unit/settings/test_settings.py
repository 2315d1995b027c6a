import json

import pytest
from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.settings.credential import Ambient
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.settings import Settings


def read(**inputs: str) -> Settings:
    named = {name.replace("_", "-"): value for name, value in inputs.items()}
    return Settings.from_inputs(
        {"repository": "us/demo-project/python", **named},
        environment={},
        endpoints=Endpoints(),
    )


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = read()
    assert settings.credential == Ambient()
    assert (settings.packages, settings.dist) == ((".",), ())
    assert settings.formats == {"wheel"}
    assert (settings.if_exists, settings.index_token, settings.expected_version) == (
        "skip-identical",
        "auto",
        None,
    )
    assert (settings.dry_run, settings.verify, settings.create_repository, settings.summary) == (
        False,
        True,
        False,
        True,
    )
    assert settings.jobs == 0
    assert settings.changed_since is None
    assert (settings.sbom, settings.provenance) == (False, False)


def test_lists_choices_and_versions_are_read() -> None:
    settings = read(
        packages="libs/*\n\n  app \n",
        dist="out",
        formats="wheel, sdist",
        if_exists="fail",
        expected_version="v1.2.3",
        jobs="4",
    )
    assert settings.packages == ("libs/*", "app")
    assert settings.dist == ("out",)
    assert settings.formats == {"wheel", "sdist"}
    assert (settings.if_exists, settings.expected_version, settings.jobs) == ("fail", Version("1.2.3"), 4)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"formats": "wheels"}, "one of wheel, sdist"),
        ({"formats": ","}, "one of wheel, sdist"),
        ({"if_exists": "overwrite"}, "skip-identical, skip, fail"),
        ({"index_token": "yes"}, "auto, read-only, publisher, none"),
        ({"jobs": "many"}, "number"),
        ({"jobs": "-1"}, "number"),
        ({"expected_version": "main"}, "not a version"),
        ({"index_token": "read-only", "access_token": "ya29.x"}, "cannot be had with `access-token`"),
    ],
)
def test_bad_words_name_the_good_ones(inputs: dict[str, str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read(**inputs)


JSON_KEY = json.dumps({"type": "service_account", "client_email": "a@b", "private_key": "c", "private_key_id": "1"})


def test_a_key_as_the_password_is_never_handed_on() -> None:
    assert read(json_key=JSON_KEY).index_token == "none"


@pytest.mark.parametrize(
    "inputs",
    [
        {"create_repository": "true"},
        {"index_token": "publisher"},
        {"index_token": "read-only"},
        {"repository": "https://index.example.com/"},
    ],
)
def test_a_key_as_the_password_cannot_do_everything(inputs: dict[str, str]) -> None:
    with pytest.raises(BadInput) as caught:
        read(json_key=JSON_KEY, **inputs)
    assert caught.value.anchor == "json-key"


def test_a_commit_to_compare_with_goes_with_projects_alone() -> None:
    assert read(changed_since="v1.0").changed_since == "v1.0"
    assert read(changed_since=" ").changed_since is None
    with pytest.raises(BadInput, match="nothing is built") as caught:
        read(changed_since="v1.0", dist="dist")
    assert caught.value.anchor == "dist-or-packages"


def test_what_is_promoted_takes_the_place_of_what_is_built() -> None:
    promotion = read(promote_from="dev", packages="hello==1.2.3").promotion
    assert promotion
    assert str(promotion.source) == "us/demo-project/dev"
    assert read().promotion is None
    with pytest.raises(BadInput, match="`promote-from` is missing") as caught:
        read(with_dependencies="true")
    assert caught.value.anchor == "promote-from"


@pytest.mark.parametrize("name", ["sbom", "provenance"])
def test_evidence_needs_artifact_registry(name: str) -> None:
    assert getattr(read(**{name: "true"}), name) is True
    with pytest.raises(BadInput, match=f"`{name}` is asked for, but https://index.example.com/ is not"):
        read(repository="https://index.example.com/simple/", **{name: "true"})
