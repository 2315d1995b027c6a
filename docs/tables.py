"""Writes the tables of README.md from action.yml: `python docs/tables.py`, or `--check` to compare only."""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent


def filled(readme: str, action: str) -> str:
    """The README with its tables made anew."""
    described = yaml.safe_load(action)
    inputs = ["| input | default | meaning |", "| --- | --- | --- |"]
    for name, each in described["inputs"].items():
        default = "required" if each.get("required") else f"`{each['default']}`" if "default" in each else ""
        inputs.append(f"| `{name}` | {default} | {each['description']} |")
    outputs = ["| output | meaning |", "| --- | --- |"]
    outputs += [f"| `{name}` | {each['description']} |" for name, each in described["outputs"].items()]
    for name, lines in (("inputs", inputs), ("outputs", outputs)):
        table = "\n".join(lines)
        readme = re.sub(
            rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- /{name} -->)",
            lambda found, table=table: f"{found[1]}\n{table}\n\n{found[2]}",
            readme,
            flags=re.DOTALL,
        )
    return readme


def main() -> int:
    """Write or compare.

    Returns:
        1 where the README differs from action.yml.
    """
    readme = ROOT / "README.md"
    before = readme.read_text(encoding="utf-8")
    after = filled(before, (ROOT / "action.yml").read_text(encoding="utf-8"))
    if "--check" in sys.argv:
        return before != after
    readme.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
