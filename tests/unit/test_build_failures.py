"""What the output of uv says about requirements that it could not install."""

import pytest

from gar_publish.build_failures import not_installed


@pytest.mark.parametrize(
    ("output", "exit_code", "fix"),
    [
        ("error: Failed to initialize cache at `/.cache/uv`\n  cause: Permission denied", 4, "UV_CACHE_DIR"),
        ("error: Request failed after 3 retries\n  cause: Failed to fetch: https://x/", 7, "the network"),
        ("hint: due to a lack of valid authentication credentials (401 Unauthorized)", 4, "get a new login"),
        ("error: Because hatchlin was not found in the package registry", 4, "correct `requires`"),
    ],
)
def test_the_fix_is_of_the_cause(output: str, exit_code: int, fix: str) -> None:
    failure = not_installed(output, "hello")
    assert fix in failure.fix
    assert (failure.exit_code, failure.detail) == (exit_code, output)
