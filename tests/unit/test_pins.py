import pytest
from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.pins import Pin, read_pins


def test_versions_are_read_each_once() -> None:
    lines = ["Hello_World == v1.2.3", "hello-world==1.2.3", "lib[Fast_One,b]==2.0+cpu"]
    assert read_pins(lines) == (
        Pin("hello-world", Version("1.2.3")),
        Pin("lib", Version("2.0+cpu"), frozenset({"fast-one", "b"})),
    )


@pytest.mark.parametrize(
    "line",
    [
        ".",
        "hello",
        "hello>=1.0",
        "hello==1.*",
        "hello===1.0",
        "hello==1.0,!=1.1",
        "hello==1.0; python_version > '3'",
        "hello @ https://example.com/hello-1.0.tar.gz",
        "hello==one",
        f"hello==1.{'9' * 5000}",
        "hello==1.0 --hash=sha256:00",
    ],
)
def test_whatever_else_there_is_names_no_version(line: str) -> None:
    with pytest.raises(BadInput, match="names no version to promote") as caught:
        read_pins([line])
    assert caught.value.anchor == "promote-what"
