"""This machine: where its user's settings are."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from gar_publish.configure.places import Machine
from gar_publish.errors import BadInput


def this_machine(environment: Mapping[str, str]) -> Machine:
    """Return the facts that the paths of settings depend on here.

    Raises:
        BadInput: The user has no home folder.
    """
    try:
        home = Path.home()
    except RuntimeError:
        raise BadInput(
            "This user has no home folder, so there is no place for settings of tools.",
            cause="HOME is not set, and the user has no entry in /etc/passwd, as in a container",
            fix="set HOME to a folder of this user",
            anchor="settings-file",
        ) from None
    return Machine(platform.system(), environment, home, os.path.exists)  # one that may not be looked at is none
