"""The workflow that publishes with the setup."""

import json

from gar_publish.bootstrap.setup import ADVICE, Setup


def as_workflow(setup: Setup, number: str) -> str:
    """Return the workflow file.

    Args:
        setup: The setup.
        number: The project's number.
    """
    if setup.previews:
        return _as_previews_workflow(setup, number)
    environment = f"    environment: {json.dumps(setup.environment)}\n" if setup.environment else ""
    account = _account(setup)
    advice = "" if setup.account else "".join(f"# {line}\n" for line in ADVICE)
    return f"""\
# Publishes to {setup.repository} without any stored secret: GitHub identifies the job, and Google trusts GitHub.
{advice}name: Publish
on:
  push:
    tags: ["v*"]

permissions: {{}}

concurrency:
  group: publish-${{{{ github.ref }}}}
  cancel-in-progress: false

jobs:
  publish:
    name: Publish
    runs-on: ubuntu-latest
{environment}    permissions:
      contents: read
      id-token: write # lets the job prove to Google which repository it is
    steps:
      - uses: actions/checkout@v5
        with:
          persist-credentials: false
          fetch-depth: 0 # for versions from tags
      - uses: org/gar-publish@v1
        with:
          repository: {setup.repository}
          workload-identity-provider: {setup.provider(number)}
{account}          expected-version: ${{{{ github.ref_name }}}}
          doctor: true # after a failure, shows which link is broken
"""


def _account(setup: Setup) -> str:
    return f"          service-account: {setup.email}\n" if setup.account else ""


def _as_previews_workflow(setup: Setup, number: str) -> str:
    environment = f"    environment: {json.dumps(setup.environment)}\n" if setup.environment else ""
    return f"""\
# Publishes a preview of each pull request to {setup.repository}, and deletes it when the pull request is closed.
name: Preview
on:
  pull_request:
    types: [opened, synchronize, reopened, closed]

permissions: {{}}

concurrency:
  group: preview-${{{{ github.event.number }}}}
  cancel-in-progress: false

jobs:
  preview:
    name: Preview
    if: github.event.pull_request.head.repo.full_name == github.repository # a fork's job gets no identity
    runs-on: ubuntu-latest
{environment}    permissions:
      contents: read
      id-token: write # lets the job prove to Google which repository it is
      pull-requests: write # for the comment with the install commands
    steps:
      - uses: actions/checkout@v5
        with:
          persist-credentials: false
          fetch-depth: 0
      - uses: org/gar-publish@v1
        with:
          repository: {setup.repository}
          workload-identity-provider: {setup.provider(number)}
{_account(setup)}          preview: ${{{{ github.event.action == 'closed' && 'delete' || 'true' }}}}
          github-token: ${{{{ github.token }}}}
"""
