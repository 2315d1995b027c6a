"""The inputs of both actions and of the command line, and how each kind of value is read."""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from gar_publish.errors import BadInput


class Input(NamedTuple):
    """One input of the contract, the same in `action.yml` and on the command line."""

    name: str
    default: str
    help: str
    kind: Literal["text", "lines", "flag", "secret"] = "text"


REPOSITORY_INPUTS = (
    Input(
        "repository",
        "",
        "Where to: LOCATION/PROJECT/REPOSITORY, a resource name, a URL, or a bare name with project and location",
    ),
    Input("project", "", "Google Cloud project, with a bare repository name"),
    Input("location", "", "Region or multi-region, with a bare repository name"),
)
CREDENTIAL_INPUTS = (
    Input(
        "workload-identity-provider",
        "",
        "projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER",
    ),
    Input("service-account", "", "Impersonate this account; without it the federated identity is used directly"),
    Input("credentials-json", "", "A service-account key: raw JSON or base64 of it", "secret"),
    Input("access-token", "", "A token that another step already made", "secret"),
)
JSON_KEY_OPTION = Input("json-key", "", "This service-account key as the password, exchanged for nothing", "secret")
"""Of the command line alone."""

CHANGED_SINCE_OPTION = Input(
    "changed-since", "", "Only what has changed since this commit, branch or tag, and what requires that"
)
"""Of the command line alone."""

PROMOTION_INPUTS = (
    Input("promote-from", "", "Build nothing: copy the versions that packages names from this repository"),
    Input("with-dependencies", "false", "Promote what they require as well, if it is in that repository", "flag"),
)

PACKAGES_INPUT = Input("packages", ".", "Project folders or globs, one per line", "lines")
INDEX_TOKEN_INPUT = Input("index-token", "auto", "What the ready line carries: read-only, publisher, none or auto")
DELIVERY_INPUTS = (
    Input("if-exists", "skip-identical", "skip-identical, skip or fail"),
    INDEX_TOKEN_INPUT,
    Input("dry-run", "false", "Build, check, authenticate and compare; upload nothing", "flag"),
    Input("verify", "true", "Read every file back from the index and compare its SHA-256", "flag"),
    Input("create-repository", "false", "Create the repository when it is missing", "flag"),
    Input("jobs", "0", "How many builds and uploads at once; 0 = automatic"),
    Input("summary", "true", "Write the step summary", "flag"),
    Input("doctor", "false", "When the run fails, walk the chain and show which link is broken", "flag"),
    Input("sbom", "false", "Attach a CycloneDX SBOM of each wheel to its version", "flag"),
)
PUBLISH_INPUTS = (
    PACKAGES_INPUT,
    Input("dist", "", "Files, folders or globs that are built already; then nothing is built", "lines"),
    Input("formats", "wheel", "wheel, sdist, or both, comma-separated"),
    Input("expected-version", "", "Refuse to publish any other version"),
    *DELIVERY_INPUTS,
    Input("provenance", "false", "Attach an unsigned SLSA provenance statement of this run to each version", "flag"),
)
INPUTS = REPOSITORY_INPUTS + CREDENTIAL_INPUTS + PUBLISH_INPUTS + PROMOTION_INPUTS
SETUP_INPUTS = (
    *REPOSITORY_INPUTS,
    *CREDENTIAL_INPUTS,
    Input("only", "false", "Make the repository the only index", "flag"),
    Input("index-name", "", "What the project's uv or Poetry calls the repository"),
)

_DEFAULTS = {each.name: each.default for each in (*INPUTS, *SETUP_INPUTS, CHANGED_SINCE_OPTION)}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Reader:
    """Reads inputs by their names; one that is absent or blank takes its default.

    Args:
        inputs: The inputs by their names in `action.yml`.
    """

    def __init__(self, inputs: Mapping[str, str]) -> None:
        self._inputs = inputs

    def text(self, name: str) -> str:
        return self._inputs.get(name, "").strip() or _DEFAULTS[name]

    def is_default(self, name: str) -> bool:
        return self.text(name) == _DEFAULTS[name]

    def lines(self, name: str) -> tuple[str, ...]:
        return tuple(line.strip() for line in self.text(name).splitlines() if line.strip())

    def flag(self, name: str) -> bool:
        """Read one of the words of YAML 1.2.

        Raises:
            BadInput: It is none.
        """
        text = self.text(name)
        if text not in _BOOLEANS:
            raise BadInput(f"`{name}` is {text!r}; it takes true or false.", fix=f"{name}: true", anchor="booleans")
        return _BOOLEANS[text]

    def count(self, name: str) -> int:
        """Read a number.

        Raises:
            BadInput: It is none from 0 to 999.
        """
        text = self.text(name)
        if not re.fullmatch(r"[0-9]{1,3}", text):
            raise BadInput(
                f"`{name}` is {text!r}; it takes a number from 0 to 999.", fix=f"{name}: 0", anchor="choices"
            )
        return int(text)

    def choice(self, name: str, among: tuple[Any, ...]) -> Any:
        """Read one of several words.

        Raises:
            BadInput: It is none of them.
        """
        return _checked(name, self.text(name), among)

    def choices(self, name: str, among: tuple[Any, ...]) -> frozenset[Any]:
        """Read one or more of several words, separated by commas or lines.

        Raises:
            BadInput: One is none of them, or there is none at all.
        """
        text = self.text(name)
        words = [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
        return frozenset(_checked(name, word, among) for word in words or [text])


def _checked(name: str, word: str, among: tuple[Any, ...]) -> Any:
    if word not in among:
        listed = ", ".join(among)
        raise BadInput(f"`{name}` is {word!r}; it takes one of {listed}.", fix=f"{name}: {among[0]}", anchor="choices")
    return word
