import greetings


def welcome(name: str) -> str:
    return f"{greetings.greet(name)} Come in."
