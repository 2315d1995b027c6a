"""Replace the Dockerfile in an action by an image."""

import re

from release.version import Refused

ACTIONS = ("action.yml", "setup/action.yml")
"""The actions that run the image."""


def with_image(action: str, image: str) -> str:
    """Return an action that runs an image from a registry, instead of building the Dockerfile.

    Args:
        action: The text of an action.yml.
        image: `REGISTRY/NAME@sha256:DIGEST`.

    Raises:
        Refused: The image has no digest, or the action does not name the Dockerfile exactly once.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._:/-]*/[a-z0-9._/-]+@sha256:[0-9a-f]{64}", image):
        raise Refused(f"{image} does not name an image by its digest, as in registry.example/name@sha256:…")
    changed, times = re.subn(r"^(  image: )(\.\./)?Dockerfile\b.*$", rf"\1docker://{image}", action, flags=re.MULTILINE)
    if times != 1:
        raise Refused(f"the action names the Dockerfile {times} times, not once")
    return changed
