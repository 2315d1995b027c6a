import configparser

import pytest

from gar_publish.configure.files import Malformed
from gar_publish.configure.ini import pip_indexes, with_pip_index, with_pypirc_repository
from gar_publish.settings.index_url import KEYRING, Login

BARE = "https://us-central1-python.pkg.dev/demo-project/python/simple/"
URL = BARE.replace("://", "://_json_key_base64:a%2Bb%3D@")
OTHER = "https://index.example.com/simple/"
UPLOAD = "https://us-central1-python.pkg.dev/demo-project/python/"

PIP_CONF = f"""# ours
[global]
timeout = 60
; another index
extra-index-url = {OTHER}

[install]
no-compile = true  # not a comment for pip
"""


def pip_reads(text: str, section: str = "global") -> dict[str, str]:
    """What pip makes of it: no interpolation, and an underscore is a hyphen."""
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return {name.replace("_", "-"): value for name, value in parser[section].items()}


def test_a_new_pip_conf() -> None:
    assert with_pip_index("", URL, only=False) == f"[global]\nextra-index-url = {URL}\n"


def test_keeps_every_other_line_of_pip_conf() -> None:
    text = with_pip_index(PIP_CONF, URL, only=False)
    assert pip_reads(text)["extra-index-url"].split() == [OTHER, URL]
    kept = [line for line in PIP_CONF.splitlines() if "extra-index-url" not in line]
    assert [line for line in text.splitlines() if line in kept] == kept


@pytest.mark.parametrize("only", [False, True])
@pytest.mark.parametrize(
    "text", ["", PIP_CONF, "[global]\nextra_index_url = https://a/ https://b/", "[install]\nx = 1\n"]
)
def test_a_second_run_changes_nothing(text: str, *, only: bool) -> None:
    once = with_pip_index(text, URL, only=only)
    assert with_pip_index(once, URL, only=only) == once


@pytest.mark.parametrize("only", [False, True])
def test_what_is_indented_does_not_become_a_part_of_a_new_line(*, only: bool) -> None:
    text = f"""
  [global]
    # The mirror.
    index-url = {OTHER}
    trusted-host =
      a.example.com

      b.example.com
  [list]
\tformat = columns
"""
    new = with_pip_index(text, URL, only=only)
    assert pip_reads(new) == {
        **({"index-url": URL} if only else {"index-url": OTHER, "extra-index-url": URL}),
        "trusted-host": pip_reads(text)["trusted-host"],
    }
    assert pip_reads(new, "list") == {"format": "columns"}
    assert "# The mirror." in new


def test_replaces_another_login_of_the_same_index() -> None:
    text = with_pip_index(with_pip_index(PIP_CONF, URL, only=False), BARE, only=False)
    assert pip_reads(text)["extra-index-url"].split() == [OTHER, BARE]


def test_the_only_index_removes_the_others() -> None:
    text = with_pip_index(with_pip_index(PIP_CONF, URL, only=False), URL, only=True)
    assert pip_reads(text) == {"timeout": "60", "index-url": URL}


def test_an_index_that_is_no_longer_the_only_one() -> None:
    text = with_pip_index(with_pip_index("", URL, only=True), URL, only=False)
    assert pip_reads(text) == {"extra-index-url": URL}


@pytest.mark.parametrize(
    "text",
    [
        PIP_CONF,
        f"[global]\nindex-url = {OTHER}\nextra-index-url =\n    https://a.example.com/\n    https://b.example.com/\nx=1\n",
        f"[global]\nx = 1\n\n[install]\nextra-index-url = {OTHER}\nindex-url = {OTHER}\n",
        f"[global]\nextra-index-url = {OTHER}",
        f"  [global]\n  index-url = {OTHER}\n  [install]\n  index-url = {OTHER}\n  extra-index-url = {OTHER}\n",
    ],
)
def test_what_the_only_index_replaced_comes_back(text: str) -> None:
    only = with_pip_index(text, URL, only=True)
    assert set(pip_indexes(only)) == {URL}
    again = with_pip_index(with_pip_index(only, BARE, only=True), URL, only=False)
    direct = with_pip_index(text, URL, only=False)
    for section in ("global", "install"):
        if f"[{section}]" in direct:
            found, expected = pip_reads(again, section), pip_reads(direct, section)
            assert {name: value.split() for name, value in found.items()} == {
                name: value.split() for name, value in expected.items()
            }


@pytest.mark.parametrize("option", ["index-url", "extra-index-url"])
def test_what_was_replaced_stays_a_comment_if_its_option_is_in_use_again(option: str) -> None:
    only = with_pip_index(f"[global]\n{option} = {OTHER}\n", URL, only=True).replace(f"\nindex-url = {URL}", "")
    text = with_pip_index(f"{only}{option} = https://b.example.com/\n", URL, only=False)
    assert "https://b.example.com/" in pip_reads(text)[option].split()
    assert f"# replaced by gar-publish: {option} = {OTHER}" in text


def test_what_was_replaced_stays_a_comment_if_it_was_indented() -> None:
    text = f"[global]\ntimeout = 60\n  # replaced by gar-publish: index-url = {OTHER}\n"
    assert pip_reads(with_pip_index(text, URL, only=False)) == {"timeout": "60", "extra-index-url": URL}


def test_the_only_index_keeps_comments_between_those_that_it_replaces() -> None:
    text = with_pip_index(f"[global]\nextra-index-url =\n    {OTHER}\n    # The mirror.\n    {URL}\n", URL, only=True)
    assert "# The mirror.\n" in text
    assert pip_reads(text) == {"index-url": URL}


def test_two_only_indexes_in_turn() -> None:
    """The user's own index comes back, not the first of the two."""
    only = with_pip_index(f"[global]\nindex-url = {OTHER}\n", URL, only=True)
    another = "https://us-python.pkg.dev/p/another/simple/"
    text = with_pip_index(with_pip_index(only, another, only=True), another, only=False)
    assert pip_reads(text) == {"index-url": OTHER, "extra-index-url": another}


def test_keeps_another_index_url() -> None:
    text = with_pip_index(f"[global]\nindex-url = {OTHER}\n", URL, only=False)
    assert pip_reads(text) == {"index-url": OTHER, "extra-index-url": URL}


def test_finds_an_option_with_underscores() -> None:
    text = with_pip_index(f"[global]\nextra_index_url =\n    {OTHER}\n    https://b.example.com/\n", URL, only=False)
    assert pip_reads(text)["extra-index-url"].split() == [OTHER, "https://b.example.com/", URL]
    assert "extra-index-url" not in text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[global]\nindex-url = https://me:made-up-secret@host/\n???\n", 3),
        ("index-url = https://me:made-up-secret@host/\n", 1),
        ("\ufeff[global]\nindex-url = https://me:made-up-secret@host/\n", 1),
        ("[global]\nx = 1\nx = made-up-secret\n", 3),
    ],
    ids=["syntax", "no section", "byte order mark", "twice"],
)
def test_names_only_the_line_of_a_syntax_error(text: str, line: int) -> None:
    with pytest.raises(Malformed) as caught:
        with_pip_index(text, URL, only=False)
    assert str(caught.value) == f" (line {line})"
    assert caught.value.__suppress_context__


def test_keeps_comments_in_a_list() -> None:
    listed = f"[global]\nextra-index-url =\n    {OTHER}\n    # why b\n    https://b.example.com/\n"
    text = with_pip_index(listed, URL, only=False)
    assert pip_reads(text)["extra-index-url"].split() == [OTHER, "https://b.example.com/", URL]
    assert text == f"{listed}    {URL}\n"


@pytest.mark.parametrize("known", [BARE, BARE.removesuffix("/"), URL.removesuffix("/")])
def test_recognizes_an_index_in_every_spelling_of_its_url(known: str) -> None:
    text = with_pip_index(f"[global]\nextra-index-url = {OTHER} {known}\n", URL, only=False)
    assert pip_reads(text)["extra-index-url"].split() == [OTHER, URL]


COMMANDS = f"""[global]
timeout = 60

[install]
extra-index-url = {OTHER}

[download]
no-deps = true
"""


def test_changes_the_section_of_a_command_that_names_indexes() -> None:
    text = with_pip_index(COMMANDS, URL, only=False)
    assert pip_reads(text) == {"timeout": "60", "extra-index-url": URL}
    assert pip_reads(text, "install")["extra-index-url"].split() == [OTHER, URL]
    assert pip_reads(text, "download") == {"no-deps": "true"}
    alone = with_pip_index(COMMANDS, URL, only=True)
    assert pip_indexes(alone) == [URL, URL]
    assert alone.count(f"index-url = {URL}") == 2
    assert pip_indexes(with_pip_index(alone, URL, only=False)) == [URL, OTHER, URL]


@pytest.mark.parametrize(
    ("text", "named"),
    [("", False), ("[global]\ntimeout = 60\n", False), (COMMANDS, True), (f"[global]\nindex_url = {OTHER}\n", True)],
)
def test_finds_out_whether_a_pip_conf_names_indexes(text: str, *, named: bool) -> None:
    assert bool(pip_indexes(text)) == named


PYPIRC = """[distutils]
index-servers =
    pypi
    ours

# the old one
[ours]
repository = https://index.example.com/
username = me
password = 100%sure
"""


def twine_reads(text: str) -> tuple[list[str], dict[str, dict[str, str]]]:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    servers = parser.get("distutils", "index-servers").split()
    return servers, {name: dict(parser[name]) for name in parser.sections() if name != "distutils"}


def test_a_new_pypirc_keeps_the_defaults_of_twine() -> None:
    servers, sections = twine_reads(with_pypirc_repository("", "gar", UPLOAD, Login("me", "secret")))
    assert servers == ["pypi", "testpypi", "gar"]
    assert sections == {"gar": {"repository": UPLOAD, "username": "me", "password": "secret"}}


def test_keeps_every_other_repository_of_pypirc() -> None:
    text = with_pypirc_repository(PYPIRC, "gar", UPLOAD, Login("me", "secret"))
    servers, sections = twine_reads(text)
    assert servers == ["pypi", "ours", "gar"]
    assert sections["ours"]["password"] == "100%sure"
    assert "# the old one\n[ours]" in text
    assert with_pypirc_repository(text, "gar", UPLOAD, Login("me", "secret")) == text


def test_a_keyring_removes_the_login_from_pypirc() -> None:
    text = with_pypirc_repository(PYPIRC, "gar", UPLOAD, Login("me", "secret"))
    _, sections = twine_reads(with_pypirc_repository(text, "gar", UPLOAD, KEYRING))
    assert sections["gar"] == {"repository": UPLOAD}


def test_keeps_comments_in_the_list_of_servers() -> None:
    text = PYPIRC.replace("    pypi\n", "    pypi\n    # internal one\n")
    servers, _ = twine_reads(with_pypirc_repository(text, "gar", UPLOAD, Login("me", "secret")))
    assert servers == ["pypi", "ours", "gar"]


def test_an_indented_pypirc_keeps_its_other_settings() -> None:
    text = "[distutils]\n  index-servers = other\n[gar]\n  repository = https://old/\n  ca_cert = ca.pem\n"
    new = with_pypirc_repository(text, "gar", UPLOAD, Login("_json_key_base64", "a+b="))
    assert pip_reads(new, "gar") == {
        "repository": UPLOAD,
        "ca-cert": "ca.pem",
        "username": "_json_key_base64",
        "password": "a+b=",
    }
    assert pip_reads(new, "distutils")["index-servers"].split() == ["other", "gar"]
