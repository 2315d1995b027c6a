"""Compares a provider's attribute condition and mapping with the claims of a job's identity token.

Conditions are CEL. Only comparisons of one claim with one constant are understood; nearly all conditions consist of
these. A false comparison explains a refusal only if the whole condition needs it: not next to `||`, `!` or `?`.
https://cloud.google.com/iam/docs/workload-identity-federation#mapping
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Why = Literal["letter case", "immutable subject", "another repository", "another run"]
"""The likeliest reason first."""

_COMPARISON = re.compile(r"\b(assertion|attribute|google)\.(\w+)\s*==\s*(['\"])((?:(?!\3|\\).)*)\3")
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'" + r'|"(?:[^"\\]|\\.)*"')
_GROUP = re.compile(r"\(([^()]*)\)")
_OTHERWISE = re.compile(r"\|\||!(?!=)|\?")
_CLAIM = re.compile(r"assertion\.(\w+)")
_IDS = re.compile(r"@\d+(?=[/:])")
_REPOSITORY_CLAIMS = {"repository", "repository_owner", "repository_id", "repository_owner_id", "sub"}


@dataclass(frozen=True)
class Mismatch:
    """A comparison that is false for this job.

    Attributes:
        claim: The claim that is compared.
        wanted: The value in the condition.
        found: The value in the token.
        condition: The whole condition, changed to admit this job and nothing else.
        needed: Whether the whole condition is false because of it.
    """

    why: Why
    claim: str
    wanted: str
    found: str
    condition: str
    needed: bool


def read_mapping(provider: Mapping[str, Any]) -> dict[str, str]:
    """Return a provider's attribute mapping, from its description by IAM."""
    found = provider.get("attributeMapping")
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def find_mismatches(condition: str, mapping: Mapping[str, str], claims: Mapping[str, Any]) -> list[Mismatch]:
    """Return the comparisons that are false for this job, the likeliest reason first."""
    needed, found = _blank_optional_parts(condition), []
    for match in _COMPARISON.finditer(condition):
        scope, name, quote, wanted = match.groups()
        claim = name if scope == "assertion" else _claim_of(mapping.get(f"{scope}.{name}", ""))
        actual = str(claims.get(claim, "")) if claim else wanted
        if not claim or actual == wanted:
            continue
        replacement = match[0].removesuffix(f"{quote}{wanted}{quote}") + f"{quote}{actual}{quote}"
        why: Why
        if actual.lower() == wanted.lower():
            why = "letter case"
        elif claim == "sub" and without_ids(actual) == wanted:
            why = "immutable subject"
        elif claim in _REPOSITORY_CLAIMS and not (claim == "sub" and _repository_of(actual) == _repository_of(wanted)):
            why = "another repository"
            id_ = claims.get("repository_id", "REPOSITORY_ID")
            replacement = f"({match[0]} || assertion.repository_id == '{id_}')"
        else:
            why = "another run"
        changed = condition[: match.start()] + replacement + condition[match.end() :]
        found.append(Mismatch(why, claim, wanted, actual, changed, needed[match.start()] != " "))
    return sorted(found, key=lambda each: get_args(Why).index(each.why))


def _blank_optional_parts(condition: str) -> str:
    """Return a condition with spaces in place of the parts that may be false while the whole is true."""
    shape = _TEXT.sub(lambda text: "_" * len(text[0]), condition)
    while group := _GROUP.search(shape):
        inner = " " * len(group[1]) if _OTHERWISE.search(group[1]) else group[1]
        shape = f"{shape[: group.start()]} {inner} {shape[group.end() :]}"
    return " " * len(shape) if _OTHERWISE.search(shape) else shape


def without_ids(subject: str) -> str:
    """Return a subject in the form that repositories had before 2026-07-15."""
    return _IDS.sub("", subject, count=2)


def _repository_of(subject: str) -> list[str]:
    """Return the first two parts of a subject such as `repo:OWNER/NAME:ref:refs/heads/main`."""
    return subject.split(":")[:2]


def map_claims(mapping: Mapping[str, str], claims: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes of a job's identity that are mapped from a single unchanged claim."""
    plain = {name: _claim_of(expression) for name, expression in mapping.items()}
    return {name: str(claims[claim]) for name, claim in plain.items() if claim and claim in claims}


def list_members(pool: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the IAM members that include a job's identity, by attribute; those that survive a renaming first.

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


def quoted(text: str) -> str:
    """Return one word of a POSIX shell command; a condition, which has single quotes, in double quotes."""
    if "'" in text and not set(text) & set('"$`\\!'):
        return f'"{text}"'
    return shlex.quote(text)


def _claim_of(expression: str) -> str | None:
    match = _CLAIM.fullmatch(expression.strip())
    return match[1] if match else None
