"""The syntax check of CEL expressions: https://cel.dev"""

import cel


def check(expression: str) -> str:
    """Return why an expression is not valid CEL; empty if it is valid."""
    try:
        cel.compile(expression)
    except ValueError as error:
        return str(error).partition("\n")[0]
    return ""
