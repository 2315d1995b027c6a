import json

import pytest

from gar_publish.auth.exchange import Exchange
from gar_publish.auth.refusals import project_of
from gar_publish.errors import CredentialsFailure
from tests.unit.servers import Reply, ScriptedServer

ACCOUNT = "publisher@demo-project.iam.gserviceaccount.com"
STS = "https://sts.googleapis.com/v1/token"
IAM = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"


def oauth(error: str, description: str = "") -> str:
    return json.dumps({"error": error, "error_description": description})


def test_words_of_the_server_are_kept(exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/", Reply(400, oauth("invalid_grant", "Bad Request")))
    with pytest.raises(CredentialsFailure) as caught:
        exchange(STS, "POST")
    assert caught.value.detail == "invalid_grant: Bad Request"


def test_tokens_in_the_servers_words_are_hidden(exchange: Exchange, server: ScriptedServer) -> None:
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"
    for body in (oauth("invalid_grant", f"Bad token {token}"), f"Bad token {token} and ya29.abc_DEF-1"):
        server.on("/", Reply(400, body))
        with pytest.raises(CredentialsFailure) as caught:
            exchange(STS, "POST")
        assert "[hidden]" in caught.value.detail
        assert token not in caught.value.explain()
        assert "ya29" not in caught.value.explain()


def test_unknown_names_are_shown_as_such(exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/", Reply(403, "Permission 'iam.serviceAccounts.getAccessToken' denied"))
    with pytest.raises(CredentialsFailure) as caught:
        exchange(IAM, "POST")
    assert "add-iam-policy-binding SERVICE_ACCOUNT --project=PROJECT" in caught.value.fix


@pytest.mark.parametrize(
    ("account", "project"),
    [
        (ACCOUNT, "demo-project"),
        ("publisher@old.example.com.iam.gserviceaccount.com", "example.com:old"),
        ("123456789012-compute@developer.gserviceaccount.com", "PROJECT"),
        ("", "PROJECT"),
    ],
)
def test_project_of(account: str, project: str) -> None:
    assert project_of(account) == project
