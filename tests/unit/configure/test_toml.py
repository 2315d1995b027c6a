import re
import tomllib

import pytest

from gar_publish.configure.files import Malformed
from gar_publish.configure.toml import Values, entries, with_entry, with_values

URL = "https://us-central1-python.pkg.dev/demo-project/python/simple/"
KEYS = ("tool", "uv", "index")
ENTRY: Values = {"name": "gar", "url": URL, "explicit": True, "default": None}

PYPROJECT = """[build-system]
requires = ["hatchling"]  # kept

[project]
name = "app"
version = "1"

[tool.ruff]
line-length = 120
"""
WITH_UV = f"""{PYPROJECT}
[tool.uv]
# ours
dev-dependencies = []

[[tool.uv.index]]
name = "other"
url = "https://index.example.com/simple/"

[tool.uv.sources]
a = {{ index = "other" }}

[tool.black]
line-length = 120
"""
INLINE = f"""{PYPROJECT}
[tool.uv]
index = [{{ name = "other", url = "https://index.example.com/simple/" }}]
"""
DOTTED = '[project]\nname = "app"\n\n[tool]\nuv.package = false\n'
COMMENTED = "[tool.uv]\npackage = false\n\n# our rules,\n# in short\n[tool.ruff]\nline-length = 120\n"
SCATTERED = '[tool.uv]\npackage = false\n\n[project]\nname = "app"\n\n[tool.ruff]\nline-length = 120\n'
BY_UV = """[project]
name = "app"

[[tool.uv.index]]
name = "first"

[tool.uv.sources]
a = { index = "first" }

[[tool.uv.index]]
name = "second"
"""
TEXTS = {
    "empty": "",
    "plain": PYPROJECT,
    "uv": WITH_UV,
    "inline": INLINE,
    "scattered": SCATTERED,
    "commented": COMMENTED,
    "by uv add": BY_UV,
}

each_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


@each_text
def test_a_new_entry_comes_last_and_changes_nothing_else(text: str) -> None:
    new = with_entry(text, KEYS, ENTRY)
    before, after = tomllib.loads(text), tomllib.loads(new)
    assert after["tool"]["uv"]["index"][-1] == {"name": "gar", "url": URL, "explicit": True}
    after["tool"]["uv"]["index"].pop()
    for data in (before, after):
        data.setdefault("tool", {}).setdefault("uv", {}).setdefault("index", [])
    assert after == before
    lines = new.splitlines()
    assert all(line in lines for line in text.splitlines() if "index = [" not in line)


@each_text
def test_an_empty_line_stands_before_and_after_a_new_entry(text: str) -> None:
    new = with_entry(text, KEYS, ENTRY)
    assert "\n\n\n" not in new
    assert not re.search(r"(?m)^[^#\n].*\n\[", new)


def test_the_same_values_change_nothing() -> None:
    assert with_entry(BY_UV, KEYS, {"name": "second"}) == BY_UV


def test_a_comment_stays_above_its_table() -> None:
    new = with_entry(with_values(COMMENTED, KEYS[:-1], {"keyring-provider": "subprocess"}), KEYS, {"name": "gar"})
    before, after = COMMENTED.split("\n\n")
    added = 'keyring-provider = "subprocess"\n\n[[tool.uv.index]]\nname = "gar"\n'
    assert new == f"{before}\n{added}\n{after}"
    assert with_values("[pip]\n", (), {"offline": True}) == "offline = true\n\n[pip]\n"
    assert with_values("# ours\n[pip]\n", (), {"offline": True}) == "offline = true\n\n# ours\n[pip]\n"


@each_text
def test_a_second_run_changes_nothing(text: str) -> None:
    values = {"keyring-provider": "subprocess"}
    once = with_values(with_entry(text, KEYS, ENTRY), KEYS[:-1], values)
    assert with_values(with_entry(once, KEYS, ENTRY), KEYS[:-1], values) == once


@each_text
def test_changes_an_entry_of_the_same_name_in_place(text: str) -> None:
    explicit = with_entry(text, KEYS, ENTRY)
    default = with_entry(explicit, KEYS, {**ENTRY, "explicit": None, "default": True})
    entries = tomllib.loads(default)["tool"]["uv"]["index"]
    assert entries[-1] == {"name": "gar", "url": URL, "default": True}
    assert len(entries) == len(tomllib.loads(explicit)["tool"]["uv"]["index"])


@each_text
def test_a_value_beside_the_entries(text: str) -> None:
    new = with_values(with_entry(text, KEYS, ENTRY), KEYS[:-1], {"keyring-provider": "subprocess"})
    assert tomllib.loads(new)["tool"]["uv"]["keyring-provider"] == "subprocess"


def test_a_login_is_set_and_removed() -> None:
    text = '# mine\n[http-basic.other]\nusername = "a"\npassword = "b"\n'
    keys = ("http-basic", "gar")
    new = with_values(text, keys, {"username": "me", "password": 'qu"ote'})
    assert tomllib.loads(new)["http-basic"]["gar"] == {"username": "me", "password": 'qu"ote'}
    assert new.startswith(text)
    gone = with_values(new, keys, {"username": None, "password": None})
    assert not tomllib.loads(gone)["http-basic"].get("gar")
    assert with_values(text, keys, {"username": None, "password": None}) == text


@each_text
def test_sets_some_values_only_in_a_new_entry(text: str) -> None:
    entry: Values = {"name": "gar", "url": URL}
    old = with_entry(text, KEYS, entry)
    assert with_entry(old, KEYS, entry, {"explicit": True}) == old
    assert entries(with_entry(text, KEYS, entry, {"explicit": True}), KEYS)[-1] == {**entry, "explicit": True}


@each_text
def test_finds_entries_in_every_notation(text: str) -> None:
    assert [each["name"] for each in entries(with_entry(text, KEYS, ENTRY), KEYS)][-1] == "gar"


@pytest.mark.parametrize(
    "text",
    [
        "tool = 1\n",
        '[tool.uv.index]\nname = "gar"\n',
        '[tool.uv]\nindex = ["gar"]\n',
        "[tool]\nuv = { package = false }\n",
        "tool = { other = { a = 1 } }\n",
        '[[tool.uv.index]]\nname = "a"\n\n[tool.ruff]\n\n[[tool.uv.index]]\nname = "b"\n',
    ],
    ids=["no table", "single brackets", "no tables in the list", "inline table", "table in inline table", "two places"],
)
def test_refuses_what_cannot_have_entries(text: str) -> None:
    with pytest.raises(Malformed):
        with_entry(text, KEYS, ENTRY)


@pytest.mark.parametrize("text", ["tool = 1\n", "[tool]\nuv = 'text'\n", "[[tool.uv]]\n"])
def test_refuses_what_cannot_have_values(text: str) -> None:
    with pytest.raises(Malformed):
        with_values(text, ("tool", "uv"), {"keyring-provider": "subprocess"})


def test_names_the_line_of_a_syntax_error() -> None:
    with pytest.raises(Malformed) as caught:
        with_values('a = "made-up-secret"\nb = = 1\n', (), {"c": True})
    assert str(caught.value) == " (line 2)"


def test_refuses_a_table_of_dotted_keys() -> None:
    with pytest.raises(Malformed):
        with_entry(DOTTED, KEYS, ENTRY)
