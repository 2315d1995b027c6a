"""Checks the links of the chain one after the other, up to the first that is broken."""

import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import wait
from datetime import UTC, datetime

from gar_publish.context import Context
from gar_publish.doctor import render
from gar_publish.doctor.case import Case, Machine, NotChecked, open_case
from gar_publish.doctor.check_credential import (
    check_credential,
    check_exchange,
    check_impersonation,
    check_subject_token,
)
from gar_publish.doctor.check_inputs import check_inputs, check_runner
from gar_publish.doctor.check_network import check_clock, check_network
from gar_publish.doctor.check_repository import check_index, check_permissions, check_repository, check_source
from gar_publish.doctor.render import Diagnosis, Link
from gar_publish.errors import Failure, internal_error
from gar_publish.report import ci_files
from gar_publish.threads import in_background

TIME_LIMIT = 60.0
"""Seconds that a failed run waits for the doctor."""

THIS_MACHINE = Machine(now=lambda: datetime.now(UTC), resolve=lambda host: socket.getaddrinfo(host, 443))

Check = Callable[[Case, list[str]], None]


def examine(inputs: Mapping[str, str], context: Context, machine: Machine = THIS_MACHINE) -> Diagnosis:
    """Check the whole chain.

    Args:
        inputs: The inputs of a run. These count: those of the repository and the credential, `create-repository`,
            `index-token`, `promote-from`, `sbom` and `provenance`.
        context: Where the run would happen.
        machine: This machine's clock and name service.
    """
    links: list[Link] = []
    with open_case(inputs, context, machine) as case:
        for name, title, check in _checks(inputs):
            reached = not any(link.failure for link in links)
            links.append(_checked(case, name, title, check) if reached else Link(name, title, "not reached"))
    return Diagnosis(tuple(links))


def tell_after(
    failure: Failure, inputs: Mapping[str, str], context: Context, words: Callable[[str], str] = str
) -> None:
    """Examine the chain of a failed run, and write the result to the log and the step summary.

    If the doctor fails, or takes longer than `TIME_LIMIT`, there is only a warning.
    """
    pending = in_background(lambda: examine(inputs, context))
    if not wait([pending], TIME_LIMIT).done:
        context.console.warning(f"The doctor did not finish within {TIME_LIMIT:.0f} s.")
        return
    try:
        found = pending.result().translated(words)
    except Exception as error:  # noqa: BLE001 - the run's own failure counts
        context.console.warning(f"The doctor failed ({type(error).__name__}).")
        return
    context.settled()
    for line in render.as_text(found, failure).splitlines():
        context.console.info(line)
    if inputs.get("summary", "").lower() != "false":
        ci_files.add_step_summary(render.as_markdown(found, failure), context.environment, context.console)


def _checks(inputs: Mapping[str, str]) -> Iterator[tuple[str, str, Check]]:
    yield "inputs", "Inputs", check_inputs
    yield "runner", "Runner", check_runner
    yield "network", "DNS and proxy", check_network
    yield "clock", "Clock", check_clock
    if inputs.get("workload-identity-provider", "").strip():
        yield "subject-token", "Identity token of the job", check_subject_token
        yield "token-exchange", "Exchange for a Google identity", check_exchange
        yield "impersonation", "Service account", check_impersonation
    else:
        yield "credential", "Credential", check_credential
    if inputs.get("promote-from", "").strip():
        yield "source", "Repository to promote from", check_source
    yield "repository", "Repository", check_repository
    yield "permissions", "Permissions", check_permissions
    yield "index", "Index", check_index


def _checked(case: Case, name: str, title: str, check: Check) -> Link:
    facts: list[str] = []
    try:
        check(case, facts)
    except NotChecked as reason:
        return Link(name, title, "not checked", (*facts, str(reason)))
    except Failure as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - the links before a bug of ours are still worth showing
        failure = internal_error(error)
    else:
        return Link(name, title, "ok", tuple(facts))
    lacks = "no permission"
    if case.viewer.lacks_quota_project:
        lacks = "no quota project"
        set_it = f"gcloud auth application-default set-quota-project {case.target.project}"
        facts.append(f"this machine's own login has no quota project; set it: {set_it}")
    facts += [f"{lacks} to read {what}; shown by: {command}" for what, command in case.viewer.unread.items()]
    return Link(name, title, "broken", tuple(facts), failure)
