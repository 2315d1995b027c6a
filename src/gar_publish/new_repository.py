"""A repository that was created a moment ago.

What may be done with a new resource takes some time to be known: https://cloud.google.com/iam/docs/access-change-propagation
"""

from collections.abc import Callable
from typing import TypeVar

from gar_publish.errors import RegistryRefused
from gar_publish.patience import Patience

_WAITS = (0.5, 1, 2, 4, 8, 15)
"""Seconds between two tries while a new repository is not known everywhere; about 30 in all."""
_NOT_KNOWN = {"repository-missing", "registry-403"}
"""The anchors of what a server says that does not know a repository yet, or not who may use it."""

Answer = TypeVar("Answer")


def once_known(call: Callable[[], Answer], patience: Patience, on_wait: Callable[[str], None]) -> Answer:
    """Use a new repository as soon as the server that is asked knows it.

    Raises:
        Failure: That of the call, after half a minute where the server still does not know it.
    """
    for seconds in _WAITS:
        try:
            return call()
        except RegistryRefused as failure:
            if failure.anchor not in _NOT_KNOWN:
                raise
        on_wait(f"the new repository is not known everywhere yet; trying again in {seconds} s")
        patience.sleep(seconds)
    return call()
