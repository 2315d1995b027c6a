import pytest
import requests

from emulated import Local
from gar_emulator import Fault
from gar_emulator.world.fault import ENDPOINTS

ONE = {"endpoint": "metadata", "fault": "503", "after": 0, "times": 1, "chance": 1.0, "seconds": 2.0, "file": ""}


def faults(local: Local, method: str = "GET", body: str | None = None) -> requests.Response:
    return local.session.request(method, f"{local.emulator.url}/emulator/faults", data=body)


def test_faults_are_set_shown_and_deleted(local: Local) -> None:
    assert faults(local).json() == []
    put = faults(local, "PUT", '[{"endpoint": "metadata", "fault": "503", "seconds": 2}]')
    assert (put.status_code, put.json()) == (200, [{**ONE, "struck": 0}])
    assert local.session.get(local.emulator.url).status_code == 503
    assert faults(local).json() == [{**ONE, "struck": 1}]
    assert local.emulator.struck == {Fault("metadata", "503", seconds=2): 1}
    assert faults(local, "DELETE").json() == []
    assert local.emulator.struck == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "the body is not JSON"),
        ("[" * 100_000, "the body is not JSON"),
        ("\ud800".encode("utf-8", "surrogatepass"), "the body is not JSON"),
        ("{}", "the body is not a list"),
        ("[1]", "number 1 is not a table"),
        ('[{"endpoint": "sts"}]', "number 1 has no fault"),
        ('[{"endpoint": "sts", "fault": 503}]', "number 1: fault has a value of the wrong type: 503"),
        ('[{"endpoint": "sts", "fault": "503"}, {"endpoint": "x", "fault": "503"}]', "number 2: endpoint must be"),
        ('[{"endpoint": "sts", "fault": "503", "times": -1}]', "number 1: after and times must be 0 or more"),
        ('[{"endpoint": "sts", "fault": "503", "chance": NaN}]', "number 1: chance must be between 0 and 1"),
        ('[{"endpoint": "sts", "fault": "503", "often": 1}]', "number 1 has an unknown entry, often"),
        ('[{"endpoint": "sts", "fault": "503", "seconds": 1' + "0" * 400 + "}]", "number 1: seconds is too large"),
    ],
)
def test_invalid_faults_are_explained_and_change_nothing(local: Local, body: str, said: str) -> None:
    local.emulator.inject(Fault("metadata", "503", seconds=2))
    answer = faults(local, "PUT", body)
    assert answer.status_code == 400
    assert answer.text.startswith("Invalid faults: ")
    assert said in answer.text
    assert faults(local).json() == [{**ONE, "struck": 0}]


def test_control_requests_meet_no_fault_and_are_not_recorded(local: Local) -> None:
    local.emulator.inject(*(Fault(endpoint, "500", times=0) for endpoint in ENDPOINTS))
    assert faults(local).status_code == 200
    assert faults(local, "POST").status_code == 405
    assert local.emulator.requests == []
