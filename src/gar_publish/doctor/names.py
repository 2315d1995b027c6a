"""What an input was meant to be."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from gar_publish.doctor.case import Case
from gar_publish.doctor.mending import mended
from gar_publish.errors import BadInput, Failure
from gar_publish.settings import read_repository

_BY_ID = re.compile(r"projects/([^/\d][^/]*)/(locations/global/workloadIdentityPools/.+)")


def repository(failure: Failure, case: Case) -> Failure:
    """Why the repository's name is not one."""
    wanted = {name: case.inputs.get(name, "").strip() for name in ("repository", "project", "location")}
    lower = {name: value.lower() for name, value in wanted.items()}
    if lower == wanted:
        return failure
    try:
        read_repository(lower, case.around.endpoints)
    except BadInput:
        return failure
    changed = "\n".join(f"  {name}: {value}" for name, value in lower.items() if value != wanted[name])
    return mended(
        failure,
        cause="it holds capitals, and locations, project ids and repositories of Google's have none",
        fix=f"write it in small letters\n{changed}",
        anchor="repository-form",
    )


def provider(failure: Failure, case: Case) -> Failure:
    """Why the provider's name, or another credential, is not one."""
    given = case.inputs.get("workload-identity-provider", "").strip()
    by_id = _BY_ID.search(given)
    number = case.onlooker.project_number(by_id[1]) if by_id else None
    if not by_id or not number:
        return failure
    return mended(
        failure,
        cause=f"{by_id[1]} is the project's id; its number is {number}",
        fix=f"give its number\n  workload-identity-provider: projects/{number}/{by_id[2]}",
        anchor="provider-name",
    )


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The name that is meant: the nearest, or the only one."""
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.6)), known[0] if len(known) == 1 else None)
