"""Run every code block of every document.

A block with a mark (`<!-- needs Google: … -->`) needs something that tests do not have; docs/fidelity.md lists these.
Some blocks are run by other tests, or are part of a file that a test runs. All other blocks are run here, after the
words that a reader fills in are replaced. A block of an unknown kind fails: give it a mark, or a line in one of the
tables below.
"""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gar_emulator import Emulator, World
from tests import gcloud
from tests.blocks import DOCUMENTS, Block, as_lines, blocks
from tests.conftest import ROOT
from tests.integration import jobs, machine
from tests.integration.frontdoors import PROVIDER, Doors
from tests.integration.machine import Machine
from tests.leaks import Leaks

BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]

ELSEWHERE = (
    ("README.md", "git clone ", "tests/e2e/test_demo.py"),
    ("emulator/README.md", "pip install gar-emulator", "tests/integration/test_emulator_alone.py"),
    ("emulator/README.md", ". ./emulator.env", "tests/integration/test_emulator_alone.py"),
    ("docs/architecture.md", "flowchart ", "no test: a picture"),
    ("docs/architecture.md", "inputs ", "no test: a picture"),
    ("docs/cloud-build.md", "```yaml", "examples/cloud-build/cloudbuild.yaml"),
    ("docs/docker.md", "services:", "no test: run by hand, with docker-compose 2.26.1"),
    ("docs/docker.md", "{", "no test: run by hand, with @devcontainers/cli 0.89.0"),
    ("docs/docker.md", "```yaml", "examples/docker-build/.github/workflows/image.yml"),
    ("docs/docker.md", "FROM python:", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "LINE=", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "FROM ghcr.io/astral-sh/uv:", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "GAR_LINE=", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "--extra-index-url ", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "FROM python:", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "FROM python:", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "FROM python:", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "GAR_TOKEN=", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "FROM python:", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "DOCKER_BUILDKIT=1 gar-publish run", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "gar-publish run ", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "gar-publish run ", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "DOCKER_BUILDKIT=0 docker build --network=cloudbuild", "tests/e2e/test_cloud_build.py"),
    ("docs/docker.md", "FROM python:", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "FROM python:", "tests/e2e/test_docker_recipe.py"),
    ("docs/docker.md", "FROM python:", "tests/e2e/test_docker_recipe.py"),
    ("docs/emulator.md", "# The first two uploads ", "tests/integration/test_emulator_docs.py"),
    ("docs/emulator.md", "faults=", "tests/integration/test_emulator_docs.py"),
    ("docs/fidelity.md", "```toml", "emulator/src/gar_emulator/default.toml"),
    ("docs/install.md", "uv add --index ", "tests/integration/test_configure.py"),
    ("docs/install.md", "uv publish --index ", "tests/integration/test_configure.py"),
    ("docs/local.md", "pipx install ", "tests/e2e/test_laptop.py"),
    ("docs/local.md", "uvx ", "tests/e2e/test_laptop.py"),
    ("docs/local.md", "[tool.gar-publish]", "tests/unit/cli/test_defaults.py"),
    ("docs/local.md", "git clone ", "README.md"),
    ("docs/local.md", ".venv/bin/gar-publish emulator ", "tests/e2e/test_act.py"),
    ("docs/local.md", "cp -r examples/act ", "tests/e2e/test_act.py"),
    ("docs/local.md", "GAR_TOKEN=", "tests/e2e/test_act.py"),
    ("docs/local.md", "```yaml", "examples/act/.github/workflows/publish.yml"),
    ("docs/monorepo.md", "[tool.setuptools_scm]", "tests/integration/test_build_backends.py"),
    ("docs/monorepo.md", "{", "tests/unit/test_docs.py"),
    ("docs/monorepo.md", "```yaml", "examples/matrix/.github/workflows/publish.yml"),
    ("docs/rehearsal.md", "- uses: ", "tests/integration/test_rehearsal.py"),
    ("docs/reliability.md", "$ python -m bench.kill ", "tests/integration/test_reliability.py"),
    ("docs/reliability.md", "$ python -m bench.previews_kill ", "tests/integration/test_previews_clean_up.py"),
    ("docs/reliability.md", "$ python -m bench.soak ", "tests/integration/test_reliability.py"),
    ("docs/reliability.md", "$ python -m bench.again ", "tests/integration/test_reliability.py"),
    ("docs/reliability.md", "$ python -m bench.memory ", "tests/integration/test_reliability.py"),
    ("docs/security.md", "```yaml", "examples/github-workload-identity/.github/workflows/publish.yml"),
    ("docs/setup.md", "gar-publish emulator ", "tests/integration/test_bootstrap.py"),
    ("docs/setup.md", ". ./emulator.env", "tests/integration/test_bootstrap.py"),
    ("docs/setup.md", "gar-publish publish ", "tests/integration/test_bootstrap.py"),
    ("docs/setup.md", "before: ", "tests/integration/test_emulator_docs.py"),
    ("docs/setup.md", "assertion.", "tests/unit/test_docs.py"),
    ("docs/setup.md", "google.subject=", "tests/unit/test_docs.py"),
)
"""A document, how a block of it begins, and where it is run: a test that takes it from the document, or a file that
tests run and that contains it word for word. All blocks of a language can be parts of one file."""

CONFIGURE = "gar-publish configure $tool --repository us-central1/my-project/python --token"
FILES = {
    ("docs/dependency-confusion.md", "text"): ("requirements.txt", "pip install -r requirements.txt"),
    ("docs/dependency-confusion.md", "toml"): ("pyproject.toml", ""),
    ("docs/install.md", "toml"): (
        "pyproject.toml",
        f"for tool in uv poetry; do {CONFIGURE}; done; uv lock; poetry check",
    ),
    ("docs/other-tools.md", "toml"): ("Pipfile", ""),  # bench/tools_matrix.py has this form
    ("docs/troubleshooting.md", "toml"): ("pyproject.toml", "gar-publish plan"),
}
"""Blocks that are a file, or the end of one, and a command that reads it."""

BEFORE = {
    "README.md": {"pip install ./emulator": "sed -i 's/, .my-sibling.//' pyproject.toml"},  # here, it is gar-publish
    "docs/evidence.md": {
        "attachments list": "gar-publish publish --repository us-central1/my-project/python --sbom --dist "
        "../held/my_package-1.0-py3-none-any.whl",
    },
    "docs/troubleshooting.md": {
        "attachments describe": "gar-publish publish --repository us-central1/my-project/python --sbom --dist "
        "../held/my_package-1.0-py3-none-any.whl",
    },
    "docs/setup.md": {
        "--check": "gar-publish bootstrap --github octo-org/hello --repository us-central1/my-project/python | sh",
        "workload-identity-pools delete": "gar-publish bootstrap --github octo-org/hello"
        " --repository us-central1/my-project/python | sh",
    },
}
"""By document and a part of a block: the commands to run before it."""

CONSUMER = """\
[project]
name = "consumer"
version = "1.0"
requires-python = ">=3.11,<4"
dependencies = {dependencies}

"""
"""The beginning of a pyproject.toml, of which the documents show parts."""

WORDS = {
    "ACCOUNT": machine.PUBLISHER,
    "HOST:PORT": "127.0.0.1:1",
    "ISSUER": "https://token.actions.githubusercontent.com",
    "LOCATION": "us-central1",
    "NAME": "hello",
    "NUMBER": "123456789012",
    "OWNER_ID": "123456",
    "POOL": "github",
    "PROJECT": "my-project",
    "PROVIDER": "github",
    "PROVIDER_NAME": PROVIDER,
    "REPOSITORY": "python",
    "VERSION": "1.2.3",
    "ID": "456789",
}
"""The values that a reader fills in."""

IN_SECTION = {
    "repository-format": {"PROJECT": "new-project"},
    "repository-missing": {"PROJECT": "new-project"},
    "repository-mode": {"NAME": "python"},
}
"""Other values, by section."""

QUICK_START = next(block.text for block in BLOCKS if block.language == "yaml")

KNOWN = {
    "!secrets.GAR_TOKEN && env.PROVIDER || ''": PROVIDER,
    "github.ref_type == 'tag' && github.ref_name || ''": "v1.3",
    "inputs.packages": "hello==1.2.3",
}
"""The values of expressions in workflows."""


def row(block: Block) -> tuple[str, str, str]:
    """Return the row of a block that is run elsewhere."""
    for name, start, where in ELSEWHERE:
        if name == block.document and (block.text.startswith(start) or start == f"```{block.language}"):
            return name, start, where
    return "", "", ""


def place(block: Block) -> str:
    """Return where else a block is run; empty if nowhere."""
    return row(block)[2]


def of(*languages: str) -> pytest.MarkDecorator:
    """Parametrize a test with each block of these languages that is run here, and with equal blocks only once."""
    chosen: dict[tuple[str, bool], Block] = {}
    for block in BLOCKS:
        if block.language in languages and not place(block) and not block.needs.startswith(("Google", "root")):
            chosen.setdefault((block.text, block.section in IN_SECTION), block)
    return pytest.mark.parametrize("block", chosen.values(), ids=str)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, session_env: dict[str, str]) -> Path:
    """Return what pip and uv find beside the repository: both wheels of this checkout, and some packages from PyPI."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    for project in (ROOT, ROOT / "emulator"):
        subprocess.run(build, cwd=project, check=True, capture_output=True)
    from_pypi = ["flit_core", "hatchling", "idna", "setuptools"]
    download = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--only-binary=:all:",
        "--dest",
        str(folder),
        *from_pypi,
    ]
    subprocess.run(download, env=session_env, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return machine.link_packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def world() -> World:
    return machine.world()


@pytest.fixture
def computer(
    *,
    production: Emulator,
    proxy: str,
    request: pytest.FixtureRequest,
    wheels: Path,
    packages: Path,
    clean_env: dict[str, str],
    tmp_path: Path,
    leaks: Leaks,
) -> Iterator[Machine]:
    leaks.excuse("the environment of")  # the documents hand tokens over in variables,
    leaks.excuse("the argument vector of")  # to pip in arguments,
    leaks.excuse("the output of a process")  # and print one
    for name in ("work", "bin", "held"):
        (tmp_path / name).mkdir()
    work, programs = tmp_path / "work", tmp_path / "bin"
    for holds_secrets in (Path(clean_env["HOME"]), work):
        leaks.expect(holds_secrets)
    for name, script in {"gh": machine.GH, "gar-publish": machine.GAR_PUBLISH}.items():
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    machine.fill_repositories(production, tmp_path / "held")
    machine.fill_folder(work, production)
    machine.new_environment(work / ".venv", packages)
    exports = {name: value for name, value in production.exports().items() if not name.startswith("ACTIONS_")}
    public = machine.public_index(tmp_path / "public", wheels)
    environment = {
        **{name: value for name, value in clean_env.items() if name != "PIP_CONFIG_FILE"},
        **exports,
        **gcloud.settings({}, production.access_token(machine.OWNER), tmp_path / "held"),
        "CLOUDSDK_CORE_PROJECT": "my-project",
        "GAR_TOKEN": production.access_token(machine.PUBLISHER),
        "HTTPS_PROXY": proxy,
        "MAKEFLAGS": "--dry-run",
        "MEMBER": f"serviceAccount:{machine.PUBLISHER}",
        "NO_PROXY": "127.0.0.1",
        "PATH": f"{programs}:{work}/.venv/bin:{machine.BIN}:/usr/bin:/bin",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_INDEX_URL": public,
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "UV_DEFAULT_INDEX": public,
        "UV_FIND_LINKS": str(wheels),
        "UV_PYTHON": sys.executable,
        "VIRTUAL_ENV": str(work / ".venv"),
    }
    with request.getfixturevalue("gcloud").on_path(programs) if gcloud.find() else contextlib.nullcontext():
        yield Machine(work, environment)


def test_every_block_is_in_a_class() -> None:
    """A block is run by a test below, or has a line in a table, or has a mark."""
    for block in BLOCKS:
        known = block.language in {"sh", "yaml", "python"} or (block.document, block.language) in FILES
        assert known or place(block) or block.needs, block
        assert not block.needs or block.needs.startswith(("Google: ", "GitHub: ", "root: ")), block


def test_every_block_that_is_run_elsewhere_has_a_row() -> None:
    """A row with a language stands for several blocks, which are compared with a file below."""
    found = [row(block) for block in BLOCKS]
    single = [each for each in ELSEWHERE if not each[1].startswith("```")]
    assert not [each for each in single if found.count(each) != single.count(each)]


@pytest.mark.parametrize("block", [block for block in BLOCKS if place(block)], ids=str)
def test_blocks_that_are_run_elsewhere_are_there(block: Block) -> None:
    where = place(block)
    if where.startswith("no test"):
        assert not re.search(r"\$ |gar-publish ", block.text)
    elif where.startswith("tests/"):
        assert Path(block.document).name in (ROOT / where).read_text(encoding="utf-8")
    else:
        assert as_lines(block.text.replace("my-project", "demo-project")) in as_lines((ROOT / where).read_text())


@of("sh")
def test_commands(block: Block, computer: Machine, production: Emulator) -> None:
    if re.search(r"gcloud|\| sh$", block.text, re.MULTILINE):
        gcloud.require()
    write_files(block, computer, production)
    for part, script in BEFORE.get(block.document, {}).items():
        if part in block.text:
            computer.shell(script)
    said = computer.shell(filled(block, production))
    assert "gar-publish emulator" not in block.text or "export GAR_EMULATOR_HOST=" in said
    programs = set(re.findall(r"^\.venv/bin/(\S+)", said, re.MULTILINE))  # which make would run
    assert bool(programs) == bool(re.search(r"^make ", block.text, re.MULTILINE))
    assert not [each for each in programs if not (machine.BIN / each).is_file()]


@of("yaml")
def test_workflows(block: Block, computer: Machine, production: Emulator) -> None:
    """Actions of others are skipped; a block with such an action has to be marked as one that needs GitHub."""
    found = jobs.as_jobs(yaml.safe_load(block.text), yaml.safe_load(QUICK_START))
    assert bool(block.needs) == bool(jobs.others(found))
    secrets = {"secrets.GAR_TOKEN": "", "secrets.GAR_KEY": (computer.folder / "key.json").read_text()}
    doors = Doors(computer.folder, computer.environment)
    jobs.run(found, doors=doors, shell=computer.shell, emulator=production, **KNOWN, **secrets)


@of("toml", "text")
def test_files(block: Block, computer: Machine, production: Emulator) -> None:
    write_files(block, computer, production)
    computer.shell(FILES[block.document, block.language][1])


@of("python")
def test_python(block: Block, tmp_path: Path) -> None:
    exec(block.text, {"folder": tmp_path})


def write_files(block: Block, computer: Machine, emulator: Emulator) -> None:
    """Write the file that this block, or the block right before it, shows."""
    for shown in BLOCKS:
        right_before = shown.document == block.document and block.number - shown.number in {0, 1}
        if right_before and (file := FILES.get((shown.document, shown.language))):
            text = filled(shown, emulator)
            if file[0] == "pyproject.toml":
                packages = ["acme-tools"] if "acme-tools" in text else ["my-package", "my-sibling"]
                text = CONSUMER.format(dependencies=packages) + text
            (computer.folder / file[0]).write_text(text)


def filled(block: Block, emulator: Emulator) -> str:
    """Return a block with what a reader fills in: the words in capitals, and the hashes of pins."""
    repository = next(each for each in emulator.cloud.repositories if each.resource == machine.PYTHON)
    attached = [each.id for each in emulator.cloud.attachments.attachments(repository)]
    words = {**WORDS, **IN_SECTION.get(block.section, {}), "ATTACHMENT": next(iter(attached), "")}
    text = re.sub(r"(?<![\w$])(?:" + "|".join(words) + r")(?!\w)", lambda found: words[found[0]], block.text)
    hashes = {f"{file.package}=={file.version}": file.sha256 for file in emulator.files(jobs.REPOSITORY)}
    return re.sub(r"(\S+==\S+) --hash=\S+", lambda found: f"{found[1]} --hash=sha256:{hashes[found[1]]}", text)
