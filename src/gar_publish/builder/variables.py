"""Allow-lists of the environment variables for build backends and for the installer.

A list of forbidden variables would never be complete: any variable may have a secret. A backend gets none of those of
the runner, of Google's tools, and of package indexes.
"""

import os
import re
from collections.abc import Mapping

from gar_publish.settings.build_env import PERSONAL

_COMMON = r"""
    PATH | LANG | LC_(ALL|ADDRESS|COLLATE|CTYPE|MESSAGES|MONETARY|NUMERIC|PAPER|TIME) | TZ | CI |
    SSL_CERT_FILE | SSL_CERT_DIR | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE | PIP_CERT |
    SYSTEMROOT | SYSTEMDRIVE | WINDIR | COMSPEC | PATHEXT | PROGRAMDATA | PROGRAMFILES(\(X86\))? |
    NUMBER_OF_PROCESSORS | PROCESSOR_ARCHITECTURE
"""

_BACKEND = re.compile(
    rf"""{_COMMON} |
    CC | CXX | CPP | CFLAGS | CXXFLAGS | CPPFLAGS | LDFLAGS | ARFLAGS | LD | LDSHARED | LINKCC | AR | RANLIB |
    ARCHFLAGS | MACOSX_DEPLOYMENT_TARGET | SDKROOT | PKG_CONFIG_PATH | INCLUDE | LIB | LIBPATH | CMAKE_\w+ |
    NINJA | MESON | SKBUILD_\w+ | CYTHON_\w+ | MYPYC_\w+ |
    RUSTUP_HOME | CARGO_HOME | RUSTFLAGS | CARGO_BUILD_(TARGET|JOBS|RUSTFLAGS) | CARGO | RUST_TARGET_PATH |
    MATURIN_(PEP517_ARGS|PEP517_USE_BASE_PYTHON|NO_INSTALL_RUST) |
    SETUPTOOLS_(SCM_\w+|RUST_\w+|USE_DISTUTILS|EXT_SUFFIX|ENABLE_FEATURES) | DIST_EXTRA_CONFIG | DISTUTILS_USE_SDK |
    VCS_VERSIONING_\w+ | HATCH_(BUILD_\w+|METADATA_CLASSIFIERS_NO_VERIFY|JUPYTER_BUILDER_SKIP_NPM) |
    SKIP_JUPYTER_BUILDER | PDM_BUILD_\w+ | FLIT_ALLOW_INVALID | VALIDATE_PYPROJECT_NO_NETWORK |
    PBR_\w+ | OSLO_PACKAGE_VERSION | SKIP_(WRITE_GIT_CHANGELOG|GENERATE_AUTHORS) |
    POETRY_DYNAMIC_VERSIONING_\w+ | UV_DYNAMIC_VERSIONING_BYPASS | VERSIONINGIT_LOG_LEVEL""",
    re.VERBOSE,
)
_PERSONAL_ONLY = re.compile(PERSONAL, re.VERBOSE)
_INSTALLER = re.compile(
    rf"""{_COMMON} | {PERSONAL} | XDG_(CACHE|CONFIG|DATA)_(HOME|DIRS) |
    UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|INDEX_\w+_(USERNAME|PASSWORD)) |
    UV_(OFFLINE|CACHE_DIR|NO_CACHE|NATIVE_TLS|SYSTEM_CERTS|CONFIG_FILE|HTTP_TIMEOUT|HTTP_RETRIES|INDEX_STRATEGY)
    | UV_(LINK_MODE|EXCLUDE_NEWER|INSECURE_HOST|PRERELEASE|RESOLUTION|PYTHON_INSTALL_DIR) | PYENV_VERSION |
    (HTTP|HTTPS|ALL|NO)_PROXY | NETRC""",
    re.VERBOSE | re.IGNORECASE,
)


def for_backend(environment: Mapping[str, str], *, personal: bool) -> dict[str, str]:
    """Return the variables for a build backend.

    Args:
        environment: All variables that gar-publish was started with.
        personal: Whether the backend runs as the user who started gar-publish, so that HOME and the like are right.
    """
    return {
        name: value
        for name, value in environment.items()
        if _BACKEND.fullmatch(name) or (personal and _PERSONAL_ONLY.fullmatch(name))
    }


def for_installer(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for uv when it installs build requirements, including the package indexes."""
    return {name: value for name, value in environment.items() if _INSTALLER.fullmatch(name)}


def has_cache(environment: Mapping[str, str]) -> bool:
    """Return whether uv can keep a cache: in a container, a user often has no home folder."""
    return "UV_CACHE_DIR" in environment or os.access(environment.get("HOME", "/"), os.W_OK)


def without_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that have neither a password, nor a URL with one, nor the path of a file with one."""

    def is_secret(name: str, value: str) -> bool:
        if name.upper().endswith("_PROXY"):
            return "@" in value
        return name.endswith(("_USERNAME", "_PASSWORD", "NETRC")) or re.search(r"://[^/\s]*@", value) is not None

    return {name: value for name, value in environment.items() if not is_secret(name, value)}
