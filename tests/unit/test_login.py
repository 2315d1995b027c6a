import base64
import json

import pytest

from gar_publish.errors import BadInput
from gar_publish.login import KEYRING, NOBODY, Login, login_by_key, url_with_login, url_without_login

INDEX = "https://us-central1-python.pkg.dev/demo-project/python/simple/"
KEY = json.dumps(
    {"type": "service_account", "client_email": "a@b", "private_key": "made-up~~~", "private_key_id": "1"}, indent=2
)


def test_a_password_is_escaped_in_a_url() -> None:
    url = url_with_login(INDEX, Login("_json_key_base64", "a+b/c=="))
    assert url == INDEX.replace("://", "://_json_key_base64:a%2Bb%2Fc%3D%3D@")


def test_a_keyring_is_asked_by_the_user_name_alone() -> None:
    assert url_with_login(INDEX, KEYRING) == INDEX.replace("://", "://oauth2accesstoken@")


def test_nobody_leaves_a_url_as_it_is() -> None:
    assert url_with_login(INDEX, NOBODY) == INDEX


@pytest.mark.parametrize("login", [KEYRING, NOBODY, Login("me", "p@ss:word/")])
def test_a_login_can_be_taken_out_again(login: Login) -> None:
    assert url_without_login(url_with_login(INDEX, login)) == INDEX


@pytest.mark.parametrize(
    "given",
    [KEY, f"\ufeff{KEY}\n", base64.b64encode(KEY.encode()).decode(), base64.encodebytes(KEY.encode()).decode()],
    ids=["JSON", "JSON with a byte-order mark", "base64", "base64 in lines"],
)
def test_a_key_is_one_line_of_base64(given: str) -> None:
    login = login_by_key(given)
    assert login.user == "_json_key_base64"
    assert login.password == base64.b64encode(KEY.encode()).decode()


def test_what_is_no_key_is_refused_by_the_name_of_its_option() -> None:
    with pytest.raises(BadInput, match="`json-key` is neither JSON nor base64"):
        login_by_key("nonsense!")


def test_a_login_does_not_show_its_password() -> None:
    assert "made-up" not in repr(Login("me", "made-up"))
