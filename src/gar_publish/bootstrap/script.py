"""The set-up as a shell script of gcloud commands.

It may be run again at any time: it makes what is missing, and sets right what has changed.
"""

import shlex

from gar_publish.bootstrap.setup import IMPERSONATOR, ISSUER, PROVIDER, WRITER, Wanted

_HELPERS = """\
say() {
  printf '%s\\n' "$*" >&2
}

# What was made or enabled a moment ago is not known everywhere yet: then try once more, and again.
again() {
  for pause in $PAUSES; do
    "$@" && return
    say "Trying again in $pause seconds."
    sleep "$pause"
  done
  "$@"
}
PAUSES=
"""

_REPOSITORY = """\
# The repository of packages.
FOUND=$(gcloud artifacts repositories describe "$REPOSITORY" --location="$LOCATION" --project="$PROJECT" \\
  --format='value[separator=" "](format,mode)' 2>/dev/null) || FOUND=
case $FOUND in
  '')
    again gcloud artifacts repositories create "$REPOSITORY" --location="$LOCATION" --project="$PROJECT" \\
      --repository-format=python --description='Private Python packages'
    ;;
  PYTHON | 'PYTHON ' | 'PYTHON STANDARD_REPOSITORY') ;;
  *)
    say "$REPOSITORY is there, but takes no Python packages: $FOUND. Choose another name."
    exit 1
    ;;
esac
"""

_POOL = """\
# The pool holds the identities of these jobs, and of no others.
FOUND=$(gcloud iam workload-identity-pools describe "$POOL" --location=global --project="$PROJECT" \\
  --format='value[separator=" "](state,disabled)' 2>/dev/null) || FOUND=
case $FOUND in
  '')
    again gcloud iam workload-identity-pools create "$POOL" --location=global --project="$PROJECT" \\
      --display-name='GitHub Actions'
    PAUSES='5 10 20'
    ;;
  DELETED*)
    again gcloud iam workload-identity-pools undelete "$POOL" --location=global --project="$PROJECT" --format=none
    PAUSES='5 10 20'
    ;;
esac
case $FOUND in
  *True)
    again gcloud iam workload-identity-pools update "$POOL" --location=global --project="$PROJECT" \\
      --no-disabled --format=none
    ;;
esac
"""

_PROVIDER = """\
# The provider: GitHub vouches for a job, and the condition says for which.
FOUND=$(gcloud iam workload-identity-pools providers describe "$PROVIDER" --workload-identity-pool="$POOL" \\
  --location=global --project="$PROJECT" --format='value(state)' 2>/dev/null) || FOUND=
case $FOUND in
  '')
    again gcloud iam workload-identity-pools providers create-oidc "$PROVIDER" --workload-identity-pool="$POOL" \\
      --location=global --project="$PROJECT" --display-name='GitHub Actions' --issuer-uri="$ISSUER" \\
      --attribute-mapping="$MAPPING" --attribute-condition="$CONDITION"
    PAUSES='5 10 20'
    ;;
  *)
    if [ "$FOUND" = DELETED ]; then
      again gcloud iam workload-identity-pools providers undelete "$PROVIDER" --workload-identity-pool="$POOL" \\
        --location=global --project="$PROJECT" --format=none
      PAUSES='5 10 20'
    fi
    again gcloud iam workload-identity-pools providers update-oidc "$PROVIDER" --workload-identity-pool="$POOL" \\
      --location=global --project="$PROJECT" --issuer-uri="$ISSUER" --allowed-audiences= --no-disabled \\
      --attribute-mapping="$MAPPING" --attribute-condition="$CONDITION" --format=none
    ;;
esac
"""

_DIRECT = f"""\
# The jobs may write to the one repository of packages.
again gcloud artifacts repositories add-iam-policy-binding "$REPOSITORY" --location="$LOCATION" \\
  --project="$PROJECT" --role={WRITER} --member="$JOBS" --condition=None --format=none
"""

_ACCOUNT = f"""\
# The account may write to the one repository of packages, and the jobs may act as the account.
FOUND=$(gcloud iam service-accounts describe "$ACCOUNT" --project="$PROJECT" \\
  --format='value[separator=" "](email,disabled)' 2>/dev/null) || FOUND=
case $FOUND in
  '')
    again gcloud iam service-accounts create "${{ACCOUNT%%@*}}" --project="$PROJECT" \\
      --display-name='Publishes Python packages'
    PAUSES='5 10 20'
    ;;
  *True) again gcloud iam service-accounts enable "$ACCOUNT" --project="$PROJECT" ;;
esac
again gcloud artifacts repositories add-iam-policy-binding "$REPOSITORY" --location="$LOCATION" \\
  --project="$PROJECT" --role={WRITER} --member="serviceAccount:$ACCOUNT" \\
  --condition=None --format=none
again gcloud iam service-accounts add-iam-policy-binding "$ACCOUNT" --project="$PROJECT" \\
  --role={IMPERSONATOR} --member="$JOBS" --condition=None --format=none
"""


def as_script(wanted: Wanted) -> str:
    """The whole script, for any POSIX shell."""
    blocks = [_head(wanted), _HELPERS, _names(wanted), _services(wanted), _REPOSITORY, _POOL, _PROVIDER]
    return "\n".join([*blocks, _ACCOUNT if wanted.account else _DIRECT, _end(wanted)])


def _head(wanted: Wanted) -> str:
    roles = ["artifactregistry.admin", "iam.workloadIdentityPoolAdmin", "serviceusage.serviceUsageAdmin"]
    roles += ["iam.serviceAccountAdmin"] if wanted.account else []
    asks = "" if all(value for value, _ in wanted.ids.values()) else ", and gh, logged in"
    return f"""\
#!/bin/sh
# Lets {wanted.who} publish Python packages to {wanted.repository}.
# Run it as often as you like: it makes what is missing, and sets right what has changed.
#
# Needs gcloud, logged in as an owner of {wanted.repository.project}{asks}. Instead of owner, these will do:
# {", ".join(f"roles/{role}" for role in roles)}.
{{ # A shell reads up to the last line before it runs the first.
set -eu
"""


def _names(wanted: Wanted) -> str:
    repository = wanted.repository
    ids = [
        f"{name.upper()}={shlex.quote(value) if value else f'$({command})'}"
        for name, (value, command) in wanted.ids.items()
    ]
    known = " ".join(f'"${name.upper()}"' for name in wanted.ids)
    values = {
        "PROJECT": repository.project,
        "LOCATION": repository.location,
        "REPOSITORY": repository.name,
        "POOL": wanted.pool,
        "PROVIDER": PROVIDER,
        "ISSUER": ISSUER,
        **({"ACCOUNT": wanted.email} if wanted.account else {}),
        "MAPPING": ",".join(f"{name}={claim}" for name, claim in wanted.mapping.items()),
    }
    lines = [
        *(f"{name}={shlex.quote(str(value))}" for name, value in values.items()),
        "# GitHub never gives these numbers away again, as it does names.",
        *ids,
        f"for ID in {known}; do",
        "  case $ID in",
        "    '' | *[!0-9]*)",
        "      say \"'$ID' is no id of GitHub's\"",
        "      exit 1",
        "      ;;",
        "  esac",
        "done",
        f'CONDITION="{wanted.condition("$OWNER_ID", "$REPOSITORY_ID")}"',
    ]
    return "\n".join(lines) + "\n"


def _services(wanted: Wanted) -> str:
    pool = "projects/$NUMBER/locations/global/workloadIdentityPools/$POOL"
    services = "".join(f" \\\n  {name}" for name in wanted.services)
    return f"""\
# The APIs. One that has just been enabled may refuse calls for minutes; what it hides would be taken for missing.
ENABLED=$(gcloud services list --enabled --project="$PROJECT" --format='value(config.name)')
MISSING=
for SERVICE in{services}; do
  printf '%s\\n' "$ENABLED" | grep -qFx "$SERVICE" || MISSING="$MISSING $SERVICE"
done
if [ "$MISSING" ]; then
  gcloud services enable --project="$PROJECT" $MISSING
  PAUSES='10 20 30 60 60'
  again gcloud artifacts repositories list --location="$LOCATION" --project="$PROJECT" --limit=1 --format=none
  again gcloud iam workload-identity-pools list --location=global --project="$PROJECT" --limit=1 --format=none
fi
NUMBER=$(again gcloud projects describe "$PROJECT" --format='value(projectNumber)')
JOBS="{wanted.jobs(pool, "$OWNER_ID", "$REPOSITORY_ID")}"
"""


def _end(wanted: Wanted) -> str:
    again = shlex.join(["gar-publish", "bootstrap", *wanted.arguments])
    return (
        f'say "Done: {wanted.who} may publish to {wanted.repository}."\n'
        f'say "The workflow: {again} --project-number=$NUMBER --workflow"\n'
        "} </dev/null\n"
    )
