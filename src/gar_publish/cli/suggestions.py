"""A parser of options that says what was meant, where a command or an option is misspelt."""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from gar_publish.cli.terminal import as_options, coloured
from gar_publish.github.inputs import takes_its_place

_COMMANDS_OF_OTHERS = {"upload": "publish", "install": "run", "login": "configure", "setup": "bootstrap"}
_OF_PROMOTIONS = dict.fromkeys(("--promote-from", "--with-dependencies"), "use `gar-publish promote`")


class Parser(argparse.ArgumentParser):
    """Prints one line and the way to help on an error, instead of all options.

    Attributes:
        commands: The parsers of its commands, by their names.
        helps: What each command does.
    """

    commands: Mapping[str, argparse.ArgumentParser] = {}

    def __init__(self, **about: Any) -> None:
        super().__init__(**about)
        self.helps: dict[str, str] = {}

    def parse_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> Any:
        """Return the options. A command itself refuses those that it does not have."""
        given = [*(sys.argv[1:] if args is None else args)]
        first = given[0].partition("=")[0] if given else ""
        if first.startswith("-") and not any(own.startswith(first) for own in self._option_string_actions):
            self._end(f"`{first}` is before the command.", f"gar-publish COMMAND {first}")
        options, unknown = self.parse_known_args(given, namespace)
        if unknown:
            self.commands.get(options.command, self).error(f"unrecognized arguments: {unknown[0]}")
        return options

    def error(self, message: str) -> NoReturn:
        """Print what is wrong on standard error, and exit with 2."""
        fix, meant, words = f"{self.prog} --help", "", list[str]()
        if misspelt := re.search(r"COMMAND: invalid choice: ['\"](.*?)['\"] \(", message):
            message, words = f"There is no command `{misspelt[1]}`.", [*self.commands]
            meant = _COMMANDS_OF_OTHERS.get(misspelt[1], "")
        elif misspelt := re.search(r"unrecognized arguments: ([^\s=]*)", message):
            kind = "option" if misspelt[1].startswith("-") else "argument"
            message, words = f"`{self.prog}` has no {kind} `{misspelt[1]}`.", [*self._option_string_actions]
            if self.prog.endswith(" run"):
                fix = "write `--` before the command to run: gar-publish run … -- pip install …"
            elif in_place := _OF_PROMOTIONS.get(misspelt[1]) or self._takes_its_place(misspelt[1]):
                fix, words = in_place, []
        if misspelt and (meant := meant or next(iter(get_close_matches(misspelt[1], words)), "")):
            message, fix = f"{message[:-1]}; did you mean `{meant}`?", f"{self.prog} --help"
        if flag := re.match(r"argument (--[\w-]+)/(--no-[\w-]+): ignored explicit argument '(build')?", message):
            message, fix = f"`{flag[1]}` takes no value.", f"use `{flag[1]}` or `{flag[2]}`"
            if flag[1] == "--dry-run" and flag[3]:
                fix = "use `gar-publish build`"
        self._end(message, fix)

    def _takes_its_place(self, option: str) -> str:
        own = [each.lstrip("-") for each in self._option_string_actions]
        return as_options(takes_its_place(option.lstrip("-"), own), options=own)

    def _end(self, message: str, fix: str) -> NoReturn:
        text = f"error: {message}\nFix: {fix}\n"
        self.exit(2, coloured(text, sys.stderr) if sys.stderr else text)
