"""A parser of options that says what was meant, where a command or an option is misspelt."""

import argparse
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Prints one line and the way to help on an error, instead of all options.

    Attributes:
        commands: The parsers of its commands, by their names.
    """

    commands: Mapping[str, argparse.ArgumentParser] = {}

    def error(self, message: str) -> NoReturn:
        """Print what is wrong on standard error, and exit with 2."""
        if misspelt := re.search(r"COMMAND: invalid choice: '(.*?)'", message):
            message = f"There is no command `{misspelt[1]}`."
        elif misspelt := re.search(r"unrecognized arguments: ([^\s=]+)", message):
            message = f"There is no option `{misspelt[1]}`."
        if misspelt and (close := get_close_matches(misspelt[1], self._words())):
            message = f"{message[:-1]}; did you mean `{close[0]}`?"
        message = re.sub(r"^(.*): ignored explicit argument .*", r"\1 takes no value.", message)
        self.exit(2, f"error: {message}\nFix: {self.prog} --help\n")

    def _words(self) -> list[str]:
        helps = (each.format_help() for each in (self, *self.commands.values()))
        return [*self.commands, *re.findall(r"--[a-z][a-z-]*", "\n".join(helps))]
