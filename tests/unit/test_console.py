import base64
from datetime import UTC, datetime

import pytest

from gar_publish.console import Lines, encoded_forms, human_size, printable, rfc3339
from tests.unit.servers import Time


def test_the_forms_of_a_secret_in_urls_and_headers() -> None:
    forms = encoded_forms("ya29.a/b=")
    assert set(forms) == {
        "ya29.a/b=",
        "ya29.a%2Fb%3D",
        base64.b64encode(b"ya29.a/b=").decode(),
        base64.b64encode(b"oauth2accesstoken:ya29.a/b=").decode(),
    }


def test_an_empty_text_is_not_a_secret() -> None:
    assert "" not in encoded_forms("")


def test_control_characters_are_not_printable() -> None:
    assert printable("a\x1b]0;x\x07b\r\x9bc\ud800\n\td\u2028e\u00e9") == "a]0;xbc\n\tde\u00e9"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_000_000_000, "2.0 GB"), (None, "-")]
)
def test_human_sizes(size: int | None, text: str) -> None:
    assert human_size(size) == text


def test_rfc3339() -> None:
    assert rfc3339(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)) == "2026-01-02T03:04:05Z"
    assert rfc3339(None) == ""


def test_a_long_upload_has_a_line_every_12_seconds() -> None:
    time, shown = Time(), list[str]()
    lines = Lines(shown.append, "big.whl", 2_000_000_000, clock=time.clock)
    for sent in range(0, 2_000_000_001, 50_000_000):
        lines.show(sent)
        time.sleep(1.0)
    assert shown == [
        "big.whl: 600.0 MB of 2.0 GB, 30 %, 50.0 MB/s, 0:28 left",
        "big.whl: 1.2 GB of 2.0 GB, 60 %, 50.0 MB/s, 0:16 left",
        "big.whl: 1.8 GB of 2.0 GB, 90 %, 50.0 MB/s, 0:04 left",
    ]


def test_a_long_build_has_a_line_every_12_seconds() -> None:
    time, shown = Time(), list[str]()
    lines = Lines(shown.append, "Build hello", 1, "builds", clock=time.clock)
    for _ in range(30):
        lines.show(0)
        time.sleep(1.0)
    assert shown == ["Build hello: 0 of 1, 0:12", "Build hello: 0 of 1, 0:24"]


def test_a_quick_upload_has_no_line() -> None:
    time, shown = Time(), list[str]()
    lines = Lines(shown.append, "small.whl", 1000, clock=time.clock)
    lines.show(500)
    time.sleep(5.0)
    lines.show(1000)
    assert shown == []
