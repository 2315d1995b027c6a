"""`gar-publish configure`: makes or shows the changes that one tool needs."""

import os
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gar_publish.configure import files, netrc, places
from gar_publish.configure.machine import this_machine
from gar_publish.configure.tools import TOOLS, Plan, Request
from gar_publish.console import Console, rfc3339
from gar_publish.context import Context
from gar_publish.errors import BadInput
from gar_publish.settings.index_url import USERS, Login
from gar_publish.settings.repository import Repository


def run(
    options: Mapping[str, Any], repository: Repository, login: Login, context: Context, *, show: Callable[[str], None]
) -> None:
    """Make the changes for a tool, or show them.

    Args:
        options: The options of the command.
        repository: The repository to install from, or to upload to.
        login: The user name and password for the tool.
        context: Where this happens; its console shows what was done, and the next steps.
        show: Prints the changes of a dry run.

    Raises:
        BadInput: A settings file cannot be read, parsed or written. Nothing is written if one cannot be parsed.
    """
    request = Request(
        repository=repository,
        login=login,
        name=options["name"],
        only=options["only"],
        user=options["user"],
        folder=options["folder"],
        machine=this_machine(context.environment),
    )
    plan = TOOLS[options["tool"]](request)
    apply(plan, request, dry_run=options["preview"], console=context.console, show=show)
    file = Path(places.netrc_file(request.machine))
    ours = any(edit.path == file for edit in plan.edits)
    if not ours and files.parsed(file, partial(netrc.has_login, host=repository.host)):
        context.console.warning(
            f"{file} has a login for {repository.host}. uv, and pip before 23.3, prefer it to any other: remove it, or "
            "keep it up to date with `gar-publish configure netrc`."
        )
    if login.expires_at:
        context.console.notice(
            f"The token expires at {rfc3339(login.expires_at)}. After that, installs fail, or pip takes a public "
            "package of the same name: run this command again first."
        )


def apply(plan: Plan, request: Request, *, dry_run: bool, console: Console, show: Callable[[str], None]) -> None:
    """Make the planned changes, or show them without secrets."""
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
    if plan.in_uv:
        _store_in_uv(request, dry_run=dry_run, show=show)
    for warning in plan.warnings:
        console.warning(warning)
    for note in plan.notes:
        console.info(note)


def _write(path: Path, old: str, new: str, *, secret: bool) -> str:
    private = " (mode 0600, since it contains a secret)" if secret and os.name == "posix" else ""
    if old != new:
        files.write(path, new, secret=secret)
        return f"written{private}"
    if secret and files.make_private(path):
        return f"unchanged, but made private{private}"
    return "unchanged"


def _store_in_uv(request: Request, *, dry_run: bool, show: Callable[[str], None]) -> None:
    """Store the login in uv, and remove those of other users for the same index, which uv would mix up.

    https://docs.astral.sh/uv/concepts/authentication/cli/
    """
    from uv import find_uv_bin  # only needed for uv

    login = request.login
    commands = [
        ["logout", request.index, "--username", user] for user in USERS if user != login.user or not login.password
    ]
    if login.password:
        commands.append(["login", request.index, "--username", login.user, "--password", "-"])
    if dry_run:
        show("\n".join(f"uv auth {' '.join(command)}" for command in commands))
        return
    for command in commands:
        done = subprocess.run(
            [find_uv_bin(), "--no-config", "auth", *command],
            input=login.password if command[0] == "login" else "",
            env=dict(request.machine.environment),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode and command[0] == "login":
            raise BadInput(
                "uv could not store the credential.",
                fix="check the permissions of the folder that `uv auth dir` prints",
                anchor="settings-file",
                detail=done.stderr[-1000:],
            )
