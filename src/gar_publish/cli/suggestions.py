"""A parser of options that says what was meant, where a command or an option is misspelt."""

import argparse
import re
from difflib import get_close_matches
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Prints one line and the way to help on an error, instead of all options."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong on standard error, and exit with 2."""
        if misspelt := re.search(r"COMMAND: invalid choice: '(.*?)'", message):
            message = f"There is no command `{misspelt[1]}`."
        elif misspelt := re.search(r"unrecognized arguments: ([^\s=]+)", message):
            message = f"There is no option `{misspelt[1]}`."
        if misspelt and (close := get_close_matches(misspelt[1], _words(self))):
            message = f"{message[:-1]}; did you mean `{close[0]}`?"
        message = re.sub(r"^(.*): ignored explicit argument .*", r"\1 takes no value.", message)
        self.exit(2, f"error: {message}\nFix: {self.prog} --help\n")


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """Return the commands and options of a parser, also those of each command."""
    commands = [each.choices for each in parser._actions if isinstance(each.choices, dict)]  # noqa: SLF001 - no other way
    return [
        *(option for each in parser._actions for option in each.option_strings),  # noqa: SLF001 - as above
        *(name for each in commands for name in each),
        *(word for each in commands for command in each.values() for word in _words(command)),
    ]
