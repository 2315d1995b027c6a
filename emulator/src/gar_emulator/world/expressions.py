"""The check that an expression is CEL: https://cel.dev"""

import cel


def check(expression: str) -> str:
    """Why an expression is not CEL; empty if it is."""
    try:
        cel.compile(expression)
    except ValueError as error:
        return str(error).partition("\n")[0]
    return ""
