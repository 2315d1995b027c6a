"""Completion in real shells."""

import shutil
import subprocess
from collections.abc import Callable

import pytest

from gar_publish.cli.completion import script
from gar_publish.cli.parser import new_parser

PARSER = new_parser()
LINES = {
    "gar-publish pub": ["publish"],
    "gar-publish configure po": ["poetry"],
    "gar-publish publish --if-exists skip-": ["skip-identical"],
    "gar-publish publish --if-exists=skip-": ["skip-identical"],
    "gar-publish publish --name-guard=": ["none", "strict", "warn"],
    "gar-publish doctor --jso": ["--json"],
    "gar-publish plan --no-ver": [],
    "gar-publish publish --dry-run bui": [],
    "gar-publish configure pip --dry-run del": [],
}


def in_bash(line: str) -> list[str]:
    return sorted(replies(line.replace("=", " = ").strip()))


def replies(words: str) -> list[str]:
    last = len(words.split(" ")) - 1
    ask = f'COMP_WORDS=({words}); COMP_CWORD={last}; _gar_publish; printf "%s\\n" "${{COMPREPLY[@]}}"'
    return ran("bash", "--norc", "-c", f"{script('bash', PARSER.commands, PARSER.helps)}\n{ask}")


def in_fish(line: str) -> list[str]:
    ask = f"{script('fish', PARSER.commands, PARSER.helps)}\ncomplete -C '{line}'"
    return [each.partition("\t")[0].rpartition("=")[2] for each in ran("fish", "--no-config", "-c", ask)]


def ran(*command: str) -> list[str]:
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not here")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("ask", [in_bash, in_fish])
def test_completes(ask: Callable[[str], list[str]], line: str) -> None:
    assert ask(line) == LINES[line]


def test_zsh_makes_one_word_of_an_option_and_its_value() -> None:
    assert replies("gar-publish publish --if-exists=skip-") == ["--if-exists=skip-identical"]
    assert replies("gar-publish publish --project=") == []


def test_bash_offers_files_where_no_option_begins() -> None:
    assert in_bash("gar-publish publish --dist=") == []
    assert replies("gar-publish publish --dist ''") == []
    assert replies("gar-publish publish ''") == []


def test_descriptions_in_fish_are_whole_sentences() -> None:
    text = script("fish", PARSER.commands, PARSER.helps)
    assert "Refuse to publish any other version (`v1.2.3` and `1.2.3` are the same)'\n" in text


def test_zsh_takes_the_script_of_bash() -> None:
    text = script("zsh", PARSER.commands, PARSER.helps)
    assert text.endswith(script("bash", PARSER.commands, PARSER.helps))
    assert ran("zsh", "-f", "-c", f"{text}\nprint $_comps[gar-publish]") == [
        "_bash_complete -o default -F _gar_publish"
    ]
