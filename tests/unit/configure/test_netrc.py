import netrc
from pathlib import Path

import pytest

from gar_publish.configure.files import Malformed
from gar_publish.configure.netrc import has_login, with_login
from gar_publish.settings.index_url import Login

HOST = "us-central1-python.pkg.dev"
LOGIN = Login("oauth2accesstoken", "made-up.token")
ENTRY = f"machine {HOST} login oauth2accesstoken password made-up.token"
OTHER = "machine example.com\n  login me\n  password x#y  # mine\n"
MACRO = "macdef init\ncd machine\nmachine a\n\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{ENTRY}\n"),
        (OTHER, f"{ENTRY}\n{OTHER}"),
        ("default login anonymous password x\n", f"{ENTRY}\ndefault login anonymous password x\n"),
        (f"{OTHER}machine {HOST} login a password b\n{OTHER}", f"{OTHER}{ENTRY}\n{OTHER}"),
        (f"machine {HOST}\n\tuser a\n\taccount c\n\tpassword b", ENTRY),
        (f'machine "{HOST}" login a password "b \\" c"\n', f"{ENTRY}\n"),
        (f"machine {HOST} login a password b\nmachine {HOST} login c password d\n{OTHER}", f"{ENTRY}\n{OTHER}"),
        (f"# machine {HOST} login a\n{OTHER}", f"{ENTRY}\n# machine {HOST} login a\n{OTHER}"),
        (f"{MACRO}machine {HOST} login a password b\n", f"{MACRO}{ENTRY}\n"),
    ],
)
def test_a_host_has_one_login_and_everything_else_stays(before: str, after: str, tmp_path: Path) -> None:
    assert with_login(before, HOST, LOGIN) == after
    assert with_login(after, HOST, LOGIN) == after
    assert has_login(after, HOST)
    (tmp_path / "netrc").write_text(after)
    assert netrc.netrc(tmp_path / "netrc").authenticators(HOST) == ("oauth2accesstoken", "", "made-up.token")


@pytest.mark.parametrize("text", ["machine", "machine a login", "password x", f"{OTHER}\nmachine a password"])
def test_what_is_no_netrc_is_not_changed(text: str) -> None:
    with pytest.raises(Malformed):
        with_login(text, HOST, LOGIN)


def test_a_login_of_another_host_is_none() -> None:
    assert not has_login(OTHER + f"default login {HOST} password x\n", HOST)
