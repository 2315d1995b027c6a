"""A failure that says more, once the facts are known."""

import shlex

from gar_publish.errors import Failure


def mended(failure: Failure, *, cause: str, fix: str, anchor: str) -> Failure:
    """The same failure, of the same kind, with the cause that the facts point to.

    Args:
        failure: What publishing would say.
        cause: The likely cause.
        fix: What mends it. A line that begins with `gcloud` can be run as it is; one that is `NAME: VALUE` is an input.
        anchor: The heading in `docs/troubleshooting.md`.
    """
    return type(failure)(failure.what, cause=cause, fix=fix, anchor=anchor, detail=failure.detail)


def quoted(text: str) -> str:
    """One word of a POSIX shell's command, in the quotes that people would choose."""
    if "'" in text and not set(text) & set('"$`\\!'):
        return f'"{text}"'
    return shlex.quote(text)
