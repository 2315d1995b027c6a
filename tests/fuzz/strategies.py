"""Hypothesis strategies for hostile and broken data."""

from typing import Any

from hypothesis import strategies as st

NASTY = (
    "",
    " ",
    "\0",
    "\n::add-mask::x",
    ":\0:error::x",
    "##[error]x",
    "#\x1b#[error]x",
    "\x1b[2J",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\ud800",
    "\U0010ffff",
    "%0A::error::x",
    "../../etc/passwd",
    "..%2f..%2fetc",
    "C:\\x",
    "a/b",
    "a?b#c",
    "a@b",
    "[x](https://e.example)",
    "<script>",
    "| x |",
    "````",
    "```\n# x",
    "${{ secrets.X }}",
    "$(id)",
    "{0}",
    "{provider}",
    "%s",
    "-rf",
    "1" * 4400,
    "é" * 300,
    "[" * 2000,
    "1!2.0",
    "1.0",
)
words = st.one_of(st.sampled_from(NASTY), st.text(max_size=20))
text = st.one_of(words, st.lists(words, max_size=4).map("".join))
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([10**30, -(10**30), 1e308, 2**63]))
leaves = st.one_of(st.none(), st.booleans(), numbers, text)
json_values: st.SearchStrategy[Any] = st.recursive(
    leaves, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)), max_leaves=6
)


def either(*values: Any) -> st.SearchStrategy[Any]:
    """Draw one of the valid values, or any JSON value."""
    return st.one_of(st.sampled_from(values), json_values)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a JSON object with some of the fields."""
    return st.fixed_dictionaries({}, optional=fields)
