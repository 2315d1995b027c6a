"""Scripts that complete commands and options in a shell."""

import argparse
import shlex
from collections.abc import Iterable, Iterator, Mapping

from gar_publish.settings.settings import OPTIONS

SHELLS = ("bash", "zsh", "fish")

# zsh runs functions of bash: https://zsh.sourceforge.io/Doc/Release/Completion-System.html#Use-of-compinit
_ZSH = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n"
_BASH = """_gar_publish() {{
    local words prefix word="${{COMP_WORDS[COMP_CWORD]}}" option="${{COMP_WORDS[COMP_CWORD - 1]}}"
    case "$option $word" in
    *" =") word= ;; # bash makes three words of OPTION=VALUE, and zsh makes one
    "= "*) option="${{COMP_WORDS[COMP_CWORD - 2]}}" ;;
    *" --"*=*) option="${{word%%=*}}" prefix="${{word%%=*}}=" word="${{word#*=}}" ;;
    esac
    case "${{COMP_WORDS[1]}} $option" in
{values}    *)
        case "${{COMP_WORDS[1]}} $word" in
{options}        esac
        ;;
    esac
    [ "$COMP_CWORD" -gt 1 ] || words={commands}
    COMPREPLY=($(compgen -P "$prefix" -W "$words" -- "$word"))
}}
complete -o default -F _gar_publish gar-publish
"""


def script(shell: str, commands: Mapping[str, argparse.ArgumentParser], helps: Mapping[str, str]) -> str:
    """Return the script for one of `SHELLS`.

    Args:
        shell: The shell.
        commands: The parsers of the commands, by name.
        helps: What each command does.
    """
    if shell == "fish":
        return "".join(f"complete -c gar-publish {line}\n" for line in _fish(commands, helps))
    options = "".join(
        f"        '{name} -'*) words={shlex.quote(' '.join(_options(command)))} ;;\n"
        for name, command in commands.items()
    )
    cases = "".join(
        f"    {shlex.quote(f'{name} {option}')}) words={shlex.quote(' '.join(values))} ;;\n"
        for name, command in commands.items()
        for action in command._actions  # noqa: SLF001 - argparse has no other list of them
        if (values := _values(action))
        for option in action.option_strings or [name]
    )
    text = _BASH.format(values=cases, options=options, commands=shlex.quote(" ".join(commands)))
    return text if shell == "bash" else _ZSH + text


def _values(action: argparse.Action) -> Iterable[str]:
    """Return the values that an option accepts; none if they are not known."""
    if action.nargs == 0:
        return ()  # a flag takes none in a shell, and `build` after `--dry-run` would be a folder
    return action.choices or (OPTIONS[action.dest].words if action.dest in OPTIONS else ())


def _options(command: argparse.ArgumentParser) -> Iterator[str]:
    for action in command._actions:  # noqa: SLF001 - argparse has no other list of them
        yield from (option for option in action.option_strings if option.startswith("--"))


def _fish(commands: Mapping[str, argparse.ArgumentParser], helps: Mapping[str, str]) -> Iterator[str]:
    for name, text in helps.items():
        yield f"-n __fish_use_subcommand -f -a {name} -d {shlex.quote(text)}"
    for name, command in commands.items():
        where = f"-n '__fish_seen_subcommand_from {name}'"
        for action in command._actions:  # noqa: SLF001 - argparse has no other list of them
            words = shlex.quote(" ".join(_values(action)))
            if not action.option_strings and action.choices:
                yield f"{where} -f -a {words}"
            for option in action.option_strings:
                if option.startswith("--"):
                    takes = f" -x -a {words}" if _values(action) else "" if action.nargs == 0 else " -r"
                    sentence = (action.help or "").split(". ")[0].removesuffix(".")
                    yield f"{where} -l {option[2:]}{takes} -d {shlex.quote(sentence)}"
