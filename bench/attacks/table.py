"""All attacks."""

from bench.attacks.attack import Attack
from bench.attacks.files import FILES
from bench.attacks.imports import IMPORTS
from bench.attacks.processes import PROCESSES
from bench.attacks.requirements import REQUIREMENTS
from bench.attacks.words import WORDS

ATTACKS = (*PROCESSES, *REQUIREMENTS, *WORDS, *FILES, *IMPORTS)


def named(name: str) -> Attack:
    """Return an attack by its name; for any other name, one without a hostile project."""
    return next((each for each in ATTACKS if each.name == name), harmless(name))


def harmless(formats: str) -> Attack:
    """Return no attack at all, to see what the harmless projects become.

    Args:
        formats: What is built, with a comma between.
    """
    kinds = tuple(kind for kind in ("wheel", "sdist") if kind in formats.split(","))
    return Attack(formats, count=0, neighbours=("one", "two"), formats=kinds)
