"""A provider's condition and mapping, held against what a job's identity token says.

Conditions are CEL. Only comparisons of one claim with one text are understood, which is what nearly all of them are.
https://cloud.google.com/iam/docs/workload-identity-federation#mapping
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Why = Literal["letter case", "immutable subject", "another run", "another repository"]

_COMPARISON = re.compile(r"\b(assertion|attribute|google)\.(\w+)\s*==\s*(['\"])(.*?)\3")
_CLAIM = re.compile(r"assertion\.(\w+)")
_IDS = re.compile(r"@\d+(?=[/:])")
_WHICH_REPOSITORY = {"repository", "repository_owner", "repository_id", "repository_owner_id", "sub"}
_ORDER: tuple[Why, ...] = ("letter case", "immutable subject", "another run", "another repository")


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
    """The likeliest reason for which a condition is false; None where no comparison is seen to be."""
    return min(_mismatches(condition, mapping, claims), key=lambda each: _ORDER.index(each.why), default=None)


def _mismatches(condition: str, mapping: Mapping[str, str], claims: Mapping[str, Any]) -> Iterator[Mismatch]:
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
        elif claim in _WHICH_REPOSITORY:
            why = "another repository"
            said = f"({match[0]} || assertion.repository_id == '{claims.get('repository_id', 'REPOSITORY_ID')}')"
        else:
            why = "another run"
        yield Mismatch(why, claim, wanted, found, condition[: match.start()] + said + condition[match.end() :])


def old_subject(subject: str) -> str:
    """A subject as repositories had it before 2026-07-15: without ids."""
    return _IDS.sub("", subject, count=2)


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
