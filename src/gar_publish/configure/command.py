"""`gar-publish configure`: shows or makes the changes that one tool needs."""

import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gar_publish.configure import files
from gar_publish.configure.places import Machine
from gar_publish.configure.tools import TOOLS, Plan, UvLogin, Wanted
from gar_publish.console import Console
from gar_publish.errors import BadInput
from gar_publish.settings.index_url import USERS, Login
from gar_publish.settings.repository import Repository


def run(
    options: Mapping[str, Any],
    repository: Repository,
    login: Login,
    environment: Mapping[str, str],
    console: Console,
    *,
    show: Callable[[str], None],
) -> None:
    """Make a tool's changes, or show them.

    Args:
        options: What `add_options` reads.
        repository: Where to install from, or to upload to.
        login: How the tool is to show who it is.
        environment: The environment's variables.
        console: Is told what was done, and what is to be done next.
        show: Takes the changes of a dry run.

    Raises:
        BadInput: Settings cannot be read, understood or written; the first that cannot be understood stops all.
    """
    machine = Machine(platform.system(), environment, Path.home(), lambda path: Path(path).exists())
    wanted = Wanted(
        repository=repository,
        login=login,
        name=options["name"],
        only=options["only"],
        user=options["user"],
        folder=options["folder"],
        machine=machine,
    )
    carry_out(TOOLS[options["tool"]](wanted), machine, dry_run=options["preview"], console=console, show=show)
    if login.expires_at:
        console.notice(f"The token ends at {login.expires_at:%Y-%m-%dT%H:%M:%SZ}. Run this again for a new one.")


def carry_out(plan: Plan, machine: Machine, *, dry_run: bool, console: Console, show: Callable[[str], None]) -> None:
    """Do what is planned, or show it without any secret."""
    texts: dict[Path, tuple[str, str]] = {}
    for edit in plan.edits:
        old, new = texts.get(edit.path) or (files.read(edit.path),) * 2
        texts[edit.path] = (old, files.changed(edit, new))
    secret = {edit.path for edit in plan.edits if edit.secret}
    for path, (old, new) in texts.items():
        if dry_run and old != new:
            show(files.difference(path, old, new))
        elif not dry_run:
            console.info(f"{path}: {_write(path, old, new, secret=path in secret)}")
    if plan.uv:
        _tell_uv(plan.uv, machine.environment, dry_run=dry_run, show=show)
    for warning in plan.warnings:
        console.warning(warning)
    for note in plan.notes:
        console.info(note)


def _write(path: Path, old: str, new: str, *, secret: bool) -> str:
    private = " (mode 0600, for it holds a secret)" if secret and os.name == "posix" else ""
    if old != new:
        files.write(path, new, secret=secret)
        return f"written{private}"
    if secret and files.make_private(path):
        return f"is as it should be; closed to others{private}"
    return "is as it should be"


def _tell_uv(wanted: UvLogin, environment: Mapping[str, str], *, dry_run: bool, show: Callable[[str], None]) -> None:
    """Put the login into uv's store, and take any other user's of the same index out: uv would mix them up.

    https://docs.astral.sh/uv/concepts/authentication/cli/
    """
    from uv import find_uv_bin  # only uv's users need it

    login = wanted.login
    commands = [
        ["logout", wanted.index, "--username", user] for user in USERS if user != login.user or not login.password
    ]
    if login.password:
        commands.append(["login", wanted.index, "--username", login.user, "--password", "-"])
    if dry_run:
        show("\n".join(f"uv auth {' '.join(command)}" for command in commands))
        return
    for command in commands:
        done = subprocess.run(
            [find_uv_bin(), "--no-config", "auth", *command],
            input=login.password if command[0] == "login" else "",
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and command[0] == "login":
            raise BadInput(
                "uv could not store the credential.",
                fix="check the rights of the folder that `uv auth dir` prints",
                anchor="settings-file",
                detail=done.stderr[-1000:],
            )
