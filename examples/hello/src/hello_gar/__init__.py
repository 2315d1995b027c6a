"""Say hello."""

__version__ = "1.0.0"


def greet(name: str) -> str:
    return f"Hello, {name}, from a package that came out of Artifact Registry."
