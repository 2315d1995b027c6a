import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from gar_publish.auth.application_default import open_ambient
from gar_publish.auth.exchange import Exchange
from gar_publish.auth.tokens import PUBLISH_SCOPE, READ_ONLY_SCOPE, TokenSource
from gar_publish.errors import BadInput, CredentialsFailure
from gar_publish.settings.endpoints import Endpoints
from tests.unit.auth.conftest import elsewhere, parts
from tests.unit.auth.test_gcloud import ANSWER, put_gcloud
from tests.unit.auth.test_workload_identity import GOOD, SUBJECT
from tests.unit.servers import Memory, Reply, ScriptedServer

AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/github/providers/github"
IMPERSONATE = (
    "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
    "publisher@demo-project.iam.gserviceaccount.com:generateAccessToken"
)
USER = {
    "type": "authorized_user",
    "client_id": "client",
    "client_secret": "client-secret",
    "refresh_token": "refresh-token",
}


def ambient(exchange: Exchange, environment: Mapping[str, str]) -> TokenSource:
    return open_ambient(elsewhere(exchange, environment=environment))


@pytest.fixture
def google(server: ScriptedServer) -> ScriptedServer:
    for start, reply in GOOD.items():
        server.on(start, reply)
    server.on("/oauth2.googleapis.com/token", Reply(200, '{"access_token": "tok-1", "expires_in": 3599}'))
    return server


class Rerouted(requests.adapters.HTTPAdapter):
    """Sends requests for Google to the local server."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        request.url = f"{self._url}/{parts.netloc}{parts.path}"
        return super().send(request, *args, **options)


@pytest.fixture
def real(exchange: Exchange, google: ScriptedServer) -> Exchange:
    """Without an emulator."""
    exchange.session.mount("https://", Rerouted(google.url))
    return elsewhere(exchange, endpoints=Endpoints())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "credentials.json"


def environment(file: Path, info: object) -> dict[str, str]:
    file.write_text(info if isinstance(info, str) else json.dumps(info))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(file), "NO_GCE_CHECK": "true"}


def external(**source: Any) -> dict[str, Any]:
    return {
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": source,
    }


class TestFile:
    def test_key(self, file: Path, key_info: dict[str, str], exchange: Exchange, google: ScriptedServer) -> None:
        source = ambient(exchange, environment(file, key_info))
        assert source.kind == "credentials file (service_account)"
        assert not google.seen
        assert source.token().value == "tok-1"
        assert [each.path for each in google.seen] == ["/oauth2.googleapis.com/token"]

    def test_written_by_google_github_actions_auth(
        self, file: Path, exchange: Exchange, google: ScriptedServer, console: Memory
    ) -> None:
        info = external(
            url=f"{google.url}/github/idtoken?api-version=2.0&audience=x",
            headers={"Authorization": "Bearer request-token"},
            format={"type": "json", "subject_token_field_name": "value"},
        )
        source = ambient(exchange, environment(file, {**info, "service_account_impersonation_url": IMPERSONATE}))
        assert source.token().value == "impersonated"
        assert google.seen[0].headers["Authorization"] == "Bearer request-token"
        assert google.seen[1].form["subject_token"] == [SUBJECT]
        assert console.masked == [SUBJECT, "federated", "impersonated"]
        reader = source.read_only()
        assert reader
        reader.token()
        assert json.loads(google.seen[-1].body)["scope"] == [READ_ONLY_SCOPE]

    def test_subject_token_in_a_file(
        self, file: Path, tmp_path: Path, exchange: Exchange, google: ScriptedServer, console: Memory
    ) -> None:
        subject = tmp_path / "subject"
        subject.write_text("subject-1")
        source = ambient(exchange, environment(file, external(file=str(subject))))
        assert source.token().value == "federated"
        assert google.seen[0].form["subject_token"] == ["subject-1"]
        assert google.seen[0].form["scope"] == [PUBLISH_SCOPE]
        assert console.masked[0] == "subject-1"

    def test_subject_token_as_text(self, file: Path, exchange: Exchange, google: ScriptedServer) -> None:
        google.on("/vault", Reply(200, "subject-2"))
        source = ambient(exchange, environment(file, external(url=f"{google.url}/vault")))
        assert source.token().value == "federated"
        assert google.seen[1].form["subject_token"] == ["subject-2"]

    def test_login(self, file: Path, exchange: Exchange, google: ScriptedServer) -> None:
        source = ambient(exchange, environment(file, USER))
        assert source.token().value == "tok-1"
        form = google.seen[0].form
        expected = {name: [text] for name, text in USER.items() if name != "type"}
        assert form == {**expected, "grant_type": ["refresh_token"]}
        assert source.read_only() is None
        assert source.token().quota_project is None

    @pytest.mark.usefixtures("google")
    def test_the_quota_project_of_a_login(self, file: Path, exchange: Exchange) -> None:
        given = environment(file, {**USER, "quota_project_id": "of-the-file"})
        assert ambient(exchange, given).token().quota_project == "of-the-file"
        given["GOOGLE_CLOUD_QUOTA_PROJECT"] = "of-the-environment"
        assert ambient(exchange, given).token().quota_project == "of-the-environment"

    def test_an_expired_login(self, file: Path, exchange: Exchange, google: ScriptedServer) -> None:
        refusal = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
        google.on("/oauth2.googleapis.com/token", Reply(400, json.dumps(refusal)))
        with pytest.raises(CredentialsFailure) as caught:
            ambient(exchange, environment(file, USER)).token()
        assert caught.value.anchor == "login-expired"
        assert "refresh-token" not in caught.value.explain()

    def test_impersonation_by_a_login(self, file: Path, exchange: Exchange, google: ScriptedServer) -> None:
        info = {
            "type": "impersonated_service_account",
            "service_account_impersonation_url": IMPERSONATE,
            "source_credentials": {**USER, "quota_project_id": "of-the-login"},
            "quota_project_id": "of-the-file",
            "delegates": ["projects/-/serviceAccounts/between@p.iam.gserviceaccount.com"],
        }
        source = ambient(exchange, environment(file, info))
        assert source.token().value == "impersonated"
        assert source.token().quota_project == "of-the-file"
        assert google.seen[1].headers["Authorization"] == "Bearer tok-1"
        assert google.seen[1].headers["x-goog-user-project"] == "of-the-login"
        assert json.loads(google.seen[1].body) == {"scope": [PUBLISH_SCOPE], "delegates": info["delegates"]}
        google.on("/iamcredentials.googleapis.com/", Reply(403, "getAccessToken denied"))
        with pytest.raises(CredentialsFailure) as caught:
            source.renew("impersonated")
        assert caught.value.fix == (
            "let the identity act as the service account\n"
            "  gcloud iam service-accounts add-iam-policy-binding publisher@demo-project.iam.gserviceaccount.com "
            "--project=demo-project --role=roles/iam.serviceAccountTokenCreator --member='user:YOU@EXAMPLE.COM'"
        )

    @pytest.mark.parametrize(
        "info",
        [
            "",
            "no JSON",
            "[]",
            "{}",
            {"type": "gdch_service_account"},
            {"type": ["service_account"]},
        ],
    )
    def test_no_credentials_file(self, info: object, file: Path, exchange: Exchange) -> None:
        with pytest.raises(BadInput) as caught:
            ambient(exchange, environment(file, info))
        kind = info.get("type") if isinstance(info, dict) else None
        if isinstance(info, dict) or info == "{}":
            assert parts(caught.value) == (
                f"{file} is not a supported credentials file.",
                (
                    f"its type is {kind!r}; supported are service_account, external_account, authorized_user, "
                    "impersonated_service_account"
                ),
                "pass a token as `access-token`, or log in\n  gcloud auth application-default login",
                "credentials-file",
            )
        else:
            assert parts(caught.value) == (
                f"{file} is not a credentials file: it is not a JSON object.",
                "",
                "set GOOGLE_APPLICATION_CREDENTIALS to the path of a credentials file",
                "credentials-file",
            )

    def test_missing_file(self, tmp_path: Path, exchange: Exchange) -> None:
        path = str(tmp_path / "gone.json")
        with pytest.raises(BadInput) as caught:
            ambient(exchange, {"GOOGLE_APPLICATION_CREDENTIALS": path})
        assert parts(caught.value) == (
            f"{path} cannot be read: No such file or directory.",
            "GOOGLE_APPLICATION_CREDENTIALS names it; google-github-actions/auth deletes its file when the job ends",
            "unset GOOGLE_APPLICATION_CREDENTIALS, or set it to a file that exists",
            "credentials-file",
        )

    @pytest.mark.parametrize(
        "info",
        [
            {"type": "service_account"},
            {"type": "authorized_user", "client_id": "client"},
            {**USER, "quota_project_id": 7},
            {"type": "external_account", "audience": AUDIENCE},
            {"type": "external_account", "audience": None},
            {"type": "impersonated_service_account", "source_credentials": None},
            {
                "type": "impersonated_service_account",
                "service_account_impersonation_url": IMPERSONATE,
                "source_credentials": {"type": "authorized_user"},
            },
            {
                "type": "impersonated_service_account",
                "service_account_impersonation_url": IMPERSONATE,
                "source_credentials": {"type": "unheard_of"},
            },
        ],
    )
    def test_incomplete_file(self, info: object, file: Path, exchange: Exchange, google: ScriptedServer) -> None:
        with pytest.raises(BadInput) as caught:
            ambient(exchange, environment(file, info)).token()
        assert parts(caught.value) == (
            f"{file} is a credentials file with missing or malformed parts.",
            "",
            "create the credentials file again\n  gcloud auth application-default login",
            "credentials-file",
        )
        assert not google.seen

    @pytest.mark.parametrize(
        "source",
        [
            {"executable": {"command": "/bin/sh -c true"}},
            {"environment_id": "aws1", "url": "http://169.254.169.254/"},
            {"certificate": {"use_default_certificate_config": True}},
        ],
    )
    def test_a_source_that_is_not_supported(
        self, source: dict[str, Any], file: Path, exchange: Exchange, google: ScriptedServer
    ) -> None:
        with pytest.raises(BadInput) as caught:
            ambient(exchange, environment(file, external(**source))).token()
        assert parts(caught.value) == (
            (
                "The credentials file gets its subject token from AWS, a program or a certificate; "
                "only a URL or a file is supported."
            ),
            "",
            "pass a token as `access-token`; `gcloud auth print-access-token` prints one",
            "credentials-file",
        )
        assert not google.seen

    @pytest.mark.parametrize("field", ["token_url", "service_account_impersonation_url"])
    @pytest.mark.parametrize(
        "url",
        [
            "https://attacker.example/v1/token",
            "http://sts.googleapis.com/v1/token",
            "https://sts.googleapis.com.attacker.example/",
            "https://attacker.example/sts.googleapis.com/",
            "https://sts.googleapis.com@attacker.example/",
            "https://notgoogleapis.com/",
            "https://storage.googleapis.com/upload/storage/v1/b/attacker/o?uploadType=media&name=secret",
            "https://attacker.storage.googleapis.com/secret",
            "https://sts.googleapis.com:8443/v1/token",
            "https://attacker-sts.googleapis.com/v1/token",
            "file:///etc/passwd",
        ],
    )
    def test_tokens_go_to_google_only(
        self, field: str, url: str, file: Path, exchange: Exchange, google: ScriptedServer
    ) -> None:
        info = {**external(url=f"{google.url}/vault"), field: url}
        with pytest.raises(BadInput) as caught:
            ambient(exchange, environment(file, info)).token()
        service = "sts.googleapis.com" if field == "token_url" else "iamcredentials.googleapis.com"
        parsed = urlsplit(url)
        sent = f"{parsed.scheme}://{parsed.netloc.rpartition('@')[2]}"
        assert parts(caught.value) == (
            f"The credentials file sends tokens to {sent}, which is not https://{service}.",
            "",
            "create the credentials file again\n  gcloud iam workload-identity-pools create-cred-config",
            "credentials-file",
        )
        assert not google.seen

    @pytest.mark.parametrize("answer", ["", "no JSON", "{}", "[]", "5"])
    def test_no_subject_token(
        self, answer: str, file: Path, tmp_path: Path, exchange: Exchange, google: ScriptedServer
    ) -> None:
        subject = tmp_path / "subject"
        subject.write_text(answer)
        form = {"type": "json", "subject_token_field_name": "value"}
        with pytest.raises(CredentialsFailure) as caught:
            ambient(exchange, environment(file, external(file=str(subject), format=form))).token()
        what = "The `credential_source` of the credentials file has no subject token."
        assert parts(caught.value) == (what, "", "", "credentials-file")
        assert not google.seen

    def test_subject_file_has_expired(
        self, file: Path, tmp_path: Path, exchange: Exchange, google: ScriptedServer
    ) -> None:
        stale = {"error": "invalid_grant", "error_description": "ID Token issued at 17 is stale to sign-in."}
        google.on("/sts.googleapis.com/", Reply(400, json.dumps(stale)))
        subject = tmp_path / "subject"
        subject.write_text("old")
        with pytest.raises(CredentialsFailure) as caught:
            ambient(exchange, environment(file, external(file=str(subject)))).token()
        assert caught.value.cause == f"the identity token in {subject} has expired, and no newer one is there"
        assert caught.value.fix.startswith(f"write a new identity token to {subject} ")
        assert caught.value.anchor == "stale-token"

    def test_subject_file_is_missing(self, file: Path, tmp_path: Path, exchange: Exchange) -> None:
        path = str(tmp_path / "gone")
        with pytest.raises(CredentialsFailure) as caught:
            ambient(exchange, environment(file, external(file=path))).token()
        what = f"The subject token in {path} cannot be read: No such file or directory."
        assert parts(caught.value) == (what, "", "", "credentials-file")

    def test_all_fields_of_an_external_account(
        self, file: Path, tmp_path: Path, exchange: Exchange, google: ScriptedServer
    ) -> None:
        subject = tmp_path / "subject"
        subject.write_text("subject-1")
        info = external(file=str(subject)) | {
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "workforce_pool_user_project": "billed",
            "service_account_impersonation_url": IMPERSONATE,
            "service_account_impersonation": {"token_lifetime_seconds": 600},
        }
        ambient(exchange, environment(file, info)).token()
        assert google.seen[0].form["options"] == ["%7B%22userProject%22%3A%20%22billed%22%7D"]
        assert google.seen[0].form["subject_token_type"] == ["urn:ietf:params:oauth:token-type:id_token"]
        assert json.loads(google.seen[1].body) == {"scope": [PUBLISH_SCOPE], "lifetime": "600s"}
        client = {"client_id": "me", "client_secret": "hunter2"}
        ambient(exchange, environment(file, {**info, **client})).token()
        assert google.seen[2].headers["Authorization"] == "Basic bWU6aHVudGVyMg=="
        assert "options" not in google.seen[2].form


class TestOrder:
    """GOOGLE_APPLICATION_CREDENTIALS, then gcloud's file, then the metadata server, then gcloud."""

    @pytest.fixture
    def everything(
        self, tmp_path: Path, file: Path, key_info: dict[str, str], google: ScriptedServer
    ) -> dict[str, str]:
        (tmp_path / ".config" / "gcloud").mkdir(parents=True)
        (tmp_path / ".config" / "gcloud" / "application_default_credentials.json").write_text(json.dumps(USER))
        google.on("/", Reply(200, headers={"Metadata-Flavor": "Google"}))
        google.on("/computeMetadata/", Reply(200, '{"access_token": "of-the-machine", "expires_in": 3599}'))
        return {
            **put_gcloud(tmp_path, f"print({json.dumps(ANSWER)!r})"),
            **environment(file, key_info),
            "GCE_METADATA_HOST": google.url.removeprefix("http://"),
            "NO_GCE_CHECK": "",
        }

    def test_from_first_to_last(
        self, everything: dict[str, str], tmp_path: Path, real: Exchange, google: ScriptedServer
    ) -> None:
        assert ambient(real, everything).kind == "credentials file (service_account)"

        del everything["GOOGLE_APPLICATION_CREDENTIALS"]
        login = ambient(real, everything)
        assert login.kind == "credentials file (authorized_user)"
        assert not google.seen
        assert login.token().value == "tok-1"
        assert google.seen[0].path == "/oauth2.googleapis.com/token"

        (tmp_path / ".config" / "gcloud" / "application_default_credentials.json").unlink()
        machine = ambient(real, everything)
        assert machine.kind == "metadata server"
        assert machine.token().value == "of-the-machine"

        everything["NO_GCE_CHECK"] = "true"
        person = ambient(real, everything)
        assert person.kind == "gcloud login"
        assert person.token().value == "tok-1"
        assert person.read_only() is None

        everything |= put_gcloud(tmp_path, "sys.exit('You do not currently have an active account selected.')")
        with pytest.raises(CredentialsFailure, match="no credentials") as caught:
            ambient(real, everything)
        assert "active account" in caught.value.detail

        everything["PATH"] = ""
        with pytest.raises(CredentialsFailure) as caught:
            ambient(real, everything)
        assert caught.value.exit_code == 3
        assert caught.value.detail == ""
        assert parts(caught.value) == (
            "There are no credentials: no input names any, and this machine has none.",
            "looked for GOOGLE_APPLICATION_CREDENTIALS, gcloud's files, a metadata server and gcloud itself",
            (
                "one of these\n"
                "  in GitHub Actions: the permission `id-token: write`, and workload-identity-provider in the step's "
                "`with:`\n"
                "  in a shell: gcloud auth login\n"
                "  on Cloud Build, Compute Engine, GKE or Cloud Run: attach a service account\n"
                "  anywhere: pass a token as `access-token`; `gcloud auth print-access-token` prints one"
            ),
            "no-credentials",
        )

    def test_the_emulator_gets_nothing_of_gcloud(self, everything: dict[str, str], exchange: Exchange) -> None:
        del everything["GOOGLE_APPLICATION_CREDENTIALS"]
        assert ambient(exchange, everything).kind == "metadata server"
        everything["NO_GCE_CHECK"] = "true"
        with pytest.raises(CredentialsFailure) as caught:
            ambient(exchange, everything)
        assert caught.value.cause == "looked for GOOGLE_APPLICATION_CREDENTIALS, and for a metadata server"
