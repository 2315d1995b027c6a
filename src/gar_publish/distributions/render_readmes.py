"""Render readmes as reStructuredText: the program of the process that `readmes` starts.

It reads a list of readmes, and prints for each why it does not render, or nothing, as JSON. Python is isolated (`-I`).
"""

import io
import json
import sys

_MEMORY = 1024**3
_LONGEST = 300
"""Characters of an answer."""


def main(seconds: int) -> None:
    """Render the readmes, in bounded memory.

    Args:
        seconds: The time after which a process is killed whose parent cannot do so any more.
    """
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    for readme in json.load(sys.stdin):
        print(json.dumps(_problem(readme)[:_LONGEST]), flush=True)  # noqa: T201 - the answer


def _problem(readme: str) -> str:
    from readme_renderer import rst

    # Otherwise docutils obeys a docutils.conf in the working folder, which may make it read and write any file.
    rst.SETTINGS["_disable_config"] = True
    rst.SETTINGS["syntax_highlight"] = "none"  # colours take time, and need Pygments, which the image does not have
    errors = io.StringIO()
    try:
        rendered = rst.render(readme, stream=errors)
    except RecursionError:
        return "it is nested too deeply"
    first_line, *_ = errors.getvalue().split("\n")
    return first_line.replace("<string>:", "line ") if rendered is None else ""


if __name__ == "__main__":
    main(seconds=int(sys.argv[1]) + 1)
