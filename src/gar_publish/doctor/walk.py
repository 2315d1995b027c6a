"""The walk: one link after the other, up to the first that is broken."""

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gar_publish.context import Context
from gar_publish.doctor import render
from gar_publish.doctor.case import Case, Clocks, NotChecked, opened
from gar_publish.doctor.check_credential import (
    check_credential,
    check_exchange,
    check_impersonation,
    check_subject_token,
)
from gar_publish.doctor.check_inputs import check_inputs, check_runner
from gar_publish.doctor.check_network import check_clock, check_network
from gar_publish.doctor.check_repository import check_index, check_permissions, check_repository, check_source
from gar_publish.doctor.diagnosis import Diagnosis, Link, State
from gar_publish.errors import Failure, Interrupted, internal_error
from gar_publish.report import ci_files
from gar_publish.threads import aside

TIME_LIMIT = 60.0
"""Seconds that a run which has failed waits for the doctor."""

THIS_MACHINE = Clocks(now=lambda: datetime.now(UTC), resolve=lambda host: socket.getaddrinfo(host, 443))

Check = Callable[[Case, list[str]], object]


def examine(inputs: Mapping[str, str], context: Context, machine: Clocks = THIS_MACHINE) -> Diagnosis:
    """Walk the chain.

    Args:
        inputs: Those of a run. Only what tells where to, who, and what the identity has to be allowed matters here:
            `repository`, `project` and `location`, those for credentials, `index-token`, `promote-from`, `sbom` and
            `provenance`.
        context: Where a run would happen.
        machine: This machine's clock and names.
    """
    with opened(inputs, context, machine) as case:
        walk = _Walk(case)
        walk.link("inputs", "Inputs", check_inputs)
        walk.link("runner", "Runner", check_runner)
        ahead: dict[str, float] = {}
        walk.link("network", "DNS and proxy", lambda case, facts: ahead.update(check_network(case, facts)))
        walk.link("clock", "Clock", lambda case, facts: check_clock(case, facts, ahead))
        if inputs.get("workload-identity-provider", "").strip():
            walk.link("subject-token", "Identity token of the job", check_subject_token)
            walk.link("token-exchange", "Exchange for a Google identity", check_exchange)
            walk.link("impersonation", "Service account", check_impersonation)
        else:
            walk.link("credential", "Credential", check_credential)
        if inputs.get("promote-from", "").strip():
            walk.link("source", "Repository to promote from", check_source)
        walk.link("repository", "Repository", check_repository)
        walk.link("permissions", "Permissions", check_permissions)
        walk.link("index", "Index", check_index)
        return Diagnosis(tuple(walk.links))


def tell_after(failure: Failure, inputs: Mapping[str, str], context: Context) -> None:
    """Walk the chain after a run has failed, for a minute at most, and say in the log and the summary what was found.

    Whatever comes of it, the run's own failure is what counts. Nobody waits for it in a run that was cancelled.
    """
    if isinstance(failure, Interrupted):
        return
    pending = aside(lambda: examine(inputs, context))
    if not wait([pending], TIME_LIMIT).done:
        context.console.warning(f"The doctor found no end in {TIME_LIMIT:.0f} s.")
        return
    try:
        found = pending.result()
    except Exception as error:  # noqa: BLE001 - see above
        context.console.warning(f"The doctor failed ({type(error).__name__}).")
        return
    context.settled()
    for line in render.as_text(found).splitlines():
        context.console.info(line)
    if inputs.get("summary", "").lower() != "false":
        ci_files.add_step_summary(render.as_markdown(found), context.environment, context.console)


@dataclass
class _Walk:
    case: Case
    links: list[Link] = field(default_factory=list)

    def link(self, name: str, title: str, check: Check) -> None:
        """Check the next link, unless one before it is broken."""
        facts: list[str] = []
        state: State = "ok"
        failed: Failure | None = None
        if any(link.failure for link in self.links):
            state = "not reached"
        else:
            try:
                check(self.case, facts)
            except NotChecked as reason:
                state = "not checked"
                facts.append(str(reason))
            except Failure as failure:
                state, failed = "broken", failure
            except Exception as error:  # noqa: BLE001 - what was seen up to here is worth more than where we stumbled
                state, failed = "broken", internal_error(error)
            if failed:
                facts += [
                    f"nothing here may read {what}; shown by: {command}"
                    for what, command in self.case.viewer.unread.items()
                ]
        self.links.append(Link(name, title, state, tuple(facts), failed))
