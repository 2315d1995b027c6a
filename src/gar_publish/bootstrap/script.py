"""The setup as a shell script of gcloud commands.

It can be run again at any time: it creates what is missing and corrects what has changed.
"""

import json
import shlex

from gar_publish.bootstrap.setup import ADVICE, DAYS, IMPERSONATOR, POLICY, PROVIDER, Setup
from gar_publish.settings.repository import PREVIEWS_LABEL

_HELPERS = """\
say() {
  printf '%s\\n' "$*" >&2
}

# Google's servers take a while to see what was just created or enabled, so commands are retried.
retry() {
  for pause in $PAUSES; do
    "$@" && return
    say "Retrying in $pause seconds."
    sleep "$pause"
  done
  "$@"
}
PAUSES=
"""

_LOGIN = """\
# gcloud's log would have the token.
CLOUDSDK_CORE_DISABLE_FILE_LOGGING=1 gcloud auth print-access-token >/dev/null 2>&1 || {
  say 'Log in: gcloud auth login (to install it: https://cloud.google.com/sdk/docs/install)'
  exit 1
}
"""

_REPOSITORY = """\
# The repository.
FOUND=$(gcloud artifacts repositories describe "$REPOSITORY" --location="$LOCATION" --project="$PROJECT" \\
  --format='value[separator=" "](format,mode)' 2>/dev/null) || FOUND=
case $FOUND in
  '')
    retry gcloud artifacts repositories create "$REPOSITORY" --location="$LOCATION" --project="$PROJECT" \\
      --repository-format=python --description="$DESCRIPTION"
    ;;
  PYTHON | 'PYTHON ' | 'PYTHON STANDARD_REPOSITORY') ;;
  *)
    say "$REPOSITORY exists, but is not a standard repository for Python packages: $FOUND. Choose another name."
    exit 1
    ;;
esac
"""

_LABEL = "=".join(PREVIEWS_LABEL)

_PREVIEWS = f"""\
# The repository for previews. The label says that it has nothing else, so that versions may be deleted there.
FOUND=$(gcloud artifacts repositories describe "$REPOSITORY" --location="$LOCATION" --project="$PROJECT" \\
  --format='value[separator=" "](format,mode,labels.{PREVIEWS_LABEL[0]})' 2>/dev/null) || FOUND=
case $FOUND in
  '')
    retry gcloud artifacts repositories create "$REPOSITORY" --location="$LOCATION" --project="$PROJECT" \\
      --repository-format=python --labels={_LABEL} --description="$DESCRIPTION"
    PAUSES='5 10 20'
    ;;
  'PYTHON  {PREVIEWS_LABEL[1]}' | 'PYTHON STANDARD_REPOSITORY {PREVIEWS_LABEL[1]}') ;;
  *)
    say "$REPOSITORY exists, but is not a Python repository with the label {_LABEL}: $FOUND. Choose another name."
    exit 1
    ;;
esac
POLICY=$(mktemp)
printf '%s\\n' {{policy}} >"$POLICY"
retry gcloud artifacts repositories set-cleanup-policies "$REPOSITORY" --location="$LOCATION" --project="$PROJECT" \\
  --policy="$POLICY" --no-dry-run --format=none
rm -f "$POLICY"
"""

_POOL = """\
# The pool of these jobs' identities, and of no others.
FOUND=$(gcloud iam workload-identity-pools describe "$POOL" --location=global --project="$PROJECT" \\
  --format='value[separator=" "](state,disabled)' 2>/dev/null) || FOUND=
case $FOUND in
  '')
    retry gcloud iam workload-identity-pools create "$POOL" --location=global --project="$PROJECT" \\
      --display-name='GitHub Actions'
    PAUSES='5 10 20'
    ;;
  DELETED*)
    retry gcloud iam workload-identity-pools undelete "$POOL" --location=global --project="$PROJECT" --format=none
    PAUSES='5 10 20'
    ;;
esac
case $FOUND in
  *True)
    retry gcloud iam workload-identity-pools update "$POOL" --location=global --project="$PROJECT" \\
      --no-disabled --format=none
    ;;
esac
"""

_PROVIDER = """\
# The provider: it trusts GitHub's identity tokens; the condition says of which jobs.
FOUND=$(gcloud iam workload-identity-pools providers describe "$PROVIDER" --workload-identity-pool="$POOL" \\
  --location=global --project="$PROJECT" --format='value(state)' 2>/dev/null) || FOUND=
case $FOUND in
  '')
    retry gcloud iam workload-identity-pools providers create-oidc "$PROVIDER" --workload-identity-pool="$POOL" \\
      --location=global --project="$PROJECT" --display-name='GitHub Actions' --issuer-uri="$ISSUER" \\
      --attribute-mapping="$MAPPING" --attribute-condition="$CONDITION"
    PAUSES='5 10 20'
    ;;
  *)
    if [ "$FOUND" = DELETED ]; then
      retry gcloud iam workload-identity-pools providers undelete "$PROVIDER" --workload-identity-pool="$POOL" \\
        --location=global --project="$PROJECT" --format=none
      PAUSES='5 10 20'
    fi
    retry gcloud iam workload-identity-pools providers update-oidc "$PROVIDER" --workload-identity-pool="$POOL" \\
      --location=global --project="$PROJECT" --issuer-uri="$ISSUER" --allowed-audiences= --no-disabled \\
      --attribute-mapping="$MAPPING" --attribute-condition="$CONDITION" --format=none
    ;;
esac
"""

_DIRECT = """\
# The jobs may write to the repository.
retry gcloud artifacts repositories add-iam-policy-binding "$REPOSITORY" --location="$LOCATION" \\
  --project="$PROJECT" --role="$ROLE" --member="$JOBS" --condition=None --format=none
"""

_ACCOUNT = f"""\
# The account may write to the repository, and the jobs may act as the account.
FOUND=$(gcloud iam service-accounts describe "$ACCOUNT" --project="$PROJECT" \\
  --format='value[separator=" "](email,disabled)' 2>/dev/null) || FOUND=
case $FOUND in
  '')
    retry gcloud iam service-accounts create "${{ACCOUNT%%@*}}" --project="$PROJECT" \\
      --display-name='Publishes Python packages'
    PAUSES='5 10 20'
    ;;
  *True) retry gcloud iam service-accounts enable "$ACCOUNT" --project="$PROJECT" ;;
esac
retry gcloud artifacts repositories add-iam-policy-binding "$REPOSITORY" --location="$LOCATION" \\
  --project="$PROJECT" --role="$ROLE" --member="serviceAccount:$ACCOUNT" \\
  --condition=None --format=none
retry gcloud iam service-accounts add-iam-policy-binding "$ACCOUNT" --project="$PROJECT" \\
  --role={IMPERSONATOR} --member="$JOBS" --condition=None --format=none
"""


def as_script(setup: Setup) -> str:
    """Return the whole script, for any POSIX shell, and for zsh, which is the shell of a Mac."""
    repository = _previews() if setup.previews else _REPOSITORY
    blocks = [_head(setup), _HELPERS, _names(setup), _LOGIN, _services(setup), repository, _POOL, _PROVIDER]
    return "\n".join([*blocks, _ACCOUNT if setup.account else _DIRECT, _end(setup)])


def _previews() -> str:
    """Return the part that makes the repository for previews, and its cleanup policy.

    https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy
    """
    condition = {"tagState": "any", "olderThan": f"{DAYS}d"}
    policy = {"name": POLICY, "action": {"type": "Delete"}, "condition": condition}
    return _PREVIEWS.format(policy=shlex.quote(json.dumps([policy])))


def _head(setup: Setup) -> str:
    roles = ["artifactregistry.admin", "iam.workloadIdentityPoolAdmin", "serviceusage.serviceUsageAdmin"]
    roles += ["iam.serviceAccountAdmin"] if setup.account else []
    gh = "" if all(value for value, _ in setup.ids.values()) else ", and gh, logged in"
    return f"""\
#!/bin/sh
# Lets {setup.principal} publish {setup.packages} to {setup.repository}.
# It can be run again at any time: it creates what is missing and corrects what has changed.
#
# Needs gcloud, logged in as an owner of {setup.repository.project}{gh}. Instead of owner, these roles are enough:
# {", ".join(f"roles/{role}" for role in roles)}.
{{ # The shell reads the whole block before it runs the first line.
if [ "${{ZSH_VERSION-}}" ]; then emulate sh; fi
set -eu
"""


def _names(setup: Setup) -> str:
    repository = setup.repository
    ids = [
        f"{name.upper()}={shlex.quote(value) if value else f'$({command}) || without_gh'}"
        for name, (value, command) in setup.ids.items()
    ]
    known = " ".join(f'"${name.upper()}"' for name in setup.ids)
    values = {
        "PROJECT": repository.project,
        "LOCATION": repository.location,
        "REPOSITORY": repository.name,
        "DESCRIPTION": setup.description,
        "ROLE": setup.role,
        "POOL": setup.pool,
        "PROVIDER": PROVIDER,
        "ISSUER": setup.issuer,
        **({"ACCOUNT": setup.email} if setup.account else {}),
        "MAPPING": ",".join(f"{name}={claim}" for name, claim in setup.mapping.items()),
    }
    flags = " and ".join(f"--github-{name.replace('_', '-')}" for name in setup.ids)
    lines = [
        "without_gh() {",
        f"  say 'gh is not installed, not logged in (gh auth login), or may not read {setup.github}.'",
        f"  say 'Without gh, give {flags} to gar-publish bootstrap: {setup.ids_page} shows what is public.'",
        "  exit 1",
        "}",
        *(f"{name}={shlex.quote(str(value))}" for name, value in values.items()),
        "# GitHub never reuses these numbers, as it does names.",
        *ids,
        f"for ID in {known}; do",
        "  case $ID in",
        "    '' | *[!0-9]*)",
        "      say \"'$ID' is not an id of GitHub\"",
        "      exit 1",
        "      ;;",
        "  esac",
        "done",
        f'CONDITION="{setup.condition("$OWNER_ID", "$REPOSITORY_ID")}"',
    ]
    return "\n".join(lines) + "\n"


def _services(setup: Setup) -> str:
    pool = "projects/$NUMBER/locations/global/workloadIdentityPools/$POOL"
    services = "".join(f" \\\n  {name}" for name in setup.services)
    return f"""\
# The APIs. A newly enabled one may refuse calls for minutes, and its resources would then seem to be missing.
ENABLED=$(gcloud services list --enabled --project="$PROJECT" --format='value(config.name)')
MISSING=
for SERVICE in{services}; do
  printf '%s\\n' "$ENABLED" | grep -qFx "$SERVICE" || MISSING="$MISSING $SERVICE"
done
if [ "$MISSING" ]; then
  gcloud services enable --project="$PROJECT" $MISSING
  PAUSES='10 20 30 60 60'
  retry gcloud artifacts repositories list --location="$LOCATION" --project="$PROJECT" --limit=1 --format=none
  retry gcloud iam workload-identity-pools list --location=global --project="$PROJECT" --limit=1 --format=none
fi
NUMBER=$(retry gcloud projects describe "$PROJECT" --format='value(projectNumber)')
JOBS="{setup.member(pool, "$OWNER_ID", "$REPOSITORY_ID")}"
"""


def _end(setup: Setup) -> str:
    command = shlex.join(["gar-publish", "bootstrap", *setup.arguments])
    advice = "" if setup.account else "".join(f'say "{line}"\n' for line in ADVICE)
    return (
        f'say "Done: {setup.principal} may publish to {setup.repository}."\n'
        f"{advice}"
        f'say "The workflow: {command} --project-number=$NUMBER --workflow"\n'
        "} </dev/null\n"
    )
