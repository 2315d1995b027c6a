"""Behaviour of Google that is not documented: the emulator's guess, and a switch for the alternative."""

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Switches:
    """The `[switches]` table of a world file, where dashes replace the underscores. `docs/fidelity.md` explains each.

    Attributes:
        any_spelling: Whether the index serves a package under a name that is not normalised (PEP 503).
        attribute_condition_status: HTTP status when an attribute condition is false (401 or 400).
        attributes_limit: The most bytes that the mapped attributes of a federated identity may have together on the
            Python host; with more, it answers 400. 0 = no limit.
        bearer_tokens: Whether the Python host takes `Authorization: Bearer`.
        challenge: Whether a 401 of the Python host has `WWW-Authenticate: Basic`.
        check_digests: Whether an upload is refused if its digests do not match its contents.
        check_names: Whether an upload is refused if its file name does not match its name and version.
        duplicate_identical: Whether an identical file under the same name is accepted again.
        duplicate_status: HTTP status for a file name that already exists (400 or 409).
        early_refusals: What follows a refusal of a large upload, which comes before the body is read: the connection is
            `closed`, or it is `reset`. `never`: the refusal comes after the body.
        epochs: Whether the Python host takes versions with an epoch.
        federated_lifetime: Lifetime in seconds of a token from the token exchange; 0 = until the subject token expires.
        federated_tokens: Whether the Python host takes a federated token without impersonation.
        head_redirects: Whether `HEAD` of a file is redirected, as `GET` is.
        immutable_subject: Whether `sub` has ids (`repo:OWNER@ID/NAME@ID:…`), as in repositories created after
            2026-07-15.
        index_delay: Seconds until an uploaded file is in the index and can be downloaded.
        json_index: Whether the index answers in JSON (PEP 691) to clients that accept it.
        json_key_user: Whether the Python host takes `_json_key` and a key that is not in base64 as user and password.
        max_upload_size: The largest file in bytes; 0 = no limit.
        metadata_files: Whether the index has the metadata of each wheel as `FILE.metadata` (PEP 658).
        missing_repository: `by-rights` (404 if the caller has the permission on the project, else 403), `403` or `404`.
        open_downloads: Whether the address that a download is redirected to needs no credentials.
        operation_seconds: Seconds until a long-running operation is done and has taken effect.
        quota_project: Whether Google's APIs refuse a user's login that names no project with `x-goog-user-project`.
        read_only_scope: Whether a token with the scope cloud-platform.read-only can read packages.
        redirect_length: Length of the path that a download is redirected to; 0 = no redirect.
        repository_delay: Seconds until the Python host knows a new repository.
        requires_python: Whether the index has `data-requires-python`.
        reuse_deleted: Whether the name of a deleted file can be used again. A restart forgets deleted names.
        root_index: Whether `/simple/` lists the packages; otherwise the answer is 404, with and without credentials.
        slashless_uploads: Whether uploads are taken at the repository's address without its last slash.
        texts: The texts of the Python host's refusals: `generic` (those of google.rpc), `empty` (generic, and a 403 has
            no body) or `detailed` (with the permission and the resource).
        upload_status: HTTP status of a successful upload.
        wrong_repository_status: HTTP status for a repository of another format or mode.

    Raises:
        ValueError: A value is out of range.
    """

    any_spelling: bool = True
    attribute_condition_status: int = 401
    attributes_limit: int = 256
    bearer_tokens: bool = True
    challenge: bool = True
    check_digests: bool = True
    check_names: bool = True
    duplicate_identical: bool = False
    duplicate_status: int = 400
    early_refusals: str = "closed"
    epochs: bool = False
    federated_lifetime: int = 0
    federated_tokens: bool = True
    head_redirects: bool = False
    immutable_subject: bool = False
    index_delay: float = 0.0
    json_index: bool = False
    json_key_user: bool = False
    max_upload_size: int = 0
    metadata_files: bool = False
    missing_repository: str = "by-rights"
    open_downloads: bool = True
    operation_seconds: float = 0.0
    quota_project: bool = True
    read_only_scope: bool = True
    redirect_length: int = 6000
    repository_delay: float = 0.0
    requires_python: bool = True
    reuse_deleted: bool = True
    root_index: bool = False
    slashless_uploads: bool = False
    texts: str = "generic"
    upload_status: int = 200
    wrong_repository_status: int = 400

    def __post_init__(self) -> None:
        for name in (item.name for item in fields(self) if item.name.endswith("_status")):
            first, last = (200, 299) if name == "upload_status" else (400, 599)
            if not first <= getattr(self, name) <= last:
                raise ValueError(f"{_dashed(name)} must be an HTTP status from {first} to {last}")
        for name in (
            "attributes_limit",
            "federated_lifetime",
            "index_delay",
            "max_upload_size",
            "operation_seconds",
            "redirect_length",
            "repository_delay",
        ):
            if not math.isfinite(getattr(self, name)) or getattr(self, name) < 0:
                raise ValueError(f"{_dashed(name)} must be 0 or more")
        if self.missing_repository not in {"by-rights", "403", "404"}:
            raise ValueError("missing-repository must be by-rights, 403 or 404")
        if self.texts not in {"generic", "empty", "detailed"}:
            raise ValueError("texts must be generic, empty or detailed")
        if self.early_refusals not in {"closed", "reset", "never"}:
            raise ValueError("early-refusals must be closed, reset or never")


def _dashed(name: str) -> str:
    return name.replace("_", "-")
