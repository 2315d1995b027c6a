"""Downloads are redirected, and one of the two addresses refuses a single file."""

import json

import pytest

from gar_emulator import Emulator, Fault
from tests.integration.frontdoors import PUBLISH, PUBLISHER, Doors
from tests.wheels import make_wheel


@pytest.mark.parametrize(
    ("endpoint", "status", "says"),
    [
        ("redirected", "403", "redirects the download of {} to an address that refuses it (HTTP 403)"),
        ("download", "404", "does not serve {}, which its index lists (HTTP 404)"),
    ],
)
def test_only_the_refused_file_fails(doors: Doors, emulator: Emulator, endpoint: str, status: str, says: str) -> None:
    names = [f"package-{number}" for number in range(5)]
    for name in names:
        make_wheel(doors.folder / "dist", name)
    (doors.folder / "token").write_text(emulator.access_token(PUBLISHER))
    refused = "package_0-1.0-py3-none-any.whl"
    emulator.inject(Fault(endpoint, status, times=0, file=refused))
    options = ("--dist", "dist", "--access-token", "token", "--jobs", "1", "--json", "-")
    done = doors.command(*PUBLISH, *options, hurried=True)
    assert done.code == 6
    files = [file for package in json.loads(done.out)["packages"] for file in package["files"]]
    assert [each["status"] for each in files] == ["uploaded"] * 5, done.err
    assert len(done.errors) == 1, done.err
    assert says.format(refused) in done.errors[0]
    assert "/artifacts-downloads" not in done.err
