"""Previews of a pull request: seven build backends, installed with real pip, uv and Poetry beside other previews."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from bench import previews
from gar_emulator import Emulator
from gar_publish.previews.versions import label_of
from tests.git import git
from tests.integration.frontdoors import DIRECT, REPOSITORY, Done, Doors, statuses, uploads
from tests.integration.test_build_backends import BACKENDS
from tests.leaks import Leaks
from tests.stored import store
from tests.wheels import make_wheel

REQUIRED = {
    "gp-base": [],
    "gp-setuptools": ["gp-base[fast]>=1.0,<2"],
    "gp-flit": ["gp-setuptools>=1.0"],
    "gp-poetry": [],  # a path dependency on gp-flit
    "gp-pdm": ["gp-poetry==1.* ; python_version >= '3.9'"],
    "gp-uv": ["gp-pdm~=1.0"],
    "gp-scikit": ["gp-uv", "gp-leaf"],
    "gp-leaf": [],
    "gp-alone": [],
}
SYSTEMS = {
    "gp-base": ('["hatchling", "hatch-vcs"]', "hatchling.build"),
    "gp-setuptools": BACKENDS["setuptools"],
    "gp-flit": BACKENDS["flit-core"],
    "gp-poetry": BACKENDS["poetry-core"],
    "gp-pdm": BACKENDS["pdm-backend"],
    "gp-uv": BACKENDS["uv-build"],
    "gp-scikit": ('["scikit-build-core"]', "scikit_build_core.build"),
    "gp-leaf": BACKENDS["hatchling"],
    "gp-alone": BACKENDS["hatchling"],
}
MORE = {
    "gp-base": '[tool.hatch.version]\nsource = "vcs"\nraw-options.root = "../.."\n',
    "gp-poetry": '[tool.poetry.dependencies]\ngp-flit = { path = "../gp-flit" }\n',
    "gp-scikit": "[tool.scikit-build]\nwheel.cmake = false\n",
}
PREVIEWED = sorted(REQUIRED.keys() - {"gp-alone"})
TIME = 1_795_946_401
SAY = """
import importlib, importlib.metadata, json, sys
sys.path.insert(0, sys.argv[1])
print(json.dumps({
    name: (importlib.metadata.version(name), importlib.import_module(name.replace("-", "_")).SAYS)
    for name in sys.argv[2:]
}))
"""
PUBLISH = ("publish", "--repository", previews.WHERE)


def module(name: str) -> str:
    return name.replace("-", "_")


def write(folder: Path, name: str) -> None:
    requires, backend = SYSTEMS[name]
    (folder / "src" / module(name)).mkdir(parents=True)
    (folder / "src" / module(name) / "__init__.py").write_text('"""X."""\n\nSAYS = "main"\n')
    fixed = 'version = "1.0"'
    dynamic = {"gp-base": 'dynamic = ["version"]', "gp-poetry": f'{fixed}\ndynamic = ["dependencies"]'}
    extra = "[project.optional-dependencies]\nfast = []\n" if name == "gp-base" else ""
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = {requires}\nbuild-backend = "{backend}"\n'
        f'[project]\nname = "{name}"\n{dynamic.get(name, fixed)}\ndescription = "x"\n'
        'requires-python = ">=3.11"\n'
        + ("" if name == "gp-poetry" else f"dependencies = {REQUIRED[name]}\n")
        + extra
        + MORE.get(name, "")
    )


class PullRequest:
    """A checkout of pull request 42, and the runs that its pushes start."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.time = TIME
        for name in REQUIRED:
            write(doors.folder / "libs" / name, name)
        (doors.folder / ".gitignore").write_text("build/\n*.egg-info/\n__pycache__/\n")  # of setuptools
        self.git("init", "-qb", "main")
        self.commit()
        self.git("tag", "v1.0.0")
        self.main = self.git("rev-parse", "HEAD")
        self.git("switch", "-qc", "topic")

    def git(self, *arguments: str) -> str:
        date = f"{self.time} +0000"
        return git(self.doors.folder, *arguments, GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "Change")

    def push(self, name: str, says: str) -> None:
        """Change one package, and commit that a minute later."""
        (self.doors.folder / "libs" / name / "src" / module(name) / "__init__.py").write_text(
            f'"""X."""\n\nSAYS = "{says}"\n'
        )
        self.time += 60
        self.commit()

    @property
    def job(self) -> Mapping[str, str]:
        head = self.git("rev-parse", "HEAD")
        event = self.doors.folder.parent / "event.json"
        event.write_text(
            json.dumps({"pull_request": {"number": 42, "head": {"sha": head}, "base": {"sha": self.main}}})
        )
        return {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event), "GITHUB_SHA": head}

    def publish(self) -> dict[str, Any]:
        done = self.doors.command(*PUBLISH, *DIRECT, "--preview", "--json", "-", "libs/*", variables=self.job)
        assert done.code == 0, done.err
        report: dict[str, Any] = json.loads(done.out)
        return report

    def laptop(self, folder: Path) -> Doors:
        """Return the command in a folder of its own, with usual settings."""
        return Doors(folder, {name: each for name, each in self.doors.environment.items() if name != "PIP_CONFIG_FILE"})

    def is_clean(self) -> bool:
        return not self.git("status", "--porcelain") and not list(self.doors.folder.rglob("dist"))


@pytest.fixture
def pull_request(doors: Doors, emulator: Emulator, tmp_path: Path) -> PullRequest:
    """Two other pull requests have previews of the same packages, one older and one newer."""
    emulator.cloud.store.create(previews.REPOSITORY)
    emulator.cloud.set_policy(previews.REPOSITORY.resource, [previews.WRITER])
    for number, time in ((4, TIME - 1000), (421, TIME + 1000)):
        for name in REQUIRED:
            version = f"1.0.{5 if name == 'gp-base' else 1}.dev{time}+pr{number}.gabc1234"
            wheel = make_wheel(tmp_path / "others", name, version, content=f'SAYS = "pr{number}"')
            store(emulator, previews.REPOSITORY, wheel)
    return PullRequest(doors)


def install(pull_request: PullRequest, public_index: str, command: str, folder: Path) -> Done:
    """Run a printed command with the login of `gar-publish run`, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    doors = pull_request.laptop(folder)
    variables = {"PIP_INDEX_URL": public_index, "UV_DEFAULT_INDEX": public_index, "PIP_TARGET": "installed"}
    program, *arguments = shlex.split(command)
    if program == "uv":
        arguments[2:2] = ["--target", "installed", "--python", sys.executable]
    start = ("run", "--repository", previews.WHERE, *DIRECT, "--")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = doors.command(*start, program, *arguments, variables={**variables, "PATH": path, "PYTHONWARNINGS": ""})
    assert done.code == 0, done.out + done.err
    return done


def installed(folder: Path) -> dict[str, tuple[str, str]]:
    """Return the version, as Python itself finds it, and the content of each package."""
    found = subprocess.run([sys.executable, "-Sc", SAY, str(folder), *PREVIEWED], check=True, capture_output=True)
    return {name: (version, says) for name, (version, says) in json.loads(found.stdout).items()}


def test_seven_backends_and_three_installers(
    pull_request: PullRequest, emulator: Emulator, public_index: str, tmp_path: Path, leaks: Leaks
) -> None:
    leaks.excuse("the environment of")  # the installers inherit the variables of the job, as the steps of a job do
    pull_request.push("gp-base", "first")
    report = pull_request.publish()
    commit = pull_request.git("rev-parse", "--short=7", "HEAD")
    versions = {each["name"]: each["version"] for each in report["packages"]}
    ours = f".dev{TIME + 60}+pr42.g{commit}"
    assert versions == {name: ("1.0.2" if name == "gp-base" else "1.0.1") + ours for name in PREVIEWED}
    assert report["preview"] == "pr42"
    assert pull_request.is_clean()

    expected = {name: (versions[name], "first" if name == "gp-base" else "main") for name in PREVIEWED}
    for tool in ("preview-install", "preview-install-uv"):
        install(pull_request, public_index, report[tool], tmp_path / tool)
        assert installed(tmp_path / tool / "installed") == expected, tool

    (tmp_path / "checked").mkdir()
    for name in statuses(report):
        (tmp_path / "checked" / name).write_bytes(emulator.read(name, previews.WHERE))
    twine = Path(sys.executable).with_name("twine")
    subprocess.run([twine, "check", *map(str, (tmp_path / "checked").iterdir())], check=True, capture_output=True)

    # The commit once more: nothing is new.
    before = len(uploads(emulator))
    again = pull_request.publish()
    assert set(statuses(again).values()) == {"identical"}
    assert (len(uploads(emulator)), again["published"]) == (before, False)
    assert again["preview-install"] == report["preview-install"]
    assert pull_request.is_clean()

    # A second commit: another package, and all versions are higher.
    pull_request.push("gp-scikit", "second")
    report = pull_request.publish()
    assert set(statuses(report).values()) == {"uploaded"}
    for each in report["packages"]:
        assert Version(versions[each["name"]]) < Version(each["version"])
    second = tmp_path / "second"
    second.mkdir()
    pins = re.findall(r"\S+==\S+", report["preview-install"])
    source = report["index-url"]
    (second / "pyproject.toml").write_text(
        '[project]\nname = "consumer"\nversion = "1"\nrequires-python = ">=3.11,<4"\n'
        f'[tool.poetry]\npackage-mode = false\n[[tool.poetry.source]]\nname = "previews"\nurl = "{source}"\n'
        'priority = "explicit"\n'
    )
    environment = {
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONWARNINGS": "",
    }
    doors = pull_request.laptop(second)
    start = ("run", "--repository", previews.WHERE, *DIRECT, "--")
    done = doors.command(*start, "poetry", "add", "--no-interaction", "--source=previews", *pins, variables=environment)
    assert done.code == 0, done.out + done.err
    (site,) = (second / ".venv/lib").glob("*/site-packages")
    said = {name: says for name, (_, says) in installed(site).items()}
    assert said == dict.fromkeys(PREVIEWED, "main") | {"gp-base": "first", "gp-scikit": "second"}


def test_nothing_has_changed(pull_request: PullRequest, emulator: Emulator) -> None:
    (pull_request.doors.folder / "README.md").write_text("changed\n")
    pull_request.commit()
    report = pull_request.publish()
    assert (report["packages"], report["preview-install"], uploads(emulator)) == ([], "", [])


def test_files_that_are_built_already(pull_request: PullRequest, tmp_path: Path) -> None:
    """A sdist is left out, and the wheels of several platforms are one package."""
    dist = tmp_path / "dist"
    make_wheel(dist, "app", "1.0", requires=["lib>=1.0", "numpy"])
    for platform in ("linux_x86_64", "win_amd64"):
        make_wheel(dist, "lib", "1.0", tag=f"cp311-abi3-{platform}")
    (dist / "lib-1.0.tar.gz").write_bytes(b"an sdist")
    given = {"repository": previews.WHERE, "workload-identity-provider": DIRECT[1], "preview": "true"}
    step = pull_request.doors.action({**given, "dist": str(dist)}, pull_request.job)
    assert step.code == 0, step.errors
    packages = json.loads(step.outputs["packages"])
    assert [(each["name"], len(each["files"]), label_of(each["version"])) for each in packages] == [
        ("app", 1, "pr42"),
        ("lib", 2, "pr42"),
    ]
    pins = " ".join(step.outputs["requirements"].splitlines())
    for name in ("preview-install", "preview-install-uv"):
        assert step.outputs[name].endswith(f" {pins}")
        assert f"```sh\n{step.outputs[name]}\n```" in step.summary
    assert step.summary.startswith(f"### Published the preview `pr42` to `{previews.WHERE}`\n")


def test_previews_are_not_published_among_releases(pull_request: PullRequest) -> None:
    pull_request.push("gp-alone", "first")
    done = pull_request.doors.command(
        "publish", "--repository", REPOSITORY, *DIRECT, "--preview", "libs/gp-alone", variables=pull_request.job
    )
    assert done.code == 6
    assert f"{REPOSITORY} is not a repository for previews: it lacks the label gar-publish=previews." in done.err
