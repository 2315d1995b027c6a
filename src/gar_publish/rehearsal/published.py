"""Install what was published from the repository alone, by hash."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gar_publish.builder.environment import Environment
from gar_publish.builder.process import Works
from gar_publish.context import Context
from gar_publish.rehearsal.installer import Rehearsing
from gar_publish.rehearsal.outcome import Rehearsal
from gar_publish.rehearsal.pythons import OWN
from gar_publish.settings.index_url import requirements_hashed


def install(
    rehearsals: Sequence[Rehearsal],
    pins: Mapping[str, Sequence[str]],
    private: str,
    context: Context,
    *,
    scratch: Path,
    works: Works,
) -> list[Rehearsal]:
    """Install each version that has passed once more, with the Python that it has passed with first.

    Nothing is asked of another index, no requirement is installed, and no code runs.

    Args:
        rehearsals: What came of the rehearsal.
        pins: The hashes of each `name==version` in the repository.
        private: The URL of the repository's index, with a token that reads it.
        context: Where the run happens.
        scratch: A folder for the environments.
        works: What runs.
    """
    passed: dict[str, Rehearsal] = {}
    for each in rehearsals:
        if each.state == "passed" and not each.beside and f"{each.name}=={each.version}" in pins:
            passed.setdefault(f"{each.name}=={each.version}", each)
    installer = Rehearsing(scratch, context.environment, works, are_isolated=False)

    def problem(python: str, wanted: Sequence[str]) -> str:
        """Return why versions cannot be installed together; empty if they can."""
        folder = Path(tempfile.mkdtemp(dir=scratch))
        hashed = folder / "requirements.txt"
        hashed.write_text(requirements_hashed({pin: pins[pin] for pin in wanted}) + "\n")
        environment = Environment(folder / "environment", context.environment.get("PATH", ""))
        own = python == str(OWN)  # uv may not find it
        made = installer.make_environment(environment, sys.executable if own else python)
        output = made if made is not None else installer.install_hashed(environment, hashed, private)
        return "" if output is None else output[-1000:].strip()

    outcomes = []
    for python in sorted({each.python for each in passed.values()}):
        wanted = [pin for pin, each in passed.items() if each.python == python]
        is_fine = len({pin.partition("==")[0] for pin in wanted}) == len(wanted) and not problem(python, wanted)
        for pin in wanted:
            why = "" if is_fine else problem(python, [pin])
            outcomes.append(_outcome(passed[pin], why))
    return outcomes


def _outcome(rehearsal: Rehearsal, why: str) -> Rehearsal:
    installed = replace(rehearsal, beside="published", warnings=(), notes=())
    return replace(installed, state="failed", problems=(f"cannot be installed: {why}",)) if why else installed
