"""Writes the tables of README.md from action.yml and setup/action.yml: `python docs/tables.py`, or `--check`."""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent


def filled(readme: str, action: str, prefix: str = "") -> str:
    """The README with the tables of one action made anew; their names begin with the prefix."""
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
            rf"(<!-- {prefix}{name}: [^\n]*-->\n).*?(<!-- /{prefix}{name} -->)",
            lambda found, table=table: f"{found[1]}\n{table}\n\n{found[2]}",
            readme,
            flags=re.DOTALL,
        )
    return readme


def main() -> int:
    """Write or compare.

    Returns:
        1 where the README differs from the two actions.
    """
    readme = ROOT / "README.md"
    before = readme.read_text(encoding="utf-8")
    after = before
    for folder, prefix in ((ROOT, ""), (ROOT / "setup", "setup-")):
        after = filled(after, (folder / "action.yml").read_text(encoding="utf-8"), prefix)
    if "--check" in sys.argv:
        return before != after
    readme.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
