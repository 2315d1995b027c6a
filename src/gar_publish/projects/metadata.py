"""Read name, version and requirements from a project's files, without its build backend.

What only the backend knows is None. Malformed values are ignored: the backend reports them.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import Version

_POETRY = ("poetry.core.masonry.api", "poetry.masonry.api")
_SETUPTOOLS = ("setuptools.build_meta", "setuptools.build_meta:__legacy__")
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}")


class Metadata(NamedTuple):
    """The declared metadata, all names and the version normalised.

    Attributes:
        name: The name.
        version: The version.
        requires: The requirements without extras.
        optional: The requirements of extras only, and those that a plugin may add.
        build_requires: The build requirements.
    """

    name: str | None = None
    version: str | None = None
    requires: frozenset[str] | None = None
    optional: frozenset[str] = frozenset()
    build_requires: frozenset[str] = frozenset()


def read(folder: Path, pyproject: Mapping[str, Any]) -> Metadata:
    """Return what a project folder declares.

    Args:
        folder: The folder of setup.cfg and setup.py.
        pyproject: Its pyproject.toml; empty if there is none.
    """
    text = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = (folder / "setup.cfg").read_text(encoding="utf-8")
    return declared(pyproject, text, setup_py=(folder / "setup.py").is_file())


def declared(pyproject: Mapping[str, Any], setup_cfg: str = "", *, setup_py: bool = False) -> Metadata:
    """Return what the files declare.

    Args:
        pyproject: The content of pyproject.toml.
        setup_cfg: The text of setup.cfg.
        setup_py: Whether there is a setup.py, which may add to setup.cfg.
    """
    system = table(pyproject, "build-system")
    backend = system.get("build-backend", _SETUPTOOLS[0])
    config = _parsed(setup_cfg) if backend in _SETUPTOOLS else {}
    if "project" in pyproject:
        found = _of_project(table(pyproject, "project"))
        found = found._replace(optional=found.optional | _of_hatch_hooks(pyproject))
        if backend in _POETRY:
            found = _completed(found, table(pyproject, "project"), _of_poetry(pyproject))
    elif str(backend).startswith("poetry"):
        found = _of_poetry(pyproject)
        if backend not in _POETRY:  # a plugin derives the version from tags
            found = found._replace(version=None)
    else:
        found = _of_setup_cfg(config, setup_py=setup_py)
    if any(config.get("egg_info", {}).get(tag, "0") not in {"", "0"} for tag in ("tag_build", "tag_date")):
        found = found._replace(version=None)
    return found._replace(build_requires=_names(system.get("requires")))


def table(within: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return a table of a TOML document; empty if there is none."""
    for key in keys:
        inner = within.get(key)
        within = inner if isinstance(inner, dict) else {}
    return within


def _of_project(project: Mapping[str, Any]) -> Metadata:
    """Return the metadata in `[project]` (https://packaging.python.org/en/latest/specifications/pyproject-toml/)."""
    return _metadata(
        name=project.get("name"),
        version=project.get("version"),
        requires=None if "dependencies" in _dynamic(project) else _names(project.get("dependencies")),
        optional=_of_extras(table(project, "optional-dependencies")),
    )


def _of_hatch_hooks(pyproject: Mapping[str, Any]) -> frozenset[str]:
    """Return the dependencies that the settings of hatchling's metadata hooks have: a hook may add them."""
    hooks = table(pyproject, "tool", "hatch", "metadata", "hooks")
    listed = [table(hooks, hook).get("dependencies") for hook in hooks]
    texts = [text for each in listed if isinstance(each, list) for text in each]
    return _names([_PLACEHOLDER.sub("0", text) for text in texts if isinstance(text, str)])


def _of_poetry(pyproject: Mapping[str, Any]) -> Metadata:
    """Return the metadata in `[tool.poetry]` (https://python-poetry.org/docs/pyproject/), without groups."""
    poetry = table(pyproject, "tool", "poetry")
    dependencies = {canonicalize_name(name): how for name, how in table(poetry, "dependencies").items()}
    dependencies.pop(canonicalize_name("python"), None)
    in_extras = _of_extras(table(poetry, "extras"))
    optional = {name for name, how in dependencies.items() if isinstance(how, dict) and how.get("optional") is True}
    return _metadata(
        name=poetry.get("name"),
        version=poetry.get("version"),
        requires=frozenset(dependencies.keys() - optional - in_extras),
        optional=frozenset(dependencies.keys() & in_extras),
    )


def _completed(found: Metadata, project: Mapping[str, Any], poetry: Metadata) -> Metadata:
    """Take from `[tool.poetry]` what `[project]` declares as dynamic."""
    if "version" in _dynamic(project):
        found = found._replace(version=poetry.version)
    if "dependencies" in _dynamic(project):
        found = found._replace(requires=poetry.requires, optional=found.optional | poetry.optional)
    return found


def _dynamic(project: Mapping[str, Any]) -> list[Any]:
    dynamic = project.get("dynamic")
    return dynamic if isinstance(dynamic, list) else []


def _of_setup_cfg(config: Mapping[str, Mapping[str, str]], *, setup_py: bool) -> Metadata:
    """Return the metadata in setup.cfg (https://setuptools.pypa.io/en/latest/userguide/declarative_config.html)."""
    options = config.get("options", {})
    required = options.get("install_requires", "")
    unknown = "metadata" not in config or required.startswith("file:") or (setup_py and not required)
    return _metadata(
        name=config.get("metadata", {}).get("name"),
        version=config.get("metadata", {}).get("version"),
        requires=None if unknown else _names(_listed(required)),
        optional=_of_extras({extra: _listed(text) for extra, text in config.get("options.extras_require", {}).items()}),
    )


def _parsed(setup_cfg: str) -> dict[str, dict[str, str]]:
    if not setup_cfg:
        return {}
    import configparser  # most projects have no such file

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(setup_cfg)
    except configparser.Error:
        return {}
    sections = {section: parser.items(section) for section in parser.sections()}
    return {
        section: {key.replace("-", "_"): text.strip() for key, text in items} for section, items in sections.items()
    }


def _listed(text: str) -> list[str]:
    """Return a list of setup.cfg: one entry per line, or separated by semicolons."""
    return text.splitlines() if "\n" in text else text.split(";")


def _metadata(*, name: object, version: object, requires: frozenset[str] | None, optional: frozenset[str]) -> Metadata:
    return Metadata(
        name=_name(name),
        version=_version(version),
        requires=requires,
        optional=optional - (requires or frozenset()),
    )


def _name(text: object) -> str | None:
    try:
        return canonicalize_name(text, validate=True) if isinstance(text, str) else None
    except InvalidName:
        return None


def _version(text: object) -> str | None:
    """Return the normalised version; None if it is invalid, such as `attr: package.VERSION`."""
    try:
        return str(Version(text)) if isinstance(text, str) else None
    except ValueError:  # InvalidVersion, or a number of 5,000 digits
        return None


def _of_extras(extras: Mapping[str, object]) -> frozenset[str]:
    return frozenset[str]().union(*(_names(requirements) for requirements in extras.values()))


def _names(declared: object) -> frozenset[str]:
    requirements = declared if isinstance(declared, list) else []
    return frozenset(_each_name(each for each in requirements if isinstance(each, str)))


def _each_name(requirements: Iterable[str]) -> Iterator[str]:
    for each in requirements:
        with contextlib.suppress(InvalidRequirement, RecursionError):  # of 5,000 parentheses
            yield canonicalize_name(Requirement(each).name)
