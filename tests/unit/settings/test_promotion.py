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
    failure = caught.value
    assert failure.what == f"{line[:100]!r} does not name one version of a package."
    assert failure.cause == "a promotion copies exact versions"
    assert failure.fix == "write each version as NAME==VERSION, such as hello==1.2.3"
    assert failure.anchor == "promote-what"


@pytest.mark.parametrize("text", ["dev", "us/demo-project/dev", "https://us-python.pkg.dev/demo-project/dev/simple/"])
def test_a_source_is_a_repository_or_one_beside_the_target(text: str) -> None:
    target = Repository.parse("us/demo-project/python", endpoints=GOOGLE)
    assert str(read_source(text, target, GOOGLE)) == "us/demo-project/dev"


INDEX = "https://index.example.com/"


@pytest.mark.parametrize(
    ("text", "target", "what", "fix", "anchor"),
    [
        (
            "python",
            "us/p/python",
            "`promote-from` and `repository` are the same repository: us/p/python",
            "set `promote-from` to the repository that has the packages",
            "promote-from",
        ),
        (
            INDEX,
            "us/p/python",
            f"`promote-from` is {INDEX}, which is not Artifact Registry, so no token is sent there.",
            "set `promote-from` to LOCATION/PROJECT/REPOSITORY",
            "promote-from",
        ),
        (
            "dev",
            INDEX,
            "`promote-from` is only a name ('dev'), and `project` and `location` are not set.",
            "set `project` and `location`, or set `promote-from` to a full path such as us-central1/my-project/dev",
            "repository-form",
        ),
        (
            "us/dev",
            "us/p/python",
            "`promote-from` is not the name or URL of a repository: us/dev",
            "use `promote-from: LOCATION/PROJECT/REPOSITORY`, such as us-central1/my-project/python",
            "repository-form",
        ),
    ],
)
def test_other_sources_are_refused(text: str, target: str, what: str, fix: str, anchor: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_source(text, Repository.parse(target, endpoints=GOOGLE), GOOGLE)
    assert (caught.value.what, caught.value.fix, caught.value.anchor) == (what, fix, anchor)
