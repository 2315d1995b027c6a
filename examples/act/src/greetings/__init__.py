from greetings_words import HELLO


def greet(name: str) -> str:
    return f"{HELLO}, {name}!"
