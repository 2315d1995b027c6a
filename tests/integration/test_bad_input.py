"""Each mistake of a user ends with its exit code and one screen that helps, and nothing is uploaded."""

import base64
import html
import json
import shlex
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gar_emulator import Emulator, World
from gar_emulator.world.iam import Binding
from gar_emulator.world.world import Account, Key, Provider, Repository
from gar_publish.cli.terminal import as_options
from gar_publish.errors import DOCS
from tests.integration.frontdoors import PROVIDER, PUBLISHER, READER, REPOSITORY, Doors, rows, uploads
from tests.wheels import make_wheel

OWNER = "owner@demo-project.iam.gserviceaccount.com"
"""May do everything in the project."""
WRITER = "writer@demo-project.iam.gserviceaccount.com"
"""May read and upload in the whole project."""
STRANGER = "stranger@demo-project.iam.gserviceaccount.com"
"""May do nothing."""
DISABLED = "disabled@demo-project.iam.gserviceaccount.com"
KEYLESS = "keyless@demo-project.iam.gserviceaccount.com"
POOL = PROVIDER.rpartition("/")[0]
FLAGS = {"create-repository"}


@dataclass(frozen=True)
class Bad:
    """One mistake.

    Attributes:
        code: The exit code.
        anchor: The heading in the documentation.
        says: Part of the first sentence; inputs in the syntax of the action.
        fix: Part of the fix, likewise.
        where: The repository, as options.
        who: The credential, as options.
        what: What is published, as options.
        more: Additional environment variables.
        make: Writes the files that the mistake needs.
        shows: Part of the other side's answer.
    """

    code: int
    anchor: str
    says: str
    fix: str
    where: str = f"--repository {REPOSITORY}"
    who: str = "--access-token publisher.token"
    what: str = "--dist dist"
    more: Mapping[str, str] | None = None
    make: Callable[[Path], object] = lambda _: None
    shows: str = ""

    @property
    def options(self) -> list[str]:
        return shlex.split(f"{self.where} {self.who} {self.what}")

    def inputs(self, folder: Path) -> dict[str, str]:
        """The same as inputs of the action."""
        inputs: dict[str, str] = {}
        for name, value in _pairs(self.options):
            secret = name in {"access-token", "credentials-json"}
            inputs[name] = (folder / value).read_text() if secret else value
        return inputs


def _pairs(options: list[str]) -> Iterator[tuple[str, str]]:
    rest = iter(options)
    for option in rest:
        name, equals, value = option.removeprefix("--").partition("=")
        yield name, value if equals else "true" if name in FLAGS else next(rest)


def wheel(**about: Any) -> Callable[[Path], object]:
    return lambda folder: make_wheel(folder / "other", **about)


def wheel_with_credential(folder: Path) -> None:
    with zipfile.ZipFile(make_wheel(folder / "other"), "a") as archive:
        archive.writestr("gha-creds-0a1b2c.json", json.dumps({"type": "external_account"}))


def text(name: str, content: str) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)

    return write


def project(backend: str, table: str = 'requires = []\nbackend-path = ["."]') -> Callable[[Path], object]:
    """A project with a build backend of its own: nothing is fetched for its build."""

    def write(folder: Path) -> None:
        text("broken/pyproject.toml", f'[build-system]\nbuild-backend = "backend"\n{table}\n')(folder)
        text("broken/backend.py", backend)(folder)

    return write


FAILING = """
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    print("the flux capacitor is missing")
    raise SystemExit(3)
"""
COMPILING = """
import subprocess
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    subprocess.run("gcc -c flux.c", shell=True, check=True)
"""

# fmt: off
SETTINGS = {
    "repository in a wrong form": Bad(
        2, "repository-form", "`repository` is not the name or URL of a repository: demo/python",
        "`repository: LOCATION/PROJECT/REPOSITORY`",
        where="--repository demo/python",
    ),
    "no repository": Bad(
        2, "repository-form", "`repository` is missing", "`repository: LOCATION/PROJECT/REPOSITORY`", where="",
    ),
    "bare repository without a location": Bad(
        2, "repository-form", "is only a name ('python'), and `location` is not set", "us-central1/my-project/python",
        where="--repository python --project demo-project",
    ),
    "invalid location": Bad(
        2, "repository-location", "'US_Central' is not a location", "gcloud artifacts locations list",
        where="--repository US_Central/demo-project/python",
    ),
    "zone instead of a location": Bad(
        2, "repository-location", "us-central1-a is a zone", "us-central1",
        where="--repository us-central1-a/demo-project/python",
    ),
    "password in the URL": Bad(
        2, "repository-form", "is a URL with a user name or a password", "`access-token`",
        where="--repository https://me:secretsecret@us-central1-python.pkg.dev/demo-project/python/",
    ),
    "plain HTTP": Bad(
        2, "plain-http", "http://packages.example is not encrypted", "https://packages.example",
        where="--repository http://packages.example/simple/",
    ),
    "key that is not JSON": Bad(
        2, "key-format", "`credentials-json` is neither JSON nor base64", "gh secret set",
        who="--credentials-json bad.json", make=text("bad.json", "-----BEGIN PRIVATE KEY-----"),
    ),
    "key that is broken JSON": Bad(
        2, "key-format", "`credentials-json` is not valid JSON", "gh secret set",
        who="--credentials-json bad.json", make=text("bad.json", '{"type": "service_account", '),
    ),
    "truncated base64": Bad(
        2, "key-format", "`credentials-json` is n", "gh secret set",
        who="--credentials-json truncated.b64",
    ),
    "key of another type": Bad(
        2, "key-format", "is not a service-account key (found: type 'authorized_user')",
        "gcloud iam service-accounts keys create",
        who="--credentials-json bad.json", make=text("bad.json", '{"type": "authorized_user"}'),
    ),
    "key without its private half": Bad(
        2, "key-format", "without private_key", "gh secret set",
        who="--credentials-json bad.json",
        make=text("bad.json", '{"type": "service_account", "client_email": "a@b", "private_key_id": "1"}'),
    ),
    "key that is cut off inside": Bad(
        2, "key-format", f"of {PUBLISHER} cannot be read", "gh secret set", who="--credentials-json cut.json",
    ),
    "provider with a project id": Bad(
        2, "provider-name", "contains the project ID (demo-project) instead of the project number",
        "gcloud projects describe demo-project",
        who=f"--workload-identity-provider {PROVIDER.replace('123456789012', 'demo-project')}",
    ),
    "pool instead of a provider": Bad(
        2, "provider-name", "is not the full name of a provider", "providers describe",
        who=f"--workload-identity-provider {POOL.removesuffix('/providers')}",
    ),
    "both kinds": Bad(
        2, "one-credential", "`workload-identity-provider` and `credentials-json` are both set", "keep only one",
        who=f"--workload-identity-provider {PROVIDER} --credentials-json publisher.json",
    ),
    "half a kind": Bad(
        2, "one-credential", "`workload-identity-provider` is missing", "set `workload-identity-provider`",
        who=f"--service-account {PUBLISHER}",
    ),
    "account that is not an address": Bad(
        2, "service-account", "`service-account` is not an e-mail address: publisher", "iam.gserviceaccount.com",
        who=f"--workload-identity-provider {PROVIDER} --service-account publisher",
    ),
    "header instead of a token": Bad(
        2, "access-token", "`access-token` contains spaces", "gcloud auth print-access-token",
        who="--access-token bearer.token", make=text("bearer.token", "Bearer made-up-token"),
    ),
    "read-only token from a given token": Bad(
        2, "index-token", "`index-token: read-only` cannot be combined", "`index-token: none`",
        what="--dist dist --index-token read-only",
    ),
    "unknown format": Bad(
        2, "choices", "`formats` is 'egg'", "`formats: wheel`", what="--dist dist --formats egg",
    ),
    "unknown choice": Bad(
        2, "choices", "`if-exists` is 'overwrite'; it takes one of skip-identical, skip, fail",
        "`if-exists: skip-identical`",
        what="--dist dist --if-exists overwrite",
    ),
    "jobs that are not a number": Bad(2, "choices", "`jobs` is 'many'", "`jobs: 0`", what="--dist dist --jobs many"),
    "expected version that is not a version": Bad(
        2, "expected-version", "`expected-version` is not a version: main", "`expected-version: 1.2.3`",
        what="--dist dist --expected-version main",
    ),
    "no OIDC": Bad(
        3, "id-token-permission", "may not request an identity token from GitHub", "id-token: write",
        who=f"--workload-identity-provider {PROVIDER}",
        more={"ACTIONS_ID_TOKEN_REQUEST_URL": "", "GITHUB_ACTIONS": "true"},
    ),
}
"""Found before the first request."""

ACTION_ONLY = {
    "boolean typo": Bad(2, "booleans", "`dry-run` is 'ture'; it takes true, false or build", "`dry-run: true`",
                        what="--dist dist --dry-run=ture"),
    "another language's boolean": Bad(2, "booleans", "`verify` is 'yes'", "`verify: true`",
                                      what="--dist dist --verify=yes"),
    "misspelt input": Bad(2, "unknown-inputs", "`dry_run` is not an input; did you mean `dry-run`?", "use `dry-run`",
                          more={"INPUT_DRY_RUN": "true"}),
}

FILES = {
    "folder without a project": Bad(
        2, "no-project", "'dist' is not a Python project", "`dist: dist/*`", what="--packages dist",
    ),
    "file instead of a folder": Bad(
        2, "no-project", "'dist/*.whl' names files that are built already", "`dist: dist/*.whl`",
        what="--packages dist/*.whl",
    ),
    "missing folder": Bad(2, "no-project", "There is no folder 'src'", "packages", what="--packages src"),
    "glob that matches nothing": Bad(
        2, "no-project", "'packages/*' matches no Python project", "actions/checkout", what="--packages packages/*",
    ),
    "invalid pyproject.toml": Bad(
        2, "invalid-pyproject", "broken/pyproject.toml is not valid TOML", "correct the file",
        what="--packages broken", make=text("broken/pyproject.toml", "[project\nname = 'hello'"),
    ),
    "dist that matches nothing": Bad(
        2, "no-distributions", "'wheels/*.whl' in `dist` matches no wheel", "*.whl", what="--dist wheels/*.whl",
    ),
    "wrong expected-version": Bad(
        2, "expected-version", "1.0", "tag", what="--dist dist --expected-version v1.0.1",
    ),
    "no metadata": Bad(
        4, "bad-metadata", "sample-1.0-py3-none-any.whl has no valid metadata", "pyproject.toml",
        what="--dist other", make=wheel(metadata="Metadata-Version: 2.1\n"),
    ),
    "damaged wheel": Bad(
        4, "bad-metadata", "sample-1.0-py3-none-any.whl has no valid metadata", "download the file again",
        what="--dist other", make=text("other/sample-1.0-py3-none-any.whl", "PK"),
    ),
    "metadata of another project": Bad(
        4, "bad-metadata", "does not match its metadata (other 2.0)", "build the file again",
        what="--dist other", make=wheel(metadata="Metadata-Version: 2.1\nName: other\nVersion: 2.0\n"),
    ),
    "requirement that is a file": Bad(
        4, "file-dependency", "requires lib from a file of the machine that built it", "require lib by its version",
        what="--dist other", make=wheel(requires=["lib @ file:///home/me/lib"]), shows="file:///home/me/lib",
    ),
    "credential in a wheel": Bad(
        4, "credential-inside", "has a credential of Google Cloud in it: 'gha-creds-0a1b2c.json'", "exclude it",
        what="--dist other", make=wheel_with_credential,
    ),
    "version with an epoch": Bad(
        4, "version-epoch", "has a version with an epoch (1!1.0)", "remove the epoch (`1!`)",
        what="--dist other", make=wheel(version="1!1.0"),
    ),
}
"""Found in the files, while credentials are checked."""

BUILDS = {
    "failing backend": Bad(
        4, "build-failed", "The build of broken failed (wheel)", "python -m build",
        what="--packages broken", make=project(FAILING), shows="the flux capacitor is missing",
    ),
    "missing backend": Bad(
        4, "build-backend", "The build backend of broken could not be imported", "[build-system]",
        what="--packages broken", make=project("", "requires = []"),
    ),
    "malformed [build-system]": Bad(
        2, "invalid-pyproject", "The [build-system] table of broken is malformed", "pyproject.toml",
        what="--packages broken", make=project("", 'requires = "setuptools"'),
    ),
    "a variable that is not set": Bad(
        2, "build-env", "`build-env` names RELEASE_VERSION, which is not set",
        "set the variable RELEASE_VERSION",
        what="--packages broken --build-env RELEASE_VERSION", make=project(COMPILING),
    ),
    "a variable that no build gets": Bad(
        2, "build-env", "`build-env` names 'PATH', which no build gets", "remove it from `build-env`",
        what="--packages broken --build-env PATH", make=project(COMPILING),
    ),
    "malformed build requirement": Bad(
        4, "build-requirements", "'flux=>1'", "correct `requires`",
        what="--packages broken", make=project("", 'requires = ["flux=>1"]'),
    ),
    "a compiler is needed": Bad(
        4, "missing-program", "The build of broken needs", "in an earlier step (with cibuildwheel",
        what="--packages broken", make=project(COMPILING), more={"PATH": "/nowhere"}, shows="gcc",
    ),
}

CREDENTIALS = {
    "expired token": Bad(
        3, "registry-401", "us-central1-python.pkg.dev does not accept the token (HTTP 401)", "fresh token",
        who="--access-token expired.token",
    ),
    "garbage token": Bad(
        3, "registry-401", "us-central1-python.pkg.dev does not accept the token (HTTP 401)", "fresh token",
        who="--access-token garbage.token", make=text("garbage.token", "ya29.garbage"),
    ),
    "deleted key": Bad(
        3, "key-deleted", f"Google does not accept the credential of {KEYLESS}", f"keys list --iam-account={KEYLESS}",
        who="--credentials-json keyless.json", shows="Invalid JWT Signature",
    ),
    "disabled account": Bad(
        3, "account-disabled", f"Google does not accept the credential of {DISABLED}",
        f"gcloud iam service-accounts enable {DISABLED}",
        who="--credentials-json disabled.json", shows="account disabled",
    ),
    "job of another owner": Bad(
        3, "attribute-condition", "does not accept this identity", f"providers describe {PROVIDER}",
        who=f"--workload-identity-provider {PROVIDER}", more={"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "{stranger}"},
        shows="attribute condition",
    ),
    "missing provider": Bad(
        3, "provider-missing", "does not accept this identity", "providers describe",
        who=f"--workload-identity-provider {POOL}/gitlab",
    ),
    "provider with an audience of its own": Bad(
        3, "audience", "does not accept this identity", f"--allowed-audiences=https://iam.googleapis.com/{POOL}/own",
        who=f"--workload-identity-provider {POOL}/own",
    ),
    "expired request token": Bad(
        3, "id-token-permission", "GitHub does not issue an identity token", "id-token: write",
        who=f"--workload-identity-provider {PROVIDER}", more={"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "over-and-out"},
    ),
    "account that may not be impersonated": Bad(
        3, "impersonation-denied", f"Google does not let this identity act as {READER}",
        f"gcloud iam service-accounts add-iam-policy-binding {READER}",
        who=f"--workload-identity-provider {PROVIDER} --service-account {READER}",
    ),
    "no ambient credentials": Bad(
        3, "no-credentials", "There are no credentials", "workload-identity-provider", who="",
        more={"NO_GCE_CHECK": "true"},
    ),
    "missing credentials file": Bad(
        2, "credentials-file", "nowhere.json cannot be read", "unset GOOGLE_APPLICATION_CREDENTIALS", who="",
        more={"GOOGLE_APPLICATION_CREDENTIALS": "nowhere.json"},
    ),
}

REGISTRY = {
    "reader": Bad(
        6, "registry-403", "This identity may not upload to us-central1/demo-project/python",
        "add-iam-policy-binding python --location=us-central1 --project=demo-project",
        who="--access-token reader.token", shows="The caller does not have permission.",
    ),
    "missing repository": Bad(
        6, "repository-missing", "The repository us-central1/demo-project/pithon does not exist",
        "gcloud artifacts repositories create pithon --repository-format=python",
        where="--repository us-central1/demo-project/pithon", who="--access-token owner.token",
    ),
    "unknown location": Bad(
        6, "repository-missing", "The repository us-central9/demo-project/python does not exist",
        "--location=us-central9",
        where="--repository us-central9/demo-project/python", who="--access-token owner.token",
    ),
    "Docker repository": Bad(
        6, "repository-format", "us-central1/demo-project/images has format DOCKER",
        "--repository-format=python",
        where="--repository us-central1/demo-project/images", who="--access-token owner.token",
    ),
    "virtual repository": Bad(
        6, "repository-mode", "us-central1/demo-project/all: it is a virtual repository", "repositories describe all",
        where="--repository us-central1/demo-project/all", who="--access-token owner.token",
    ),
    "remote repository": Bad(
        6, "repository-mode", "us-central1/demo-project/mirror: it is a remote repository",
        "repositories describe mirror",
        where="--repository us-central1/demo-project/mirror", who="--access-token owner.token",
    ),
    "different contents": Bad(
        5, "different-contents", "The registry already has taken-1.0-py3-none-any.whl with different contents",
        "raise the version of taken, or set `if-exists: skip`",
        what="--dist other", make=wheel(name="taken", content="changed = True\n"),
    ),
    "identical contents with if-exists: fail": Bad(
        5, "different-contents", "The registry already has taken-1.0-py3-none-any.whl", "raise the version of taken",
        what="--dist other --if-exists fail", make=wheel(name="taken"),
    ),
    "creating a repository as a writer": Bad(
        6, "create-repository", "us-central1/demo-project/new is missing, or this identity may not see it",
        f"projects add-iam-policy-binding demo-project --member=serviceAccount:{STRANGER} "
        "--role=roles/artifactregistry.admin",
        where="--repository us-central1/demo-project/new --create-repository", who="--credentials-json stranger.json",
        shows="artifactregistry.repositories.create",
    ),
}
# fmt: on
ALL = SETTINGS | FILES | BUILDS | CREDENTIALS | REGISTRY
ACTION_TOO = (
    *("repository in a wrong form", "truncated base64", "both kinds", "half a kind", "no OIDC"),
    *("folder without a project", "dist that matches nothing", "wrong expected-version", "version with an epoch"),
    *("expired token", "deleted key", "job of another owner", "account that may not be impersonated"),
    *("reader", "missing repository", "Docker repository", "virtual repository", "different contents"),
)
"""Every exit code, and every way that a failure takes. The messages are those of the command."""


def given(cases: Mapping[str, Bad]) -> list[Any]:
    return [pytest.param(bad, id=name) for name, bad in cases.items()]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory, session_env: dict[str, str]) -> Iterator[Emulator]:
    """Run one emulator for all mistakes, because none of them changes anything."""
    world = World.default()
    (github,) = world.providers
    own = Provider("demo-project", "github", "own", github.issuer, github.mapping, allowed_audiences=("mine",))
    world = replace(
        world,
        repositories=(
            *world.repositories,
            Repository("demo-project", "us-central1", "images", format="DOCKER"),
            Repository("demo-project", "us-central1", "all", mode="VIRTUAL_REPOSITORY"),
            Repository("demo-project", "us-central1", "mirror", mode="REMOTE_REPOSITORY"),
        ),
        providers=(github, own),
        accounts=(
            *world.accounts,
            *(Account(email) for email in (OWNER, WRITER, STRANGER, KEYLESS)),
            Account(DISABLED, disabled=True),
        ),
        keys=(*world.keys, Key(DISABLED), Key(STRANGER)),
        bindings=(
            *world.bindings,
            Binding(f"serviceAccount:{OWNER}", "roles/owner", "projects/demo-project"),
            Binding(f"serviceAccount:{WRITER}", "roles/artifactregistry.writer", "projects/demo-project"),
        ),
    )
    taken = make_wheel(tmp_path_factory.mktemp("taken"), "taken")
    with Emulator(world, data=tmp_path_factory.mktemp("emulator")) as running:
        token = running.access_token(PUBLISHER)
        environment = {**session_env, **running.exports()}
        done = Doors(taken.parent, environment).command(
            "publish", "--repository", REPOSITORY, "--access-token", "-", "--dist", ".", given=token
        )
        assert done.code == 0, done.err
        yield running


@pytest.fixture
def doors(doors: Doors, emulator: Emulator) -> Doors:
    """Put something to publish into the folder, and the credentials that the mistakes use."""
    make_wheel(doors.folder / "dist", "hello")
    for name, email in {"publisher": PUBLISHER, "reader": READER, "owner": OWNER, "writer": WRITER}.items():
        (doors.folder / f"{name}.token").write_text(emulator.access_token(email))
    (doors.folder / "expired.token").write_text(emulator.access_token(PUBLISHER, lifetime=-1))
    for name, email in {"publisher": PUBLISHER, "stranger": STRANGER, "keyless": KEYLESS, "disabled": DISABLED}.items():
        (doors.folder / f"{name}.json").write_text(json.dumps(emulator.key(email)))
    key = emulator.key(PUBLISHER)
    (doors.folder / "cut.json").write_text(json.dumps(key | {"private_key": key["private_key"][:900]}))
    (doors.folder / "truncated.b64").write_text(base64.b64encode(json.dumps(key).encode()).decode()[:-700])
    return doors


def environment(bad: Bad, emulator: Emulator) -> dict[str, str]:
    stranger = emulator.job(repository="stranger/hello")["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    return {name: stranger if value == "{stranger}" else value for name, value in (bad.more or {}).items()}


def check_message(message: str, bad: Bad, says: str, fix: str) -> None:
    """Check for what happened, the fix and the link to the documentation."""
    what, *_ = message.splitlines()
    assert says in what
    assert fix in message.partition("\nFix: ")[2].partition("\nMore: ")[0]
    assert message.endswith(f"\nMore: {DOCS}#{bad.anchor}")


@pytest.mark.parametrize("bad", given(ALL))
def test_command(bad: Bad, doors: Doors, emulator: Emulator) -> None:
    bad.make(doors.folder)
    before, requests = uploads(emulator), emulator.requests

    done = doors.command("publish", *bad.options, "--json", "-", variables=environment(bad, emulator))

    assert done.code == bad.code, done.err
    (message,) = done.errors
    check_message(message, bad, as_options(bad.says), as_options(bad.fix))
    assert bad.shows in done.err
    assert rows(done.err) <= 24, done.err
    assert "\nTraceback" not in done.err
    failure = json.loads(done.out)["failure"]
    assert failure["exit-code"] == bad.code
    assert failure["docs"] == f"{DOCS}#{bad.anchor}"
    assert as_options(bad.says) in failure["what"]
    assert as_options(bad.fix) in failure["fix"]
    assert uploads(emulator) == before
    assert bad not in SETTINGS.values() or emulator.requests == requests


@pytest.mark.parametrize("bad", given(ACTION_ONLY | {name: ALL[name] for name in ACTION_TOO}))
def test_action(bad: Bad, doors: Doors, emulator: Emulator) -> None:
    bad.make(doors.folder)
    before = uploads(emulator)

    step = doors.action(bad.inputs(doors.folder), variables=environment(bad, emulator))

    assert step.code == bad.code, step.log
    (message,) = step.errors
    check_message(message, bad, bad.says, bad.fix)
    assert bad.shows in message
    assert rows(step.log) <= 24, step.log
    assert "Traceback" not in step.log
    summary = html.unescape(step.summary)
    assert bad.says in summary
    assert bad.fix in summary
    assert uploads(emulator) == before


def test_server_that_does_not_answer(doors: Doors) -> None:
    """The command asks several times, here without waiting."""
    done = doors.command(
        "publish",
        *("--repository", REPOSITORY, "--access-token", "publisher.token", "--dist", "dist", "--json", "-"),
        hurried=True,
        variables={"GAR_EMULATOR_HOST": "http://127.0.0.1:9"},
    )
    assert done.code == 7
    (message,) = done.errors
    assert "asked 127.0.0.1:9 6 times" in message
    assert message.endswith("#unreachable")
    assert "Fix: run the same command again later" in message
    assert json.loads(done.out)["failure"]["exit-code"] == 7


def test_untrusted_certificate(doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Emulator(data=tmp_path_factory.mktemp("tls"), tls=True) as emulator:
        done = doors.command(
            "publish",
            *("--repository", REPOSITORY, "--credentials-json", "publisher.json", "--dist", "dist"),
            variables={"GAR_EMULATOR_HOST": emulator.url},
        )
    assert done.code == 7
    (message,) = done.errors
    assert " to a file with the CA's certificate in PEM format" in message
    assert message.endswith("#untrusted-certificate")
    assert emulator.requests == []
