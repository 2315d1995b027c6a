"""Writes the tables of README.md and docs/jobs.md from the two actions: `python docs/tables.py`, or `--check`."""

import re
import sys
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
    for name, lines in (("inputs", inputs), ("outputs", outputs)):
        table = "\n".join(lines)
        document = re.sub(
            rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- /{name} -->)",
            lambda found, table=table: f"{found[1]}\n{table}\n\n{found[2]}",
            document,
            flags=re.DOTALL,
        )
    return document


def main() -> int:
    """Write or compare.

    Returns:
        1 where a document differs from its action.
    """
    differ = False
    for document, action in DOCUMENTS.items():
        before = document.read_text(encoding="utf-8")
        after = filled(before, action.read_text(encoding="utf-8"))
        differ = differ or before != after
        if "--check" not in sys.argv:
            document.write_text(after, encoding="utf-8")
    return int(differ and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
