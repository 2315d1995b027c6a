import pytest

from gar_publish.auth.tokens import GivenSource
from gar_publish.doctor import why_name
from gar_publish.doctor.case import Case
from tests.unit.doctor.conftest import PROVIDER, MakeCase, answer, refused
from tests.unit.servers import Reply, ScriptedServer

LOCATIONS = "/artifactregistry.googleapis.com/v1/projects/demo-project/locations"


@pytest.fixture
def case(make: MakeCase) -> Case:
    made: Case = make()
    made.source = GivenSource("ya29.x")
    return made


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ({"repository": "US/demo-project/Python"}, "set `repository: us/demo-project/python`"),
        (
            {"repository": "Python", "project": "demo-project", "location": "US"},
            "set `repository: python` and `location: us`",
        ),
    ],
)
def test_writes_a_repository_in_lower_case(case: Case, given: dict[str, str], fix: str) -> None:
    case.inputs = given
    assert why_name.explain_repository(refused("repository-form"), case).fix == fix


def test_keeps_the_failure_of_a_repository_that_lower_case_does_not_fix(case: Case) -> None:
    case.inputs = {"repository": "A/B/C/D"}
    failure = refused("repository-form")
    assert why_name.explain_repository(failure, case) is failure


def test_replaces_the_id_of_a_project_by_its_number(case: Case, server: ScriptedServer) -> None:
    server.on("/cloudresourcemanager.googleapis.com/v1/projects/demo-project", answer(projectNumber="123456789012"))
    case.inputs = {"workload-identity-provider": PROVIDER.replace("123456789012", "demo-project")}
    found = why_name.explain_provider(refused("provider-name"), case)
    assert found.fix == f"set `workload-identity-provider: {PROVIDER}`"


def test_finds_the_location_of_a_repository(case: Case, server: ScriptedServer) -> None:
    listed = [{"locationId": name} for name in ("asia", "europe-west4", "us-central1")]
    server.on(LOCATIONS, answer(locations=listed))
    server.on(f"{LOCATIONS}/asia/repositories/python", Reply(403, "{}"))
    server.on(f"{LOCATIONS}/europe-west4/repositories/python", answer(format="PYTHON"))
    found = why_name.explain_location(refused("repository-missing"), case, case.target)
    assert found
    assert found.fix == "set `repository: europe-west4/demo-project/python`"


@pytest.mark.parametrize(
    ("names", "fix"), [(["maven", "pyton"], "set `repository: us-central1/demo-project/pyton`"), (["maven"], None)]
)
def test_finds_a_repository_of_a_similar_name(
    case: Case, server: ScriptedServer, names: list[str], fix: str | None
) -> None:
    listed = [{"name": f"projects/demo-project/locations/us-central1/repositories/{name}"} for name in names]
    server.on(f"{LOCATIONS}/us-central1/repositories", answer(repositories=listed))
    found = why_name.explain_spelling(refused("repository-missing"), case, case.target)
    assert (found and found.fix) == fix
