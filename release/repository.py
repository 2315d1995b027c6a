"""Make the release commit, which is on no branch, and push its tags."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from release.version import Refused, Version


class Repository:
    """A checkout, and the remote repository.

    Args:
        folder: The checkout. Its files, index and branches are not changed.
        remote: The name or URL of the remote repository.
    """

    def __init__(self, folder: Path, remote: str) -> None:
        self._folder = folder
        self._remote = remote

    def tags(self) -> list[str]:
        """Return the tags of the remote repository."""
        listed = self._git("ls-remote", "--tags", "--refs", self._remote)
        return [line.partition("refs/tags/")[2] for line in listed.splitlines()]

    def check_clean(self) -> None:
        """Check that all changes are committed.

        Raises:
            Refused: There are uncommitted changes.
        """
        if changed := self._git("status", "--porcelain"):
            raise Refused(f"there are changes that are not committed:\n{changed}")

    def commit(self, files: Mapping[str, str], message: str) -> str:
        """Create a child of the current commit with some files replaced, and return its hash.

        No branch or tag refers to it yet.
        """
        with tempfile.TemporaryDirectory() as temporary:
            index = {"GIT_INDEX_FILE": str(Path(temporary, "index"))}
            self._git("read-tree", "HEAD", variables=index)
            for path, text in files.items():
                blob = self._git("hash-object", "-w", "--stdin", stdin=text)
                self._git("update-index", "--cacheinfo", f"100644,{blob},{path}", variables=index)
            tree = self._git("write-tree", variables=index)
        return self._git("commit-tree", tree, "-p", "HEAD", "-m", message)

    def difference(self, commit: str) -> str:
        """Return the diff from the current commit to this one."""
        return self._git("diff", "--no-color", "HEAD", commit)

    def push(self, commit: str, version: Version) -> None:
        """Push both tags for a commit, or none of them. An existing tag of the exact version is not moved."""
        exact = f"{commit}:refs/tags/{version.tag}"
        self._git("push", "--quiet", "--atomic", self._remote, exact, f"+{commit}:refs/tags/{version.major_tag}")

    def _git(self, *arguments: str, stdin: str = "", variables: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - git is found through the PATH
            cwd=self._folder,
            env=os.environ | (variables or {}),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise Refused(f"git {arguments[0]} failed:\n{done.stderr.strip()}")
        return done.stdout.rstrip("\n")
