"""Behaviour of Google that is not documented: the emulator's guess, and a switch for the alternative."""

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Switches:
    """The `[switches]` table of a world file, where dashes replace the underscores. `docs/fidelity.md` explains each.

    Attributes:
        attribute_condition_status: HTTP status when an attribute condition is false (401 or 400).
        bearer_tokens: Whether the Python host takes `Authorization: Bearer`.
        check_digests: Whether an upload is refused if its digests do not match its contents.
        duplicate_identical: Whether an identical file under the same name is accepted again.
        duplicate_early: Whether the answer to a duplicate comes before the body is read, and closes the connection.
        duplicate_status: HTTP status for a file name that already exists (400 or 409).
        federated_lifetime: Lifetime in seconds of a token from the token exchange; 0 = until the subject token expires.
        federated_tokens: Whether the Python host takes a federated token without impersonation.
        immutable_subject: Whether `sub` has ids (`repo:OWNER@ID/NAME@ID:…`), as in repositories created after
            2026-07-15.
        index_delay: Seconds until an uploaded file is in the index and can be downloaded.
        json_index: Whether the index answers in JSON (PEP 691) to clients that accept it.
        max_upload_size: The largest file in bytes; 0 = no limit.
        missing_repository: `by-rights` (404 if the caller has the permission on the project, else 403), `403` or `404`.
        operation_seconds: Seconds until a long-running operation is done and has taken effect.
        read_only_scope: Whether a token with the scope cloud-platform.read-only can read packages.
        repository_delay: Seconds until the Python host knows a new repository.
        requires_python: Whether the index has `data-requires-python`.
        upload_status: HTTP status of a successful upload.
        wrong_repository_status: HTTP status for a repository of another format or mode.

    Raises:
        ValueError: A value is out of range.
    """

    attribute_condition_status: int = 401
    bearer_tokens: bool = True
    check_digests: bool = True
    duplicate_identical: bool = False
    duplicate_early: bool = False
    duplicate_status: int = 400
    federated_lifetime: int = 0
    federated_tokens: bool = True
    immutable_subject: bool = False
    index_delay: float = 0.0
    json_index: bool = False
    max_upload_size: int = 0
    missing_repository: str = "by-rights"
    operation_seconds: float = 0.0
    read_only_scope: bool = True
    repository_delay: float = 0.0
    requires_python: bool = True
    upload_status: int = 200
    wrong_repository_status: int = 400

    def __post_init__(self) -> None:
        for name in (item.name for item in fields(self) if item.name.endswith("_status")):
            first, last = (200, 299) if name == "upload_status" else (400, 599)
            if not first <= getattr(self, name) <= last:
                raise ValueError(f"{_dashed(name)} must be an HTTP status from {first} to {last}")
        for name in ("federated_lifetime", "index_delay", "max_upload_size", "operation_seconds", "repository_delay"):
            if not math.isfinite(getattr(self, name)) or getattr(self, name) < 0:
                raise ValueError(f"{_dashed(name)} must be 0 or more")
        if self.missing_repository not in {"by-rights", "403", "404"}:
            raise ValueError("missing-repository must be by-rights, 403 or 404")


def _dashed(name: str) -> str:
    return name.replace("_", "-")
