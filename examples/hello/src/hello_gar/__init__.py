"""Say hello."""

from hello_gar_words import HELLO

__version__ = "1.0.0"


def greet(name: str) -> str:
    return f"{HELLO}, {name}, from a package in Artifact Registry."
