"""`gar-publish build`, and `dry-run: build` in a pull request from a fork: no identity, and the files of `publish`."""

import hashlib
import json
from pathlib import Path

import pytest

from gar_emulator import Emulator
from tests.integration.frontdoors import PROVIDER, REPOSITORY, Doors, publish, statuses
from tests.wheels import make_wheel

NAMES = {"a-1.0-py3-none-any.whl", "a-1.0.tar.gz", "b-1.0-py3-none-any.whl", "b-1.0.tar.gz"}
FORMATS = ("--formats", "wheel,sdist")


@pytest.fixture
def fork(doors: Doors) -> Doors:
    """Two projects, where nothing has an identity and no server answers."""
    for name in ("a", "b"):
        folder = doors.folder / "libs" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.py").write_text(f'"""{name}."""\n')
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["flit_core>=3.11"]\nbuild-backend = "flit_core.buildapi"\n'
            f'[project]\nname = "{name}"\nversion = "1.0"\ndescription = "x"\nrequires-python = ">=3"\n'
        )
    kept = {name: value for name, value in doors.environment.items() if not name.startswith(("ACTIONS_", "GCE_"))}
    return Doors(doors.folder, kept | {"GAR_EMULATOR_HOST": "http://127.0.0.1:9"})


def test_the_files_are_those_that_publish_uploads(doors: Doors, fork: Doors, emulator: Emulator) -> None:
    done = fork.command("build", *FORMATS, "--outdir", "made/here", "--json", "-", "libs/*")
    assert done.code == 0, done.err
    assert "No identity is used" in done.err
    assert f"The files are in {doors.folder / 'made/here'}." in done.err
    report = json.loads(done.out)
    assert statuses(report) == dict.fromkeys(NAMES, "checked")
    assert (report["repository"], report["index-url"], report["published"]) == (None, "", False)
    assert not emulator.requests
    assert not list(doors.folder.glob("libs/*/dist"))
    made = {file.name: sha256(file) for file in (doors.folder / "made/here").iterdir()}
    published, _ = publish(doors, *FORMATS, "libs/*")
    assert published.code == 0, published.err
    assert {each.filename: each.sha256 for each in emulator.files()} == made
    assert made.keys() == NAMES


def test_a_pull_request_from_a_fork_can_be_checked(fork: Doors) -> None:
    make_wheel(fork.folder / "dist", "sample")
    inputs = {"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "dist": "dist", "doctor": "true"}
    refused = fork.action(inputs)
    assert refused.code == 3
    assert "`dry-run: build`" in refused.errors[0]
    step = fork.action({**inputs, "dry-run": "build", "create-repository": "true", "lock": "true", "sbom": "true"})
    assert step.code == 0, step.log
    assert step.summary.startswith("### Built and checked\n")
    assert "No identity was used" in step.summary
    assert (step.outputs["extra-index-url"], step.outputs["name"]) == ("", "sample")


def test_a_project_that_fails_leaves_the_others(fork: Doors) -> None:
    (fork.folder / "libs/b/b.py").unlink()
    for name, version in (("a", "0.9"), ("a", "0.8"), ("b", "0.9")):
        make_wheel(fork.folder / "dist", name, version)
    summary = fork.folder / "summary"
    done = fork.command("build", "libs/*", variables={"GITHUB_STEP_SUMMARY": str(summary)})
    assert done.code == 4
    assert summary.read_text().startswith("### Not all could be built\n")
    assert (fork.folder / "dist/a-1.0-py3-none-any.whl").exists()
    assert not (fork.folder / "dist/b-1.0-py3-none-any.whl").exists()
    old = "a-0.8-py3-none-any.whl, a-0.9-py3-none-any.whl"
    assert f"warning: dist also has {old} from an earlier build. Remove what must not be published." in done.err


def test_given_files_are_checked_where_they_are(fork: Doors) -> None:
    good = make_wheel(fork.folder / "dist", "sample")
    assert fork.action({"dist": "dist", "dry-run": "build"}).code == 0
    assert good.exists()
    (fork.folder / "dist/broken-1.0-py3-none-any.whl").touch()
    assert fork.action({"dist": "dist", "dry-run": "build"}).code == 4


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"packages": "libs/*", "expected-version": "2.0"}, "Version 2.0 is expected"),
        ({"packages": "libs/a", "if-exists": "never"}, "`if-exists` is 'never'"),
        ({"packages": "a==1.0", "promote-from": REPOSITORY}, "`promote-from` and `dry-run: build` cannot be combined"),
        ({"packages": "libs/a", "dry-run": "building"}, "it takes true, false or build"),
    ],
)
def test_wrong_inputs(fork: Doors, inputs: dict[str, str], said: str) -> None:
    step = fork.action({"dry-run": "build", **inputs})
    assert step.code == 2
    assert said in step.errors[0]
    assert not (fork.folder / "dist").exists()


def test_a_requirement_of_this_run_is_taken_from_no_other_index(fork: Doors) -> None:
    declared = fork.folder / "libs/b/pyproject.toml"
    declared.write_text(declared.read_text().replace('"]', '", "a"]', 1))
    done = fork.command("build", "libs/*")
    assert done.code == 4
    assert "A build needs a, which `publish` uploads first." in done.errors[0]


def test_a_folder_that_is_a_link_is_not_written_to(fork: Doors, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (fork.folder / "dist").symlink_to(tmp_path / "elsewhere")
    done = fork.command("build", "libs/a")
    assert done.code == 2
    assert "The files cannot be left in" in done.errors[0]
    assert not list((tmp_path / "elsewhere").iterdir())


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
