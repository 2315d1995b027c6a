import pytest
from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.promotion import Pin, read_pins, read_source
from gar_publish.settings.repository import Repository

GOOGLE = Endpoints()


def test_pins_are_read_without_duplicates() -> None:
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
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_pins([line])
    assert caught.value.what == f"{line[:100]!r} does not name one version of a package."
    assert "NAME==VERSION" in caught.value.fix
    assert "exact" in caught.value.cause
    assert caught.value.anchor == "promote-what"


@pytest.mark.parametrize("text", ["dev", "us/demo-project/dev", "https://us-python.pkg.dev/demo-project/dev/simple/"])
def test_a_source_is_a_repository_or_one_beside_the_target(text: str) -> None:
    target = Repository.parse("us/demo-project/python", endpoints=GOOGLE)
    assert str(read_source(text, target, GOOGLE)) == "us/demo-project/dev"


INDEX = "https://index.example.com/"


@pytest.mark.parametrize(
    ("text", "target", "says", "fix", "anchor"),
    [
        ("python", "us/p/python", "are the same repository: us/p/python", "`promote-from`", "promote-from"),
        (INDEX, "us/p/python", f"`promote-from` is {INDEX}, which is not Artifact", "LOCATION/PROJECT", "promote-from"),
        ("dev", INDEX, "`promote-from` is the bare name 'dev'", "us-central1/my-project/dev", "repository-form"),
        ("us/dev", "us/p/python", "`promote-from` is not the name or URL", "`promote-from: LOC", "repository-form"),
    ],
)
def test_other_sources_are_refused(text: str, target: str, says: str, fix: str, anchor: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        read_source(text, Repository.parse(target, endpoints=GOOGLE), GOOGLE)
    assert fix in caught.value.fix
    assert caught.value.anchor == anchor
