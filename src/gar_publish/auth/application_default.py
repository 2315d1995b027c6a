"""The credentials of this machine, in the order of Application Default Credentials, and gcloud's login last.

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
from gar_publish.auth.tokens import PUBLISH_SCOPE, FreshSource, Token, TokenSource
from gar_publish.context import Context
from gar_publish.errors import BadInput, CredentialsFailure
from gar_publish.urls import host_of, origin, refuse_plain_http

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_QUOTA_VARIABLE = "GOOGLE_CLOUD_QUOTA_PROJECT"
_KINDS = ("service_account", "external_account", "authorized_user", "impersonated_service_account")


def open_ambient(exchange: Exchange) -> TokenSource:
    """Return the credentials of this machine. With an emulator, those of gcloud are not used: they are for Google only.

    Raises:
        BadInput: The credentials file is malformed.
        CredentialsFailure: This machine has no credentials.
    """
    environment = exchange.context.environment
    if path := environment.get(VARIABLE):
        return open_file(Path(path), exchange)
    real = exchange.context.endpoints.emulator is None
    if real and (file := gcloud.login_file(environment)):
        return open_file(file, exchange)
    if base := metadata_server.find(exchange):
        return metadata_server.MetadataSource(
            metadata_server.KIND, lambda scope: metadata_server.fetch(base, exchange, scope)
        )
    if real and (program := gcloud.find(environment)):
        source = FreshSource(
            "gcloud login", lambda _scope: gcloud.fetch(program, environment, exchange.context.console), narrows=False
        )
        try:
            source.token()
        except CredentialsFailure as failure:
            raise _no_credentials(real=real, detail=failure.detail) from None
        return source
    raise _no_credentials(real=real)


def _no_credentials(*, real: bool, detail: str = "") -> CredentialsFailure:
    return CredentialsFailure(
        "There are no credentials: no input names any, and this machine has none.",
        cause=f"looked for {VARIABLE}, "
        + ("gcloud's files, a metadata server and gcloud itself" if real else "and for a metadata server"),
        fix="one of these\n"
        "  in GitHub Actions: the permission `id-token: write`, and workload-identity-provider in the step's `with:`\n"
        "  in a shell: gcloud auth login\n"
        "  on Cloud Build, Compute Engine, GKE or Cloud Run: attach a service account\n"
        "  anywhere: pass a token as `access-token`; `gcloud auth print-access-token` prints one",
        anchor="no-credentials",
        detail=detail,
    )


def open_file(path: Path, exchange: Exchange) -> TokenSource:
    """Return the source for a credentials file: a key, an external account, a login, or an impersonation by one.

    Raises:
        BadInput: It is not such a file.
    """
    info, environment = _read(path), exchange.context.environment
    kind = info.get("type")
    if kind not in _KINDS:
        raise BadInput(
            f"{path} is not a supported credentials file.",
            cause=f"its type is {kind!r}; supported are {', '.join(_KINDS)}",
            fix="pass a token as `access-token`, or log in\n  gcloud auth application-default login",
            anchor="credentials-file",
        )

    def fetch(scope: str) -> Token:
        try:
            token = _token(info, replace(exchange, names=_names(info)), scope)
            return replace(token, quota_project=environment.get(_QUOTA_VARIABLE) or token.quota_project)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise BadInput(
                f"{path} is a credentials file with missing or malformed parts.",
                fix="create the credentials file again\n  gcloud auth application-default login",
                anchor="credentials-file",
            ) from None

    # The scopes of a login are those that the user consented to.
    return FreshSource(f"credentials file ({kind})", fetch, narrows=kind != "authorized_user")


def find_account(kind: str, context: Context, session: requests.Session) -> str | None:
    """Return the service account of this machine's credentials, if a file or the metadata server names one.

    Args:
        kind: The kind of the opened source, if it is open.
        context: Where the run happens.
        session: Asks the metadata server.
    """
    if path := context.environment.get(VARIABLE):
        try:
            info = json.loads(Path(path).read_text("utf-8-sig"))
            return str(info.get("client_email") or _impersonated(info)) or None
        except (OSError, ValueError, AttributeError):
            return None
    return metadata_server.find_account(context, session) if kind == metadata_server.KIND else None


def _read(path: Path) -> Mapping[str, Any]:
    try:
        info = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.",
            cause=f"{VARIABLE} names it; google-github-actions/auth deletes its file when the job ends",
            fix=f"unset {VARIABLE}, or set it to a file that exists",
            anchor="credentials-file",
        ) from None
    except ValueError:
        info = None
    if not isinstance(info, dict):
        raise BadInput(
            f"{path} is not a credentials file: it is not a JSON object.",
            fix=f"set {VARIABLE} to the path of a credentials file",
            anchor="credentials-file",
        )
    return info


def _token(info: Mapping[str, Any], exchange: Exchange, scope: str) -> Token:
    """Return a token, with the quota project that the file names (https://cloud.google.com/docs/quotas/set-quota-project)."""
    project = info.get("quota_project_id")
    if not isinstance(project, str | None):
        raise TypeError("not a project")
    return replace(_plain_token(info, exchange, scope), quota_project=project)


def _plain_token(info: Mapping[str, Any], exchange: Exchange, scope: str) -> Token:
    match info["type"]:
        case "service_account":
            return refresh(service_account_key.credentials(info, exchange, scope), exchange)
        case "external_account":
            return _external(info, exchange, scope)
        case "authorized_user":
            from google.oauth2.credentials import Credentials  # slow to import

            login = Credentials(
                None,
                refresh_token=info["refresh_token"],
                token_uri=exchange.context.endpoints.oauth,
                client_id=info["client_id"],
                client_secret=info["client_secret"],
            )
            return refresh(login, exchange)
        case _:
            url = _checked(info["service_account_impersonation_url"], "iamcredentials.googleapis.com", exchange)
            source = _token(info["source_credentials"], exchange, PUBLISH_SCOPE)
            return workload_identity.impersonate(source, url, exchange, scope, delegates=info.get("delegates"))


def _external(info: Mapping[str, Any], exchange: Exchange, scope: str) -> Token:
    source = info["credential_source"]
    if not {"url", "file"} & set(source) or "environment_id" in source:
        raise BadInput(
            "The credentials file gets its subject token from AWS, a program or a certificate; "
            "only a URL or a file is supported.",
            fix="pass a token as `access-token`; `gcloud auth print-access-token` prints one",
            anchor="credentials-file",
        )
    _checked(info["token_url"], "sts.googleapis.com", exchange)
    if url := info.get("service_account_impersonation_url"):
        _checked(url, "iamcredentials.googleapis.com", exchange)
    subject = _subject(source, exchange)
    exchange.context.console.mask(subject)
    try:
        return workload_identity.exchange_subject(info, subject, exchange, scope)
    except CredentialsFailure as refused:
        if refused.anchor == "stale-token" and (file := source.get("file")):
            raise refused.because(
                cause=f"the identity token in {file} has expired, and no newer one is there",
                fix=f"write a new identity token to {file} right before the run; during a run that takes longer than "
                "the identity token lasts, replace it in time",
                anchor="stale-token",
            ) from None
        raise


def _subject(source: Mapping[str, Any], exchange: Exchange) -> str:
    """Return the subject token of a `credential_source` (https://google.aip.dev/auth/4117)."""
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
        text = exchange.send("GET", source["url"], as_json=False, headers=source.get("headers")).text
    form = source.get("format") or {}
    if form.get("type") != "json":
        return text
    try:
        return str(json.loads(text)[form["subject_token_field_name"]])
    except (ValueError, KeyError, TypeError):
        raise CredentialsFailure(
            "The `credential_source` of the credentials file has no subject token.", anchor="credentials-file"
        ) from None


def _checked(url: str, host: str, exchange: Exchange) -> str:
    """Return a URL of a credentials file, if it is the host's or the emulator's.

    Other hosts of Google store what they are sent where anyone may own the place, such as storage.googleapis.com.
    https://cloud.google.com/docs/authentication/external/externally-sourced-credentials

    Raises:
        BadInput: It is not.
    """
    emulator = exchange.context.endpoints.emulator
    if origin(url) == ("https", host, 443) or (emulator and url.startswith(f"{emulator}/")):
        return url
    raise BadInput(
        f"The credentials file sends tokens to {urlsplit(url).scheme}://{host_of(url)}, which is not https://{host}.",
        fix="create the credentials file again\n  gcloud iam workload-identity-pools create-cred-config",
        anchor="credentials-file",
    )


def _impersonated(info: Mapping[str, Any]) -> str:
    url: str = info.get("service_account_impersonation_url") or ""
    return url.rpartition("/")[2].partition(":")[0]


def _names(info: Mapping[str, Any]) -> dict[str, str]:
    match info["type"]:
        case "service_account":
            return service_account_key.names(info)
        case "external_account":
            provider = info["audience"].removeprefix("//iam.googleapis.com/")
            return workload_identity.names(provider, _impersonated(info) or None)
        case "authorized_user":
            return {"service_account": info.get("account") or "this login"}
    account = _impersonated(info)
    return {
        "service_account": account,
        "project": project_of(account),
        "role": "roles/iam.serviceAccountTokenCreator",
        "member": "user:YOU@EXAMPLE.COM",
    }
