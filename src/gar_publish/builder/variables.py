"""Allow-lists of the environment variables for build backends and for the installer.

A list of forbidden variables would never be complete: any variable may have a secret. A backend gets none of those of
the runner, of Google's tools, and of package indexes.
"""

import re
from collections.abc import Iterable, Mapping

from gar_publish.errors import BadInput

_COMMON = r"""
    PATH | LANG | LC_(ALL|ADDRESS|COLLATE|CTYPE|MESSAGES|MONETARY|NUMERIC|PAPER|TIME) | TZ | CI |
    SSL_CERT_FILE | SSL_CERT_DIR | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE | PIP_CERT |
    SYSTEMROOT | SYSTEMDRIVE | WINDIR | COMSPEC | PATHEXT | PROGRAMDATA | PROGRAMFILES(\(X86\))? |
    NUMBER_OF_PROCESSORS | PROCESSOR_ARCHITECTURE
"""
_PERSONAL = r"HOME | USER | LOGNAME | TMPDIR | TEMP | TMP | USERPROFILE | APPDATA | LOCALAPPDATA"

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
_PERSONAL_ONLY = re.compile(_PERSONAL, re.VERBOSE)
_NEVER = re.compile(
    rf"""PATH | SOURCE_DATE_EPOCH | {_PERSONAL} | _PYPROJECT_HOOKS_\w+ |
    (INPUT|ACTIONS|CLOUDSDK|GAR_PUBLISH|GOOGLE|RUNNER|LD|DYLD)_.* | PYTHON.* |
    GITHUB_(TOKEN|ENV|OUTPUT|PATH|STATE|STEP_SUMMARY|EVENT_PATH) | (UV|PIP|TWINE)_.*""",
    re.VERBOSE | re.IGNORECASE,
)
_MAY_BE_SECRET = re.compile(r".*(TOKEN|PASSWORD|SECRET|CREDENTIAL|KEY).*", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INSTALLER = re.compile(
    rf"""{_COMMON} | {_PERSONAL} | XDG_(CACHE|CONFIG|DATA)_(HOME|DIRS) |
    UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|INDEX_\w+_(USERNAME|PASSWORD)) |
    UV_(OFFLINE|CACHE_DIR|NO_CACHE|NATIVE_TLS|SYSTEM_CERTS|CONFIG_FILE|HTTP_TIMEOUT|HTTP_RETRIES|INDEX_STRATEGY)
    | UV_(LINK_MODE|EXCLUDE_NEWER|INSECURE_HOST|PRERELEASE|RESOLUTION) |
    (HTTP|HTTPS|ALL|NO)_PROXY""",
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


def worth_asking(name: str) -> bool:
    """Return whether a message may suggest a variable for `build-env`."""
    return _NAME.fullmatch(name) is not None and not _NEVER.fullmatch(name) and not _MAY_BE_SECRET.fullmatch(name)


def asked_for(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the input `build-env` names.

    Raises:
        BadInput: One is not set, is no name, or no build may have it.
    """
    for name in names:
        if not _NAME.fullmatch(name) or _NEVER.fullmatch(name):
            raise BadInput(
                f"`build-env` names {name[:100]!r}, which no build gets.",
                cause="it is not the name of a variable, or gar-publish sets it for builds itself, or it may have a "
                "credential of this run",
                fix="remove it from `build-env`",
                anchor="build-env",
            )
        if name not in environment:
            raise BadInput(
                f"`build-env` names {name}, which is not set.",
                fix=f"set the variable {name}, or remove it from `build-env`",
                anchor="build-env",
            )
    return {name: environment[name] for name in names}


def for_installer(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for uv when it installs build requirements, including the package indexes."""
    return {name: value for name, value in environment.items() if _INSTALLER.fullmatch(name)}


def without_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that have neither a password nor a URL with one."""

    def is_secret(name: str, value: str) -> bool:
        if name.upper().endswith("_PROXY"):
            return "@" in value
        return name.endswith(("_USERNAME", "_PASSWORD")) or re.search(r"://[^/\s]*@", value) is not None

    return {name: value for name, value in environment.items() if not is_secret(name, value)}
