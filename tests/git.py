"""Run git for tests, without the settings of this machine."""

import os
import subprocess
from pathlib import Path

ELSEWHERE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
SETTINGS = ("user.name=octocat", "user.email=octocat@example.org", "protocol.file.allow=always", "safe.directory=*")


def git(folder: Path, *arguments: str, **variables: str) -> str:
    """Run git in a folder, with more environment variables, and return its output."""
    settings = [part for each in SETTINGS for part in ("-c", each)]
    command = ["git", *settings, *arguments]
    environment = os.environ | ELSEWHERE | variables
    done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, *tags: str) -> None:
    """Commit all files of a folder, and tag the commit. A folder that is no repository becomes one."""
    if not (folder / ".git").exists():
        git(folder, "init", "-qb", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Change")
    for tag in tags:
        git(folder, "tag", tag)
