"""The image that an action names."""

import re

from release.version import Refused

ACTIONS = ("action.yml", "setup/action.yml")
"""The files that name it, all the same."""


def with_image(action: str, image: str) -> str:
    """An action that runs an image from a registry, where its source builds the Dockerfile beside it.

    Args:
        action: The text of an action.yml.
        image: `REGISTRY/NAME@sha256:DIGEST`.

    Raises:
        Refused: The image is not named by digest, or the action does not have one line that names the Dockerfile.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._:/-]*/[a-z0-9._/-]+@sha256:[0-9a-f]{64}", image):
        raise Refused(f"{image} does not name an image by its digest, as in registry.example/name@sha256:…")
    changed, times = re.subn(r"^(  image: )(\.\./)?Dockerfile\b.*$", rf"\1docker://{image}", action, flags=re.MULTILINE)
    if times != 1:
        raise Refused(f"an action names the Dockerfile {times} times, not once")
    return changed
