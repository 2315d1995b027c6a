"""What is the same in every run of a project: a variable, and a table in its pyproject.toml."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gar_publish.errors import BadInput
from gar_publish.settings.settings import OPTIONS

REPOSITORY_VARIABLE = "GAR_PUBLISH_REPOSITORY"
TABLE = "[tool.gar-publish]"
_NAMES = ("repository", "formats", "packages")


def read_defaults(wanted: Collection[str], environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return those of the wanted inputs that the variable or the table sets. The variable comes before the table.

    Raises:
        BadInput: The table has other settings, or it cannot be read.
    """
    found = {}
    if repository := environment.get(REPOSITORY_VARIABLE, "").strip():
        found["repository"] = repository
    if missing := set(_NAMES).intersection(wanted) - found.keys():
        found |= {name: text for name, text in _read_table(folder / "pyproject.toml").items() if name in missing}
    return {name: text for name, text in found.items() if name in wanted}


def _read_table(file: Path) -> dict[str, str]:
    import tomllib  # most commands need no table

    try:
        if not file.is_file():
            return {}
        settings = dict(tomllib.loads(file.read_text(encoding="utf-8-sig")).get("tool", {}).get("gar-publish", {}))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise BadInput(f"{file} cannot be read: {error}.", fix="correct the file", anchor="invalid-pyproject") from None
    return {name: _text(name, value) for name, value in settings.items()}


def _text(name: str, value: Any) -> str:
    if name in OPTIONS and OPTIONS[name].kind == "secret":
        raise BadInput(
            f"{TABLE} in pyproject.toml contains {name}: a credential must not be in a file that is committed.",
            fix=f"revoke it if it was committed, remove it from pyproject.toml, and use `--{name} FILE`",
            anchor="project-settings",
        )
    if name not in _NAMES:
        raise BadInput(
            f"{TABLE} in pyproject.toml has no setting {name!r}; it takes {', '.join(_NAMES)}.",
            fix=f"remove {name!r} from pyproject.toml, or give it as an option",
            anchor="project-settings",
        )
    if name == "repository" and "://" in str(value):
        raise BadInput(
            f"The repository in {TABLE} is a URL: a checkout must not decide which server gets your token.",
            fix="write LOCATION/PROJECT/REPOSITORY, or give the URL as `--repository`",
            anchor="project-settings",
        )
    values = [value] if isinstance(value, str) or name == "repository" else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        takes = "a string" if name == "repository" else "a string or an array of strings"
        raise BadInput(
            f"{name} in {TABLE} takes {takes}.", fix=f"correct {name} in pyproject.toml", anchor="project-settings"
        )
    if not all(each.strip() for each in values or [""]):
        raise BadInput(
            f"{name} in {TABLE} is empty.",
            fix=f"give {name} a value in pyproject.toml, or remove it",
            anchor="project-settings",
        )
    return "\n".join(values)
