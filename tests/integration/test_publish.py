"""Publishing from one end to the other, through the real front doors, against the emulator."""

import hashlib
import json
import os
import re
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gar_emulator import Emulator, Fault, World
from gar_emulator.world.iam import Binding
from gar_emulator.world.world import Account
from gar_publish.console import Unit
from gar_publish.context import Context, RetryPolicy
from gar_publish.publish.pipeline import publish as run_pipeline
from gar_publish.report.report import Report
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.settings import Settings
from tests.git import commit, git
from tests.integration.frontdoors import (
    DIRECT,
    HELLO,
    PROVIDER,
    PUBLISHER,
    REPOSITORY,
    Done,
    Doors,
    publish,
    statuses,
    uploads,
)
from tests.recording import RecordingConsole
from tests.wheels import METADATA, make_sdist, make_wheel


def write_project(folder: Path, requires: str, backend: str, **files: str) -> None:
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{backend}"\n'
        '[project]\nname = "sample"\nversion = "1.2.3"\ndescription = "A sample."\nrequires-python = ">=3.9"\n'
    )
    (folder / "sample.py").write_text('"""A sample."""\n')
    for name, content in files.items():
        (folder / name).write_text(content)


class TestBuild:
    def test_a_second_run_from_the_same_commit_publishes_nothing(self, doors: Doors, emulator: Emulator) -> None:
        """Without SOURCE_DATE_EPOCH, setuptools writes the files' times into its wheels."""
        write_project(doors.folder / "sample", "setuptools", "setuptools.build_meta")
        commit(doors.folder)

        done, report = publish(doors, "sample")

        assert done.code == 0, done.err
        assert report["published"] is True
        (first,) = uploads(emulator)

        built = doors.folder / "sample"
        for rubbish in ("dist", "build", "sample.egg-info"):
            shutil.rmtree(built / rubbish, ignore_errors=True)
        for file in built.iterdir():
            os.utime(file, (1_900_000_000, 1_900_000_000))
        done, report = publish(doors, "sample")
        assert done.code == 0, done.err
        assert report["published"] is False
        assert statuses(report) == {"sample-1.2.3-py3-none-any.whl": "identical"}
        assert uploads(emulator) == [first]

    def test_wheel_and_sdist(self, doors: Doors, emulator: Emulator) -> None:
        write_project(doors.folder / "sample", "flit_core", "flit_core.buildapi")
        done, report = publish(doors, "sample", "--formats", "wheel, sdist", "--expected-version", "v1.2.3")
        assert done.code == 0, done.err
        names = ["sample-1.2.3-py3-none-any.whl", "sample-1.2.3.tar.gz"]
        assert sorted(statuses(report)) == names
        assert [file.filename for file in emulator.files()] == names
        assert sorted(file.name for file in (doors.folder / "sample/dist").iterdir()) == names
        for file in report["packages"][0]["files"]:
            assert hashlib.sha256(emulator.read(file["filename"])).hexdigest() == file["sha256"]
            assert len(emulator.read(file["filename"])) == file["size"]
            assert file["url"].endswith(f"/demo-project/python/sample/{file['filename']}")

    def test_names_what_the_sdist_lacks(self, doors: Doors) -> None:
        write_project(doors.folder / "sample", "setuptools", "setuptools.build_meta")
        (doors.folder / "sample/sample.py").unlink()
        for name in ("__init__.py", "data.txt"):
            (doors.folder / "sample/sample").mkdir(exist_ok=True)
            (doors.folder / "sample/sample" / name).touch()
        (doors.folder / "sample/MANIFEST.in").write_text("exclude sample/data.txt\n")
        with (doors.folder / "sample/pyproject.toml").open("a") as file:
            file.write('[tool.setuptools]\npackages = ["sample"]\npackage-data = { sample = ["*.txt"] }\n')
        done, _ = publish(doors, "sample", "--formats", "wheel, sdist")
        assert done.code == 0, done.err
        (warning,) = [each for each in done.warnings if "as root" not in each]
        assert "sample-1.2.3-py3-none-any.whl is built from the sdist, which lacks sample/data.txt." in warning
        compiled = "type('_', (setuptools.Distribution,), {'has_ext_modules': lambda self: True})"
        (doors.folder / "sample/setup.py").write_text(f"import setuptools\nsetuptools.setup(distclass={compiled})\n")
        done, _ = publish(doors, "sample", "--formats", "wheel, sdist", "--dry-run")
        assert not any("lacks" in each for each in done.warnings), "what is compiled is not built again to compare it"
        (doors.folder / "sample/setup.py").unlink()
        (doors.folder / "sample/MANIFEST.in").unlink()
        done, _ = publish(doors, "sample", "--formats", "wheel, sdist", "--dry-run")
        assert [each for each in done.warnings if "as root" not in each] == []

    def test_warns_of_a_guessed_version(self, doors: Doors, tmp_path: Path) -> None:
        write_project(tmp_path / "origin", "flit_core", "flit_core.buildapi")
        pyproject, module = (tmp_path / "origin" / each for each in ("pyproject.toml", "sample.py"))
        pyproject.write_text(pyproject.read_text().replace('version = "1.2.3"', 'dynamic = ["version"]'))
        module.write_text('"""A sample."""\n__version__ = "0.1.dev1+gfbdb6d234"\n')
        for _ in range(2):
            commit(tmp_path / "origin")
            module.write_text(f"{module.read_text()}\n")
        git(doors.folder, "clone", "-q", "--depth=1", (tmp_path / "origin").as_uri(), "sample")
        done, _ = publish(doors, "sample")
        assert done.code == 0, done.err
        assert any("sample 0.1.dev1+gfbdb6d234 may have a guessed version" in each for each in done.warnings)

    @pytest.mark.parametrize("projects", [("one",), ("one", "two")])
    def test_a_repository_that_takes_no_upload_ends_the_builds(self, doors: Doors, projects: Sequence[str]) -> None:
        """It is told long before a build has finished."""
        for name in projects:
            (doors.folder / name).mkdir()
            (doors.folder / name / "backend.py").write_text("import time\ntime.sleep(15)\n")
            (doors.folder / name / "pyproject.toml").write_text(
                '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
                f'[project]\nname = "{name}"\nversion = "1.0"\n'
            )
        begun = time.monotonic()
        done = doors.command("publish", "--repository", "us-central1/demo-project/missing", *DIRECT, *projects)
        assert done.code == 6, done.err
        assert "missing" in done.errors[0]
        assert time.monotonic() - begun < 10

    def test_build_backend_from_the_same_private_repository(self, doors: Doors, emulator: Emulator) -> None:
        """The installer has a credential; the backend, which prints its environment, has none."""
        backend = (
            "import os, pathlib, sys, zipfile\n"
            "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
            "    for name, value in sorted(os.environ.items()):\n"
            "        print('environment:', name, value)\n"
            "    print('arguments:', sys.argv)\n"
            f"    data = {make_wheel(doors.folder / 'made', 'sample', '1.2.3').read_bytes()!r}\n"
            "    pathlib.Path(wheel_directory, 'sample-1.2.3-py3-none-any.whl').write_bytes(data)\n"
            "    return 'sample-1.2.3-py3-none-any.whl'\n"
        )
        make_wheel(doors.folder / "dist", "tiny-backend", content=backend)
        done, _ = publish(doors, "--dist", "dist")
        assert done.code == 0, done.err
        write_project(doors.folder / "sample", "tiny-backend", "tiny_backend")

        done, report = publish(doors, "sample", "--verbose")

        assert done.code == 0, done.err
        assert statuses(report) == {"sample-1.2.3-py3-none-any.whl": "uploaded"}
        assert any(seen.path.endswith("/tiny_backend-1.0-py3-none-any.whl") for seen in emulator.requests)
        names = set(re.findall(r"^  environment: (\w+)", done.err, re.MULTILINE))
        assert "PATH" in names
        assert not {name for name in names if re.match("ACTIONS_|GAR_|GCE_|GITHUB_|INPUT_|PIP_CONFIG|UV_", name)}
        assert "oauth2accesstoken" not in done.err

    def test_wheel_for_this_machine_gets_a_warning(self, doors: Doors) -> None:
        make_wheel(doors.folder / "dist", "hello", tag="cp311-cp311-linux_x86_64")
        done, _ = publish(doors, "--dist", "dist")
        assert done.code == 0
        (warning,) = done.warnings
        assert "cibuildwheel" in warning
        assert "`--dist`" in warning

    def test_readme_that_does_not_render_gets_one_warning(self, doors: Doors) -> None:
        metadata = f"{METADATA}\nTitle\n=====\n\n:unknown:`role`\n"
        make_wheel(doors.folder / "dist", metadata=metadata)
        make_sdist(doors.folder / "dist", metadata=metadata)
        done, report = publish(doors, "--dist", "dist")
        assert done.code == 0, done.err
        assert set(statuses(report).values()) == {"uploaded"}
        (warning,) = done.warnings
        assert "The readme of sample 1.0 does not render" in warning
        assert 'role "unknown"' in warning

    def test_refuses_the_credentials_file_of_the_run_under_another_name(self, hello: Doors, emulator: Emulator) -> None:
        key = emulator.key_file(PUBLISHER)
        variables = {"GOOGLE_APPLICATION_CREDENTIALS": str(key)}
        with zipfile.ZipFile(hello.folder / "dist" / HELLO, "a") as wheel:
            wheel.write(key, "hello/settings")
        done, _ = publish(hello, "--dist", "dist", who=(), variables=variables)
        assert done.code == 4, done.err
        assert f"{HELLO} has a credential of Google Cloud in it: 'hello/settings'" in done.err
        assert uploads(emulator) == []


class TestWhatIsThere:
    @pytest.fixture(autouse=True)
    def _published(self, hello: Doors) -> None:
        done, _ = publish(hello, "--dist", "dist")
        assert done.code == 0, done.err

    def test_identical(self, hello: Doors, emulator: Emulator) -> None:
        done, report = publish(hello, "--dist", "dist")
        assert done.code == 0
        assert report["published"] is False
        assert report["verified"] is True
        assert statuses(report) == {HELLO: "identical"}
        assert len(uploads(emulator)) == 1

    def test_different_contents(self, hello: Doors, emulator: Emulator) -> None:
        make_wheel(hello.folder / "dist", "hello", content="changed = True\n")
        make_wheel(hello.folder / "dist", "another")
        done, report = publish(hello, "--dist", "dist")
        assert done.code == 5
        assert report["failure"]["exit-code"] == 5
        assert [each["filename"] for each in report["failures"]] == [HELLO]
        assert statuses(report) == {HELLO: "failed", "another-1.0-py3-none-any.whl": "uploaded"}
        assert report["requirements"] == "another==1.0"
        assert f"{HELLO} with different contents" in done.errors[0]
        assert len(done.errors) == 1
        assert len(uploads(emulator)) == 2

    def test_different_contents_with_skip(self, hello: Doors, emulator: Emulator) -> None:
        theirs = hashlib.sha256(emulator.read(HELLO)).hexdigest()
        make_wheel(hello.folder / "dist", "hello", content="changed = True\n")
        done, report = publish(hello, "--dist", "dist", "--if-exists", "skip")
        assert done.code == 0
        assert statuses(report) == {HELLO: "skipped"}
        assert report["requirements-hashed"] == f"hello==1.0 --hash=sha256:{theirs}", "what pip will really get"

    @pytest.mark.parametrize("status", [400, 409])
    def test_index_that_lags_behind(self, hello: Doors, emulator: Emulator, status: int) -> None:
        """The registry has the file, but the index does not list it, so its contents cannot be compared."""
        emulator.cloud.switch(index_delay=1000.0, duplicate_status=status)
        done, report = publish(hello, "--dist", "dist", hurried=True)
        assert done.code == 6
        assert "does not list it" in report["failure"]["what"]

    def test_corrupted_in_the_registry(self, hello: Doors, emulator: Emulator) -> None:
        """The index lists the hash of the upload; only reading back finds that the contents differ."""
        stored = emulator.cloud.store.find(emulator.cloud.world.repositories[0], HELLO)
        assert stored
        path = emulator.cloud.store.path(emulator.cloud.world.repositories[0], stored)
        path.write_bytes(b"rotten" + path.read_bytes()[6:])

        done, report = publish(hello, "--dist", "dist")
        assert done.code == 6
        assert "does not match the upload or its index" in done.errors[0]
        assert report["verified"] is False

        done, report = publish(hello, "--dist", "dist", "--no-verify")
        assert done.code == 0
        assert report["verified"] is False


class TestDryRun:
    def test_reports_what_would_happen(self, hello: Doors, emulator: Emulator) -> None:
        done, report = publish(hello, "--dist", "dist", "--dry-run")
        assert done.code == 0, done.err
        assert report["dry-run"] is True
        assert report["published"] is False
        assert statuses(report) == {HELLO: "would upload"}
        assert f"would upload  {HELLO}" in done.err
        assert uploads(emulator) == []
        assert emulator.files() == []

    def test_finds_what_would_fail(self, hello: Doors, emulator: Emulator) -> None:
        publish(hello, "--dist", "dist")
        make_wheel(hello.folder / "dist", "hello", content="changed = True\n")
        done, _ = publish(hello, "--dist", "dist", "--dry-run")
        assert done.code == 5
        assert len(uploads(emulator)) == 1


class TestCreateRepository:
    NEW = "us-central1/demo-project/brand-new"

    @pytest.fixture
    def emulator(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
        admin = "admin@demo-project.iam.gserviceaccount.com"
        world = World.default()
        world = replace(
            world,
            accounts=(*world.accounts, Account(admin)),
            bindings=(
                *world.bindings,
                Binding(f"serviceAccount:{admin}", "roles/artifactregistry.admin", "projects/demo-project"),
            ),
            ambient=replace(world.ambient, account=admin) if world.ambient else None,
        )
        with Emulator(world, data=tmp_path_factory.mktemp("emulator")) as running:
            yield running

    def create(self, hello: Doors, *more: str, dist: str = "dist") -> tuple[Done, dict[str, Any]]:
        done = hello.command(
            "publish", "--repository", self.NEW, "--dist", dist, "--create-repository", "--json", "-", *more
        )
        return done, json.loads(done.out)

    def test_creates_it_once(self, hello: Doors, emulator: Emulator) -> None:
        done, report = self.create(hello)
        assert done.code == 0, done.err
        assert statuses(report) == {HELLO: "uploaded"}
        (made,) = [each for each in emulator.cloud.repositories if each.name == "brand-new"]
        assert (made.format, made.mode) == ("PYTHON", "STANDARD_REPOSITORY")
        done, report = self.create(hello)
        assert done.code == 0, done.err
        assert statuses(report) == {HELLO: "identical"}

    def test_dry_run_creates_nothing(self, hello: Doors, emulator: Emulator) -> None:
        done, report = self.create(hello, "--dry-run")
        assert done.code == 0, done.err
        assert statuses(report) == {HELLO: "would upload"}
        assert [each.name for each in emulator.cloud.repositories] == ["python"]
        assert f"{self.NEW} does not exist; it would be created." in done.err

    def test_requests_from_before_the_repository_are_repeated(self, doors: Doors, emulator: Emulator) -> None:
        """The index is asked for the names in pyproject.toml at once, and refuses this one."""
        emulator.cloud.switch(missing_repository="403", operation_seconds=1.0)
        wheel = make_wheel(doors.folder, "sample", "1.2.3")
        (doors.folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "sample"\nversion = "1.2.3"\n'
        )
        (doors.folder / "backend.py").write_text(
            "import shutil\ndef build_wheel(folder, *_):\n"
            f"    shutil.copy({wheel.name!r}, folder)\n    return {wheel.name!r}\n"
        )
        done = doors.command("publish", "--repository", self.NEW, "--create-repository")
        assert done.code == 0, done.err
        assert [file.filename for file in emulator.files(self.NEW)] == [wheel.name]

    def test_two_runs_at_once_create_it_once(self, hello: Doors, emulator: Emulator) -> None:
        """The second run finds an unfinished creation, and both find a host that does not know the repository yet."""
        emulator.cloud.switch(operation_seconds=2.0, repository_delay=1.0, missing_repository="403")
        make_wheel(hello.folder / "other", "other")
        with ThreadPoolExecutor(2) as pool:
            runs = list(pool.map(lambda folder: self.create(hello, dist=folder), ["dist", "other"]))
        assert [done.code for done, _ in runs] == [0, 0], [done.err for done, _ in runs]
        creations = [
            seen for seen in emulator.requests if seen.method == "POST" and seen.path.endswith("/repositories")
        ]
        assert sorted(seen.status for seen in creations) == [200, 409]
        assert [file.filename for file in emulator.files(self.NEW)] == [HELLO, "other-1.0-py3-none-any.whl"]
        assert any("is created by another run." in done.err for done, _ in runs)
        assert any("the new repository is not known everywhere yet" in done.err for done, _ in runs)


class TestSeveral:
    """App requires lib, and lib requires core; `dist` lists them in the worst order."""

    @pytest.fixture
    def several(self, doors: Doors) -> Doors:
        make_wheel(doors.folder / "dist", "app", requires=["lib>=1", "requests"])
        make_wheel(doors.folder / "dist", "lib", requires=["core; python_version >= '3'"], content="#" * 5000)
        make_wheel(doors.folder / "dist", "zore", requires=[])
        make_wheel(doors.folder / "dist", "core")
        (doors.folder / "dist/.gitignore").write_text("*")
        (doors.folder / "dist/core-1.0-py3-none-any.whl.publish.attestation").write_text("{}")
        (doors.folder / "dist/SHA256SUMS").write_text("")
        (doors.folder / "dist/reports").mkdir()
        return doors

    def test_dependencies_come_first(self, several: Doors, emulator: Emulator) -> None:
        emulator.cloud.switch(max_upload_size=4000)
        done, report = publish(several, "--dist", "dist")
        assert done.code == 6
        assert statuses(report) == {
            "core-1.0-py3-none-any.whl": "uploaded",
            "zore-1.0-py3-none-any.whl": "uploaded",
            "lib-1.0-py3-none-any.whl": "failed",
            "app-1.0-py3-none-any.whl": "not tried",
        }
        assert report["failure"]["exit-code"] == 6
        assert report["published"] is True
        assert {stored.package for stored in emulator.files()} == {"core", "zore"}

        emulator.cloud.switch(max_upload_size=0)
        done, report = publish(several, "--dist", "dist")
        assert done.code == 0, done.err
        assert statuses(report) == {
            "core-1.0-py3-none-any.whl": "identical",
            "zore-1.0-py3-none-any.whl": "identical",
            "lib-1.0-py3-none-any.whl": "uploaded",
            "app-1.0-py3-none-any.whl": "uploaded",
        }
        created = {stored.package: stored.created for stored in emulator.files()}
        assert created["core"] < created["lib"] < created["app"]
        assert report["requirements"].splitlines() == ["app==1.0", "core==1.0", "lib==1.0", "zore==1.0"]
        assert report["name"] == report["version"] == ""

    def test_one_at_a_time(self, several: Doors, emulator: Emulator) -> None:
        done, _ = publish(several, "--dist", "dist", "--jobs", "1")
        assert done.code == 0, done.err
        assert len(uploads(emulator)) == 4


class TestTokenThatEndsInTheMiddle:
    """Two hours pass on Google's side after the first upload."""

    @pytest.fixture
    def emulator(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
        def clock() -> float:
            return time.time() + (7200 if emulator.files() else 0)

        emulator = Emulator(data=tmp_path_factory.mktemp("emulator"), clock=clock)
        with emulator:
            yield emulator

    @pytest.mark.parametrize("account", [(), ("--service-account", PUBLISHER)])
    def test_another_is_fetched(self, doors: Doors, emulator: Emulator, account: Sequence[str]) -> None:
        make_wheel(doors.folder / "dist", "lib")
        make_wheel(doors.folder / "dist", "app", requires=["lib"])
        done, report = publish(doors, "--dist", "dist", who=[*DIRECT, *account])
        assert done.code == 0, done.err
        assert set(statuses(report).values()) == {"uploaded"}
        answers = [seen.status for seen in emulator.requests if seen.host == "us-central1-python.pkg.dev"]
        assert 401 in answers, "the old token was tried and refused"

    def test_given_token_cannot_be_renewed(self, doors: Doors, emulator: Emulator) -> None:
        make_wheel(doors.folder / "dist", "lib")
        make_wheel(doors.folder / "dist", "app", requires=["lib"])
        given = emulator.access_token(PUBLISHER)
        done, report = publish(doors, "--dist", "dist", who=["--access-token", "-"], given=given)
        assert done.code == 3
        assert report["failure"]["docs"].endswith("#registry-401")
        assert statuses(report)["app-1.0-py3-none-any.whl"] == "not tried"


class TestLostAnswer:
    """The upload succeeds, but its answer is lost."""

    @pytest.mark.parametrize("fault", ["accepted-lost", "accepted-5xx"])
    @pytest.mark.parametrize("if_exists", ["skip-identical", "skip", "fail"])
    def test_is_looked_up(self, hello: Doors, emulator: Emulator, fault: str, if_exists: str) -> None:
        emulator.inject(Fault("upload", fault))
        done, report = publish(hello, "--dist", "dist", "--if-exists", if_exists, hurried=True)
        assert done.code == 0, done.err
        assert statuses(report) == {HELLO: "uploaded"}
        assert report["verified"] is True
        sent = [seen.status for seen in emulator.requests if seen.method == "POST" and "pkg.dev" in seen.host]
        # After a broken connection, gar-publish asks without a file whether it may upload.
        assert sent == ([0, 400] if fault == "accepted-lost" else [503])

    def test_in_an_index_that_lags(self, hello: Doors, emulator: Emulator) -> None:
        """The file is sent once more, and the registry answers that it already has it."""
        emulator.inject(Fault("upload", "accepted-lost"), Fault("index", "lag", times=4, seconds=1000))
        done, report = publish(hello, "--dist", "dist", hurried=True)
        assert done.code == 0, done.err
        assert statuses(report) == {HELLO: "uploaded"}
        assert len(emulator.files()) == 1


def test_an_upload_that_always_breaks_off_is_sent_three_times(hello: Doors, emulator: Emulator) -> None:
    """As with a limit of a proxy, whose answer is lost; the registry answers in between."""
    emulator.inject(*(Fault("upload", "reset-before-body", after=after) for after in (0, 2, 4)))
    done, _ = publish(hello, "--dist", "dist", hurried=True)
    assert done.code == 7
    assert f"Could not upload {HELLO}: the connection broke 3 times, although " in done.errors[0]
    sent = [seen.status for seen in emulator.requests if seen.method == "POST" and "pkg.dev" in seen.host]
    assert sent == [0, 400] * 3


class TestTokensOfFiveMinutes:
    """On Google's side, each file takes four minutes, and all of them more than an hour."""

    @pytest.fixture
    def emulator(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
        def clock() -> float:
            return time.time() + 240 * len(emulator.files())

        emulator = Emulator(data=tmp_path_factory.mktemp("emulator"), clock=clock)
        with emulator:
            yield emulator

    def test_carry_an_hour(self, doors: Doors, emulator: Emulator) -> None:
        for number in range(16):
            make_wheel(doors.folder / "dist", f"p{number}", requires=[f"p{number - 1}"] if number else [])
        done, report = publish(doors, "--dist", "dist")
        assert done.code == 0, done.err
        assert list(statuses(report).values()) == ["uploaded"] * 16
        assert report["verified"] is True
        assert len(uploads(emulator)) == 16, "a refused token costs no second upload of what landed"
        exchanges = [seen.status for seen in emulator.requests if seen.host == "sts.googleapis.com"]
        assert exchanges.count(200) >= 8
        assert set(exchanges) <= {200, 400}, "an identity token may be too old by then, and is asked for anew"
        assert exchanges[-1] == 200


class Meeting(RecordingConsole):
    """Delays two uploads until both runs have seen an index without the file."""

    def __init__(self, both: threading.Barrier) -> None:
        super().__init__()
        self._both = both

    def progress(self, what: str, total: int, unit: Unit = "bytes") -> nullcontext[Callable[[int], None]]:
        if not what.startswith("read "):
            self._both.wait(30)
        return super().progress(what, total, unit)


class TestTwoAtOnce:
    """Two runs publish the same version at the same moment."""

    def run(self, folder: Path, console: Meeting, emulator: Emulator, if_exists: str) -> Report:
        environment = emulator.exports()
        endpoints = Endpoints.from_environment(environment)
        inputs = {"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "dist": "*.whl"}
        settings = Settings.from_inputs(inputs | {"if-exists": if_exists}, environment=environment, endpoints=endpoints)
        return run_pipeline(settings, Context(folder, environment, endpoints, console, RetryPolicy()))

    def both(
        self, folder: Path, emulator: Emulator, version: str, contents: Sequence[str], if_exists: str
    ) -> list[Report]:
        barrier = threading.Barrier(2)
        folders = [folder / f"{version}-{number}" for number in range(2)]
        for each, content in zip(folders, contents, strict=True):
            make_wheel(each, "hello", version, content=content)
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(self.run, each, Meeting(barrier), emulator, if_exists) for each in folders]
            return [each.result() for each in runs]

    @pytest.mark.parametrize(
        ("contents", "if_exists", "other"),
        [
            (("same", "same"), "skip-identical", ("identical", 0)),
            (("one", "other"), "skip-identical", ("failed", 5)),
            (("one", "other"), "skip", ("skipped", 0)),
            (("same", "same"), "fail", ("failed", 5)),
        ],
    )
    def test_one_wins(
        self, tmp_path: Path, emulator: Emulator, contents: Sequence[str], if_exists: str, other: tuple[str, int]
    ) -> None:
        for round_ in range(5):
            reports = self.both(tmp_path, emulator, f"1.{round_}", contents, if_exists)
            ended = [(each.files[0].status, each.failure.exit_code if each.failure else 0) for each in reports]
            assert sorted(ended) == sorted([("uploaded", 0), other])
            winner = next(each for each in reports if each.published)
            held = hashlib.sha256(emulator.read(f"hello-1.{round_}-py3-none-any.whl")).hexdigest()
            assert winner.files[0].sha256 == held
