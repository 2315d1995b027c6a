"""The image contains only locked packages that it needs, and no secrets of the machine that built it."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import docker
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT, build_image, copy_tree

pytestmark = pytest.mark.docker

WHY = {
    "gar-publish": "the image's purpose",
    "actions-toolkit": "workflow commands, masks and outputs",
    "build": "PEP 517 hooks",
    "certifi": "requests' certificate authorities if the system has none",
    "cffi": "cryptography needs it at run time",
    "charset-normalizer": "requests detects encodings with it",
    "cryptography": "google-auth signs with a service account's key",
    "cyclonedx-python-lib": "SBOMs",
    "defusedxml": "py-serializable imports it",
    "docutils": "readme-renderer renders reStructuredText",
    "google-auth": "every kind of Google credential",
    "idna": "requests' host names",
    "nh3": "readme-renderer cleans HTML",
    "packageurl-python": "package URLs in SBOMs",
    "packaging": "names, versions and requirements",
    "py-serializable": "cyclonedx-python-lib writes JSON with it",
    "pyproject-hooks": "build calls backends through it",
    "readme-renderer": "checks that the long description renders, as twine check does",
    "requests": "HTTP",
    "rich": "progress bars of uploads; twine imports it",
    "sortedcontainers": "the order in SBOMs",
    "tomlkit": "hatchling requires it",
    "twine": "the metadata checks, and the fields of the upload form",
    "urllib3": "requests' connections",
    "uv": "creates environments, and installs backends that the image lacks",
    # Build backends, and their most common plug-ins (requirements/backends.in).
    "flit-core": "a backend",
    "hatchling": "a backend",
    "pdm-backend": "a backend",
    "poetry-core": "a backend",
    "setuptools": "a backend",
    "wheel": "most projects that use setuptools require it",
    "hatch-vcs": "hatchling's versions from git",
    "setuptools-scm": "setuptools' versions from git",
    "vcs-versioning": "setuptools-scm requires it",
    "pathspec": "hatchling's file patterns",
    "pluggy": "hatchling's plug-ins",
    "trove-classifiers": "hatchling checks classifiers",
}
LOOK = """
import importlib.metadata, json, sys
from pathlib import Path
from packaging.markers import default_environment
found = {}
for place in (None, sys.prefix + "/share/gar-publish/backends"):
    for each in importlib.metadata.distributions(**({"path": [place]} if place else {})):
        names = {line.partition(",")[0].partition("/")[0] for line in each.read_text("RECORD").splitlines()}
        folders = {Path(each.locate_file(name)) for name in names - {".."}}
        files = [file for folder in folders for file in (folder, *folder.rglob("*"))]
        compiled = sum(file.suffix in {".pyc", ".so"} for file in files)
        found[each.name] = each.version, compiled, each.requires or []
print(json.dumps([found, default_environment()]))
"""


class Contents(NamedTuple):
    """The packages of an image.

    Attributes:
        packages: For each distribution, its version, the number of its modules that are compiled (because they were
            imported), and its requirements.
        environment: The environment for markers.
    """

    packages: dict[str, tuple[str, int, list[str]]]
    environment: dict[str, str]

    def required(self, name: str) -> set[str]:
        """Return a distribution and all its direct and indirect requirements in the image."""
        found = {name}
        for each in map(Requirement, self.packages[name][2]):
            if each.marker is None or each.marker.evaluate({**self.environment, "extra": ""}):
                found |= self.required(canonicalize_name(each.name))
        return found


@pytest.fixture(scope="module")
def contents(docker_client: docker.DockerClient, image: str) -> Contents:
    said = docker_client.containers.run(
        image, ["-I", "-c", LOOK], entrypoint="/app/venv/bin/python", remove=True, network_mode="none"
    )
    found, environment = json.loads(said)
    return Contents({canonicalize_name(name): tuple(each) for name, each in found.items()}, environment)


def test_every_package_has_a_reason(contents: Contents) -> None:
    assert contents.packages.keys() == WHY.keys()


def test_every_package_is_used(contents: Contents) -> None:
    """Publish or setup import it, a build backend consists of it, or one of these requires it."""
    doors = ("github/action", "cli/publish", "github/setup_action")
    sources = [ROOT / f"src/gar_publish/{name}.py" for name in doors]
    known = packages_distributions()
    imported = {canonicalize_name(name) for module in _imported(sources) for name in known.get(module, ())}
    backends = re.findall(r"^[a-z].*", (ROOT / "requirements/backends.in").read_text(), re.MULTILINE)
    roots = {*backends, *(imported & contents.packages.keys())}  # several distributions have modules in `google`
    used = set[str]().union(*map(contents.required, roots))
    assert contents.packages.keys() == used
    assert [name for name, (_, compiled, _) in contents.packages.items() if not compiled] == []


def test_all_requirements_are_installed(docker_client: docker.DockerClient, image: str) -> None:
    site, backends = "$(echo /app/venv/lib/python3*/site-packages)", "/app/venv/share/gar-publish/backends"
    check = f"python3 -m venv /tmp/pip && PYTHONPATH={site}:{backends} /tmp/pip/bin/python -m pip check"
    said = docker_client.containers.run(image, ["-c", check], entrypoint="sh", remove=True, network_mode="none")
    assert said.decode() == "No broken requirements found.\n"


def test_packages_are_the_locked_versions(contents: Contents) -> None:
    """Two builds of one commit have the same packages."""
    locked = {}
    for lock in ("action", "backends"):
        for line in (ROOT / f"requirements/{lock}.txt").read_text().splitlines():
            if re.match(r"[a-z0-9]", line):
                requirement = Requirement(line.rstrip(" \\"))
                if requirement.marker is None or requirement.marker.evaluate(contents.environment):
                    locked[requirement.name] = str(requirement.specifier).removeprefix("==")
    installed = {name: version for name, (version, *_) in contents.packages.items() if name != "gar-publish"}
    assert installed == locked


def test_everything_is_installed_by_hash() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    installs = [part for part in re.split(r"&&|\n", dockerfile) if re.search(r"\bpip install\b", part)]
    assert len(installs) == 4
    for install in installs:
        assert "--require-hashes" in install or install.split()[-1] == "dist/*.whl", install
        assert "--no-cache" in install
        assert "--no-deps" in install or "/tools/" in install.split()[0]


def test_secrets_beside_the_sources_change_nothing(
    docker_client: docker.DockerClient, image: str, base_image: str, tmp_path: Path
) -> None:
    """Files with secrets in the working tree do not reach the builder: the image is identical."""
    copy_tree(ROOT, tmp_path)
    for name in (".env", ".git/config", ".netrc", "gha-creds-1.json", "key.json", "requirements/.env", "src/key.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("canary-81f0c2")
    again = build_image(docker_client, tmp_path, "gar-publish-test-secrets", {"BASE_IMAGE": base_image})
    try:
        assert docker_client.images.get(again).id == docker_client.images.get(image).id
    finally:
        docker_client.images.remove(again, noprune=True)


def test_the_history_shows_no_secret(docker_client: docker.DockerClient, image: str) -> None:
    history = "\n".join(layer["CreatedBy"] for layer in docker_client.images.get(image).history())
    assert "ENTRYPOINT" in history
    assert not re.search(r"token|secret|passw|credential|\bkey\b|://[^/\s]*@", history, re.IGNORECASE), history


def test_labels(docker_client: docker.DockerClient, image: str) -> None:
    labels = docker_client.images.get(image).labels
    assert labels["org.opencontainers.image.title"] == "gar-publish"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def _imported(sources: Iterable[Path]) -> set[str]:
    """Return the top-level modules that these sources and their imports from gar-publish import at run time."""
    wanted, seen, names = list(sources), set[Path](), set[str]()
    while wanted:
        source = wanted.pop()
        if source not in seen:
            seen.add(source)
            for module in _imports(ast.parse(source.read_bytes())):
                names.add(module.partition(".")[0])
                place = ROOT / "src" / module.replace(".", "/")
                wanted += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
    return names


def _imports(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names):
            yield from (each.name for each in names)
        case ast.ImportFrom(str(module), names, 0):
            yield from (module, *(f"{module}.{each.name}" for each in names))
        case ast.If(ast.Name("TYPE_CHECKING")):
            pass
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _imports(child)
