"""Attribute mappings and conditions of workload identity providers, which are CEL expressions.

https://cloud.google.com/iam/docs/workload-identity-federation#mapping
"""

from collections.abc import Mapping
from typing import Any

import cel

from gar_emulator.cloud.refusals import oauth
from gar_emulator.world.world import Provider

SUBJECT_LIMIT = 127


def extract(value: str, template: str) -> str:
    """Return the part of `value` in place of the template's `{name}`, like Google's `extract()`; empty without a match.

    https://cloud.google.com/iam/docs/conditions-attribute-reference#extract
    """
    before, _, rest = template.partition("{")
    after = rest.partition("}")[2]
    _, found, tail = value.partition(before) if before else ("", "found", value)
    if not found:
        return ""
    part, end, _ = tail.partition(after) if after else (tail, "end", "")
    return part if end else ""


def admit(provider: Provider, claims: Mapping[str, Any], refused_status: int) -> dict[str, Any]:
    """Map the claims of a subject token to attributes, and check the condition.

    Returns:
        `google.subject`, each `attribute.NAME`, and `google.groups` if mapped.

    Raises:
        Refusal: The condition is false, or a mapping cannot be evaluated.
    """
    context = cel.Context(variables={"assertion": dict(claims)}, functions={"extract": extract})
    mapped: dict[str, Any] = {}
    for name, expression in provider.mapping.items():
        try:
            mapped[name] = cel.evaluate(expression, context)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise oauth(400, "invalid_grant", f"The mapped attribute {name} cannot be evaluated: {error}") from error
    subject = mapped["google.subject"]
    if not isinstance(subject, str) or not subject:
        raise oauth(400, "invalid_grant", "The mapped attribute google.subject must be a non-empty string.")
    if len(subject.encode()) > SUBJECT_LIMIT:
        raise oauth(400, "invalid_request", "The size of mapped attribute google.subject exceeds the 127 bytes limit.")
    if provider.condition and not _holds(provider.condition, mapped, context):
        raise oauth(
            refused_status,
            "unauthorized_client",
            "The given credential is rejected by the attribute condition.",
        )
    return mapped


def _holds(condition: str, mapped: Mapping[str, Any], context: cel.Context) -> bool:
    for scope in ("google", "attribute"):
        context.add_variable(
            scope,
            {name.partition(".")[2]: value for name, value in mapped.items() if name.startswith(f"{scope}.")},
        )
    try:
        return cel.evaluate(condition, context) is True
    except (KeyError, TypeError, ValueError, RuntimeError):
        return False
