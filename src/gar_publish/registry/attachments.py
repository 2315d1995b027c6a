"""Attaches evidence to a version in Artifact Registry, and reads it back.

The calls are those of `gcloud artifacts attachments create`. See
https://cloud.google.com/artifact-registry/docs/store-artifact-metadata-in-attachments and
https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.attachments.
"""

import hashlib
from collections import defaultdict
from threading import Lock
from typing import Any
from urllib.parse import unquote

import requests
from packaging.version import Version

from gar_publish.errors import Failure, RegistryRefused
from gar_publish.registry.google_api import GoogleApi, json_object, said, why_failed
from gar_publish.registry.outcomes import Evidence
from gar_publish.registry.refusals import WRITER, explain_refusal
from gar_publish.settings.repository import Repository
from gar_publish.transport.session import is_success

TYPES = {"sbom": "application/vnd.cyclonedx+json", "provenance": "application/vnd.in-toto+json"}
FILE_NAME = "artifactregistry.googleapis.com/file_name"
"""The annotation with the file name that `gcloud artifacts attachments download` uses."""

_RUN_AGAIN = "run again: published files stay, and identical evidence is not attached twice"


class AttachmentApi:
    """The attachments of one repository.

    Args:
        repository: The repository.
        api: Makes the calls.
        member: The publisher as IAM names it, for the command in a failure.
    """

    def __init__(self, repository: Repository, api: GoogleApi, member: str) -> None:
        self._repository = repository
        self._member = member
        self._base = api.context.endpoints.artifact_registry
        self._upload_base = api.context.endpoints.artifact_registry_upload
        self._api = api
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)
        self._sent: set[str] = set()

    def attach(self, evidence: Evidence, name: str, version: str, *, verify: bool) -> str:
        """Attach evidence to a version, unless identical evidence is attached already.

        The attachment's id is made of the version and the contents: identical evidence is attached once, even by two
        runs, and different evidence of the same version beside it.

        Args:
            evidence: The document.
            name: The normalised name of the package.
            version: Its version, which the registry has.
            verify: Whether to read it back, and compare its hash.

        Returns:
            The resource name of the attachment.

        Raises:
            RegistryRefused: It is not attached, or differs from what was sent.
            Unreachable: The API does not answer.
        """
        target = f"{self._repository.resource}/packages/{name}/versions/{_escaped(version)}"
        file = f"{self._repository.resource}/files/sha256:{evidence.sha256}"
        key = hashlib.sha256(f"{target}\n{evidence.sha256}".encode()).hexdigest()[:32]
        attachment = f"{self._repository.resource}/attachments/{evidence.kind}-{key}"
        found = self._call("GET", f"{self._base}/{attachment}")
        if found.status_code == requests.codes.not_found:
            with self._locks[file]:  # a document of many versions is sent once
                if file not in self._sent:
                    self._upload(evidence, file)
                    self._sent.add(file)
            self._create(evidence, attachment, target, file)
        elif not is_success(found):
            raise self._refused(evidence, found)
        if verify:
            self._read_back(evidence, attachment, file)
        return attachment

    def _upload(self, evidence: Evidence, file: str) -> None:
        boundary = evidence.sha256
        head = f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{boundary}\r\n"
        body = f"{head}Content-Type: {TYPES[evidence.kind]}\r\n\r\n".encode() + evidence.content
        response = self._call(
            "POST",
            f"{self._upload_base}/{self._repository.resource}/files:upload",
            params={"uploadType": "multipart"},
            data=body + f"\r\n--{boundary}--\r\n".encode(),
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
        )
        self._finish(evidence, response, "operation")
        named = {"annotations": {FILE_NAME: evidence.filename}}
        response = self._call("PATCH", f"{self._base}/{file}", params={"updateMask": "annotations"}, json=named)
        if not is_success(response):
            raise self._refused(evidence, response)

    def _create(self, evidence: Evidence, attachment: str, target: str, file: str) -> None:
        response = self._call(
            "POST",
            f"{self._base}/{self._repository.resource}/attachments",
            params={"attachmentId": attachment.rpartition("/")[2]},
            json={"target": target, "type": TYPES[evidence.kind], "files": [file]},
        )
        self._finish(evidence, response)

    def _finish(self, evidence: Evidence, response: requests.Response, inside: str = "") -> None:
        """Wait for an operation to end. Its result may exist already: another try or another run made it.

        Args:
            evidence: The document.
            response: The answer to the call that started it.
            inside: The answer's field with the operation; empty if the answer itself is the operation.
        """
        if response.status_code == requests.codes.conflict:
            return
        if not is_success(response):
            raise self._refused(evidence, response)
        body = json_object(response)
        operation = body.get(inside) if inside else body
        operation = self._api.wait_for(
            operation if isinstance(operation, dict) else {}, self._base, what=f"{evidence.filename} is being attached"
        )
        if (error := why_failed(operation)) is not None and "already exists" not in error:
            raise RegistryRefused(
                f"{evidence.filename} could not be attached to its version.",
                fix=_RUN_AGAIN,
                anchor="evidence-refused",
                detail=error,
            )

    def _read_back(self, evidence: Evidence, attachment: str, file: str) -> None:
        found = self._call("GET", f"{self._base}/{attachment}")
        if not is_success(found):
            raise self._refused(evidence, found)
        listed = json_object(found).get("files")
        if not isinstance(listed, list) or file not in [unquote(str(each)) for each in listed]:
            raise _different(evidence, "the attachment lists another file")
        download = self._call("GET", f"{self._base}/{file}:download", params={"alt": "media"}, allow_redirects=True)
        if not is_success(download):
            raise self._refused(evidence, download)
        sha256 = hashlib.sha256(download.content).hexdigest()
        if sha256 != evidence.sha256:
            raise _different(evidence, f"sha256 {sha256}, sent was {evidence.sha256}")

    def _call(self, method: str, url: str, **body: Any) -> requests.Response:
        return self._api.call(method, url, what=f"attach evidence in {self._repository}", **body)

    def _refused(self, evidence: Evidence, response: requests.Response) -> Failure:
        explained = explain_refusal(response, self._repository, "upload", said(response))
        if explained.anchor == "quota-project":
            return explained
        if response.history:
            return RegistryRefused(
                f"{evidence.filename} was attached, but cannot be read back: the address to which the registry "
                f"redirects its download refuses it (HTTP {response.status_code}).",
                cause="the registry does not serve this file at the moment; the publisher's roles are not the cause",
                fix=_RUN_AGAIN,
                anchor="evidence-read-back",
                detail=said(response),
            )
        if response.status_code == requests.codes.forbidden:
            return RegistryRefused(
                f"{self._repository} does not let this identity attach {evidence.filename} (HTTP 403).",
                cause=f"the identity lacks {WRITER} here, or its custom role lacks "
                "attachments.create or .get, or files.upload, .update or .download",
                fix=f"grant the role\n  {self._repository.to_grant(self._member, WRITER)}",
                anchor="evidence-403",
                detail=said(response),
            )
        return RegistryRefused(
            f"{evidence.filename} could not be attached to its version (HTTP {response.status_code}).",
            fix=_RUN_AGAIN,
            anchor="evidence-refused",
            detail=said(response),
        )


def _different(evidence: Evidence, why: str) -> Failure:
    return RegistryRefused(
        f"{evidence.filename} was attached, but has different contents when read back: {why}.",
        cause="a cache or a proxy changes files, or something else replaced the attachment",
        fix="delete the attachment, and run again",
        anchor="evidence-read-back",
    )


def _escaped(version: str) -> str:
    """Return the normal form of a version as gcloud writes it in a resource name, with + escaped."""
    return str(Version(version)).replace("+", "%2B")
