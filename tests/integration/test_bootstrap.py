"""`gar-publish bootstrap`: its script, run with the real gcloud, and its check before and after."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gar_emulator import Emulator, World
from gar_emulator.cloud.cloud import steady_id
from gar_emulator.cloud.refusals import disabled
from gar_emulator.world.iam import Binding
from gar_emulator.world.services import SERVICES
from gar_emulator.world.world import Project
from tests.blocks import blocks
from tests.conftest import ROOT
from tests.gcloud import Gcloud, settings
from tests.integration.frontdoors import HELLO, PUBLISHER, REPOSITORY, Doors
from tests.leaks import Leaks
from tests.wheels import make_wheel

ADMIN = "user:admin@example.com"
PROJECT = Project("demo-project", 123456789012, tuple(sorted(SERVICES.keys() - {"serviceusage.googleapis.com"})))
PACKAGES = "us-central1/demo-project/packages"
IDS = (f"--github-owner-id={steady_id('octo-org')}", f"--github-repository-id={steady_id('octo-org/hello')}")
RELEASES = ("--environment=release", "--service-account=releases")
TENANT = "https://token.actions.octo.ghe.com"
ENTERPRISE = "https://token.actions.githubusercontent.com/octo-enterprise"
GAR_PUBLISH = f"{sys.executable} -m gar_publish.cli.main"
GITHUB = ("bootstrap", "--github=octo-org/hello", *IDS)

Script = Callable[[str], str]


@pytest.fixture
def world() -> World:
    """A project in which no API is enabled and no role is granted."""
    return replace(World.default(), projects=(PROJECT,))


@pytest.fixture
def emulator(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(world, data=tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def run(gcloud: Gcloud, emulator: Emulator, tmp_path: Path, clean_env: dict[str, str]) -> Iterator[Script]:
    """Runs a script with the real gcloud, without pauses; returns its messages."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sleep").write_text("#!/bin/sh\n")
    (programs / "sleep").chmod(0o755)
    environment = {
        **clean_env,
        **settings(emulator.exports(), emulator.access_token(ADMIN), tmp_path),
        "PATH": f"{programs}{os.pathsep}{os.defpath}",
    }

    def run(script: str) -> str:
        done = subprocess.run(["sh"], input=script, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    with gcloud.on_path(programs):
        yield run


def states(text: str) -> dict[str, str]:
    """Return the state of each part, by its first word."""
    return {what: state for state, what in re.findall(r"^(\w+) +(\S+)", text, re.MULTILINE)}


def grant(emulator: Emulator, roles: list[str]) -> None:
    """Grant roles on the project to the user of the script and to this machine, which runs the check."""
    principals = (ADMIN, f"serviceAccount:{PUBLISHER}")
    emulator.cloud.set_policy(
        PROJECT.resource, [Binding(each, role, PROJECT.resource) for each in principals for role in roles]
    )


@contextmanager
def hesitating(emulator: Emulator) -> Iterator[None]:
    """Let each API that is enabled meanwhile refuse its first call."""
    check, left = emulator.cloud.check_enabled, set(PROJECT.disabled_services)

    def late(service: str, project: str) -> None:
        check(service, project)
        if service in left:
            left.remove(service)
            raise disabled(service, PROJECT.number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emulator.cloud, "check_enabled", late)
        yield


def spoil(emulator: Emulator) -> None:
    """Delete, disable and change what the script created."""
    for pool in emulator.cloud.world.pools:
        emulator.cloud.put(replace(pool, deleted=True, disabled=True))
    for provider in emulator.cloud.world.providers:
        emulator.cloud.put(replace(provider, deleted=True, disabled=True, condition="assertion.ref == 'x'"))
    for account in emulator.cloud.world.accounts:
        emulator.cloud.put(replace(account, disabled=account.email != PUBLISHER))


@pytest.mark.parametrize(
    ("asked", "ours", "foreign"),
    [
        pytest.param(
            ("--github=octo-org/hello", *IDS), {}, {"repository": "octo-org/other"}, marks=pytest.mark.thorough
        ),
        (
            ("--github=octo-org", IDS[0], f"--issuer={TENANT}"),
            {"repository": "octo-org/other", "iss": TENANT},
            {"repository": "stranger/hello", "iss": TENANT},
        ),
        (
            ("--github=octo-org/hello", *IDS, *RELEASES, f"--issuer={ENTERPRISE}"),
            {"environment": "release", "iss": ENTERPRISE},
            {"environment": "test", "iss": ENTERPRISE},
        ),
        (("--github=octo-org/hello", *IDS, "--previews"), {}, {"repository": "octo-org/other"}),
    ],
    ids=["repository", "organisation of a tenant", "environment and account of an enterprise", "previews"],
)
def test_the_script_makes_what_the_check_expects(
    *,
    asked: tuple[str, ...],
    ours: dict[str, str],
    foreign: dict[str, str],
    doors: Doors,
    emulator: Emulator,
    run: Script,
) -> None:
    """The user of the script has the roles that it names, and no others."""
    command = ("bootstrap", f"--repository={PACKAGES}", *asked)
    script = doors.command(*command).out
    grant(emulator, re.findall(r"roles/[\w.]+\w", script.partition("{")[0]))
    before = doors.command(*command, "--check")
    parts = states(before.out)
    assert before.code == 6
    assert set(parts.values()) == {"missing"}
    assert f"{len(parts)} of {len(parts)} resources" in before.err

    with hesitating(emulator):
        assert run(script).count("Retrying in 10 seconds.") == 3
    after = doors.command(*command, "--check")
    assert after.code == 0, after.out
    assert states(after.out) == dict.fromkeys(parts, "ok")

    spoil(emulator)
    spoilt = {"pool", "provider", "account"}
    assert states(doors.command(*command, "--check").out) == {
        part: "differs" if part in spoilt else "ok" for part in parts
    }
    assert "Retrying" not in run(script)
    assert doors.command(*command, "--check").code == 0
    corrected = emulator.cloud.world
    run(script)
    assert emulator.cloud.world == corrected

    (job,) = yaml.safe_load(doors.command(*command, "--workflow").out)["jobs"].values()
    assert job.get("environment") == ours.get("environment")
    named = ("repository", "workload-identity-provider", "service-account")
    publish = ["publish", "--dist=dist"]
    publish += [f"--{name}={value}" for name, value in job["steps"][-1]["with"].items() if name in named]
    make_wheel(doors.folder / "dist", "hello")
    refused = doors.command(*publish, variables=emulator.job(**foreign))
    assert refused.code == 3
    assert "attribute condition" in refused.err
    done = doors.command(*publish, variables=emulator.job(**ours))
    for_previews = "--previews" in asked  # a release does not belong there
    assert done.code == (6 if for_previews else 0), done.err
    assert [stored.filename for stored in emulator.files(PACKAGES)] == ([] if for_previews else [HELLO])
    deleted = doors.command("previews", "delete", "42", *publish[2:], variables=emulator.job(**ours))
    assert deleted.code == (0 if for_previews else 6), deleted.err


def test_the_emulator_as_the_document_says(
    gcloud: Gcloud, clean_env: dict[str, str], tmp_path: Path, leaks: Leaks
) -> None:
    """The blocks of docs/setup.md, in one shell, with the real gcloud and a project."""
    leaks.excuse("-m gar_publish.cli.main")  # the shell passes on what the emulator prints
    leaks.excuse("the environment of")
    section = [each.text for each in blocks(ROOT / "docs/setup.md") if each.section == "Try it with the emulator"]
    start, set_up, publish = (each.replace("gar-publish ", f"{GAR_PUBLISH} ") for each in section)
    make_wheel(tmp_path / "dist", "hello")
    script = (
        f"{start.partition('|')[0].strip()} --port 0 >emulator.env & trap 'kill $!; wait' EXIT\n"
        f"until grep -q GCE_METADATA_ROOT emulator.env; do sleep 0.1; done\n{set_up}{publish.strip()} --dist dist\n"
    )
    (tmp_path / "bin").mkdir()
    environment = {**clean_env, **settings({}, "", tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.defpath}"}
    for name in ("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "CLOUDSDK_CORE_PROJECT"):
        del environment[name]
    with gcloud.on_path(tmp_path / "bin"):
        done = subprocess.run(
            ["sh", "-e"], input=script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "Done: jobs of octo-org/hello may publish to us-central1/demo-project/packages." in done.stderr
    assert f"uploaded  {HELLO}" in done.stderr


def test_a_number_that_cannot_be_read(doors: Doors, emulator: Emulator) -> None:
    emulator.cloud.put(replace(PROJECT, disabled_services=()))
    done = doors.command(*GITHUB, f"--repository={REPOSITORY}", "--workflow")
    assert done.code == 6
    assert "add `--project-number NUMBER`" in done.err
    assert "resourcemanager.projects.get" in done.err


def test_parts_without_permission_are_unknown(doors: Doors, emulator: Emulator) -> None:
    emulator.cloud.put(replace(PROJECT, disabled_services=()))
    done = doors.command(*GITHUB, f"--repository={PACKAGES}", "--service-account=releases", "--check")
    assert done.code == 6
    assert set(states(done.out).values()) == {"unknown"}
    assert "7 of 7 resources cannot be read" in done.err
