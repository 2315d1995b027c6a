import pytest

from gar_publish.errors import BadInput
from gar_publish.urls import host_of, origin, refuse_plain_http


@pytest.mark.parametrize(
    ("url", "expected", "host"),
    [
        ("https://Example.com/a", ("https", "example.com", 443), "Example.com"),
        ("http://example.com", ("http", "example.com", 80), "example.com"),
        ("https://me:word@example.com:8443/", ("https", "example.com", 8443), "example.com:8443"),
        ("ftp://example.com/", ("ftp", "example.com", None), "example.com"),
    ],
)
def test_the_parts_of_a_url(url: str, expected: tuple[str, str, int | None], host: str) -> None:
    assert origin(url) == expected
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://example.com/", True),
        ("http://localhost:1/", True),
        ("http://a.localhost/", True),
        ("http://127.0.0.2/", True),
        ("http://[::1]/", True),
        ("http://emulator:8085/host/simple/", True),
        ("http://emulator:8086/", False),
        ("http://notlocalhost/", False),
        ("http://192.0.2.1/", False),
        ("http:///", False),
        ("ftp://localhost/", False),
        ("localhost/", False),
    ],
)
def test_where_a_credential_may_be_sent(url: str, allowed: bool) -> None:  # noqa: FBT001 - a table
    if allowed:
        refuse_plain_http(url, "http://emulator:8085")
        return
    with pytest.raises(BadInput) as caught:
        refuse_plain_http(url, "http://emulator:8085")
    assert caught.value.anchor == "plain-http"


def test_the_message_does_not_repeat_a_password() -> None:
    with pytest.raises(BadInput) as caught:
        refuse_plain_http("http://me:hunter2@example.com:80/")
    assert caught.value.what == "http://example.com:80 is not encrypted, so no token is sent there."
    assert caught.value.fix == "use https://example.com:80"
