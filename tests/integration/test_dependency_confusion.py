"""The statements of docs/dependency-confusion.md, with real pip and uv: whose package of the same name is installed?

The private repository is in the emulator. A second index stands in for PyPI: there, a stranger has published a higher
version under the same name.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gar_emulator import Emulator
from gar_publish.settings.index_url import KEYRING, OAUTH_USER, Login, requirements_hashed, url_with_login
from tests.integration.frontdoors import PUBLISHER, READER
from tests.leaks import Leaks
from tests.stored import store
from tests.wheels import make_wheel

BIN = Path(sys.executable).parent
PRIVATE, STRANGER = "ours", "a stranger's"

Run = Callable[..., str]
Attempt = Callable[..., "subprocess.CompletedProcess[str]"]
Indexes = Mapping[str, str]


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def public(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of an index with version 99 of `acme-tools`, and a second build of 1.0."""
    root = tmp_path / "public"
    for version, tag in (("99.0", "py3-none-any"), ("1.0", "1-py3-none-any")):
        make_wheel(root / "acme-tools", "acme-tools", version, content=f'SAYS = "{STRANGER}"\n', tag=tag)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def wheel(emulator: Emulator, tmp_path: Path) -> Path:
    """Upload version 1.0 of the private package, and return its wheel."""
    wheel = make_wheel(tmp_path / "dist", "acme-tools", "1.0", content=f'SAYS = "{PRIVATE}"\n')
    account = {"TWINE_USERNAME": "oauth2accesstoken", "TWINE_PASSWORD": emulator.access_token(PUBLISHER)}
    url = f"{emulator.address('us-central1-python.pkg.dev')}/demo-project/python/"
    command = [str(BIN / "twine"), "upload", "--non-interactive", f"--repository-url={url}", str(wheel)]
    subprocess.run(command, env=os.environ | account, check=True, capture_output=True)
    return wheel


@pytest.fixture
def private(emulator: Emulator, wheel: Path) -> str:
    """Return the URL of the private index, without a credential."""
    assert wheel.exists()
    return f"{emulator.address('us-central1-python.pkg.dev')}/demo-project/python/simple/"


@pytest.fixture
def attempt(emulator: Emulator, clean_env: dict[str, str], tmp_path: Path, leaks: Leaks) -> Attempt:
    """Return a function that runs a program with the token in environment variables, as in the document."""
    leaks.excuse("the environment of")  # the processes that pip and uv start inherit the token
    (tmp_path / "work").mkdir()
    token = emulator.access_token(READER)
    variables = {
        "GAR_TOKEN": token,
        "UV_INDEX_GAR_USERNAME": "oauth2accesstoken",
        "UV_INDEX_GAR_PASSWORD": token,
        "UV_PYTHON": sys.executable,
    }

    def attempt(program: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [BIN / program, *arguments],
            cwd=tmp_path / "work",
            env=clean_env | variables | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return attempt


@pytest.fixture
def run(attempt: Attempt) -> Run:
    """Return a function that runs a program, which must succeed, and returns its output."""

    def run(program: str, *arguments: str, **environment: str) -> str:
        done = attempt(program, *arguments, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def expired(emulator: Emulator, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield the variables that have the token, or name a netrc file with it, with a token that has expired."""
    token, netrc = emulator.access_token(READER, lifetime=-1), tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login oauth2accesstoken password {token}\n")
    yield {"GAR_TOKEN": token, "UV_INDEX_GAR_PASSWORD": token, "NETRC": str(netrc)}
    netrc.unlink()


@pytest.fixture
def indexes(private: str, public: str, wheel: Path, tmp_path: Path) -> Indexes:
    """Write the settings of an explicit index, and return the parts of requirements files."""
    write_explicit_index(tmp_path, private, public)
    return {
        "private": with_variable(private),
        "extra": f"--index-url {public}\n--extra-index-url {with_variable(private)}\n",
        "netrc": f"--index-url {public}\n--extra-index-url {private}\n",
        "unset": f"--index-url {public}\n--extra-index-url {with_variable(private).replace('GAR_TOKEN', 'UNSET')}\n",
        "keyring": f"--index-url {public}\n--extra-index-url {url_with_login(private, KEYRING)}\n",
        "pins": requirements_hashed({"acme-tools==1.0": [hashlib.sha256(wheel.read_bytes()).hexdigest()]}),
    }


def pip(run: Run, tmp_path: Path, requirements: str, *options: str, **environment: str) -> str:
    """Install a requirements file with pip, and return whose package was installed."""
    (tmp_path / "work/requirements.txt").write_text(requirements)
    run("pip", "install", "--no-cache-dir", "--target=lib", *options, "-r", "requirements.txt", **environment)
    return says(run, PYTHONPATH="lib")


def says(run: Run, **environment: str) -> str:
    return run("python", "-c", "import acme_tools; print(acme_tools.SAYS)", **environment).strip()


def with_variable(url: str) -> str:
    return url_with_login(url, Login(OAUTH_USER, "TOKEN")).replace("TOKEN", "${GAR_TOKEN}")


def test_pip_installs_the_strangers_higher_version_with_an_extra_index(
    run: Run, private: str, public: str, tmp_path: Path
) -> None:
    requirements = f"--index-url {public}\n--extra-index-url {with_variable(private)}\nacme-tools\n"
    assert pip(run, tmp_path, requirements) == STRANGER


@pytest.mark.parametrize(
    "options",
    [
        "--repository us-central1/demo-project/python --access-token missing",
        "--repositry us-central1/demo-project/python",
    ],
    ids=["no token", "misspelt"],
)
@pytest.mark.parametrize("install", ["pip install", "uv pip install"])
def test_a_failed_index_url_installs_nothing(
    install: str, options: str, public: str, clean_env: dict[str, str], tmp_path: Path
) -> None:
    """The output must stop pip, because a shell ignores the exit code of the command in $(…)."""
    done = subprocess.run(
        f"{BIN}/{install} --target=lib --index-url {public} $({BIN}/gar-publish index-url {options}) acme-tools",
        shell=True,
        cwd=tmp_path,
        env=clean_env | {"UV_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert not (tmp_path / "lib/acme_tools.py").exists()


def test_pip_installs_the_strangers_build_of_a_pinned_version(
    run: Run, private: str, public: str, tmp_path: Path
) -> None:
    requirements = f"--index-url {public}\n--extra-index-url {with_variable(private)}\nacme-tools==1.0\n"
    assert pip(run, tmp_path, requirements) == STRANGER


def test_hashed_pins_protect(run: Run, private: str, public: str, wheel: Path, tmp_path: Path) -> None:
    pins = requirements_hashed({"acme-tools==1.0": [hashlib.sha256(wheel.read_bytes()).hexdigest()]})
    requirements = f"--index-url {public}\n--extra-index-url {with_variable(private)}\n{pins}\n"
    assert pip(run, tmp_path, requirements, "--require-hashes") == PRIVATE


def test_a_single_index_protects(run: Run, private: str, public: str, tmp_path: Path) -> None:
    assert public
    assert pip(run, tmp_path, f"--index-url {with_variable(private)}\nacme-tools\n") == PRIVATE


def write_explicit_index(tmp_path: Path, private: str, public: str) -> None:
    (tmp_path / "work/pyproject.toml").write_text(
        f"""\
[project]
name = "service"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["acme-tools"]

[[tool.uv.index]]
name = "gar"
url = "{private}"
explicit = true

[[tool.uv.index]]
url = "{public}"
default = true

[tool.uv.sources]
acme-tools = {{ index = "gar" }}
"""
    )


def test_an_explicit_index_of_uv_protects(run: Run, private: str, public: str, tmp_path: Path) -> None:
    write_explicit_index(tmp_path, private, public)
    run("uv", "sync")
    (packages,) = (tmp_path / "work/.venv/lib").glob("python*/site-packages")
    assert says(run, PYTHONPATH=str(packages)) == PRIVATE


@pytest.mark.parametrize("installed", [STRANGER, PRIVATE])
def test_uv_pip_uses_an_explicit_index_only_if_a_variable_names_it(
    run: Run, private: str, public: str, tmp_path: Path, installed: str
) -> None:
    write_explicit_index(tmp_path, private, public)
    named = {"UV_INDEX": f"gar={private}"} if installed == PRIVATE else {}
    run("uv", "pip", "install", "--target=lib", "acme-tools", **named)
    assert says(run, PYTHONPATH="lib") == installed


@pytest.mark.parametrize(("added", "upgraded"), [(["acme-suite"], "99.0"), (["acme-suite", "acme-tools"], "1.0")])
def test_uv_add_takes_required_packages_from_its_index_only_until_an_upgrade(
    *, run: Run, private: str, public: str, emulator: Emulator, tmp_path: Path, added: Sequence[str], upgraded: str
) -> None:
    (repository,) = emulator.cloud.repositories
    store(emulator, repository, make_wheel(tmp_path / "dist", "acme-suite", "1.0", requires=["acme-tools"]))
    project = tmp_path / "work/pyproject.toml"
    project.write_text(
        f"""\
[project]
name = "consumer"
version = "1.0"
requires-python = ">=3.11"

[[tool.uv.index]]
name = "gar"
url = "{private}"
explicit = true

[[tool.uv.index]]
url = "{public}"
default = true
"""
    )
    run("uv", "add", f"--index=gar={private}", *added)
    assert 'name = "acme-tools"\nversion = "1.0"' in (tmp_path / "work/uv.lock").read_text()
    run("uv", "lock", "--upgrade")
    assert f'name = "acme-tools"\nversion = "{upgraded}"' in (tmp_path / "work/uv.lock").read_text()


@pytest.mark.parametrize(
    ("login", "setting", "installed"),
    [
        ("GAR_TOKEN", "", "99.0"),
        ("GAR_TOKEN", 'include_packages = ["acme-*"]\n', "1.0"),
        ("UNSET", 'include_packages = ["acme-*"]\n', ""),
        ("keyring", "", "99.0"),
        ("keyring", 'include_packages = ["acme-*"]\n', ""),
    ],
)
def test_included_packages_of_pdm_protect(
    *, attempt: Attempt, private: str, public: str, tmp_path: Path, login: str, setting: str, installed: str
) -> None:
    """The keyring has no login here."""
    url = url_with_login(private, KEYRING if login == "keyring" else Login(OAUTH_USER, "TOKEN"))
    source = f'[[tool.pdm.source]]\nname = "gar"\nurl = "{url.replace("TOKEN", f"${{{login}}}")}"\n{setting}'
    project = '[project]\nname = "consumer"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["acme-tools"]\n'
    (tmp_path / "work/pyproject.toml").write_text(project + source)
    done = attempt("pdm", "lock", PDM_PYPI_URL=public, PDM_CHECK_UPDATE="false")
    lock = tmp_path / "work/pdm.lock"
    assert lock.exists() == bool(installed), done.stderr
    assert not installed or f'version = "{installed}"' in lock.read_text()


def test_uv_uses_the_first_index_with_the_name(run: Run, private: str, public: str, tmp_path: Path) -> None:
    """The first index that has the name decides, and uv searches extra indexes before the default one."""
    (tmp_path / "work/requirements.txt").write_text(
        f"--index-url {public}\n--extra-index-url {with_variable(private)}\nacme-tools\n"
    )
    run("uv", "pip", "install", "--target=lib", "-r", "requirements.txt")
    assert says(run, PYTHONPATH="lib") == PRIVATE


@pytest.mark.parametrize("variable", ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"])
def test_an_index_url_in_a_requirements_file_replaces_those_of_the_settings(
    *, run: Run, private: str, public: str, tmp_path: Path, emulator: Emulator, variable: str
) -> None:
    url = url_with_login(private, Login(OAUTH_USER, emulator.access_token(READER)))
    shutil.rmtree(tmp_path / "public/acme-tools")
    make_wheel(tmp_path / "public/acme-tools", "acme-tools", "0.1", content=f'SAYS = "{STRANGER}"\n')
    assert pip(run, tmp_path, f"--index-url {public}\nacme-tools\n", **{variable: url}) == STRANGER


@pytest.mark.parametrize(
    ("login", "options"),
    [
        ("extra", ()),
        ("netrc", ("--no-input",)),
        ("keyring", ("--keyring-provider=disabled",)),
        ("unset", ("--keyring-provider=disabled",)),
    ],
)
def test_pip_with_an_expired_token_installs_the_strangers_lower_version(
    *, login: str, options: Sequence[str], run: Run, indexes: Indexes, expired: dict[str, str], tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "public/acme-tools")
    make_wheel(tmp_path / "public/acme-tools", "acme-tools", "0.1", content=f'SAYS = "{STRANGER}"\n')
    assert pip(run, tmp_path, f"{indexes[login]}acme-tools\n", *options, **expired) == STRANGER


@pytest.mark.parametrize(
    "recipe",
    [
        ("pip install --target=lib --require-hashes -r requirements.txt", "{extra}{pins}\n"),
        ("pip install --target=lib -r requirements.txt", "--index-url {private}\nacme-tools\n"),
        ("pip install --target=lib -r requirements.txt", "{netrc}acme-tools\n"),
        ("uv pip install --target=lib --require-hashes -r requirements.txt", "{extra}{pins}\n"),
        ("uv pip install --target=lib -r requirements.txt", "{extra}acme-tools\n"),
        ("uv sync", ""),
    ],
    ids=["pip, hashes", "pip, single index", "pip, netrc", "uv, hashes", "uv, extra index", "uv, explicit index"],
)
def test_with_an_expired_token_nothing_is_installed(
    recipe: tuple[str, str], attempt: Attempt, indexes: Indexes, expired: dict[str, str], tmp_path: Path
) -> None:
    command, requirements = recipe
    (tmp_path / "work/requirements.txt").write_text(requirements.format_map(indexes))
    done = attempt(*command.split(), **expired)
    assert done.returncode, done.stdout
    assert ("EOFError" if "{netrc}" in requirements else "401") in done.stderr
    assert list((tmp_path / "work").rglob("acme_tools.py")) == []
