"""Write what was measured into docs/fidelity.md and into the emulator's defaults."""

import re
from pathlib import Path

from conformance.calls import Unusable
from conformance.checks import Value
from conformance.records import Record, default, differences, shown, takes

TABLE = "docs/fidelity.md"
DEFAULTS = "emulator/src/gar_emulator/world/switches.py"

_CELL = re.compile(r"`(?P<switch>[a-z-]+)` \((?P<values>.*)\)")
_GUESS = re.compile(r"guess( \((?:[^()]|\([^()]*\))*\))?")
_MEASURED = re.compile(r"measured on \d{4}-\d\d-\d\d")


def adopt(records: list[Record], root: Path) -> list[str]:
    """Change the files of a checkout.

    Returns:
        The behaviours, in the words of docs/fidelity.md, whose default has changed: a person must reword them.

    Raises:
        Unusable: A record is of the emulator, or a value is none that its switch can have. Nothing is written then.
    """
    seen = [each for each in records if each.value is not None]
    if any(each.target == "emulator" for each in seen):
        raise Unusable("a record of the emulator measures nothing: adopt one of --public or --project")
    for each in seen:
        if each.value is not None and not takes(each.switch, each.value):
            raise Unusable(f"the switch {each.switch} cannot be {shown(each.value)}: change the emulator first")
    defaults, table = root / DEFAULTS, root / TABLE
    source = defaults.read_text("utf-8")
    for each in differences(seen):
        source = _with_default(source, each)
    lines, reworded = [], []
    for line in table.read_text("utf-8").splitlines():
        lines.append(_with_measurement(line, seen))
        if _default_of(lines[-1]) != _default_of(line):
            reworded.append(line.strip("|").split("|")[0].strip())
    defaults.write_text(source, "utf-8")
    table.write_text("\n".join([*lines, ""]), "utf-8")
    return reworded


def _with_default(source: str, record: Record) -> str:
    """Return the source of the switches with another default."""
    name = record.switch.replace("-", "_")
    line = re.compile(rf"^(    {name}: \w+ = )(.+)$", re.MULTILINE)
    value = float(record.value) if isinstance(default(record.switch), float) else record.value  # type: ignore[arg-type] # a number
    literal = f'"{value}"' if isinstance(value, str) else repr(value)
    changed, count = line.subn(lambda match: match[1] + literal, source)
    if count != 1:
        raise Unusable(f"{DEFAULTS} does not declare {name} in one line")
    return changed


def _with_measurement(line: str, records: list[Record]) -> str:
    """Return a row of the table with what was measured, or any other line as it is."""
    cells = line.split("|")
    found = _CELL.fullmatch(cells[3].strip()) if len(cells) == 5 else None  # noqa: PLR2004 - three columns
    record = next((each for each in records if found and each.switch == found["switch"]), None)
    if found is None or record is None or record.value is None:
        return line
    cells[2] = f" {_sources(cells[2].strip(), record.date)} "
    cells[3] = f" `{record.switch}` ({_with_first(found['values'], record.value)}) "
    return "|".join(cells)


def _sources(cell: str, date: str) -> str:
    """Return how sure a row is: a guess becomes a measurement; what was seen or documented stays."""
    measured = f"measured on {date}"
    if _MEASURED.search(cell):
        return _MEASURED.sub(measured, cell)
    return _GUESS.sub(measured, cell, count=1) if _GUESS.search(cell) else f"{cell}, {measured}"


def _with_first(values: str, value: Value) -> str:
    """Return the values of a switch with another default in front: "400, or 409" becomes "409, or 400"."""
    entries = [entry.removeprefix("or ") for entry in re.split(r"[,;] ", values)]
    words = [re.split(r"[ :]", entry)[0] for entry in entries]
    new = shown(value)
    if words[0] == new:
        return values
    if new in words:
        entries.insert(0, entries.pop(words.index(new)))
    elif ": " in entries[0]:
        entries.insert(0, new)
    else:
        entries[0] = new + entries[0].removeprefix(words[0])
    last = f"or {entries[-1]}" if " or " in values else entries[-1]
    return ", ".join([*entries[:-1], last])


def _default_of(line: str) -> str:
    found = re.search(r"\| `[a-z-]+` \(([^ ,:)]+)", line)
    return found[1] if found else ""
