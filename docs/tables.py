"""Writes what follows from the declared inputs and outputs, and from results (`make docs`).

The inputs are declared in src/gar_publish/settings/settings.py, the outputs in the two action.yml. From there come the
inputs in action.yml, all inputs in action-types.yml, and the tables in README.md (a part), docs/inputs.md and
docs/jobs.md. The table in docs/monorepo.md has the results in bench/corpus/tools.json, and that in docs/install.md
those in bench/tools_matrix.json.
"""

import json
import re
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from gar_publish.settings.inputs import Input, inputs_of
from gar_publish.settings.settings import (
    CREDENTIAL_INPUTS,
    PROMOTION_INPUTS,
    PUBLISH_INPUTS,
    REPOSITORY_INPUTS,
    SetupSettings,
)

ROOT = Path(__file__).parent.parent
_LINE_LENGTH = 120
_IN_README = (
    "repository",
    "workload-identity-provider",
    "service-account",
    "credentials-json",
    "packages",
    "dist",
    "formats",
    "if-exists",
    "dry-run",
    "doctor",
    "extra-index-url",
    "index-url",
    "requirements",
    "requirements-hashed",
)
_Groups = tuple[tuple[Input, ...], ...]
_INPUTS: _Groups = (REPOSITORY_INPUTS, CREDENTIAL_INPUTS, PUBLISH_INPUTS, PROMOTION_INPUTS)
_SETUP_INPUTS: _Groups = (REPOSITORY_INPUTS, CREDENTIAL_INPUTS, inputs_of(SetupSettings))


def written() -> dict[Path, str]:
    """Return the files with what is generated in them, as it should be."""
    files = {}
    for folder, document, groups in (
        (ROOT, ROOT / "docs" / "inputs.md", _INPUTS),
        (ROOT / "setup", ROOT / "docs" / "jobs.md", _SETUP_INPUTS),
    ):
        path = folder / "action.yml"
        files[path] = _with_part(path.read_text(encoding="utf-8"), "inputs", "\n".join(map(_as_inputs, groups)))
        action = yaml.safe_load(files[path])
        path = folder / "action-types.yml"
        types = "".join(_as_type(each) for group in groups for each in group)
        files[path] = _with_part(path.read_text(encoding="utf-8"), "inputs", types)
        files[document] = _with_tables(document, action)
    readme = ROOT / "README.md"
    action = yaml.safe_load(files[ROOT / "action.yml"])
    files[readme] = _with_tables(readme, action, lambda name: name in _IN_README)
    document = ROOT / "docs" / "rehearsal.md"
    files[document] = _with_part(document.read_text(encoding="utf-8"), "planted", _planted_defects())
    document = ROOT / "docs" / "monorepo.md"
    files[document] = _with_part(document.read_text(encoding="utf-8"), "tools", _version_tools())
    document = ROOT / "docs" / "install.md"
    files[document] = _with_part(document.read_text(encoding="utf-8"), "tools", _installing_tools())
    return files


def _with_tables(document: Path, action: dict[str, Any], shown: Callable[[str], bool] = lambda _: True) -> str:
    """Return the document with the tables of those inputs and outputs that are shown."""
    text = document.read_text(encoding="utf-8")
    inputs = [
        (f"`{name}`", _default(each), each["description"]) for name, each in action["inputs"].items() if shown(name)
    ]
    outputs = [(f"`{name}`", each["description"]) for name, each in action["outputs"].items() if shown(name)]
    text = _with_part(text, "inputs", _table(("input", "default", "meaning"), inputs))
    return _with_part(text, "outputs", _table(("output", "meaning"), outputs))


def _installing_tools() -> str:
    """Return the results of `python -m bench.tools_matrix` as a table: one row per tool, one column per credential."""
    results = json.loads((ROOT / "bench" / "tools_matrix.json").read_text(encoding="utf-8"))
    ways = next(iter(results.values()))
    return _table(("tool", *(f"`{way}`" for way in ways)), ((tool, *of.values()) for tool, of in results.items()))


def _version_tools() -> str:
    """Return the results of `python -m bench.corpus --tools` as a table: one row per tool, one column per checkout."""
    results = json.loads((ROOT / "bench" / "corpus" / "tools.json").read_text(encoding="utf-8"))
    cells: dict[str, dict[str, str]] = {}
    for each in results:
        different = [f"**{way}: {word}**" for way, word in each["ways"].items() if word != "same"]
        cells.setdefault(each["tool"], {})[each["checkout"]] = "; ".join([each["uv"].partition(":")[0], *different])
    checkouts = next(iter(cells.values()))
    return _table(("tool", *checkouts), ((tool, *of.values()) for tool, of in cells.items()))


def _planted_defects() -> str:
    """Return the results of `python -m bench.rehearsal --planted` as a table."""
    results = json.loads((ROOT / "bench" / "rehearsal" / "planted.json").read_text(encoding="utf-8"))
    return _table(tuple(results[0]), (tuple(each.values()) for each in results))


def _with_part(text: str, name: str, part: str) -> str:
    """Return the text with the part between the comments `NAME: …` and `/NAME` replaced."""
    before, start, rest = re.split(rf"(^ *(?:<!--|#) {name}: .*\n)", text, flags=re.MULTILINE)
    _, end, after = re.split(rf"(^ *(?:<!--|#) /{name}\b)", rest, flags=re.MULTILINE)
    return f"{before}{start}{part}{end}{after}"


def _as_inputs(group: Iterable[Input]) -> str:
    lines = []
    for each in group:
        lines += [f"  {each.name}:", f"    description: {_scalar(each.help)}"]
        if each.default:
            lines.append(f"    default: {_scalar(each.default)}")
        if each.name == "repository":
            lines.append("    required: true")
    return "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    lines = textwrap.wrap(text, _LINE_LENGTH - 6, break_on_hyphens=False)
    if len(f"    description: {text}") > _LINE_LENGTH:
        return "\n      ".join([">-", *lines])
    try:
        plain = yaml.safe_load(f"a: {text}") == {"a": text}
    except yaml.YAMLError:
        plain = False
    return text if plain else json.dumps(text)


def _as_type(each: Input) -> str:
    """Return an input's type in the form of https://github.com/typesafegithub/github-actions-typing."""
    kinds = {"flag": "boolean", "number": "integer", "word": "enum"}
    lines = [f"type: {kinds.get(each.kind, 'string')}"]
    if each.words:
        words = ('"true"', '"false"', *each.words) if each.kind == "flag" else each.words
        lines = ["type: enum", "allowed-values:", *(f"  - {word}" for word in words)]
    if each.kind in {"lines", "words"}:
        separator = json.dumps("\n" if each.kind == "lines" else ",")
        lines = ["type: list", f"separator: {separator}", "list-item:", *(f"  {line}" for line in lines)]
    return f"  {each.name}:\n" + "".join(f"    {line}\n" for line in lines)


def _default(each: dict[str, Any]) -> str:
    return "required" if each.get("required") else f"`{each['default']}`" if "default" in each else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + "\n"


if __name__ == "__main__":
    for path, content in written().items():
        path.write_text(content, encoding="utf-8")
