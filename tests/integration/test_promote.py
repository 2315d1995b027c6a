"""Promotion from one repository to another, through both front doors: identical files, in order, each once."""

import io
import json
import re
import shlex
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.memory import write_wheel
from gar_emulator import Emulator, Fault, World
from gar_emulator.world.iam import Binding
from gar_emulator.world.world import Repository
from tests.conftest import ROOT
from tests.integration.frontdoors import DIRECT, PROVIDER, Done, Doors, install, statuses
from tests.stored import store
from tests.wheels import make_wheel

DEV, PROD = "us-central1/demo-project/dev", "us-central1/demo-project/prod"
REPOSITORIES = {name: Repository("demo-project", "us-central1", name.rpartition("/")[2]) for name in (DEV, PROD)}
OWNER = "/locations/global/workloadIdentityPools/github/attribute.repository_owner/octo-org"


@pytest.fixture
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Octo-org's workflows read from dev and write to prod."""
    world = World.default()
    member = f"principalSet://iam.googleapis.com/projects/123456789012{OWNER}"
    world = replace(
        world,
        repositories=(
            *world.repositories,
            *REPOSITORIES.values(),
            Repository("demo-project", "us-central1", "all", mode="VIRTUAL_REPOSITORY"),
        ),
        bindings=(
            *world.bindings,
            Binding(member, "roles/artifactregistry.reader", "projects/demo-project"),
            Binding(member, "roles/artifactregistry.writer", REPOSITORIES[PROD].resource),
        ),
    )
    with Emulator(world, data=tmp_path_factory.mktemp("emulator")) as running:
        yield running


def make_sdist(folder: Path, name: str, version: str) -> Path:
    path = folder / f"{name}-{version}.tar.gz"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with tarfile.open(path, "w:gz") as sdist:
        for member, text in {"PKG-INFO": metadata, "pyproject.toml": ""}.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{member}")
            entry.size = len(text)
            sdist.addfile(entry, io.BytesIO(text.encode()))
    return path


def promote(doors: Doors, *arguments: str, **options: Any) -> tuple[Done, dict[str, Any]]:
    done = doors.command("promote", *arguments, "--from", DEV, "--repository", PROD, *DIRECT, "--json", "-", **options)
    return done, json.loads(done.out)


def answers(emulator: Emulator) -> list[int]:
    """Return the answer to each upload to prod that had one."""
    asked = [seen for seen in emulator.requests if seen.method == "POST" and seen.path.endswith("/demo-project/prod/")]
    return [seen.status for seen in asked if seen.status]


def contents(emulator: Emulator, repository: str) -> Mapping[str, bytes]:
    return {each.filename: emulator.read(each.filename, repository) for each in emulator.files(repository)}


def arrived(emulator: Emulator) -> list[str]:
    """Return the packages in prod in the order of their uploads."""
    files = sorted(emulator.files(PROD), key=lambda stored: stored.created)
    return list(dict.fromkeys(f"{stored.package} {stored.version}" for stored in files))


def corrupt(emulator: Emulator, repository: str, filename: str) -> None:
    stored = emulator.cloud.store.find(REPOSITORIES[repository], filename)
    assert stored
    path = emulator.cloud.store.path(REPOSITORIES[repository], stored)
    path.write_bytes(b"rotten" + path.read_bytes()[6:])


@pytest.fixture
def hello(emulator: Emulator, tmp_path: Path) -> Sequence[str]:
    """Return the names of the three files of hello 1.2.3 in dev, which also has other versions."""
    files = [
        make_wheel(tmp_path, "hello", "1.2.3"),
        make_wheel(tmp_path, "hello", "1.2.3", tag="cp312-cp312-manylinux_2_17_x86_64"),
        make_sdist(tmp_path, "hello", "1.2.3"),
    ]
    store(
        emulator,
        REPOSITORIES[DEV],
        *files,
        make_wheel(tmp_path, "hello", "1.2.2"),
        make_wheel(tmp_path, "hello", "1.3.0.dev1"),
    )
    return [file.name for file in files]


def test_every_file_of_the_version_is_promoted_once(doors: Doors, emulator: Emulator, hello: Sequence[str]) -> None:
    done, report = promote(doors, "hello==1.2.3")
    assert done.code == 0, done.err
    assert statuses(report) == dict.fromkeys(sorted(hello), "uploaded")
    assert (report["verified"], report["published"], report["promoted-from"]) == (True, True, DEV)
    assert contents(emulator, PROD) == {name: emulator.read(name, DEV) for name in hello}

    done, report = promote(doors, "Hello == v1.2.3")
    assert done.code == 0, done.err
    assert statuses(report) == dict.fromkeys(sorted(hello), "identical")
    assert (report["verified"], report["published"]) == (True, False)
    assert answers(emulator) == [200, 200, 200]
    assert len(contents(emulator, DEV)) == 5, "the source keeps what it had"


def test_a_dry_run_compares_and_uploads_nothing(doors: Doors, emulator: Emulator, hello: Sequence[str]) -> None:
    done, report = promote(doors, "hello==1.2.3", "--dry-run")
    assert done.code == 0, done.err
    assert statuses(report) == dict.fromkeys(sorted(hello), "would upload")
    assert answers(emulator) == []


class TestAction:
    def inputs(self, packages: str, **more: str) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {
            "repository": PROD,
            "promote-from": "dev",
            "packages": packages,
            "workload-identity-provider": PROVIDER,
            **named,
        }

    def test_pip_installs_what_was_promoted(self, doors: Doors, emulator: Emulator, tmp_path: Path) -> None:
        store(emulator, REPOSITORIES[DEV], make_wheel(tmp_path, "lib", "2.0", content="at = 2\n"))
        store(
            emulator,
            REPOSITORIES[DEV],
            make_wheel(tmp_path, "hello", "1.0", requires=["lib>=1"], content="import lib\n"),
        )
        step = doors.action(self.inputs("hello==1.0\n", with_dependencies="true"))
        assert step.code == 0, step.log
        assert step.outputs["requirements"].splitlines() == ["hello==1.0", "lib==2.0"]
        assert step.outputs["published"] == "true"
        assert step.summary.startswith(f"### Published to `{PROD}`, from `{DEV}`")
        assert "Every file was read back from the index" in step.summary

        pins = step.outputs["requirements-hashed"].splitlines()
        target = install(doors, step.outputs["extra-index-url"], *pins, options=["--require-hashes"])
        done = subprocess.run(
            [sys.executable, "-c", "import hello; print(hello.lib.at)"], cwd=target, capture_output=True, check=True
        )
        assert done.stdout == b"2\n"


class TestDocument:
    """The examples of docs/promote.md work."""

    DOCUMENT = (ROOT / "docs" / "promote.md").read_text(encoding="utf-8").replace("my-project", "demo-project")

    @pytest.fixture(autouse=True)
    def _dev(self, emulator: Emulator, hello: Sequence[str], tmp_path: Path) -> None:
        del hello
        store(emulator, REPOSITORIES[DEV], make_wheel(tmp_path, "lib", "2.0"))
        store(
            emulator,
            REPOSITORIES[DEV],
            make_wheel(tmp_path, "hello", "1.2.3", tag="py2-none-any", requires=["lib; extra == 'fast'"]),
        )

    def test_commands(self, doors: Doors, emulator: Emulator) -> None:
        commands = [shlex.split(line) for line in re.findall(r"^gar-publish (.*)", self.DOCUMENT, re.MULTILINE)]
        assert len(commands) == 2
        for command, wanted in zip(commands, (["hello 1.2.3"], ["hello 1.2.3", "lib 2.0"]), strict=True):
            done = doors.command(*command, *DIRECT)
            assert done.code == 0, done.err
            assert arrived(emulator) == wanted

    def test_workflow(self, doors: Doors, emulator: Emulator) -> None:
        (block,) = re.findall(r"```yaml\n(.*?)```", self.DOCUMENT, re.DOTALL)
        (step,) = yaml.safe_load(block)["jobs"]["promote"]["steps"]
        inputs = {name: yaml.safe_dump(value).partition("\n")[0] for name, value in step["with"].items()}
        done = doors.action(inputs | {"packages": "hello==1.2.3"})
        assert done.code == 0, done.log
        assert arrived(emulator) == ["hello 1.2.3"]


class TestDependencies:
    """App requires lib, and lib requires core."""

    @pytest.fixture(autouse=True)
    def _dev(self, emulator: Emulator, tmp_path: Path) -> None:
        store(
            emulator,
            REPOSITORIES[DEV],
            make_wheel(tmp_path, "app", "1.0", requires=["lib<3,>=1", "requests", "fast; extra == 'speed'"]),
            *(make_wheel(tmp_path, "lib", version, requires=["core"]) for version in ("1.0", "2.9", "2.10", "3.0")),
            *(make_wheel(tmp_path, "core", version, requires=["lib; extra == 'x'"]) for version in ("1.0", "1.1rc1")),
            make_wheel(tmp_path, "fast", "1.0"),
        )

    def test_come_first_in_the_highest_version_that_fits(self, doors: Doors, emulator: Emulator) -> None:
        done, report = promote(doors, "app==1.0", "--with-dependencies")
        assert done.code == 0, done.err
        assert arrived(emulator) == ["core 1.0", "lib 2.10", "app 1.0"]
        assert report["requirements"].splitlines() == ["app==1.0", "core==1.0", "lib==2.10"]
        assert "app 1.0 requires lib<3,>=1: lib 2.10, the highest version that fits, is promoted too." in done.err
        assert f"{DEV} does not have requests; gar-publish assumes that a public index does." in done.err

    def test_only_when_asked(self, doors: Doors, emulator: Emulator) -> None:
        done, _ = promote(doors, "app==1.0")
        assert done.code == 0, done.err
        assert arrived(emulator) == ["app 1.0"]


class TestOtherBytes:
    """Nothing is uploaded, whichever side has them."""

    def test_in_the_destination(self, doors: Doors, emulator: Emulator, hello: Sequence[str], tmp_path: Path) -> None:
        store(
            emulator, REPOSITORIES[PROD], make_wheel(tmp_path / "other", "hello", "1.2.3", content="changed = True\n")
        )
        before = contents(emulator, PROD)
        done, report = promote(doors, "hello==1.2.3")
        assert done.code == 5
        assert f"{hello[0]} with different contents" in done.errors[0]
        assert set(statuses(report).values()) == {"failed", "not tried"}
        assert (answers(emulator), contents(emulator, PROD)) == ([], before)

    def test_corrupted_in_the_source(self, doors: Doors, emulator: Emulator, hello: Sequence[str]) -> None:
        corrupt(emulator, DEV, hello[0])
        done, report = promote(doors, "hello==1.2.3")
        assert done.code == 6
        assert f"{hello[0]} in {DEV} does not match its index" in done.errors[0]
        assert report["failure"]["docs"].endswith("#source-contents")
        assert (answers(emulator), contents(emulator, PROD)) == ([], {})


class TestKilled:
    """SIGKILL, which allows no cleanup; then the same command again."""

    @pytest.mark.parametrize(
        ("fault", "landed"),
        [
            pytest.param(Fault("download", "silence", after=1), {0}, id="while the source is read"),
            pytest.param(Fault("index", "silence", after=4), {0, 1, 2}, id="while the target is compared"),
            pytest.param(Fault("upload", "silence", after=1), {1}, id="while a file is sent"),
            pytest.param(Fault("upload", "drip", after=1, seconds=5), {2}, id="before its landing is heard of"),
            pytest.param(Fault("download", "silence", after=3), {1, 2, 3}, id="while a file is read back"),
        ],
    )
    def test_anywhere(self, doors: Doors, emulator: Emulator, fault: Fault, landed: set[int], tmp_path: Path) -> None:
        for name, requires in (("c", ["b"]), ("b", ["a"]), ("a", [])):
            store(emulator, REPOSITORIES[DEV], make_wheel(tmp_path, name, requires=requires))
        emulator.inject(fault)
        arguments = ("promote", "c==1.0", "--with-dependencies", "--from", DEV, "--repository", PROD, *DIRECT)
        with subprocess.Popen(
            [sys.executable, "-m", "gar_publish.cli.main", *arguments],
            cwd=doors.folder,
            env=dict(doors.environment),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            deadline = time.monotonic() + 60
            while not emulator.struck[fault]:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            time.sleep(0.1)
            process.kill()
        assert len(emulator.files(PROD)) in landed

        emulator.inject()
        done, report = promote(doors, "c==1.0", "--with-dependencies")
        assert done.code == 0, done.err
        assert report["verified"] is True
        assert contents(emulator, PROD) == contents(emulator, DEV)
        assert arrived(emulator) == ["a 1.0", "b 1.0", "c 1.0"]
        assert answers(emulator) == [200, 200, 200], "nothing lost, nothing twice"


class TestWhatCannotBeThere:
    def check(self, done: Done, code: int, anchor: str, *says: str) -> None:
        assert done.code == code, done.err
        (error,) = done.errors
        assert error.endswith(f"#{anchor}")
        for each in says:
            assert each in error

    def test_version(self, doors: Doors, hello: Sequence[str]) -> None:
        del hello
        done, _ = promote(doors, "hello==9.9")
        self.check(done, 6, "promote-missing", f"{DEV} does not have hello 9.9.", "1.3.0.dev1, 1.2.3, 1.2.2")
        done, _ = promote(doors, "hullo==1.0")
        self.check(done, 6, "promote-missing", "the repository has no version of hullo")

    @pytest.mark.parametrize(
        ("source", "anchor", "says"),
        [
            ("us-central1/demo-project/none", "repository-missing", "none, to promote from, does not exist"),
            (
                "us-central1/demo-project/all",
                "repository-mode",
                "Cannot promote from us-central1/demo-project/all: it is a virtual repository",
            ),
        ],
    )
    def test_repository(self, doors: Doors, source: str, anchor: str, says: str) -> None:
        done = doors.command("promote", "hello==1.0", "--from", source, "--repository", PROD, *DIRECT)
        self.check(done, 6, anchor, says)


WATCHED = """
import re, sys
from gar_publish.cli.main import main
code = main()
print(re.search(r"^VmHWM:\\s*(\\d+) kB$", open("/proc/self/status").read(), re.MULTILINE)[1])
sys.exit(code)
"""


def test_a_large_file_takes_no_memory(doors: Doors, emulator: Emulator, tmp_path: Path) -> None:
    store(emulator, REPOSITORIES[DEV], make_wheel(tmp_path, "small"), write_wheel(tmp_path, "1.0", 40_000_000))
    peaks = []
    for name in ("small", "large"):
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, "promote", f"{name}==1.0", "--from", DEV, "--repository", PROD, *DIRECT],
            cwd=doors.folder,
            env=dict(doors.environment),
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 25_000, "kilobytes"
    assert len(emulator.files(PROD)) == 2


def test_an_sbom_names_the_index_that_the_wheel_is_promoted_to(doors: Doors, emulator: Emulator) -> None:
    store(emulator, REPOSITORIES[DEV], make_wheel(doors.folder, "hello"))
    done, report = promote(doors, "hello==1.0", "--sbom")
    assert done.code == 0, done.err
    assert len(list(emulator.cloud.attachments.attachments(REPOSITORIES[PROD]))) == 1
    component = json.loads((doors.folder / report["sboms"]).read_text())["metadata"]["component"]
    assert component["purl"].endswith("/prod/simple/")
