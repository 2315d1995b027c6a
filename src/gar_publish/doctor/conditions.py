"""A provider's condition and mapping, held against what a job's identity token says.

Conditions are CEL. Only comparisons of one claim with one text are understood, which is what nearly all of them are.
One that is false is a reason only where the whole condition cannot hold without it: not beside `||`, `!` or `?`.
https://cloud.google.com/iam/docs/workload-identity-federation#mapping
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Why = Literal["letter case", "immutable subject", "another repository", "another run"]

_COMPARISON = re.compile(r"\b(assertion|attribute|google)\.(\w+)\s*==\s*(['\"])((?:(?!\3|\\).)*)\3")
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'" + r'|"(?:[^"\\]|\\.)*"')
_GROUP = re.compile(r"\(([^()]*)\)")
_OTHERWISE = re.compile(r"\|\||!(?!=)|\?")
_CLAIM = re.compile(r"assertion\.(\w+)")
_IDS = re.compile(r"@\d+(?=[/:])")
_WHICH_REPOSITORY = {"repository", "repository_owner", "repository_id", "repository_owner_id", "sub"}
_ORDER: tuple[Why, ...] = ("letter case", "immutable subject", "another repository", "another run")


@dataclass(frozen=True)
class Mismatch:
    """A comparison that is false for this job.

    Attributes:
        claim: What it compares.
        wanted: With what.
        found: What the token says.
        condition: The whole condition, changed so that this comparison lets the job in, and nothing else does.
    """

    why: Why
    claim: str
    wanted: str
    found: str
    condition: str


def mapping_of(provider: Mapping[str, Any]) -> dict[str, str]:
    """What a provider maps, given all that IAM says of it."""
    found = provider.get("attributeMapping")
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def mismatch(condition: str, mapping: Mapping[str, str], claims: Mapping[str, Any]) -> Mismatch | None:
    """The likeliest reason for which a condition is false; None where no comparison has to be."""
    needed = _needed(condition)
    return next((each for at, each in _mismatches(condition, mapping, claims) if needed[at] != " "), None)


def unmet(condition: str, mapping: Mapping[str, str], claims: Mapping[str, Any]) -> list[Mismatch]:
    """All comparisons of a condition that are false, whatever that means for the whole; the likeliest reasons first."""
    return [each for _, each in _mismatches(condition, mapping, claims)]


def _needed(condition: str) -> str:
    """A condition with blanks in place of whatever need not hold for the whole to hold."""
    shape = _TEXT.sub(lambda text: "_" * len(text[0]), condition)
    while group := _GROUP.search(shape):
        inner = " " * len(group[1]) if _OTHERWISE.search(group[1]) else group[1]
        shape = f"{shape[: group.start()]} {inner} {shape[group.end() :]}"
    return " " * len(shape) if _OTHERWISE.search(shape) else shape


def _mismatches(condition: str, mapping: Mapping[str, str], claims: Mapping[str, Any]) -> list[tuple[int, Mismatch]]:
    """The false comparisons, each with where it begins; the likeliest reasons first."""
    return sorted(_found(condition, mapping, claims), key=lambda each: _ORDER.index(each[1].why))


def _found(condition: str, mapping: Mapping[str, str], claims: Mapping[str, Any]) -> Iterator[tuple[int, Mismatch]]:
    for match in _COMPARISON.finditer(condition):
        scope, name, quote, wanted = match.groups()
        claim = name if scope == "assertion" else _claim(mapping.get(f"{scope}.{name}", ""))
        found = str(claims.get(claim, "")) if claim else wanted
        if not claim or found == wanted:
            continue
        said = match[0].removesuffix(f"{quote}{wanted}{quote}") + f"{quote}{found}{quote}"
        why: Why
        if found.lower() == wanted.lower():
            why = "letter case"
        elif claim == "sub" and old_subject(found) == wanted:
            why = "immutable subject"
        elif claim in _WHICH_REPOSITORY and not (claim == "sub" and _repository_of(found) == _repository_of(wanted)):
            why = "another repository"
            said = f"({match[0]} || assertion.repository_id == '{claims.get('repository_id', 'REPOSITORY_ID')}')"
        else:
            why = "another run"
        changed = condition[: match.start()] + said + condition[match.end() :]
        yield match.start(), Mismatch(why, claim, wanted, found, changed)


def old_subject(subject: str) -> str:
    """A subject as repositories had it before 2026-07-15: without ids."""
    return _IDS.sub("", subject, count=2)


def _repository_of(subject: str) -> list[str]:
    """The repository in a subject, which says of which run it is after that: repo:OWNER/NAME:ref:refs/heads/main."""
    return subject.split(":")[:2]


def mapped(mapping: Mapping[str, str], claims: Mapping[str, Any]) -> dict[str, str]:
    """The attributes of a job's identity, as far as they are claims as they stand."""
    plain = {name: _claim(expression) for name, expression in mapping.items()}
    return {name: str(claims[claim]) for name, claim in plain.items() if claim and claim in claims}


def members(pool: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """How bindings name a job's identity, by the attribute that each goes by; the most lasting ones first.

    https://cloud.google.com/iam/docs/principal-identifiers
    """
    base = f"iam.googleapis.com/{pool}"
    first = ("attribute.repository_id", "attribute.repository")
    found = {name: f"principalSet://{base}/{name}/{attributes[name]}" for name in first if name in attributes}
    if "google.subject" in attributes:
        found["google.subject"] = f"principal://{base}/subject/{attributes['google.subject']}"
    for name, value in attributes.items():
        if name.startswith("attribute."):
            found.setdefault(name, f"principalSet://{base}/{name}/{value}")
    return found


def _claim(expression: str) -> str | None:
    match = _CLAIM.fullmatch(expression.strip())
    return match[1] if match else None
