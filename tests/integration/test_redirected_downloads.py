"""Downloads are redirected, and the second address refuses a single file."""

import json

import pytest

from gar_emulator import Emulator, Fault
from tests.integration.frontdoors import PUBLISH, PUBLISHER, Doors
from tests.wheels import make_wheel


@pytest.mark.parametrize("status", ["403", "404"])
def test_only_the_refused_file_fails(doors: Doors, emulator: Emulator, status: str) -> None:
    names = [f"package-{number}" for number in range(5)]
    for name in names:
        make_wheel(doors.folder / "dist", name)
    (doors.folder / "token").write_text(emulator.access_token(PUBLISHER))
    refused = "package_0-1.0-py3-none-any.whl"
    emulator.inject(Fault("redirected", status, times=0, file=refused))
    options = ("--dist", "dist", "--access-token", "token", "--jobs", "1", "--json", "-")
    done = doors.command(*PUBLISH, *options, hurried=True)
    assert done.code == 6
    files = [file for package in json.loads(done.out)["packages"] for file in package["files"]]
    assert [each["status"] for each in files] == ["uploaded"] * 5, done.err
    assert len(done.errors) == 1, done.err
    assert f"redirects the download of {refused} to an address that refuses it (HTTP {status})" in done.errors[0]
    assert "/artifacts-downloads" not in done.err
