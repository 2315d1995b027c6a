"""The Docker recipes of the example and of docs/docker.md install the private package and leave the token nowhere.

The test searches the images (configuration, history, every layer that the build added) and the files of the engine:
BuildKit's records, and all files in layers and cache mounts that were written since the builds began. To prove the
search, it must find the secrets that bad Dockerfiles leave.
"""

import gzip
import json
import re
import secrets
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import docker
import pytest
from pip._internal.models.index import PyPI

from gar_emulator import Emulator
from gar_publish.settings.index_url import OAUTH_USER, Login, extra_index_option, requirements_hashed, url_with_login
from tests.blocks import blocks
from tests.conftest import ROOT
from tests.e2e.conftest import BUILDKIT, Checkout, public_pin, upload
from tests.integration.frontdoors import READER
from tests.integration.test_dependency_confusion import QuietHandler
from tests.leaks import Leaks, encodings
from tests.wheels import make_wheel

pytestmark = pytest.mark.docker

MISTAKES = {
    "argument": ("ARG SECRET\nRUN test -n $SECRET", "image"),
    "removed": ("COPY secret /etc/\nRUN rm /etc/secret", "image"),
    "encoded": ("RUN --mount=type=secret,id=it base64 -w0 /run/secrets/it >/root/netrc", "image"),
    "stage": ("COPY secret /etc/\nRUN touch /nothing\nFROM scratch\nCOPY --from=0 /nothing /", "engine"),
    "cache": ("RUN --mount=type=secret,id=it --mount=type=cache,target=/keep cp /run/secrets/it /keep/", "engine"),
}
"""Dockerfiles that keep a secret, and the place where it stays."""


class Builder:
    """Builds images with BuildKit, and searches them and the files of the engine for secrets.

    Args:
        program: The docker client.
        base: The base image, which is not searched.
        folder: A folder for temporary files.
    """

    def __init__(self, client: docker.DockerClient, program: str, base: str, folder: Path) -> None:
        self._client = client
        self._program = program
        self._base = base
        self._folder = folder
        self._began = time.time()
        self._name = f"gar-publish-test-recipe-{uuid.uuid4().hex[:12]}"
        self._tags: list[str] = []

    def build(self, tag: str, context: Path, *options: str, **environment: str) -> None:
        done = self._build(tag, context, *options, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        self._tags.append(f"{self._name}:{tag}")

    def fail(self, context: Path, *options: str, **environment: str) -> str:
        """Build what cannot be built, and return the log."""
        done = self._build("failed", context, *options, **environment)
        assert done.returncode, done.stdout
        assert not self._client.images.list(f"{self._name}:failed")
        return done.stdout + done.stderr

    def adopt(self, tag: str, image: str) -> None:
        """Take over an image that was built elsewhere, to search and remove it."""
        self._client.images.get(image).tag(self._name, tag)
        self._client.images.remove(image)
        self._tags.append(f"{self._name}:{tag}")

    def run(self, tag: str) -> str:
        said = self._client.containers.run(f"{self._name}:{tag}", remove=True, network_mode="none")
        return str(said.decode())

    def remove(self) -> None:
        for tag in self._tags:
            self._client.images.remove(tag, force=True)

    def find(self, hidden: Mapping[str, str]) -> dict[str, set[str]]:
        """Return the places of each secret, in any encoding: `image`, `engine`.

        Args:
            hidden: The secrets by their names.
        """
        needles = {name: list(encodings(secret)) for name, secret in hidden.items()}
        saved = list(self._saved())
        found = {
            name: {"image" for each in saved if any(form in each for form in forms)} for name, forms in needles.items()
        }
        for name in self._in_engine(needles):
            found[name].add("engine")
        return found

    def _saved(self) -> Iterator[bytes]:
        """Yield the files that `docker save` writes for the images, without the layers of the base."""
        archive = self._folder / "images.tar"
        done = self._docker("save", f"--output={archive}", *self._tags)
        assert done.returncode == 0, done.stderr
        inherited = len(self._client.images.get(self._base).attrs["RootFS"]["Layers"])
        with tarfile.open(archive) as saved:
            images = json.loads(self._read(saved, "manifest.json"))
            assert len(images) == len(self._tags)
            base = {
                layer for image in images if len(image["Layers"]) > inherited for layer in image["Layers"][:inherited]
            }
            for member in saved:
                if member.isfile() and member.name not in base:
                    yield self._read(saved, member.name)
        archive.unlink()

    @staticmethod
    def _read(saved: tarfile.TarFile, name: str) -> bytes:
        file = saved.extractfile(name)
        assert file
        said = file.read()
        return gzip.decompress(said) if said.startswith(b"\x1f\x8b") else said

    def _in_engine(self, needles: Mapping[str, list[bytes]]) -> set[str]:
        """Return the names of the secrets that are in files of the engine."""
        folder = self._folder / "needles"
        folder.mkdir()
        for name, forms in needles.items():
            (folder / name).write_bytes(b"\n".join(forms))
        script = (
            "set -e; cd /engine; test -f buildkit/cache.db\n"
            f"find buildkit overlay2/*/diff -xdev -type f -newerct @{int(self._began)} -print0 >/tmp/written\n"
            "for each in /needles/*; do\n"
            "  if xargs -0 grep -lFf $each </tmp/written | grep -q .; then basename $each; fi\n"
            "done"
        )
        root = self._client.info()["DockerRootDir"]
        said = self._client.containers.run(
            self._base,
            ["sh", "-c", script],
            remove=True,
            network_mode="none",
            volumes=[f"{root}:/engine:ro", f"{folder}:/needles:ro"],
        )
        return set(said.decode().split())

    def _build(self, tag: str, context: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return self._docker("build", "--no-cache", f"--tag={self._name}:{tag}", *options, str(context), **environment)

    def _docker(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self._program, *arguments],
            env=BUILDKIT | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def builder(
    docker_client: docker.DockerClient, buildkit: str, python_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Builder]:
    builder = Builder(docker_client, buildkit, python_image, tmp_path_factory.mktemp("builder"))
    yield builder
    builder.remove()


def test_the_recipes_leave_no_token(
    builder: Builder, python_image: str, checkout: Checkout, emulator: Emulator, tmp_path: Path
) -> None:
    locked = _lock(emulator, tmp_path, "def greet(name): return f'Hello, {name}!'\n")
    index = f"{emulator.address('us-central1-python.pkg.dev')}/demo-project/python/simple/"
    recipe = checkout("docker-build")
    (recipe / "requirements.txt").write_text(locked)

    hidden = {tool: emulator.access_token(READER) for tool in ("pip", "uv")}
    conf = f"[global]\nextra-index-url = {url_with_login(index, Login(OAUTH_USER, hidden['pip']))}\n"
    builder.build("pip", recipe, "--secret=id=pip,env=PIP_CONF", PIP_CONF=conf)
    line = extra_index_option(index, hidden["uv"])
    builder.build("uv", recipe, f"--file={recipe}/uv.Dockerfile", "--secret=id=gar,env=GAR_LINE", GAR_LINE=line)

    for name, (lines, _) in MISTAKES.items():
        hidden[name] = secrets.token_urlsafe(30)
        mistake = tmp_path / name
        mistake.mkdir()
        (mistake / "Dockerfile").write_text(f"FROM {python_image}\n{lines}\n")
        (mistake / "secret").write_text(hidden[name])
        builder.build(name, mistake, "--build-arg=SECRET", "--secret=id=it,env=SECRET", SECRET=hidden[name])

    found = builder.find(hidden)
    assert {name: place for name, (_, place) in MISTAKES.items() if place not in found.pop(name)} == {}
    assert found == {"pip": set(), "uv": set()}
    for tool in found:
        assert builder.run(tool) == "Hello, container!\n"


def test_an_ended_token_ends_the_build_and_takes_no_public_namesake(
    builder: Builder, checkout: Checkout, emulator: Emulator, gateway: str, tmp_path: Path
) -> None:
    upload(emulator, make_wheel(tmp_path, "greetings", content="def greet(name): return f'Hello, {name}!'\n"))
    (stored,) = emulator.files()
    index = f"{emulator.address('us-central1-python.pkg.dev')}/demo-project/python/simple/"
    recipe = checkout("docker-build")
    (recipe / "requirements.txt").write_text(requirements_hashed({"greetings==1.0": [stored.sha256]}))
    make_wheel(tmp_path / "public/greetings", "greetings", content="def greet(name): return 'Stolen!'\n")
    ended = emulator.access_token(READER, lifetime=-1)
    with ThreadingHTTPServer((gateway, 0), partial(QuietHandler, directory=str(tmp_path / "public"))) as server:
        threading.Thread(target=server.serve_forever).start()
        public = f"http://{gateway}:{server.server_port}/"
        conf = f"[global]\nindex-url = {public}\nextra-index-url = {url_with_login(index, Login(OAUTH_USER, ended))}\n"
        pip = builder.fail(recipe, "--secret=id=pip,env=PIP_CONF", PIP_CONF=conf)
        lines = f"--index-url {public}\n{extra_index_option(index, ended)}\n"
        uv = builder.fail(recipe, f"--file={recipe}/uv.Dockerfile", "--secret=id=gar,env=GAR_LINE", GAR_LINE=lines)
        server.shutdown()
    assert "DO NOT MATCH THE HASHES" in pip, "it finds the namesake, and refuses it"
    assert "401" in uv


@pytest.mark.usefixtures("run_lock")  # the document chooses the name of the image
@pytest.mark.parametrize("heading", ["pip", "uv", "The token alone"])
def test_the_documented_commands_leave_no_token(
    *,
    heading: str,
    builder: Builder,
    buildkit: str,
    python_image: str,
    checkout: Checkout,
    emulator: Emulator,
    clean_env: dict[str, str],
    tmp_path: Path,
    leaks: Leaks,
) -> None:
    """Run the blocks of each section, with only the names of images, project and package replaced."""
    leaks.excuse("the environment of")  # the recipes pass secrets in variables
    # The contents differ in every run, so that BuildKit does not reuse a cached result.
    content = f"def greet(name): return f'Hello, {{name}}!'  # {uuid.uuid4()}\n"
    locked = _lock(emulator, tmp_path, content)
    recipe = checkout("docker-build")
    requirements = _block(heading, "text") or "my-package==1.0 --hash=…"
    for pattern, ours in (
        (r"https://(.*@)us-central1", rf"http://\g<1>{emulator.url.partition('://')[2]}/us-central1"),
        ("my-project", "demo-project"),
        (r"my-package.*", locked),
    ):
        requirements = re.sub(pattern, ours, requirements)
    (recipe / "requirements.txt").write_text(requirements)
    (recipe / "Dockerfile").write_text(re.sub("^FROM .*", f"FROM {python_image}", _block(heading, "dockerfile")))

    token = emulator.access_token(READER)
    given = tmp_path / "given"
    leaks.expect(given)
    programs = _programs(
        tmp_path / "bin",
        docker=f'echo "$PIP_CONF$GAR_LINE$GAR_TOKEN" >{given}; exec {buildkit} "$@"',
        gcloud=f"[ \"$*\" = 'auth print-access-token' ] && echo {token}",
    )
    leaks.expect(programs / "gcloud")
    done = subprocess.run(
        ["/bin/sh", "-ec", _block(heading, "sh").replace("my-project", "demo-project")],
        cwd=recipe,
        env=clean_env | emulator.exports() | {"PATH": f"{programs}:{clean_env['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    builder.adopt("document", "service")
    assert builder.run("document") == "Hello, container!\n"
    (secret,) = set(re.findall(r"ya29\.[\w.-]+", given.read_text()))
    assert builder.find({"document": secret}) == {"document": set()}


@pytest.mark.usefixtures("run_lock")  # the document chooses the name of the image
def test_an_ordinary_user_installs_with_dependencies(
    *,
    builder: Builder,
    buildkit: str,
    python_image: str,
    emulator: Emulator,
    clean_env: dict[str, str],
    tmp_path: Path,
    leaks: Leaks,
) -> None:
    """A public and a private dependency; with a secret that the user cannot read, and with the classic builder."""
    for wheel in (
        make_wheel(tmp_path, "greetings", requires=["idna", "greetings-words"]),
        make_wheel(tmp_path, "greetings-words"),
    ):
        upload(emulator, wheel)
    url = emulator.address("us-central1-python.pkg.dev")
    given = tmp_path / "given"
    given.touch()
    leaks.excuse("the environment of")  # it has the request token of the job
    leaks.expect(given)
    netrc = tmp_path / "netrc"
    netrc.write_text("")
    netrc.chmod(0o600)
    use = 'CMD [".venv/bin/python", "-c", "import greetings, idna, greetings_words"]\n'
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    (recipe / "requirements.txt").write_text("greetings==1.0\n")

    def write(section: str) -> str:
        text = re.sub("^FROM .*", f"FROM {python_image}", _block(section, "dockerfile"))
        text = text.replace("https://us-central1-python.pkg.dev/my-project", f"{url}/demo-project")
        (recipe / "Dockerfile").write_text(text + use)
        return text

    programs = _programs(
        tmp_path / "bin",
        docker=f'[ -z "$NETRC" ] || cat "$NETRC" >{given}; exec {buildkit} "$@"',
        pip=f'exec {sys.executable} -m pip "$@"',
    )
    environment = {
        **clean_env,
        **emulator.exports(),
        "PATH": f"{programs}:{clean_env['PATH']}",
        "PIP_TRUSTED_HOST": str(urlsplit(emulator.url).hostname),
    }

    def shell(section: str) -> None:
        subprocess.run(
            ["/bin/sh", "-ec", _block(section, "sh").replace("my-project", "demo-project")],
            cwd=recipe,
            env={name: value for name, value in environment.items() if name != "PIP_CONFIG_FILE"},
            check=True,
            timeout=100,
        )

    text = write("As an ordinary user, with dependencies")
    shell("As an ordinary user, with dependencies")
    builder.adopt("app", "service")
    builder.run("app")
    (recipe / "Dockerfile").write_text(text.replace(",uid=1000", ""))
    with pytest.raises(AssertionError) as failed:
        builder.build("unreadable", recipe, f"--secret=id=netrc,src={netrc}")
    assert "Looking in indexes" not in str(failed.value)  # pip did not start
    (recipe / "Dockerfile").write_text(text)
    ended = emulator.access_token(READER, lifetime=-1)
    netrc.write_text(f"machine {urlsplit(url).hostname} login oauth2accesstoken password {ended}\n")
    assert "EOFError" in builder.fail(recipe, f"--secret=id=netrc,src={netrc}")
    netrc.unlink()

    use = 'CMD ["python3", "-c", "import greetings, idna, greetings_words"]\n'
    write("Without BuildKit's secrets")
    shell("Without BuildKit's secrets")
    builder.adopt("classic", "service")
    builder.run("classic")
    (secret,) = set(re.findall(r"ya29\.[\w.-]+", given.read_text()))
    assert builder.find({"token": secret}) == {"token": set()}


PROJECT = """[project]
name = "service"
version = "1"
requires-python = ">=3.11,<4"
dependencies = ["greetings", "greetings-words"]
"""
SOURCES = {
    "uv": """[[tool.uv.index]]
name = "gar"
url = "INDEX"
explicit = true
[tool.uv.sources]
greetings.index = "gar"
greetings-words.index = "gar"
""",
    "poetry": f"""[tool.poetry]
package-mode = false
dependencies = {{ greetings = {{ source = "gar" }}, greetings-words = {{ source = "gar" }} }}
[[tool.poetry.source]]
name = "gar"
url = "INDEX"
priority = "explicit"
[[tool.poetry.source]]  # by default, Poetry needs an API that mirrors lack
name = "public"
url = "{PyPI.simple_url}/"
priority = "primary"
""",
    "pdm": """[[tool.pdm.source]]
name = "gar"
url = "INDEX"
verify_ssl = false
""",
}


@pytest.mark.usefixtures("run_lock")  # the document chooses the name of the image
@pytest.mark.parametrize(
    ("tool", "heading"),
    [
        ("uv", "uv sync"),
        pytest.param("poetry", "Poetry", marks=pytest.mark.thorough),
        pytest.param("pdm", "PDM", marks=pytest.mark.thorough),
    ],
)
def test_a_project_installs_from_its_lock(
    *,
    tool: str,
    heading: str,
    builder: Builder,
    buildkit: str,
    python_image: str,
    emulator: Emulator,
    clean_env: dict[str, str],
    tmp_path: Path,
    leaks: Leaks,
) -> None:
    leaks.excuse("the environment of")  # it has the request token of the job
    for name, requires in (("greetings", ["idna", "greetings-words"]), ("greetings-words", [])):
        upload(emulator, make_wheel(tmp_path, name, requires=requires))
    index = f"{emulator.address('us-central1-python.pkg.dev')}/demo-project/python/simple/"
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    (recipe / "pyproject.toml").write_text(PROJECT + SOURCES[tool].replace("INDEX", index))
    dockerfile = re.sub("^FROM .*", f"FROM {python_image}", _block(heading, "dockerfile"))
    use = 'CMD [".venv/bin/python", "-c", "import greetings, idna, greetings_words"]\n'
    (recipe / "Dockerfile").write_text(dockerfile + use)
    programs = _programs(
        tmp_path / "bin",
        docker=f'exec {buildkit} "$@"',
        uv=f"exec {Path(sys.executable).with_name(tool)} lock",  # the document's `uv lock`
    )
    for section in ("Projects of uv, Poetry and PDM", "As an ordinary user, with dependencies"):
        subprocess.run(
            ["/bin/sh", "-ec", _block(section, "sh").replace("my-project", "demo-project")],
            cwd=recipe,
            env=clean_env | emulator.exports() | {"PATH": f"{programs}:{clean_env['PATH']}"},
            check=True,
            timeout=200,
        )
    assert "ya29." not in (recipe / f"{tool}.lock").read_text()
    builder.adopt(tool, "service")
    builder.run(tool)


def _lock(emulator: Emulator, folder: Path, content: str) -> str:
    """Upload greetings, which requires a private and a public package, and return a lock of all three."""
    content = f"import idna, greetings_words\n{content}"
    for wheel in (
        make_wheel(folder, "greetings", requires=["greetings-words", "idna"], content=content),
        make_wheel(folder, "greetings-words"),
    ):
        upload(emulator, wheel)
    private = {f"{stored.package}=={stored.version}": [stored.sha256] for stored in emulator.files()}
    return requirements_hashed(private | public_pin(folder / "public"))


def _programs(folder: Path, **scripts: str) -> Path:
    """Write programs for PATH, with gar-publish among them."""
    folder.mkdir()
    scripts["gar-publish"] = f'exec {Path(sys.executable).with_name("gar-publish")} "$@"'
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


def _block(heading: str, language: str) -> str:
    """Return the first block of a language in one section of docs/docker.md; empty if there is none."""
    found = (each for each in blocks(ROOT / "docs/docker.md") if (each.section, each.language) == (heading, language))
    return next((each.text for each in found), "")
