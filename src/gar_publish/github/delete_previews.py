"""The step `preview: delete`: it deletes the previews of the pull request that was closed."""

from collections.abc import Mapping

from gar_publish.context import new_context
from gar_publish.errors import BadInput
from gar_publish.flow import mask_given
from gar_publish.github.workflow_commands import RunnerConsole
from gar_publish.previews import clean_up
from gar_publish.previews.origin import read_event
from gar_publish.previews.versions import branch_label, pull_request_label
from gar_publish.report import ci_files
from gar_publish.settings.credential import read_credential
from gar_publish.settings.settings import DRY_RUN


def run(inputs: Mapping[str, str], environment: Mapping[str, str], console: RunnerConsole) -> int:
    """Delete the previews of the pull request, or the branch, of the event, and return the exit code.

    Raises:
        Failure: See `clean_up.open_previews` and `clean_up.delete`.
        BadInput: The event has no pull request and is not the deletion of a branch.
    """
    label = _label(environment)
    context = new_context(environment, console, container=True)
    mask_given(read_credential(inputs, environment), console)
    selection = clean_up.Selection(label)
    api = clean_up.open_previews(inputs, context)
    dry_run = DRY_RUN.read(inputs)
    found = selection.of(api.list_all()) if dry_run else clean_up.delete(api, selection, context)
    for each in found:
        console.info(f"{each.package} {each.version}")
    did = "Would delete" if dry_run else "Deleted"
    text = f"{did} {len(found)} previews of {label} from {inputs['repository']}."
    console.info(text)
    if inputs["summary"].lower() != "false":
        ci_files.add_step_summary(f"{text}\n", environment, console)
    return 0


def _label(environment: Mapping[str, str]) -> str:
    """Return the label of the previews to delete. GITHUB_REF does not tell: it is the base branch after a merge.

    https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows
    """
    event = read_event(environment)
    number = (event.get("pull_request") or {}).get("number")
    if isinstance(number, int) and number > 0:
        return pull_request_label(number)
    if environment.get("GITHUB_EVENT_NAME") == "delete" and event.get("ref_type") == "branch":
        return branch_label(str(event["ref"]))
    raise BadInput(
        "`preview: delete` does not know whose previews to delete: the event has no pull request.",
        cause="the workflow was started by another event than `pull_request` or `delete`, or by hand",
        fix="start the workflow by `pull_request` with `types: [closed]`, or run `gar-publish previews delete NUMBER`",
        anchor="previews-selection",
    )
