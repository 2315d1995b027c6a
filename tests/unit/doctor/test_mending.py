import subprocess

import pytest

from gar_publish.doctor.mending import quoted


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("plain", "plain"),
        ("assertion.repository_owner == 'octo-org'", "\"assertion.repository_owner == 'octo-org'\""),
        ('assertion.sub == "x"', "'assertion.sub == \"x\"'"),
    ],
)
def test_quotes_are_those_that_people_would_choose(text: str, word: str) -> None:
    assert quoted(text) == word


@pytest.mark.parametrize("text", ["'$HOME'", "'`id`'", "'\\'", "'!x'", "'\"'"])
def test_a_shell_reads_the_text_again(text: str) -> None:
    done = subprocess.run(["/bin/sh", "-c", f"printf %s {quoted(text)}"], capture_output=True, text=True, check=True)
    assert done.stdout == text
