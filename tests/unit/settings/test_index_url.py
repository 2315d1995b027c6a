import pytest

from gar_publish.settings.index_url import KEYRING, NOBODY, Login, same_index, url_with_login, url_without_login

INDEX = "https://us-central1-python.pkg.dev/demo-project/python/simple/"


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("https://index.example.com/simple", True),
        ("https://me:pw@index.example.com/simple/", True),
        ("https://index.example.com/", False),
        ("https://me:pa[ss@index.example.com/simple/", False),
    ],
)
def test_the_same_index(one: str, *, same: bool) -> None:
    assert same_index(one, "https://index.example.com/simple/") == same
    assert same_index(one, one)


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


def test_a_login_does_not_show_its_password() -> None:
    assert "made-up" not in repr(Login("me", "made-up"))
