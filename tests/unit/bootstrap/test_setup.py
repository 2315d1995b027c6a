import re
from typing import Any

import pytest

from gar_emulator.cloud.refusals import Refusal
from gar_emulator.tokens.cel import admit
from gar_emulator.tokens.github import claims_of
from gar_emulator.world.world import Provider
from gar_publish.errors import BadInput
from tests.unit.bootstrap.examples import IDS, make_setup


@pytest.mark.parametrize(
    "github", ["octo-org/hello", "https://github.com/octo-org/hello", "https://github.com/octo-org/hello.git/"]
)
def test_a_repository_on_github(github: str) -> None:
    found = make_setup(github)
    assert (found.owner, found.name, found.github) == ("octo-org", "hello", "octo-org/hello")


@pytest.mark.parametrize(
    ("issuer", "host"),
    [
        ("https://token.actions.githubusercontent.com", "github.com"),
        ("https://token.actions.githubusercontent.com/octo-enterprise", "github.com"),
        ("https://token.actions.octo.ghe.com/", "octo.ghe.com"),
    ],
)
def test_issuers_of_github(issuer: str, host: str) -> None:
    found = make_setup(f"https://{host}/octo-org/hello", issuer=issuer)
    assert (found.issuer, found.host, found.github) == (issuer.rstrip("/"), host, "octo-org/hello")
    assert {command.startswith(f"gh api --hostname {host} ") for _, command in found.ids.values()} == {
        host != "github.com"
    }


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "https://example.com",
        "http://token.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com.example.com",
        "https://token.actions.githubusercontent.com/a/b",
        "https://token.actions.ghe.com",
        "https://token.actions.a.b.ghe.com",
        "https://token.actions.octo.ghe.com/octo",
        "https://token-actions.octo.ghe.com",
    ],
)
def test_refuses_issuers_of_others(issuer: str) -> None:
    """Google would trust every token that such a server signs."""
    with pytest.raises(BadInput, match="which is not an issuer of GitHub Actions") as caught:
        make_setup(issuer=issuer)
    assert caught.value.anchor == "bootstrap-names"


@pytest.mark.parametrize(
    ("github", "options"),
    [
        ("", {}),
        ("/hello", {}),
        ("octo-org/", {}),  # an empty variable must not admit the whole owner
        ("octo-org/a/b", {}),
        ("octo org/hello", {}),
        ("octo-org/$(id)", {}),
        ("octo-org/..", {}),
        ("https://gitlab.com/octo-org/hello", {}),
        ("octo-org/hello", {"environment": "it's"}),
        ("octo-org/hello", {"environment": "a/b"}),
        ("octo-org/hello", {"environment": ""}),
        ("octo-org/hello", {"environment": "x" * 101}),
        ("octo-org/hello", {"account": "short"}),
        ("octo-org/hello", {"account": "Publisher"}),
        ("octo-org/hello", {"account": "publisher@other-project.iam.gserviceaccount.com"}),
        ("octo-org/hello", {"account": "publisher@my-project"}),
        ("octo-org/hello", {"repository": "https://pypi.example.com/"}),
    ],
)
def test_refuses_malformed_names(github: str, options: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        make_setup(github, **options)
    assert caught.value.anchor == "bootstrap-names"
    assert caught.value.fix


@pytest.mark.parametrize(
    ("project", "account", "email"),
    [
        ("my-project", "publisher", "publisher@my-project.iam.gserviceaccount.com"),
        ("my-project", "publisher@my-project.iam.gserviceaccount.com", "publisher@my-project.iam.gserviceaccount.com"),
        ("example.com:old", "publisher", "publisher@old.example.com.iam.gserviceaccount.com"),
        (
            "example.com:old",
            "publisher@old.example.com.iam.gserviceaccount.com",
            "publisher@old.example.com.iam.gserviceaccount.com",
        ),
        ("my-project", None, None),
    ],
)
def test_account(project: str, account: str | None, email: str | None) -> None:
    found = make_setup(repository=f"us/{project}/python", account=account)
    assert found.email == email
    assert ("iamcredentials.googleapis.com" in found.services) is bool(email)


def test_each_setup_has_its_own_pool() -> None:
    names = [
        ("octo-org/hello", None),
        ("octo-org", None),
        ("octo-org/hello", "release"),
        ("octo-org/hello-release", None),
        ("octo-org/hello--release", None),
        ("o/x-", "y"),
        ("o/x", "-y"),
        ("octo/org-hello", None),
        ("octo-org/hel.lo", None),
        ("octo-org/hel_lo", None),
        ("octo-org/hel-lo", None),
        (f"octo-org/{'x' * 99}", None),
        (f"octo-org/{'x' * 100}", None),
        ("a/b", None),
    ]
    pools = [make_setup(github, environment=environment).pool for github, environment in names]
    assert pools[0] == "github--octo-org--hello"
    assert len(set(pools)) == len(pools)
    assert all(re.fullmatch(r"(?!gcp-)[a-z0-9-]{4,32}", pool) for pool in pools)
    assert make_setup("Octo-Org/Hello").pool == pools[0]
    tenants = [make_setup(issuer=f"https://token.actions.{name}.ghe.com").pool for name in ("octo", "octo-org")]
    assert len({*pools, *tenants}) == len(pools) + 2
    assert all(len(pool) <= 32 and pool.startswith("github--") for pool in [*pools, *tenants])
    assert make_setup(issuer="https://token.actions.githubusercontent.com/octo").pool == pools[0]


OURS = {"repository_id": "22", "repository_owner_id": "11", "environment": "release"}


@pytest.mark.parametrize("immutable", [False, True], ids=["old subject", "new subject"])
@pytest.mark.parametrize(
    ("github", "environment", "claims", "admitted"),
    [
        ("octo-org/hello", None, {}, True),
        ("octo-org/hello", None, {"repository_id": "23"}, False),
        ("octo-org/hello", None, {"repository_owner_id": "12"}, False),
        ("octo-org/hello", None, {"environment": "test"}, True),
        ("octo-org/hello", "release", {}, True),
        ("octo-org/hello", "release", {"environment": "test"}, False),
        ("octo-org", None, {"repository_id": "23"}, True),
        ("octo-org", None, {"repository_owner_id": "12"}, False),
        ("octo-org", "release", {"environment": "test"}, False),
    ],
)
def test_the_condition_admits_only_the_intended_jobs(
    *, github: str, environment: str | None, claims: dict[str, str], admitted: bool, immutable: bool
) -> None:
    found = make_setup(github, environment=environment, **IDS)
    provider = Provider("p", "pool", "github", "https://x", found.mapping, found.condition("11", "22"))
    job = claims_of({"repository": f"octo-org/{'x' * 100}", **OURS, **claims}, immutable=immutable)
    if not admitted:
        with pytest.raises(Refusal):
            admit(provider, job, 401)
        return
    mapped = admit(provider, job, 401)
    attribute, _, value = found.member("pool", "11", "22").partition("/pool/")[2].partition("/")
    assert mapped[attribute] == value


def test_the_condition_refuses_a_job_without_an_environment() -> None:
    found = make_setup(environment="release")
    provider = Provider("p", "pool", "github", "https://x", found.mapping, found.condition("11", "22"))
    with pytest.raises(Refusal):
        admit(provider, claims_of({"repository_id": "22", "repository_owner_id": "11"}, immutable=False), 401)


def test_arguments_describe_the_setup() -> None:
    found = make_setup(environment="release", account="publisher", **IDS)
    assert found.arguments == [
        "--github=octo-org/hello",
        "--repository=us-central1/my-project/python",
        "--environment=release",
        "--service-account=publisher",
        "--github-owner-id=11",
        "--github-repository-id=22",
    ]
    tenant = "https://token.actions.octo.ghe.com"
    assert make_setup(issuer=tenant).arguments[-1] == f"--issuer={tenant}"
