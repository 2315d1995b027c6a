"""The variables with which tools read a repository, for one program."""

import configparser
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from gar_publish.configure import places
from gar_publish.configure.files import Malformed, loaded, parsed
from gar_publish.configure.places import Machine
from gar_publish.projects.metadata import table
from gar_publish.projects.workspaces import members
from gar_publish.settings.index_url import same_index

UV_FILES = ("pyproject.toml", "uv.toml")
"""The files in which a project may have settings of uv."""

_UV_NAME = re.compile(r"^[\w.-]+=(?=\w+://)")


def variables(url: str, netrc: PurePath, folder: Path, machine: Machine) -> Mapping[str, str]:
    """Return the variables with which pip, uv, Poetry and PDM find the repository. Other extra indexes stay.

    uv gets no index if a project of the workspace has declared it: an explicit one would not be explicit any more.

    Args:
        url: The index of the repository, without a login.
        netrc: The file that has the login, which all of these tools read.
        folder: The folder that the program starts in.
        machine: The variables so far, and where settings are.

    Raises:
        BadInput: A settings file cannot be read or parsed.
    """
    given = {"NETRC": str(netrc), "PIP_EXTRA_INDEX_URL": " ".join([*other_indexes(_pip_indexes(machine), url), url])}
    above = (folder, *folder.parents)
    of_workspace = [each for root in above for each in members(root, loaded(root / "pyproject.toml"), {}) or ()]
    files = [each / name for each in (*above, *of_workspace) for name in UV_FILES]
    if uv_names(url, [*files, Path(places.uv_file(machine))]) is None:
        given["UV_INDEX"] = " ".join([url, *other_indexes(machine.environment.get("UV_INDEX", "").split(), url)])
    return given


def uv_names(url: str, files: Iterable[Path]) -> set[str] | None:
    """Return the names of an index in settings of uv; None if none of the files has the index.

    Raises:
        BadInput: A file cannot be read or parsed.
    """
    found = [each for file in files for each in _indexes(file) if same_index(str(each.get("url", "")), url)]
    return {str(each["name"]) for each in found if "name" in each} if found else None


def other_indexes(indexes: list[str], url: str) -> list[str]:
    """Return the other indexes of a list. An entry of uv may have a name: NAME=URL."""
    return [each for each in indexes if not same_index(_UV_NAME.sub("", each), url)]


def _pip_indexes(machine: Machine) -> list[str]:
    """Return pip's extra indexes, which the variable would hide if they are in a file."""
    if "PIP_EXTRA_INDEX_URL" in machine.environment:
        return machine.environment["PIP_EXTRA_INDEX_URL"].split()
    if machine.environment.get("PIP_CONFIG_FILE") == os.devnull:  # then pip reads no file
        return []
    weaker = reversed(places.weaker_pip_files(machine))
    files = (places.pip_environment_file(machine), places.pip_file(machine), *weaker)
    found = (parsed(Path(file), _extra_indexes) for file in files if file)
    return next(filter(None, found), [])


def _extra_indexes(text: str) -> list[str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise Malformed(getattr(error, "lineno", None)) from None
    names = ("extra-index-url", "extra_index_url")
    values = [parser.get(section, name, fallback="") for section in parser.sections() for name in names]
    lines = [line for value in dict.fromkeys(values) for line in value.splitlines()]
    return [each for line in lines if not line.startswith(("#", ";")) for each in line.split()]


def _indexes(file: Path) -> list[Mapping[str, object]]:
    """Return the indexes in settings of uv; those that are malformed are left out."""
    settings = loaded(file)
    indexes = (table(settings, "tool", "uv") if file.name == "pyproject.toml" else settings).get("index")
    return [each for each in indexes if isinstance(each, dict)] if isinstance(indexes, list) else []
