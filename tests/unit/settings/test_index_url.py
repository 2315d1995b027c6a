from datetime import UTC, datetime

import pytest

from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.index_url import (
    ANONYMOUS,
    KEY_USER,
    KEYRING,
    OAUTH_USER,
    USERS,
    Login,
    default_name,
    extra_index_option,
    redacted,
    requirements_hashed,
    same_index,
    url_with_login,
    url_without_login,
)
from gar_publish.settings.repository import Repository

INDEX = "https://us-central1-python.pkg.dev/demo-project/python/simple/"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("https://index.example.com/simple", True),
        ("https://me:pw@index.example.com/simple/", True),
        ("https://index.example.com/", False),
        ("https://me:pa[ss@index.example.com/simple/", False),
    ],
)
def test_the_same_index_with_another_login(other: str, *, same: bool) -> None:
    assert same_index(other, "https://index.example.com/simple/") == same
    assert same_index("https://index.example.com/simple/", other) == same
    assert same_index(other, other)


@pytest.mark.parametrize(
    ("login", "userinfo"),
    [
        (ANONYMOUS, ""),
        (KEYRING, "oauth2accesstoken@"),
        (Login("_json_key_base64", "a+b/c=="), "_json_key_base64:a%2Bb%2Fc%3D%3D@"),
        (Login("me", ""), "me:@"),
        (Login("me", "p@ss:word/"), "me:p%40ss%3Aword%2F@"),
    ],
)
def test_a_login_in_a_url(login: Login, userinfo: str) -> None:
    url = url_with_login(INDEX, login)
    assert url == INDEX.replace("://", f"://{userinfo}")
    assert url_without_login(url) == INDEX


def test_users_of_artifact_registry() -> None:
    assert (OAUTH_USER, KEY_USER) == USERS == ("oauth2accesstoken", "_json_key_base64")


def test_a_login_does_not_show_its_password() -> None:
    login = Login("me", "made-up", datetime(2030, 1, 1, tzinfo=UTC))
    assert "made-up" not in repr(login)
    assert "2030" in repr(login)
    assert (Login("me").password, Login("me").expires_at) == (None, None)


@pytest.mark.parametrize(
    ("url", "without"),
    [
        ("https://me:secret@host/simple/", "https://host/simple/"),
        ("https://me:sec@ret@host/", "https://host/"),
        ("https://me:http://x@host/", "https://host/"),
        ("me:secret@host", "host"),
        ("https://me:sec\nret@host/", "https://host/"),
        ("https://me.too:12/sec@ret@host.example/", "https://host.example/"),
        ("https://one.example/ https://me:secret@host/", "https://host/"),
        ("https://host.example/@team/simple/", "https://host.example/@team/simple/"),
        ("us/my-project/python", "us/my-project/python"),
    ],
)
def test_userinfo_is_redacted(url: str, without: str) -> None:
    assert redacted(url) == without


def test_the_install_option_escapes_its_token() -> None:
    assert extra_index_option(INDEX, "ya29.a-b_c/=@") == (
        f"--extra-index-url {INDEX.replace('://', '://oauth2accesstoken:ya29.a-b_c%2F%3D%40@')}"
    )


def test_requirements_have_sorted_hashes() -> None:
    assert requirements_hashed({"a==1": ["bb", "aa"], "b==2": ["cc"]}) == (
        "a==1 --hash=sha256:aa --hash=sha256:bb\nb==2 --hash=sha256:cc"
    )


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("us/my-project/python", "gar-my-project-python"),
        ("us/example.com:my-project/python", "gar-example-com-my-project-python"),
        ("https://Index.example.com:8080/a__b/simple/", "gar-index-example-com-8080-a-b"),
        ("https://index.example.com/", "gar-index-example-com"),
    ],
)
def test_the_default_name_of_an_index(repository: str, name: str) -> None:
    assert default_name(Repository.parse(repository, endpoints=Endpoints())) == name
