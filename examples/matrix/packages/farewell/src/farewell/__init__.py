import greetings


def farewell(name: str) -> str:
    return f"{greetings.greet(name)} Goodbye."
