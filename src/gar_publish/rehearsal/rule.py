"""Decide what a probe's answer means: what is an error, a warning, or may need an extra."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name

from gar_publish.distributions import wheel_checks
from gar_publish.distributions.distribution import Distribution, is_needed
from gar_publish.rehearsal.probe import SCRIPTS

_MOST = 10
_LONGEST = 500


@dataclass
class Verdict:
    """What is wrong with an installed wheel.

    Attributes:
        errors: What must not be published, by what was tried.
        needs: Those of them that miss another distribution's module, with its name.
        warnings: What may be wrong.
    """

    errors: dict[str, str] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def judge(answer: Mapping[str, Any], wheel: Distribution) -> Verdict:
    """Judge the answer of a probe, which the wheel's code may have written.

    - A module at the top, or a script, that cannot be imported is an error.
    - If a module is missing that belongs to Python, it is a warning.
    - Another entry point is an error if the wheel lacks its own module or attribute, else a warning.
    - In other modules, a syntax error or a missing module of the wheel's own packages is an error. A missing module of
      another distribution is a warning.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: It is no answer of a probe.
    """
    verdict = Verdict()
    for each in answer["loaded"]:
        title = _text(each["title"])
        what = f"{title}: {_text(each['type'])}: {_text(each['message'])}"
        what += "".join(f" ({_text(place)})" for place in each["where"][:1])
        is_for_others = each["group"] not in ("module", *SCRIPTS) and not _is_own_fault(each)
        if each["is_of_python"] or is_for_others:
            verdict.warnings.append(what)
            continue
        verdict.errors[title] = what
        if each["needs"]:
            verdict.needs[title] = _text(each["needs"][0])
    others = defaultdict[str, list[str]](list)
    for each in answer["found"]:
        name = _text(each["name"])
        if each["kind"] == "syntax":
            path = name.replace(".", "/")
            if not all(wheel_checks.may_be_broken(wheel, each) for each in (f"{path}.py", f"{path}/__init__.py")):
                verdict.errors[name] = f"{name}: {_text(each['message'])}"
        elif each["kind"] == "own":
            what = f"{name} imports {_text(each['missing'])} (line {_text(each['line'])}), which the wheel lacks"
            if "any" not in wheel.platforms and _text(each["missing"]).rpartition(".")[2].startswith("_"):
                verdict.warnings.append(what)  # a compiled module of another platform
            else:
                verdict.errors[name] = what
        else:
            others[_text(each["missing"])].append(name)
    undeclared = [
        f"{missing} ({names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''})"
        for missing, names in others.items()
        if not extras_of(wheel, missing)
    ]
    if undeclared:
        verdict.warnings.append(f"no requirement brings what modules import: {', '.join(listed(undeclared))}")
    return verdict


def extras_of(wheel: Distribution, module: str) -> list[str]:
    """Return the extras of a wheel that require a distribution with the name of a module."""
    name = canonicalize_name(module.partition(".")[0])
    extras = wheel.package.metadata.get("provides_extra") or []
    return [
        extra
        for extra in extras
        if any(
            canonicalize_name(each.name) == name and not is_needed(each) and is_needed(each, [extra])
            for each in wheel.requirements
        )
    ]


def listed(texts: list[str]) -> tuple[str, ...]:
    """Return the first texts, and how many more there are."""
    rest = len(texts) - _MOST
    return (*texts[:_MOST], *([f"and {rest} more"] if rest > 0 else []))


def _is_own_fault(each: Mapping[str, Any]) -> bool:
    """Return whether an entry point names a module or an attribute that its own wheel should have, and has not."""
    if not each["own"]:
        return False
    if each["type"] == "AttributeError":
        return not each["where"]  # the module could be imported
    missing = each["missing"][:1]
    return each["type"] == "ModuleNotFoundError" and f"{each['module']}.".startswith(
        tuple(f"{one}." for one in missing)
    )


def _text(value: object) -> str:
    return " ".join(str(value)[:_LONGEST].encode(errors="replace").decode().split())
