import io

import pytest
import requests

from gar_publish.transport.answers import server_text


def text_of(body: bytes) -> str:
    response = requests.Response()
    response.raw = io.BytesIO(body)
    return server_text(response)


@pytest.mark.parametrize(
    "script", ["<script>x < 1</script>", "<SCRIPT>\nlet x = 1\n</Script>", "<style>\np {}\n</style>", "<br>"]
)
@pytest.mark.parametrize("start", ["<html>", "<HTML lang=en>", "<!DOCTYPE html>"])
def test_html_becomes_plain_text(script: str, start: str) -> None:
    page = f"{start}<head>{script}</head><body><p>Sorry,\n <b>no</b>.</p></body></html>"
    assert text_of(page.encode()) == "Sorry, no ."


def test_the_start_of_a_page_is_read() -> None:
    assert text_of(b"<html>" + b"<p>" * 2600 + b"Sorry" + b"<p>" * 2600 + b"not read") == "Sorry"


def test_plain_text_keeps_its_angle_brackets() -> None:
    assert text_of(b"a <b> c\nd \xff") == "a <b> c\nd \ufffd"


def test_long_text_is_cut_and_has_no_control_characters() -> None:
    text = text_of(b"\x1b[2J" + b"x" * 100_000)
    assert len(text) == 2000
    assert text.startswith("[2Jx")


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Basic b2F1dGgyYWNjZXNzdG9rZW46eWEyOS5tYWRlLXVw",
        "authorization=bearer ya29.made-up_token",
        "the token ya29.c.made-up_token.x",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
    ],
)
def test_a_secret_in_an_answer_is_hidden(secret: str) -> None:
    text = text_of(f"You sent {secret}, which is no good.".encode())
    assert "[hidden]" in text
    assert not any(part in text for part in ("b2F1", "made-up", "eyJ"))
    assert text.endswith("which is no good.")


@pytest.mark.parametrize(
    "words", ["Basic authentication is required", "bearer authentication scheme expected", "basic constraints missing"]
)
def test_words_that_look_like_a_header_are_shown(words: str) -> None:
    assert text_of(words.encode()) == words
