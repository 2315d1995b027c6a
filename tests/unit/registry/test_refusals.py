import io

import pytest
import requests

from gar_publish.registry.refusals import explain_refusal


def answer(
    status: int, url: str = "https://us-python.pkg.dev/p/r/", body: bytes = b"", **headers: str
) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url, response.raw = status, url, io.BytesIO(body)
    response.headers.update(headers)
    return response


def test_a_forbidden_upload_names_the_role_and_the_command() -> None:
    failure = explain_refusal(answer(403), "Permission denied", action="upload")
    assert failure.fix == (
        "gcloud artifacts repositories add-iam-policy-binding r --location=us --project=p "
        "--member=MEMBER --role=roles/artifactregistry.writer"
    )
    assert failure.exit_code == 6
    assert failure.detail == "Permission denied"


def test_a_switched_off_api_is_said_whatever_the_status() -> None:
    failure = explain_refusal(answer(403), '{"reason": "SERVICE_DISABLED"}', action="read")
    assert failure.fix == "gcloud services enable artifactregistry.googleapis.com --project=p"


def test_a_service_perimeter_is_no_missing_role() -> None:
    # The words that https://github.com/cloudquery/cloudquery/issues/1062 shows for another API.
    said = "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: eYhDkfYCu-dOCjuj8X4"
    failure = explain_refusal(answer(403), said, action="upload")
    assert failure.anchor == "perimeter"
    assert failure.fix.endswith("gcloud logging read IDENTIFIER --project=p")


def test_words_of_a_host_for_another_format_name_the_same_role() -> None:
    said = (
        'Permission "artifactregistry.repositories.uploadArtifacts" denied on resource '
        '"projects/p/locations/us/repositories/r" (or it may not exist)'
    )
    assert explain_refusal(answer(403), said, action="upload").anchor == "registry-403"


@pytest.mark.parametrize("status", [403, 404])
def test_the_project_of_a_domain_is_named_as_gcloud_takes_it(status: int) -> None:
    failure = explain_refusal(answer(status, "https://us-python.pkg.dev/example.com/p/r/"), "", action="read")
    assert "--project=example.com:p" in failure.fix


def test_the_emulator_is_called_by_the_host_that_it_plays() -> None:
    url = "http://127.0.0.1:1/us-python.pkg.dev/p/r/"
    assert explain_refusal(answer(401, url), "", action="read").what.startswith("us-python.pkg.dev does not accept")


def test_another_index_is_called_by_its_host_without_user_information() -> None:
    failure = explain_refusal(answer(403, "http://user:pw@localhost:80/x"), "", action="read")
    assert failure.what.startswith("localhost:80 refuses")
