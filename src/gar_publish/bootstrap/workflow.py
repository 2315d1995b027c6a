"""The workflow that publishes, once the set-up is there."""

import json

from gar_publish.bootstrap.setup import Wanted


def as_workflow(wanted: Wanted, number: str) -> str:
    """A workflow file.

    Args:
        wanted: The set-up.
        number: The project's number.
    """
    environment = f"    environment: {json.dumps(wanted.environment)}\n" if wanted.environment else ""
    account = f"          service-account: {wanted.email}\n" if wanted.account else ""
    return f"""\
# Publishes to {wanted.repository} without any stored secret: GitHub vouches for the job, and Google trusts GitHub.
name: Publish
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
          fetch-depth: 0 # for versions that come from tags
      - uses: org/gar-publish@v1
        with:
          repository: {wanted.repository}
          workload-identity-provider: {wanted.provider(number)}
{account}          expected-version: ${{{{ github.ref_name }}}}
          doctor: true # says which link is broken, should one be
"""
