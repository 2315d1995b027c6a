"""What tests compare of a failure."""

from gar_publish.errors import Failure


def words(failure: Failure) -> list[str]:
    """Return what happened, the cause, the fix and the anchor."""
    return [failure.what, failure.cause, failure.fix, failure.anchor]
