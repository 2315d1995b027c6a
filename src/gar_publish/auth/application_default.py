"""What the machine itself offers, in the order of Application Default Credentials, and gcloud's login last.

https://cloud.google.com/docs/authentication/application-default-credentials
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from gar_publish.auth import gcloud, metadata_server, service_account_key, workload_identity
from gar_publish.auth.exchange import Exchange, refresh
from gar_publish.auth.refusals import project_of
from gar_publish.auth.tokens import FreshSource, TokenSource
from gar_publish.errors import BadInput, CredentialsFailure
from gar_publish.urls import refuse_plain_http

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"


def open_ambient(exchange: Exchange) -> TokenSource:
    """Find what this machine offers.

    Under an emulator, gcloud and its files are left alone: what they hold is for Google only.

    Raises:
        BadInput: The credentials file is not one.
        CredentialsFailure: The machine offers nothing.
    """
    environment = exchange.context.environment
    if path := environment.get(VARIABLE):
        return open_file(Path(path), exchange)
    real = exchange.context.endpoints.emulator is None
    if real and (file := gcloud.login_file(environment)):
        return open_file(file, exchange)
    if base := metadata_server.find(exchange):
        return metadata_server.MetadataSource(
            "metadata server", lambda scope: metadata_server.fetch(base, exchange, scope)
        )
    if real and (program := gcloud.find(environment)):
        source = FreshSource(
            "gcloud login", lambda _scope: gcloud.fetch(program, environment, exchange.context.console), narrows=False
        )
        try:
            source.token()
        except CredentialsFailure as failure:
            raise _nothing(real=real, detail=failure.detail) from None
        return source
    raise _nothing(real=real)


def _nothing(*, real: bool, detail: str = "") -> CredentialsFailure:
    return CredentialsFailure(
        "There are no credentials: no input names any, and this machine offers none.",
        cause=f"looked for {VARIABLE}, "
        + ("gcloud's files, a metadata server and gcloud itself" if real else "and for a metadata server"),
        fix="one of these\n"
        "  in GitHub Actions: set `workload-identity-provider`, and the permission `id-token: write`\n"
        "  in a shell: gcloud auth login\n"
        "  on Cloud Build, Compute Engine, GKE or Cloud Run: attach a service account\n"
        "  anywhere: set `access-token` to what `gcloud auth print-access-token` prints",
        anchor="no-credentials",
        detail=detail,
    )


def open_file(path: Path, exchange: Exchange) -> TokenSource:
    """A credentials file: a key, an external account, a user's login, or an impersonation by one of them.

    Raises:
        BadInput: It is not such a file.
    """
    info = _read(path)
    kind = info.get("type")
    if not isinstance(kind, str) or kind not in _NAMES:
        raise BadInput(
            f"{path} is not a credentials file that can be used here.",
            cause=f"its type is {kind!r}; known are {', '.join(_NAMES)}",
            fix="gcloud auth application-default login, or set `access-token`",
            anchor="credentials-file",
        )

    def fetch(scope: str) -> Any:
        try:
            names = _NAMES[kind](info)
            named = replace(exchange, names=names)
            credentials = _credentials(info, named, scope)
        except (KeyError, TypeError, AttributeError):
            raise BadInput(
                f"{path} is a credentials file with parts missing.",
                fix="make it anew: gcloud auth application-default login",
                anchor="credentials-file",
            ) from None
        return refresh(credentials, named)

    # What a person consented to when logging in cannot be narrowed afterwards.
    return FreshSource(f"credentials file ({kind})", fetch, narrows=kind != "authorized_user")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        info = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.",
            cause=f"{VARIABLE} names it; a file of google-github-actions/auth is gone once its job ends",
            fix=f"unset {VARIABLE}, or let it name a file that exists",
            anchor="credentials-file",
        ) from None
    except ValueError:
        info = None
    if not isinstance(info, dict):
        raise BadInput(
            f"{path} is not a credentials file: it does not hold a JSON object.",
            fix=f"let {VARIABLE} name the file itself; it never holds the key's text",
            anchor="credentials-file",
        )
    return info


def _credentials(info: Mapping[str, Any], exchange: Exchange, scope: str) -> Any:
    match info["type"]:
        case "service_account":
            return service_account_key.credentials(info, exchange, scope)
        case "external_account":
            return _external(info, exchange, scope)
        case "authorized_user":
            from google.oauth2.credentials import Credentials  # slow to import

            return Credentials(
                None,
                refresh_token=info["refresh_token"],
                token_uri=exchange.context.endpoints.oauth,
                client_id=info["client_id"],
                client_secret=info["client_secret"],
            )
        case _:
            from google.auth import impersonated_credentials  # slow to import

            return impersonated_credentials.Credentials(
                _credentials(info["source_credentials"], exchange, scope),
                _impersonated(info),
                [scope],
                delegates=info.get("delegates"),
                iam_endpoint_override=_googles(info["service_account_impersonation_url"], exchange),
            )


def _external(info: Mapping[str, Any], exchange: Exchange, scope: str) -> Any:
    source = info["credential_source"]
    if not {"url", "file"} & set(source) or "environment_id" in source:
        raise BadInput(
            "The credentials file gets its subject token from AWS, a program or a certificate; "
            "only a URL or a file can be used here.",
            fix="make a token with gcloud, and set `access-token`: gcloud auth print-access-token",
            anchor="credentials-file",
        )
    _googles(info["token_url"], exchange)
    if url := info.get("service_account_impersonation_url"):
        _googles(url, exchange)
    return workload_identity.credentials(info, lambda: _subject(source, exchange), exchange, scope)


def _subject(source: Mapping[str, Any], exchange: Exchange) -> str:
    """The subject token that a file's `credential_source` leads to.

    https://google.aip.dev/auth/4117
    """
    if path := source.get("file"):
        try:
            text = Path(path).read_text("utf-8")
        except OSError as error:
            raise CredentialsFailure(
                f"The subject token in {path} cannot be read: {error.strerror}.",
                anchor="credentials-file",
            ) from None
    else:
        refuse_plain_http(source["url"], exchange.context.endpoints.emulator)
        text = exchange.send("GET", source["url"], _has_body, headers=source.get("headers")).text
    form = source.get("format") or {}
    if form.get("type") != "json":
        return text
    try:
        return str(json.loads(text)[form["subject_token_field_name"]])
    except (ValueError, KeyError, TypeError):
        raise CredentialsFailure(
            "What the credentials file leads to is not a subject token.", anchor="credentials-file"
        ) from None


def _has_body(response: requests.Response) -> bool:
    return bool(response.content)


def _googles(url: str, exchange: Exchange) -> str:
    """Let a credentials file send tokens to Google (or the emulator) only.

    https://cloud.google.com/docs/authentication/external/externally-sourced-credentials
    """
    parts = urlsplit(url)
    emulator = exchange.context.endpoints.emulator
    if parts.scheme == "https" and (parts.hostname or "").endswith(".googleapis.com"):
        return url
    if emulator and url.startswith(f"{emulator}/"):
        return url
    raise BadInput(
        f"The credentials file sends tokens to {parts.scheme}://{parts.hostname}, which is not Google's.",
        fix="make it anew: gcloud iam workload-identity-pools create-cred-config",
        anchor="credentials-file",
    )


def _impersonated(info: Mapping[str, Any]) -> str:
    url: str = info.get("service_account_impersonation_url") or ""
    return url.rpartition("/")[2].partition(":")[0]


def _external_names(info: Mapping[str, Any]) -> dict[str, str]:
    return workload_identity.names(info["audience"].removeprefix("//iam.googleapis.com/"), _impersonated(info) or None)


def _user_names(info: Mapping[str, Any]) -> dict[str, str]:
    return {"service_account": info.get("account") or "this login"}


def _impersonation_names(info: Mapping[str, Any]) -> dict[str, str]:
    account = _impersonated(info)
    return {
        "service_account": account,
        "project": project_of(account),
        "role": "roles/iam.serviceAccountTokenCreator",
        "member": "user:YOU@EXAMPLE.COM",
    }


_NAMES = {
    "service_account": service_account_key.names,
    "external_account": _external_names,
    "authorized_user": _user_names,
    "impersonated_service_account": _impersonation_names,
}
