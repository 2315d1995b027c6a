from pathlib import Path

import pytest

from gar_publish.configure.indexes import Sources
from gar_publish.errors import BadInput

URL = "https://us-central1-python.pkg.dev/demo-project/python/simple/"
KEYS = ("tool", "uv", "index")
OURS = f'[[tool.uv.index]]\nname = "gar"\nurl = "{URL}"\n'
OTHERS = (
    '[[tool.uv.index]]\nname = "torch"\nurl = "https://torch.example.com/"\nexplicit = true\n'
    '[[tool.uv.index]]\nname = "mirror"\nurl = "https://mirror.example.com/"\n'
)


def sources(folder: Path, text: str) -> Sources:
    (folder / "pyproject.toml").write_text(text)
    return Sources.read(folder / "pyproject.toml", KEYS, ("explicit", True))


@pytest.mark.parametrize("url", [URL, URL.removesuffix("/"), URL.replace("://", "://oauth2accesstoken@")])
def test_an_index_is_known_by_its_url(tmp_path: Path, url: str) -> None:
    assert sources(tmp_path, OTHERS + OURS.replace(URL, url)).name_of(URL) == "gar"


@pytest.mark.parametrize("text", ["", OTHERS, OURS.replace('name = "gar"', "")])
def test_an_index_that_is_unknown_or_has_no_name(tmp_path: Path, text: str) -> None:
    assert sources(tmp_path, text).name_of(URL) is None


@pytest.mark.parametrize(
    ("text", "new_is_explicit", "warns"),
    [
        ("", True, False),
        ("", False, True),
        (OURS, True, True),
        (OURS + "explicit = true\n", False, False),
    ],
    ids=["new", "new, never explicit", "kept open", "kept explicit"],
)
def test_an_index_that_is_not_explicit(tmp_path: Path, text: str, *, new_is_explicit: bool, warns: bool) -> None:
    warned = sources(tmp_path, text).warnings("gar", only=False, new_is_explicit=new_is_explicit)
    assert ["dependency confusion" in each for each in warned] == [True] * warns


def test_others_that_stay_beside_the_only_index(tmp_path: Path) -> None:
    (warned,) = sources(tmp_path, OTHERS + OURS).warnings("gar", only=True, new_is_explicit=False)
    assert warned.endswith("lists other indexes too, and keeps them: mirror.")
    assert sources(tmp_path, OURS).warnings("gar", only=True, new_is_explicit=False) == ()


def test_others_without_a_name_are_called_by_their_address(tmp_path: Path) -> None:
    text = '[[tool.uv.index]]\nurl = "https://me:made-up@mirror.example.com/"\n'
    (warned,) = sources(tmp_path, text).warnings("gar", only=True, new_is_explicit=False)
    assert warned.endswith("keeps them: https://mirror.example.com/.")


def test_a_list_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"pyproject\.toml cannot be understood; nothing was changed"):
        sources(tmp_path, OURS.replace("[[", "[").replace("]]", "]"))
