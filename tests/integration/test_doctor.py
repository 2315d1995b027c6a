"""Each planted misconfiguration: the doctor names the link and the cause, and its fix works."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from gar_emulator import Emulator, World
from gar_emulator.world.iam import ROLES
from gar_publish.context import Context, RetryPolicy
from gar_publish.doctor import Diagnosis, Link, examine, render
from gar_publish.errors import Failure
from gar_publish.publish import pipeline
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.settings import Settings
from tests.conftest import ROOT
from tests.gcloud import Gcloud
from tests.integration.frontdoors import HELLO, PROVIDER, PUBLISHER, READER, REPOSITORY, Doors
from tests.unit.servers import Memory
from tests.wheels import make_wheel

TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
WORLDS = sorted((ROOT / "tests" / "worlds").glob("*.toml"))
DEFAULT = tomllib.loads(files("gar_emulator").joinpath("default.toml").read_text("utf-8"))

PROJECT = "projects/demo-project"
PYTHON = f"{PROJECT}/locations/us-central1/repositories/python"
ACCOUNT = f"{PROJECT}/serviceAccounts/{PUBLISHER}"
VIEWER = "viewer@demo-project.iam.gserviceaccount.com"
VIEWER_ROLES = (
    "roles/iam.workloadIdentityPoolViewer",
    "roles/iam.serviceAccountViewer",
    "roles/artifactregistry.reader",
)
"""The roles that a viewer needs on the project."""
DEVELOPER = "user:dev@example.com"
IMPERSONATOR = "roles/iam.workloadIdentityUser"
JOBS = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github"

BINDINGS = {
    "writer": (f"serviceAccount:{PUBLISHER}", "roles/artifactregistry.writer", PYTHON),
    "reader": (f"serviceAccount:{PUBLISHER}", "roles/artifactregistry.reader", PYTHON),
    "elsewhere": (
        f"serviceAccount:{PUBLISHER}",
        "roles/artifactregistry.writer",
        f"{PROJECT}/locations/us-central1/repositories/other",
    ),
    "owner": (f"{JOBS}/attribute.repository_owner/octo-org", IMPERSONATOR, ACCOUNT),
    "repository": (f"{JOBS}/attribute.repository/octo-org/hello", IMPERSONATOR, ACCOUNT),
    "job": (f"{JOBS}/attribute.repository/octo-org/hello", "roles/artifactregistry.writer", PYTHON),
    "capitals": (f"{JOBS}/attribute.repository/Octo-Org/hello", IMPERSONATOR, ACCOUNT),
}


@dataclass
class Planted:
    """One misconfiguration, read from a file of `tests/worlds`.

    The tables `projects`, `pools`, `providers` and `accounts` change the first entry of each in the default world;
    `repositories`, `faults` and `switches` are added to it.

    Attributes:
        about: What is wrong, as `docs/troubleshooting.md` lists it.
        link: The broken link.
        anchor: The section of the documentation.
        cause: Part of the cause, or of the first sentence.
        manual: The kind of fix that the test makes itself; without one, it applies the commands and inputs of the fix.
            With "clock", it removes the fault: no test may set this machine's clock.
        credential: "account", "job" (its own identity), "key" or "expired token".
        viewer: Whether the cause is found only with credentials on the machine that may read IAM.
        bindings: The role bindings, by their names in `BINDINGS`.
        absent: Whether the repository is missing.
    """

    about: str
    link: str
    anchor: str
    cause: str
    manual: str = ""
    credential: str = "account"
    viewer: bool = False
    absent: bool = False
    bindings: list[str] = field(default_factory=lambda: ["writer", "owner"])
    inputs: dict[str, str] = field(default_factory=dict)
    job: dict[str, str] = field(default_factory=dict)
    switches: dict[str, Any] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)
    repositories: list[dict[str, Any]] = field(default_factory=list)
    projects: dict[str, Any] = field(default_factory=dict)
    pools: dict[str, Any] = field(default_factory=dict)
    providers: dict[str, Any] = field(default_factory=dict)
    accounts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> "Planted":
        return cls(**tomllib.loads(file.read_text("utf-8")))

    def world(self, viewers: Sequence[str] = VIEWER_ROLES) -> World:
        tables: dict[str, Any] = {name: content for name, content in DEFAULT.items() if name != "ambient"}
        for name in ("projects", "pools", "providers", "accounts"):
            first, *others = tables[name]
            tables[name] = [{**first, **getattr(self, name)}, *others]
        tables["repositories"] = [*([] if self.absent else tables["repositories"]), *self.repositories]
        tables["accounts"] = [*tables["accounts"], {"email": VIEWER}]
        tables["keys"] = [*tables["keys"], {"account": VIEWER}]
        bindings = [BINDINGS[name] for name in self.bindings]
        bindings += [(f"serviceAccount:{VIEWER}", role, PROJECT) for role in viewers]
        bindings.append((DEVELOPER, "roles/owner", PROJECT))
        tables["bindings"] = [
            {"member": member, "role": role, "resource": resource} for member, role, resource in bindings
        ]
        return World.parse(tomlkit.dumps({**tables, "switches": self.switches, "faults": self.faults}), self.about)


@dataclass
class Scene:
    """A misconfiguration that can be examined, fixed, and examined again."""

    planted: Planted
    emulator: Emulator
    folder: Path
    inputs: dict[str, str]
    environment: dict[str, str]
    gcloud: Callable[[], Gcloud]

    def context(self) -> Context:
        retry_policy = RetryPolicy(tries=2, sleep=lambda _: None)
        return Context(self.folder, self.environment, Endpoints(self.emulator.url), Memory(), retry_policy)

    def examine(self) -> Diagnosis:
        found = examine(self.inputs, self.context())
        for each in (render.as_text, render.as_markdown, render.as_json):
            (self.folder / each.__name__).write_text(each(found))  # searched for leaks
        return found

    def publish(self) -> None:
        context = self.context()
        settings = Settings.from_inputs(self.inputs, environment=self.environment, endpoints=context.endpoints)
        report = pipeline.publish(settings, context)
        if report.failure:
            raise report.failure

    def fix(self, failure: Failure, commands: list[str]) -> None:
        """Apply the fix of a failure."""
        match self.planted.manual:
            case "permission":
                assert failure.fix.endswith("permissions:\n      contents: read\n      id-token: write")
                self.environment |= self.emulator.job()
            case "merge":
                assert failure.fix.startswith("publish after the merge")
                self.environment |= {**self.emulator.job(), "GITHUB_EVENT_NAME": "push"}
            case "clock":
                assert "timedatectl set-ntp true" in failure.fix
                self.emulator.inject()
            case "token":
                assert commands == ["gcloud auth print-access-token"]
                self.inputs["access-token"] = self.emulator.access_token(PUBLISHER)
            case _:
                given = dict(re.findall(r"`([a-z-]+): (\S+)`", failure.fix))
                assert commands or given, failure.fix
                self.inputs |= given
                location, _, name = self.inputs["repository"].split("/")
                for command in commands:
                    self.run(command.replace("REPOSITORY", name).replace("LOCATION", location))

    def run(self, command: str) -> str:
        """Run a command with the real gcloud, as the project's owner."""
        overrides = {name: value for name, value in self.emulator.exports().items() if "OVERRIDES" in name}
        return self.gcloud().run(command, self.emulator.access_token(DEVELOPER), overrides)


Plant = Callable[..., Scene]


@pytest.fixture
def plant(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Plants a misconfiguration; gcloud is required only if a command is run."""
    with ExitStack() as stack:

        def plant(planted: Planted, viewers: Sequence[str] = VIEWER_ROLES) -> Scene:
            data = tmp_path_factory.mktemp("emulator")
            emulator = stack.enter_context(Emulator(planted.world(viewers), data=data))
            return prepared(planted, emulator, tmp_path, lambda: request.getfixturevalue("gcloud"))

        yield plant


def prepared(planted: Planted, emulator: Emulator, folder: Path, gcloud: Callable[[], Gcloud]) -> Scene:
    make_wheel(folder / "dist", "hello")
    inputs = {"repository": REPOSITORY, "dist": "dist"}
    match planted.credential:
        case "key":
            inputs["credentials-json"] = json.dumps(emulator.key(PUBLISHER))
        case "expired token":
            inputs["access-token"] = emulator.access_token(PUBLISHER, lifetime=-60)
        case "job":
            inputs["workload-identity-provider"] = PROVIDER
        case _:
            inputs |= {"workload-identity-provider": PROVIDER, "service-account": PUBLISHER}
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "NO_GCE_CHECK": "true"}
    if planted.manual == "merge":
        event = folder / "event.json"
        repositories = {"head": "stranger/hello", "base": "octo-org/hello"}
        sides = {side: {"repo": {"full_name": name}} for side, name in repositories.items()}
        event.write_text(json.dumps({"pull_request": sides}))
        environment |= {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event)}
    elif planted.manual != "permission":
        environment |= emulator.job(**planted.job)
    if planted.viewer:
        environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(emulator.key_file(VIEWER))
    return Scene(planted, emulator, folder, {**inputs, **planted.inputs}, environment, gcloud)


def seen(scene: Scene) -> tuple[Link, Failure]:
    """Return the link that the doctor finds broken, and check that publishing fails in the same way."""
    with pytest.raises(Failure) as stopped:
        scene.publish()
    found = scene.examine()
    assert found.broken, "no link is broken"
    assert found.broken.failure
    assert found.exit_code == stopped.value.exit_code
    assert {link.state for link in found.links[found.links.index(found.broken) + 1 :]} <= {"not reached"}
    return found.broken, found.broken.failure


@pytest.mark.parametrize("file", WORLDS, ids=lambda file: file.stem)
def test_names_the_link_and_the_cause_and_a_fix_that_works(file: Path, plant: Plant) -> None:
    planted = Planted.load(file)
    scene = plant(planted)
    broken, failure = seen(scene)
    assert (broken.name, failure.anchor) == (planted.link, planted.anchor), failure.explain()
    assert planted.cause in f"{failure.what} {failure.cause}"

    scene.fix(failure, broken.commands)

    again = scene.examine()
    assert again.broken is None, again.broken.failure and again.broken.failure.explain()
    assert again.exit_code == 0
    scene.publish()
    assert [stored.filename for stored in scene.emulator.files(scene.inputs["repository"])] == [HELLO]


WITH_VIEWER = [file for file in WORLDS if Planted.load(file).viewer]


class TestViewer:
    @pytest.mark.parametrize("file", WITH_VIEWER, ids=lambda file: file.stem)
    def test_names_what_it_could_not_read_without_a_viewer(self, file: Path, plant: Plant) -> None:
        planted = replace(Planted.load(file), viewer=False)
        scene = plant(planted)
        broken, failure = seen(scene)
        if planted.link in {"repository", "permissions"}:
            assert broken.name == "permissions"
            assert broken.commands[0] == "gcloud artifacts repositories list --project=demo-project"
            return
        assert broken.name == planted.link
        assert planted.cause not in failure.cause
        looks = [fact.partition(" shown by: ")[2] for fact in broken.facts if fact.startswith("no permission to read ")]
        assert looks
        assert all(look.startswith("gcloud ") for look in looks)
        if file.stem in {"binding-letter-case", "pool-disabled", "project-id"}:  # together they suggest every command
            assert all(scene.run(look) for look in looks)

    @pytest.mark.parametrize(
        ("role", "world"),
        [*zip(VIEWER_ROLES, ("pool-disabled", "binding-letter-case", "role-elsewhere"), strict=True)],
    )
    def test_needs_each_of_its_roles(self, role: str, world: str, plant: Plant) -> None:
        planted = Planted.load(ROOT / "tests" / "worlds" / f"{world}.toml")
        _, failure = seen(plant(planted, [each for each in VIEWER_ROLES if each != role]))
        assert planted.cause not in failure.cause

    def test_a_login_without_a_quota_project_is_named(self, plant: Plant) -> None:
        scene = plant(Planted.load(ROOT / "tests" / "worlds" / "pool-disabled.toml"))
        file = scene.folder / "login.json"
        file.write_text(json.dumps(scene.emulator.login(DEVELOPER.removeprefix("user:"))))
        scene.environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(file)
        broken, _ = seen(scene)
        file.unlink()
        set_it = "gcloud auth application-default set-quota-project demo-project"
        assert f"this machine's own login has no quota project; set it: {set_it}" in broken.facts
        assert [fact for fact in broken.facts if fact.startswith("no quota project to read ")]
        assert not [fact for fact in broken.facts if fact.startswith("no permission to read ")]

    def test_the_documentation_names_its_roles(self) -> None:
        section = TROUBLESHOOTING.read_text("utf-8").partition("\n## The doctor\n")[2].partition("\n## ")[0]
        assert set(re.findall(r"`(roles/[\w.]+)`", section)) == set(VIEWER_ROLES)


class TestWhatElseARunNeeds:
    PLANTED = Planted("", "", "", "")

    def test_the_token_of_the_install_option(self, plant: Plant) -> None:
        asked = {"index-token": "read-only"}
        scene = plant(replace(self.PLANTED, switches={"read-only-scope": False}, inputs=asked))
        broken, failure = seen(scene)
        assert (broken.name, failure.anchor) == ("index", "registry-403")
        scene.inputs["index-token"] = "publisher"
        assert "has the publishing token" in scene.examine().links[-1].facts
        scene.inputs["index-token"] = "none"
        assert scene.examine().links[-1].facts == ("can be read",)

    @pytest.mark.parametrize("lacking", ["attachments.create", "files.upload"])
    def test_the_permissions_to_attach_evidence(
        self, plant: Plant, monkeypatch: pytest.MonkeyPatch, lacking: str
    ) -> None:
        writer = "roles/artifactregistry.writer"
        monkeypatch.setitem(ROLES, writer, ROLES[writer] - {f"artifactregistry.{lacking}"})
        scene = plant(replace(self.PLANTED, inputs={"sbom": "true"}))
        broken, failure = seen(scene)
        assert (broken.name, failure.anchor) == ("permissions", "evidence-403")
        assert failure.cause.startswith(f"the identity lacks artifactregistry.{lacking}, ")
        scene.inputs["sbom"] = "false"
        assert scene.examine().broken is None

    def test_the_repository_to_promote_from(self, plant: Plant) -> None:
        development = {"project": "demo-project", "location": "us-central1", "name": "dev"}
        inputs = {"promote-from": "dev", "packages": "hello==1.0", "dist": ""}
        scene = plant(replace(self.PLANTED, repositories=[development], inputs=inputs))
        broken, failure = seen(scene)
        assert (broken.name, failure.anchor) == ("source", "registry-403")
        assert failure.what == f"No Python repository dev in us-central1 that {PUBLISHER} can see."
        scene.fix(failure, [each.replace("REPOSITORY", "dev") for each in broken.commands])
        again = scene.examine()
        assert again.broken is None
        assert next(link for link in again.links if link.name == "source").state == "ok"

    def test_a_missing_repository_to_promote_from(self, plant: Plant) -> None:
        inputs = {"promote-from": "dev", "packages": "hello==1.0", "dist": ""}
        broken, failure = seen(plant(replace(self.PLANTED, switches={"missing-repository": "404"}, inputs=inputs)))
        assert (broken.name, failure.anchor) == ("source", "repository-missing")


def test_the_table_in_the_documentation_matches_the_worlds() -> None:
    text = TROUBLESHOOTING.read_text("utf-8")
    listed = re.findall(r"^\| (.+) \| (.+) \| \[(.+)\]\(#\3\) \| (yes)? ?\|$", text, re.MULTILINE)
    planted = [Planted.load(file) for file in WORLDS]
    assert sorted(listed) == sorted(
        (each.about, each.link, each.anchor, "yes" if each.viewer else "") for each in planted
    )
    assert len(listed) >= 25


class TestFrontDoors:
    ASKED = ("doctor", "--repository", REPOSITORY, "--workload-identity-provider", PROVIDER)

    def test_a_whole_chain(self, doors: Doors) -> None:
        done = doors.command(*self.ASKED, "--service-account", PUBLISHER)
        assert done.code == 0, done.out + done.err
        assert "+ Index: ok" in done.out
        assert "oauth2accesstoken:***@" in done.out
        assert done.out.endswith("All links that could be checked are ok.\n")

    def test_a_broken_link_as_json(self, doors: Doors) -> None:
        done = doors.command(*self.ASKED, "--service-account", READER, "--json", "-")
        assert done.code == 3
        found = json.loads(done.out)
        assert (found["broken"], found["exit-code"]) == ("impersonation", 3)
        assert found["commands"][0].startswith(f"gcloud iam service-accounts add-iam-policy-binding {READER} ")
        assert "x Service account: broken" in done.err

    def test_the_command_publish(self, hello: Doors) -> None:
        asked = ("--workload-identity-provider", PROVIDER, "--service-account", READER, "--dist", "dist")
        done = hello.command("publish", "--repository", REPOSITORY, *asked, "--doctor")
        assert done.code == 3
        assert "x Service account: broken" in done.err
        assert "doctor" not in hello.command("publish", "--repository", REPOSITORY, *asked).err

    @pytest.mark.parametrize("doctor", ["true", "false"])
    def test_the_action(self, hello: Doors, doctor: str) -> None:
        given = {"repository": "us-central1/demo-project/other", "workload-identity-provider": PROVIDER, "dist": "dist"}
        step = hello.action({**given, "doctor": doctor})
        assert step.code == 6
        failure, _, found = step.summary.partition("<summary>gar-publish doctor")
        assert "No Python repository other in us-central1 that this identity can see." in failure
        assert bool(found) == (doctor == "true") == ("x Permissions: broken" in step.log)
        assert ("| ❌ Permissions | broken |" in found) == (doctor == "true")
        assert len(step.errors) == 1

    def test_the_action_with_wrong_inputs(self, hello: Doors) -> None:
        """The doctor is not asked: it knows no more than the message."""
        step = hello.action({"repository": "us-central1/demo-project/Python", "doctor": "true"})
        assert step.code == 2
        assert "Inputs:" not in step.log
        assert "<details>" not in step.summary

    def test_a_successful_run_needs_no_doctor(self, hello: Doors) -> None:
        asked = {"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "dist": "dist", "doctor": "true"}
        step = hello.action(asked)
        assert step.code == 0, step.log
        assert "doctor" not in step.summary + step.log


def test_reaches_googles_hosts_through_a_proxy(
    production: Emulator, proxy: str, connected: set[str], clean_env: dict[str, str], tmp_path: Path
) -> None:
    exports = production.exports()
    environment = {
        **clean_env,
        **production.job(),
        "GITHUB_ACTIONS": "true",
        "HTTPS_PROXY": proxy,
        "REQUESTS_CA_BUNDLE": exports["REQUESTS_CA_BUNDLE"],
    }
    done = Doors(tmp_path, environment).command(*TestFrontDoors.ASKED, "--service-account", READER)
    assert done.code == 3
    answers = re.findall(r"  \| (\S+): reachable through the proxy http://127\.0\.0\.1:", done.out)
    assert set(answers) == {
        *("sts.googleapis.com", "iamcredentials.googleapis.com", "artifactregistry.googleapis.com"),
        *("us-central1-python.pkg.dev", "token.actions.githubusercontent.com"),
    }
    assert "x Service account: broken" in done.out
    assert connected >= set(answers)
