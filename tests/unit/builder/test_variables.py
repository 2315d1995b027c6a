"""Variables for untrusted code."""

from pathlib import Path

import pytest

from gar_publish.builder import variables

SECRETS = [
    "INPUT_CREDENTIALS-JSON",
    "INPUT_ACCESS-TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ACTIONS_RUNTIME_TOKEN",
    "GITHUB_TOKEN",
    "GITHUB_ENV",
    "GH_TOKEN",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_GHA_CREDS_PATH",
    "CLOUDSDK_AUTH_ACCESS_TOKEN",
    "CLOUDSDK_CONFIG",
    "AWS_SECRET_ACCESS_KEY",
    "TWINE_PASSWORD",
    "UV_PUBLISH_TOKEN",
    "UV_KEYRING_PROVIDER",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "CARGO_REGISTRY_TOKEN",
    "CARGO_BUILD_TOKEN",
    "DOCKER_HOST",
    "SSH_AUTH_SOCK",
    "LD_PRELOAD",
    "PYTHONPATH",
    "GIT_CONFIG_VALUE_0",
    "CI_JOB_TOKEN",
    "PATH_TOKEN",
]
FOR_BACKENDS = [
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "CI",
    "SSL_CERT_FILE",
    "PIP_CERT",
    "CC",
    "CFLAGS",
    "ARCHFLAGS",
    "MACOSX_DEPLOYMENT_TARGET",
    "CARGO_BUILD_TARGET",
    "SETUPTOOLS_SCM_PRETEND_VERSION",
    "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_MY_PACKAGE",
    "HATCH_BUILD_HOOKS_ENABLE",
    "SYSTEMROOT",
    "PROGRAMFILES(X86)",
]
PERSONAL = ["HOME", "TMPDIR", "TEMP", "USERPROFILE", "USER"]
FOR_INSTALLER = [
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_INDEX_MINE_PASSWORD",
    "UV_FIND_LINKS",
    "UV_OFFLINE",
    "UV_CACHE_DIR",
    "UV_CONFIG_FILE",
    "UV_PYTHON_INSTALL_DIR",
    "PYENV_VERSION",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "NETRC",
]


@pytest.mark.parametrize("name", [*SECRETS, *FOR_INSTALLER])
@pytest.mark.parametrize("personal", [True, False])
def test_a_backend_does_not_get(name: str, *, personal: bool) -> None:
    assert variables.for_backend({name: "x"}, personal=personal) == {}


@pytest.mark.parametrize("name", FOR_BACKENDS)
def test_a_backend_gets(name: str) -> None:
    assert variables.for_backend({name: "x"}, personal=False) == {name: "x"}


@pytest.mark.parametrize("name", PERSONAL)
def test_only_a_backend_of_the_same_user_gets(name: str) -> None:
    assert variables.for_backend({name: "x"}, personal=True) == {name: "x"}
    assert variables.for_backend({name: "x"}, personal=False) == {}


@pytest.mark.parametrize("name", SECRETS)
def test_the_installer_does_not_get(name: str) -> None:
    assert variables.for_installer({name: "x"}) == {}


def test_variables_with_credentials() -> None:
    kept = {"UV_INDEX": "https://host/simple/", "HTTPS_PROXY": "http://proxy:3128", "UV_FIND_LINKS": "/a@b"}
    dropped = {
        "UV_INDEX_MINE_PASSWORD": "x",
        "NETRC": "/home/me/.netrc",
        "UV_EXTRA_INDEX_URL": "https://host/simple/ https://me:x@host/simple/",
        "ALL_PROXY": "socks5://x@proxy",
        "http_proxy": "me:secret@proxy:3128",
    }
    assert variables.without_credentials(kept | dropped) == kept


@pytest.mark.parametrize("name", [*FOR_INSTALLER, *PERSONAL, "PATH", "SSL_CERT_FILE"])
def test_the_installer_gets(name: str) -> None:
    assert variables.for_installer({name: "x"}) == {name: "x"}


def test_a_user_without_a_home_has_no_cache(tmp_path: Path) -> None:
    """As in a container with the user id of nobody, whose HOME is `/`."""
    assert variables.has_cache({"HOME": str(tmp_path)})
    assert variables.has_cache({"HOME": str(tmp_path / "none"), "UV_CACHE_DIR": "x"})
    assert not variables.has_cache({"HOME": str(tmp_path / "none")})
