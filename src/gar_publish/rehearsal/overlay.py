"""An index that lays the files of a run over the repository: of their packages, it has both."""

import shutil
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from gar_publish.distributions.distribution import Distribution


def write(folder: Path, files: Iterable[Distribution], listed: Mapping[str, Mapping[str, str]]) -> str:
    """Write a simple index (PEP 503) of links, and return its URL.

    An installer that prefers the first index asks no other one for these names.

    Args:
        folder: A new folder. Every user can read it.
        files: The files of the run, which are copied.
        listed: The URLs of the files that the repository has of the same packages, by package and file name.
    """
    _mkdir(folder)
    links: dict[str, dict[str, str]] = {}
    for each in files:
        if each.name not in links:
            _mkdir(folder / each.name)
        copy = folder / each.name / each.filename
        shutil.copyfile(each.path, copy)
        copy.chmod(0o644)
        links.setdefault(each.name, {})[each.filename] = f"{copy.as_uri()}#sha256={each.sha256}"
    for name, own in links.items():
        page = folder / name / "index.html"
        anchors = {**listed.get(name, {}), **own}.items()
        page.write_text(
            "<!DOCTYPE html>\n" + "\n".join(f'<a href="{escape(url)}">{escape(file)}</a><br>' for file, url in anchors),
            encoding="utf-8",
        )
        page.chmod(0o644)
    return folder.as_uri()


def _mkdir(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)  # whatever the umask
