"""Allow-lists of the environment variables for build backends and for the installer.

A list of forbidden variables would never be complete: any variable may have a secret. A backend gets none of those of
the runner, of Google's tools, and of package indexes.
"""

import re
from collections.abc import Mapping

_COMMON = r"""
    PATH | LANG | LC_(ALL|ADDRESS|COLLATE|CTYPE|MESSAGES|MONETARY|NUMERIC|PAPER|TIME) | TZ | CI |
    SSL_CERT_FILE | SSL_CERT_DIR | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE | PIP_CERT |
    SYSTEMROOT | SYSTEMDRIVE | WINDIR | COMSPEC | PATHEXT | PROGRAMDATA | PROGRAMFILES(\(X86\))? |
    NUMBER_OF_PROCESSORS | PROCESSOR_ARCHITECTURE
"""
_PERSONAL = r"HOME | USER | LOGNAME | TMPDIR | TEMP | TMP | USERPROFILE | APPDATA | LOCALAPPDATA"

_BACKEND = re.compile(
    rf"""{_COMMON} |
    CC | CXX | CFLAGS | CXXFLAGS | CPPFLAGS | LDFLAGS | ARCHFLAGS | MACOSX_DEPLOYMENT_TARGET | SDKROOT |
    PKG_CONFIG_PATH | CMAKE_ARGS | CMAKE_PREFIX_PATH | INCLUDE | LIB | LIBPATH |
    RUSTUP_HOME | CARGO_HOME | RUSTFLAGS | CARGO_BUILD_(TARGET|JOBS|RUSTFLAGS) |
    SETUPTOOLS_SCM_PRETEND_VERSION\w* | HATCH_BUILD_\w+ | PDM_BUILD_SCM_VERSION | PBR_VERSION |
    POETRY_DYNAMIC_VERSIONING_BYPASS | UV_DYNAMIC_VERSIONING_BYPASS""",
    re.VERBOSE,
)
_PERSONAL_ONLY = re.compile(_PERSONAL, re.VERBOSE)
_INSTALLER = re.compile(
    rf"""{_COMMON} | {_PERSONAL} | XDG_(CACHE|CONFIG|DATA)_(HOME|DIRS) |
    UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|INDEX_\w+_(USERNAME|PASSWORD)) |
    UV_(OFFLINE|CACHE_DIR|NO_CACHE|NATIVE_TLS|SYSTEM_CERTS|CONFIG_FILE|HTTP_TIMEOUT|HTTP_RETRIES|INDEX_STRATEGY)
    | UV_(LINK_MODE|EXCLUDE_NEWER|INSECURE_HOST) |
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
