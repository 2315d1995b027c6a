import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import certifi
import pytest
import requests
import trustme

from gar_publish import certificates
from gar_publish.context import Context
from gar_publish.errors import BadInput, Unreachable
from gar_publish.transport.retry import with_retries
from gar_publish.transport.session import new_session
from tests.unit.servers import Reply, ScriptedServer, Time, serve


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    yield
    certificates._load.cache_clear()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def folder(bundle: str) -> str:
    subprocess.run(["openssl", "rehash", str(Path(bundle).parent)], check=True)
    return str(Path(bundle).parent)


@pytest.fixture
def other_bundle(tmp_path: Path) -> str:
    path = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[ScriptedServer]:
    """A server as a proxy that inspects TLS would be: a company's authority has signed its certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serve(context) as server:
        server.on("/", Reply(200, "hello"))
        yield server


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_file(name: str, bundle: str, secure: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, bundle)
    with new_session() as session:
        assert session.get(secure.url).text == "hello"


@pytest.mark.parametrize("name", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_a_folder(name: str, folder: str, secure: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, folder)
    with new_session() as session:
        assert session.get(secure.url).text == "hello"


@pytest.mark.parametrize("winner", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_wins(
    winner: str, bundle: str, other_bundle: str, secure: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    monkeypatch.setenv(winner, other_bundle)
    with new_session() as session, pytest.raises(requests.exceptions.SSLError):
        session.get(secure.url)
    monkeypatch.setenv("SSL_CERT_FILE", "/gone.pem")
    monkeypatch.setenv(winner, bundle)
    with new_session() as session:
        assert session.get(secure.url).text == "hello"


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_missing_file_ends_the_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/gone.pem")
    with pytest.raises(BadInput, match=rf"^{name} names /gone\.pem, which does not exist\.$") as caught:
        new_session()
    assert (caught.value.cause, caught.value.fix, caught.value.anchor) == (
        "the path is wrong, or the file is not mounted in this container",
        certificates.how_to_trust(name),
        "certificate-file",
    )


def test_the_fix_names_the_variable_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert certificates.how_to_trust().startswith("set SSL_CERT_FILE to a file ")
    monkeypatch.setenv("SSL_CERT_DIR", "/certificates")
    assert certificates.how_to_trust().startswith("set SSL_CERT_FILE to a file ")
    monkeypatch.setenv("CURL_CA_BUNDLE", "/ca.pem")
    assert certificates.how_to_trust().startswith("set CURL_CA_BUNDLE to a file ")
    assert certificates.how_to_trust("SSL_CERT_DIR").startswith("set SSL_CERT_DIR to a folder ")


def test_a_file_in_place_of_a_folder(bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", bundle)
    with pytest.raises(BadInput, match="which is not a folder"):
        certificates.check()


def test_an_unreadable_file(bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    with pytest.raises(BadInput, match="which cannot be read: Permission denied"):
        certificates.check()


def test_one_of_several_folders_is_enough(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(("/gone", folder)))
    new_session().close()


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_file_without_certificates(
    name: str, tmp_path: Path, secure: ScriptedServer, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    monkeypatch.setenv(name, str(tmp_path / "bad.pem"))
    with pytest.raises(BadInput, match="has no certificates in PEM format"):
        new_session()
    (tmp_path / "bad.pem").write_text("-----BEGIN CERTIFICATE-----")
    with new_session() as session, pytest.raises(BadInput, match="has no certificates in PEM format"):
        with_retries(lambda: session.get(secure.url), context, "look")


def test_one_context_is_shared(bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = certificates.ssl_context()
    assert certificates.ssl_context() is default
    assert default.verify_mode is ssl.CERT_REQUIRED
    assert default.check_hostname
    assert not default.hostname_checks_common_name
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    assert len(certificates.ssl_context().get_ca_certs()) == 1


def test_an_unknown_authority_fails_at_once(secure: ScriptedServer, context: Context, time: Time) -> None:
    with new_session() as session, pytest.raises(Unreachable, match="is not trusted here") as caught:
        with_retries(lambda: session.get(secure.url), context, "look")
    assert caught.value.anchor == "untrusted-certificate"
    assert time.slept == []


@pytest.mark.parametrize("name", ["hello.pem", None])
def test_without_a_system_store(name: str | None, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the file that another distribution would have, or certifi's."""
    paths = SimpleNamespace(cafile=None, openssl_capath=str(tmp_path / "empty"), openssl_capath_env="SSL_CERT_DIR")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda _: None)
    monkeypatch.setattr(certificates, "_LINUX_STORES", ("/gone.pem", bundle) if name else ())
    expected = ssl.create_default_context(cafile=bundle if name else certifi.where())
    assert certificates.ssl_context().get_ca_certs() == expected.get_ca_certs()
    assert certificates.for_uv({}) == {}


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_truststore_on_other_systems(platform: str, bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Truststore(ssl.SSLContext):
        pass

    monkeypatch.setattr(certificates, "_has_default_store", lambda: False)

    monkeypatch.setitem(sys.modules, "truststore", SimpleNamespace(SSLContext=Truststore))
    monkeypatch.setattr(sys, "platform", platform)
    assert isinstance(certificates.ssl_context(), Truststore)
    assert certificates.for_uv({}) == {"UV_SYSTEM_CERTS": "true"}
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    assert isinstance(certificates.ssl_context(), Truststore)
    assert len(certificates.ssl_context().get_ca_certs()) == 1
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    assert not isinstance(certificates.ssl_context(), Truststore)
    assert len(certificates.ssl_context().get_ca_certs()) == 1


def test_for_uv(bundle: str, folder: str) -> None:
    assert certificates.for_uv({"CURL_CA_BUNDLE": bundle}) == {"SSL_CERT_FILE": bundle}
    assert certificates.for_uv({"REQUESTS_CA_BUNDLE": folder}) == {"SSL_CERT_DIR": folder}
    assert certificates.for_uv({"SSL_CERT_FILE": bundle}) == {"UV_SYSTEM_CERTS": "true"}
    assert certificates.for_uv({"UV_SYSTEM_CERTS": "false"}) == certificates.for_uv({"UV_NATIVE_TLS": "0"}) == {}
