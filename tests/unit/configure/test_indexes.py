from pathlib import Path

import pytest

from gar_publish.configure.indexes import Indexes
from gar_publish.errors import BadInput

URL = "https://us-central1-python.pkg.dev/demo-project/python/simple/"
KEYS = ("tool", "uv", "index")
OURS = f'[[tool.uv.index]]\nname = "gar"\nurl = "{URL}"\n'
OTHERS = (
    '[[tool.uv.index]]\nname = "torch"\nurl = "https://torch.example.com/"\nexplicit = true\n'
    '[[tool.uv.index]]\nname = "mirror"\nurl = "https://mirror.example.com/"\n'
)


def read(folder: Path, text: str) -> Indexes:
    (folder / "pyproject.toml").write_text(text)
    return Indexes.read(
        folder / "pyproject.toml", KEYS, explicit=("explicit", True), replaces_pypi=lambda each: "default" in each
    )


@pytest.mark.parametrize("url", [URL, URL.removesuffix("/"), URL.replace("://", "://oauth2accesstoken@")])
def test_finds_an_index_by_its_url(tmp_path: Path, url: str) -> None:
    assert read(tmp_path, OTHERS + OURS.replace(URL, url)).name_of(URL) == "gar"


@pytest.mark.parametrize("text", ["", OTHERS, OURS.replace('name = "gar"', "")])
def test_an_unknown_or_unnamed_index_has_no_name(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).name_of(URL) is None


@pytest.mark.parametrize(
    ("text", "new_is_explicit", "warns"),
    [
        ("", True, False),
        ("", False, True),
        (OURS, True, True),
        (OURS + "explicit = true\n", False, False),
        (OTHERS + OURS + "default = true\n", True, True),
    ],
    ids=["new", "new, never explicit", "kept open", "kept explicit", "default beside another"],
)
def test_warns_of_an_index_that_is_not_explicit(
    tmp_path: Path, text: str, *, new_is_explicit: bool, warns: bool
) -> None:
    warned = read(tmp_path, text).warnings("gar", only=False, new_is_explicit=new_is_explicit)
    assert ["dependency confusion" in each for each in warned] == [True] * warns


def test_names_other_indexes_beside_the_only_one(tmp_path: Path) -> None:
    (warned,) = read(tmp_path, OTHERS + OURS).warnings("gar", only=True, new_is_explicit=False)
    assert warned.endswith("still lists other indexes: mirror.")
    assert read(tmp_path, OURS).warnings("gar", only=True, new_is_explicit=False) == ()


def test_names_an_unnamed_index_by_its_url(tmp_path: Path) -> None:
    text = '[[tool.uv.index]]\nurl = "https://me:made-up@mirror.example.com/"\n'
    (warned,) = read(tmp_path, text).warnings("gar", only=True, new_is_explicit=False)
    assert warned.endswith("other indexes: https://mirror.example.com/.")


def test_refuses_a_table_in_place_of_the_list(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"pyproject\.toml cannot be parsed; nothing was changed"):
        read(tmp_path, OURS.replace("[[", "[").replace("]]", "]"))


def test_names_an_index_that_is_no_url(tmp_path: Path) -> None:
    text = '[[tool.uv.index]]\nurl = "https://me:made-up@[mirror"\n'
    (warned,) = read(tmp_path, text).warnings("gar", only=True, new_is_explicit=False)
    assert warned.endswith("other indexes: https://[mirror.")
