"""Which names the public index has."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gar_publish.publish.name_guard import Guard, is_public
from gar_publish.settings.settings import NameGuard
from tests.unit.servers import Reply, serve
from tests.wheels import make_wheel


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("none", []),
        ("warn", ["The public index has a package taken-name, too"]),
        ("strict", ["The public index has a package taken-name, too", "The public index has no package free-name, so"]),
    ],
)
def test_names(mode: NameGuard, said: list[str], clean_env: dict[str, str], tmp_path: Path) -> None:
    page = tmp_path / "taken-name" / "index.html"
    wheel = make_wheel(page.parent, "taken-name", tag="cp310-cp310-win32")
    page.write_text(f'<!DOCTYPE html>\n<a href="{wheel.as_uri()}">{wheel.name}</a>')
    with ThreadPoolExecutor() as readers:
        # A private index is not asked.
        variables = {**clean_env, "UV_DEFAULT_INDEX": tmp_path.as_uri(), "UV_INDEX": "http://127.0.0.1:9/simple/"}
        guard = Guard(mode, variables, readers)
        guard.ask(["taken-name"])
        warnings = [each for name in ("taken-name", "free-name") for each in guard.warnings(name)]
    assert [each.partition(",")[0] for each in warnings] == [each.partition(",")[0] for each in said]


@pytest.mark.parametrize("attribute", ['data-requires-python="&gt;=3.99"', 'data-yanked="bad"'])
def test_a_package_that_cannot_be_installed_has_the_name(
    attribute: str, clean_env: dict[str, str], tmp_path: Path
) -> None:
    page = tmp_path / "taken" / "index.html"
    wheel = make_wheel(page.parent, "taken")
    page.write_text(f'<!DOCTYPE html>\n<a href="{wheel.name}" {attribute}>{wheel.name}</a>')
    assert is_public("taken", {**clean_env, "UV_DEFAULT_INDEX": tmp_path.as_uri()}) is True


@pytest.mark.parametrize("status", [401, 403, 503])
def test_an_index_that_does_not_tell(status: int, clean_env: dict[str, str]) -> None:
    with serve() as server, ThreadPoolExecutor() as readers:
        server.on("/", Reply(status))
        variables = {**clean_env, "UV_DEFAULT_INDEX": f"{server.url}/simple/", "UV_HTTP_RETRIES": "0"}
        (warning,) = Guard("strict", variables, readers).warnings("lib")
    assert warning == (
        "`name-guard`: the public index could not be asked for lib. Check the network, and HTTPS_PROXY and "
        "UV_DEFAULT_INDEX if these variables are set."
    )
    assert server.asked("/simple/lib/")
