"""Behind a proxy that inspects TLS, as many companies have: every certificate is of the company's own authority."""

from pathlib import Path

import pytest

from gar_emulator import Emulator
from tests.integration.frontdoors import PUBLISHER, REPOSITORY, Doors
from tests.wheels import make_wheel


@pytest.fixture
def company(production: Emulator, proxy: str, clean_env: dict[str, str], tmp_path: Path) -> Doors:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "token").write_text(production.access_token(PUBLISHER))
    make_wheel(folder / "private", "inhouse", content="def build_wheel(folder, *_): raise SystemExit(3)\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["inhouse"]\nbuild-backend = "inhouse"\n[project]\nname = "app"\nversion = "1"\n'
    )
    variables = {"HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1", "UV_NO_CACHE": "1"}
    clean_env = {name: value for name, value in clean_env.items() if not name.endswith(("_CA_BUNDLE", "_CERT_DIR"))}
    return Doors(folder, clean_env | variables)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_company_authority_is_trusted_in_requests_and_in_uv(
    name: str, company: Doors, production: Emulator
) -> None:
    publish = ("publish", "--repository", REPOSITORY, "--access-token", "token", "--index-token", "none")
    variables = {name: production.exports()["SSL_CERT_FILE"]}
    done = company.command(*publish, "--dist", "private", variables=variables)
    assert done.code == 0, done.err
    done = company.command(*publish, variables=variables)
    assert done.code == 4, done.err  # the backend was installed, and fails
    assert any(seen.path.endswith("inhouse-1.0-py3-none-any.whl") for seen in production.requests)


def test_a_missing_file_ends_the_run_before_anything_is_sent(
    company: Doors, production: Emulator, connected: set[str]
) -> None:
    options = ("--repository", REPOSITORY, "--access-token", "token")
    for command in (("publish", "--dist", "private", "--doctor"), ("index-url",), ("doctor",)):
        done = company.command(*command, *options, variables={"SSL_CERT_FILE": "/gone.pem"})
        assert done.code == 2, done.err
        assert "SSL_CERT_FILE names /gone.pem, which does not exist." in done.out + done.err
        assert "The doctor failed" not in done.err
    assert not production.requests
    assert not connected
