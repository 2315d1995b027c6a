"""A machine on which the commands of the documents run: with projects, packages and real tools.

Artifact Registry and Google have their real host names, so the commands run unchanged. Only `gh` is a replacement: it
knows the repository octo-org/hello.
"""

import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gar_emulator import Emulator, World
from tests.conftest import ROOT, copy_tree
from tests.git import git
from tests.stored import store
from tests.wheels import make_wheel

BIN = Path(sys.executable).parent
OWNER = "user:owner@example.com"
JOBS = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github"
PYTHON = "projects/my-project/locations/us-central1/repositories/python"
PUBLISHER = "publisher@my-project.iam.gserviceaccount.com"
REQUIRES = {"my-package": ["idna", "my-sibling"]}
"""A public package, and one of the repository."""

GH = f"""\
#!/bin/sh
case "$*" in
"api repos/octo-org/hello --jq .owner.id") echo 123456 ;;
"api repos/octo-org/hello --jq .id") echo 456789 ;;
"secret set GAR_KEY" | "secret set GAR_KEY --repo octo-org/hello")
  exec {sys.executable} -c 'import json, sys; json.load(sys.stdin)["private_key"]' ;;
*) echo "not known: gh $*" >&2; exit 1 ;;
esac
"""

GAR_PUBLISH = f"""\
#!/bin/sh
program=.venv/bin/gar-publish
[ -x $program ] || program={BIN}/gar-publish
[ "$1" = emulator ] || exec $program "$@"
$program "$@" --port 0 >emulator.out &
until grep -q GCE_METADATA_ROOT emulator.out; do kill -0 $! && sleep 0.1; done
kill $!
cat emulator.out
"""
"""Runs the installed gar-publish. The emulator gets a free port, and ends after it has printed its exports."""


def world() -> World:
    """Return the default world with the projects of the documents. Jobs, the publisher and a user own them."""
    default = (ROOT / "emulator/src/gar_emulator/default.toml").read_text(encoding="utf-8")
    tables = [default.replace("demo-project", "my-project")]
    tables.append('[[projects]]\nid = "demo-project"\nnumber = 210987654321\n')
    tables.append('[[projects]]\nid = "new-project"\nnumber = 987654321012\n')
    tables.append('[[accounts]]\nemail = "publisher@demo-project.iam.gserviceaccount.com"\n')
    tables += [
        f'[[repositories]]\nproject = "{project}"\nlocation = "us-central1"\nname = "{name}"\n'
        for project, name in (
            ("demo-project", "python"),
            ("my-project", "dev"),
            ("my-project", "prod"),
            ("my-project", "everything"),
        )
    ]
    owners = (OWNER, f"serviceAccount:{PUBLISHER}", f"{JOBS}/attribute.repository_owner/octo-org")
    tables += [
        f'[[bindings]]\nmember = "{member}"\nrole = "{role}"\nresource = "projects/{project}"\n'
        for project in ("my-project", "demo-project", "new-project")
        for member in owners
        for role in ("roles/owner", "roles/iam.serviceAccountTokenCreator")
    ]
    return World.parse("\n".join(tables), "the documents' world")


def fill_repositories(emulator: Emulator, folder: Path) -> None:
    """Add the packages that the documents install, promote and query."""
    packages = {
        "python": [
            make_wheel(folder, "my-package", "1.0", requires=REQUIRES["my-package"]),
            make_wheel(folder, "my-sibling"),
            make_wheel(folder, "hello", "1.2.3"),
        ],
        "dev": [
            make_wheel(folder / "dev", "hello", "1.2.3", requires=["lib; extra == 'fast'"]),
            make_wheel(folder, "lib", "2.0"),
        ],
    }
    packages["python"].append(make_wheel(folder, "acme-tools", "1.0"))
    packages["demo"] = [
        make_wheel(folder, "greetings", requires=["greetings-words", "idna"], content="def greet(name): ...\n"),
        make_wheel(folder, "greetings-words"),
    ]
    repositories = {each.name: each for each in emulator.cloud.repositories if each.project == "my-project"}
    (repositories["demo"],) = (each for each in emulator.cloud.repositories if each.project == "demo-project")
    for name, wheels in packages.items():
        store(emulator, repositories[name], *wheels)


def fill_folder(folder: Path, emulator: Emulator) -> None:
    """Write a git repository with several packages and a change that is not committed."""
    for place, name in ((".", "my-package"), ("packages/hello", "hello"), ("libs/one", "one"), ("tools/cli", "cli")):
        project = folder / place
        project.mkdir(parents=True, exist_ok=True)
        (project / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["flit_core>=3.12"]\nbuild-backend = "flit_core.buildapi"\n'
            f'[project]\nname = "{name}"\nversion = "1.3"\ndescription = "A test."\nrequires-python = ">=3.11"\n'
            f"dependencies = {REQUIRES.get(name, [])}\n"
        )
        (project / f"{name.replace('-', '_')}.py").write_text('"""A test."""\n')
        make_wheel(project / "dist", name, "1.3", requires=REQUIRES.get(name, []))
    for example in ("hello", "uv-project"):
        copy_tree(ROOT / "examples" / example, folder / "examples" / example)
    shutil.copytree(folder / "examples/uv-project/service", folder / "service")
    for name in ("Makefile", "bench", "emulator", "requirements"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".gitignore").write_text("dist\n")
    for command in ("init -q -b main", "add .", "commit -qm Start", "update-ref refs/remotes/origin/main HEAD"):
        git(folder, *command.split())
    (folder / "libs/one/one.py").write_text('"""Another test."""\n')
    shutil.copy(emulator.key_file(PUBLISHER), folder / "key.json")


@dataclass(frozen=True)
class Machine:
    """The folder and the environment in which commands run."""

    folder: Path
    environment: Mapping[str, str]

    def shell(self, script: str, **variables: str) -> str:
        """Run a script whose commands must all succeed, and return its output."""
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.folder,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert not [line for line in done.stdout.splitlines() if line.lower().startswith("error: ")], done.stdout
        return done.stdout


def public_index(folder: Path, wheels: Path) -> str:
    """Write an index that stands in for PyPI and has idna, and return its URL."""
    (wheel,) = wheels.glob("idna-*.whl")
    (folder / "idna").mkdir(parents=True)
    (folder / "idna" / wheel.name).symlink_to(wheel)
    (folder / "idna/index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>\n')
    return folder.as_uri()


def new_environment(folder: Path, links: Path) -> None:
    """Make a virtual environment with pip and the requirements of gar-publish, but without gar-publish."""
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    (packages / "links.pth").write_text(f"{links}\n")
    (folder / "bin/uv").symlink_to(BIN / "uv")
    for name in ("pip", "pip3"):
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec {folder}/bin/python -m pip "$@"\n')
        (folder / "bin" / name).chmod(0o755)


def link_packages(folder: Path) -> Path:
    """Return a folder with all packages of this environment except gar-publish and gar-emulator."""
    (packages,) = BIN.parent.glob("lib/python*/site-packages")
    for each in packages.iterdir():
        if not any(name in each.name for name in ("gar_publish", "gar_emulator")):
            (folder / each.name).symlink_to(each)
    return folder
