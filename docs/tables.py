"""Writes the tables of README.md and docs/jobs.md from the two actions (`make docs`)."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
DOCUMENTS = {ROOT / "README.md": ROOT / "action.yml", ROOT / "docs" / "jobs.md": ROOT / "setup" / "action.yml"}


def filled(document: str, action: str) -> str:
    """The document with the tables of its action made anew."""
    described = yaml.safe_load(action)
    inputs = ["| input | default | meaning |", "| --- | --- | --- |"]
    for name, each in described["inputs"].items():
        default = "required" if each.get("required") else f"`{each['default']}`" if "default" in each else ""
        inputs.append(f"| `{name}` | {default} | {each['description']} |")
    outputs = ["| output | meaning |", "| --- | --- |"]
    outputs += [f"| `{name}` | {each['description']} |" for name, each in described["outputs"].items()]
    return _with_table(_with_table(document, "inputs", inputs), "outputs", outputs)


def _with_table(document: str, name: str, lines: list[str]) -> str:
    before, mark, rest = re.split(rf"(<!-- {name}: [^\n]*-->\n)", document)
    _, end, after = rest.partition(f"<!-- /{name} -->")
    return "".join([before, mark, "\n", "\n".join(lines), "\n\n", end, after])


if __name__ == "__main__":
    for place, described in DOCUMENTS.items():
        place.write_text(
            filled(place.read_text(encoding="utf-8"), described.read_text(encoding="utf-8")), encoding="utf-8"
        )
