"""Records: what each check observed, one JSON object per line."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.calls import NotObserved, Unusable
from conformance.checks import CHECKS, Check, Value
from conformance.lab import Lab, Place
from gar_emulator.world.switches import Switches


@dataclass(frozen=True)
class Record:
    """What a check observed.

    Attributes:
        id: The check's id.
        what: What its value means.
        switch: The switch of the emulator.
        value: The value that the switch must have; None if it was not observed.
        why: Why it was not observed.
        target: "emulator", "public" or "project".
        date: The day (UTC), as YYYY-MM-DD.
        request: Method, host and path of the last call; empty if there was none.
        status: Its status.
        headers: The headers of its answer, without cookies.
        body: The first 2 kB of its body.
        ms: Milliseconds that it took.
        credential: Which credential it had.
    """

    id: str
    what: str
    switch: str
    value: Value | None
    why: str
    target: str
    date: str
    request: str = ""
    status: int = 0
    headers: dict[str, str] | None = None
    body: str = ""
    ms: int = 0
    credential: str = ""

    def line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def measure(place: Place, target: str) -> Iterator[Record]:
    """Yield the record of each check that a place allows."""
    for check in CHECKS:
        if isinstance(place, Lab) or check.public:
            yield _record(check, place, target)


def _record(check: Check, place: Place, target: str) -> Record:
    value: Value | None = None
    why = ""
    place.client.forget()
    try:
        if isinstance(place, Lab):
            place.check_deadline()
        value = check.observe(place)
    except NotObserved as problem:
        why = str(problem)
    what = str(check.observe.__doc__).splitlines()[0].rstrip(".")
    last = place.client.last
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return Record(check.id, what, check.switch, value, why, target, today, **(vars(last) if last else {}))


def read(file: Path) -> list[Record]:
    """Read records.

    Raises:
        Unusable: The file is none, or a record is not valid.
    """
    known = {item.name for item in fields(Record)}
    switches = {check.id: check.switch for check in CHECKS}
    found = []
    try:
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            raw: dict[str, Any] = json.loads(line)
            record = Record(**{name: value for name, value in raw.items() if name in known})
            if switches.get(record.id) != record.switch:
                raise Unusable(f"{file}, line {number}: there is no such check")
            datetime.strptime(record.date, "%Y-%m-%d").replace(tzinfo=UTC)
            found.append(record)
    except OSError as error:
        raise Unusable(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise Unusable(f"{file} is no record of this suite: {type(error).__name__}") from error
    return found


def default(switch: str) -> Value:
    """Return the emulator's default."""
    value: Value = getattr(Switches(), switch.replace("-", "_"))
    return value


def takes(switch: str, value: Value) -> bool:
    """Return whether a switch can have a value."""
    kind = type(default(switch)).__name__
    if type(value).__name__ != kind and (kind, type(value).__name__) != ("float", "int"):
        return False
    try:
        Switches(**{switch.replace("-", "_"): value})  # type: ignore[arg-type] # of the kind that was checked
    except ValueError:
        return False
    return True


def differences(records: Iterable[Record]) -> list[Record]:
    """Return the records whose value is not the emulator's default."""
    return [each for each in records if each.value is not None and each.value != default(each.switch)]


def comparison(records: list[Record]) -> str:
    """Return which checks differ from the emulator's defaults, and the switch that would make each agree."""
    lines = []
    for each in differences(records):
        lines.append(f"{each.id} differs: {each.what} is {shown(each.value)}, in the emulator {_usual(each)}.")
        if each.value is not None and takes(each.switch, each.value):
            lines.append(f"    The switch that makes it agree: {each.switch} = {json.dumps(each.value)}")
        else:
            lines.append(f"    No value of the switch {each.switch} makes it agree: change the emulator.")
    unseen = [each for each in records if each.value is None]
    lines += [f"{each.id} was not observed: {each.why}." for each in unseen]
    agree = len(records) - len(unseen) - len(differences(records))
    return "\n".join([*lines, f"{agree} of {len(records)} checks agree with the emulator's defaults."])


def _usual(record: Record) -> str:
    return shown(default(record.switch))


def shown(value: Value | None) -> str:
    """Return a value as docs/fidelity.md and world files spell it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
