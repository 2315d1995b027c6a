import hashlib
from typing import get_args

import pytest

from gar_publish.errors import RegistryRefused
from gar_publish.registry.outcomes import AttachedEvidence, Evidence, EvidenceKind, Status

SBOM = Evidence("sbom", "a.whl.cdx.json", b"{}")


def test_the_words_of_the_report() -> None:
    assert get_args(Status) == (
        "uploaded",
        "identical",
        "skipped",
        "would upload",
        "checked",
        "failed",
        "unknown",
        "not tried",
    )
    assert get_args(EvidenceKind) == ("sbom", "provenance")


def test_the_hash_is_of_the_contents() -> None:
    assert SBOM.sha256 == hashlib.sha256(b"{}").hexdigest()


@pytest.mark.parametrize(
    ("attachment", "failure", "state"),
    [
        ("a/1", None, "attached"),
        ("", RegistryRefused("No.", anchor="evidence-refused"), "not attached"),
        ("", None, "would attach"),
    ],
)
def test_the_state_of_evidence(attachment: str, failure: RegistryRefused | None, state: str) -> None:
    assert AttachedEvidence(SBOM, "a", "1", "", attachment, failure).state == state
