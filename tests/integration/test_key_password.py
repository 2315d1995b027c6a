"""A key as the password: publishing where nothing but the registry can be reached."""

import json
from dataclasses import replace
from pathlib import Path

from gar_emulator import Emulator
from gar_emulator.world.world import Key
from tests.integration.frontdoors import PUBLISHER, READER, REPOSITORY, Doors, uploads
from tests.wheels import make_wheel

HOST = "us-central1-python.pkg.dev"
PUBLISH = ("publish", "--repository", REPOSITORY, "--dist", "dist")


def test_no_other_host_is_asked(doors: Doors, emulator: Emulator) -> None:
    wheel = make_wheel(doors.folder / "dist", "hello")
    for status in ("uploaded", "identical"):
        done = doors.command(*PUBLISH, "--json-key", emulator.key_file(PUBLISHER))
        assert done.code == 0, done.err
        assert f"{status}  {wheel.name}" in done.err
    assert [seen.principal for seen in uploads(emulator)] == [f"serviceAccount:{PUBLISHER}"]
    assert {seen.host for seen in emulator.requests} == {HOST}


def test_the_key_is_in_no_report(doors: Doors, emulator: Emulator) -> None:
    make_wheel(doors.folder / "dist", "hello")
    done = doors.command(*PUBLISH, "--json-key", emulator.key_file(PUBLISHER), "--json", "-")
    assert done.code == 0, done.err
    assert "ewog" not in done.out + done.err  # how the base64 of a key begins
    assert json.loads(done.out)["packages"]


def test_a_requirement_of_the_build_comes_with_the_key(doors: Doors, emulator: Emulator) -> None:
    make_wheel(doors.folder / "private", "inhouse", content="def build_wheel(folder, *_): raise SystemExit(3)\n")
    key = ("--json-key", emulator.key_file(PUBLISHER))
    assert doors.command("publish", "--repository", REPOSITORY, "--dist", "private", *key).code == 0
    (doors.folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["inhouse"]\nbuild-backend = "inhouse"\n[project]\nname = "app"\nversion = "1"\n'
    )
    done = doors.command("publish", "--repository", REPOSITORY, *key)
    assert done.code == 4, done.err  # the backend was installed, and failed as it does
    assert any(seen.path.endswith("inhouse-1.0-py3-none-any.whl") for seen in emulator.requests)


def test_a_key_without_the_right(doors: Doors, emulator: Emulator) -> None:
    make_wheel(doors.folder / "dist", "hello")
    done = doors.command(*PUBLISH, "--json-key", emulator.key_file(READER))
    assert done.code in {3, 6}
    assert len(done.errors) == 1
    assert not uploads(emulator)


def test_a_key_that_was_deleted(doors: Doors, emulator: Emulator) -> None:
    make_wheel(doors.folder / "dist", "hello")
    emulator.cloud.world = replace(emulator.cloud.world, keys=(Key(PUBLISHER, disabled=True),))
    done = doors.command(*PUBLISH, "--json-key", emulator.key_file(PUBLISHER))
    assert done.code == 3, done.err
    assert "does not accept the key (HTTP 401)" in done.errors[0]


def test_another_registry_never_sees_the_key(doors: Doors, emulator: Emulator) -> None:
    make_wheel(doors.folder / "dist", "hello")
    elsewhere = f"{emulator.url}/index.example.com/"
    for command in (("publish", "--dist", "dist"), ("index-url",), ("configure", "pip")):
        done = doors.command(*command, "--repository", elsewhere, "--json-key", emulator.key_file(PUBLISHER))
        assert done.code == 2
        assert "is not Artifact Registry, so the key is not sent there." in done.errors[0]
    assert not emulator.requests
    assert not Path(doors.environment["HOME"], ".config").exists()
