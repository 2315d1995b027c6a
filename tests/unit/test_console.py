import base64

from gar_publish.console import encoded_forms, printable


def test_a_secret_is_known_in_urls_and_headers_too() -> None:
    forms = encoded_forms("ya29.a/b=")
    assert set(forms) == {
        "ya29.a/b=",
        "ya29.a%2Fb%3D",
        base64.b64encode(b"ya29.a/b=").decode(),
        base64.b64encode(b"oauth2accesstoken:ya29.a/b=").decode(),
    }


def test_nothing_is_no_secret() -> None:
    assert "" not in encoded_forms("")


def test_nothing_that_commands_a_terminal_is_printable() -> None:
    assert printable("a\x1b]0;x\x07b\r\x9bc\ud800\n\td\u2028e\u00e9") == "a]0;xbc\n\tde\u00e9"
