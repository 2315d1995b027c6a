"""The inputs of an action, which the runner passes in variables named `INPUT_*`.

See https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#inputs
"""

import re
from collections.abc import Container, Iterable, Mapping
from difflib import get_close_matches

from gar_publish.errors import BadInput
from gar_publish.settings.inputs import NOT_GIVEN, Input

_PREFIX = "INPUT_"
_ARGUMENTS = {"args", "entrypoint", "runner-temp"}
"""Inputs that reach the program as arguments: the runner's own, for an action in a container, and that of `setup`."""

_NOT_NEEDED = "remove it"
_TAKES_ITS_PLACE = {
    "attestations": "set `provenance: true`",
    "create-credentials-file": _NOT_NEEDED,
    "export-environment-variables": _NOT_NEEDED,
    "packages-dir": "set `dist` to the files, or `packages` to the projects that it builds",
    "password": "set `access-token`, `credentials-json` or `workload-identity-provider`",
    "print-hash": "remove it; the output `requirements-hashed` has the hashes",
    "project-id": "set `project`",
    "repository-url": "set `repository: LOCATION/PROJECT/NAME`",
    "skip-existing": "remove it; `if-exists: skip-identical` is the default",
    "token-format": _NOT_NEEDED,
    "user": _NOT_NEEDED,
    "username": _NOT_NEEDED,
    "verbose": _NOT_NEEDED,
    "verify-metadata": "remove it; the metadata is always checked",
    "working-directory": "set `packages`",
}
"""Inputs of other actions that publish or log in, and what to do with them."""


def read_inputs(wanted: Iterable[Input], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the inputs by name, without white space around them; empty where they are not set."""
    return {each.name: environment.get(_variable(each), "").strip() for each in wanted}


def refuse_empty_secrets(wanted: Iterable[Input], environment: Mapping[str, str]) -> None:
    """Check that no secret is set to an empty text: the run would use the credentials of the machine instead.

    Raises:
        BadInput: One is.
    """
    for each in wanted:
        if each.kind == "secret" and not environment.get(_variable(each), NOT_GIVEN).strip():
            raise BadInput(
                f"`{each.name}` is set, and empty.",
                cause="the secret does not exist, or this workflow may not read it: a pull request from a fork gets no "
                "secrets; or the step that makes the value did not run",
                fix=f"create the secret, or remove `{each.name}`\n  gh secret set NAME",
                anchor="empty-secret",
            )


def refuse_unknown_inputs(wanted: Iterable[Input], environment: Mapping[str, str]) -> None:
    """Check that there are no other inputs: `dry_run: true` would be ignored, and the run would publish.

    Raises:
        BadInput: There are.
    """
    known = [each.name for each in wanted]
    given = [name.removeprefix(_PREFIX).lower() for name in sorted(environment) if name.startswith(_PREFIX)]
    unknown = {name: _meant(name, known) for name in given if name not in {*known, *_ARGUMENTS}}
    if not unknown:
        return
    first, what_to_do = next(iter(unknown.items()))
    raise BadInput(
        " ".join(
            f"`{name}` is not an input; did you mean `{meant}`?" if meant in known else f"`{name}` is not an input."
            for name, meant in unknown.items()
        ),
        cause=f"it is misspelt, or of another action; or `env:` sets {_PREFIX}{first.upper()}",
        fix=f"use `{what_to_do}`" if what_to_do in known else what_to_do,
        anchor="unknown-inputs",
    )


def _variable(which: Input) -> str:
    return f"{_PREFIX}{which.name.upper()}"


def _meant(name: str, known: list[str]) -> str:
    """Return the input that was meant, or what to do with the one that was given."""
    plain = re.sub(r"[_ ]", "-", name)
    if plain in known:
        return plain
    return takes_its_place(plain, known) or next(iter(get_close_matches(plain, known)), _NOT_NEEDED)


def takes_its_place(name: str, known: Container[str]) -> str:
    """Return what to do with an input of another action; empty if it is none, or needs an input that is not known."""
    in_place = _TAKES_ITS_PLACE.get(name, "")
    needed = re.match(r"set `([a-z-]+)", in_place)
    return in_place if needed is None or needed[1] in known else ""
