"""One repository, its URLs, and the gcloud commands for it."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from gar_publish.errors import BadInput
from gar_publish.settings.endpoints import Endpoints

_LOCATION = re.compile(r"[a-z]+(-[a-z]+[0-9]+)?")
_ZONE = re.compile(r"([a-z]+-[a-z]+[0-9]+)-[a-z]")
_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z0-9-]+")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_RESOURCE = re.compile(r"projects/([^/]+)/locations/([^/]+)/repositories/([^/]+)")
_HOST = re.compile(r"([a-z0-9-]+)-python\.pkg\.dev")
_FIX = "use `repository: LOCATION/PROJECT/REPOSITORY`, such as us-central1/my-project/python"

PREVIEWS_LABEL = ("gar-publish", "previews")
"""The name and the value of the label that a repository for previews has, and no other."""

DELETER = "roles/artifactregistry.repoAdmin"
"""Publishes and deletes versions: https://cloud.google.com/artifact-registry/docs/access-control"""


@dataclass(frozen=True)
class Repository:
    """One package index that takes uploads.

    Attributes:
        upload_url: The URL for uploads, with a trailing slash.
        index_url: The URL of the simple index (PEP 503), with a trailing slash.
        location: The region or multi-region; None for another index.
        project: The id of the Google Cloud project; None for another index.
        name: The id of the repository; None for another index.
        file_hosts: Other hosts that the index may send readers to.
    """

    upload_url: str
    index_url: str
    location: str | None = None
    project: str | None = None
    name: str | None = None
    file_hosts: tuple[str, ...] = ()

    @property
    def resource(self) -> str | None:
        """Return its name in Google's APIs (https://google.aip.dev/122), or None for another index."""
        if self.name is None:
            return None
        return f"projects/{self.project}/locations/{self.location}/repositories/{self.name}"

    @property
    def host(self) -> str:
        """Return the host name of the index."""
        return urlsplit(self.index_url).hostname or ""

    def console_url(self, package: str) -> str | None:
        """Return the page of a package in Google Cloud's console; None for another index, and for the emulator."""
        if not self.name or self.host != f"{self.location}-python.pkg.dev":
            return None
        place = f"{self.project}/{self.location}/{self.name}/{package}"
        return f"https://console.cloud.google.com/artifacts/python/{place}?project={self.project}"

    def to_create(self, name: str | None = None) -> str:
        """Return the command that creates it, or another repository in the same place."""
        return (
            f"gcloud artifacts repositories create {name or self.name} --repository-format=python "
            f"--location={self.location} --project={self.project}"
        )

    def to_describe(self) -> str:
        """Return the command that shows its format and mode."""
        return f"gcloud artifacts repositories describe {self.name} --location={self.location} --project={self.project}"

    def to_grant(self, member: str, role: str) -> str:
        """Return the command that grants a role on it to a member; the caller quotes the member for a shell."""
        return (
            f"gcloud artifacts repositories add-iam-policy-binding {self.name} --location={self.location} "
            f"--project={self.project} --member={member} --role={role}"
        )

    def to_compare(self, package: str) -> str:
        """Return the fix for a file that was downloaded with different contents."""
        compare = (
            "compare the downloaded sha256 with the registry's; if the two differ, run again from another network; if "
            "they are equal, delete the version, and publish it again"
        )
        if not self.name:
            return compare
        return (
            f"{compare}\n  gcloud artifacts files list --package={package} --repository={self.name} "
            f"--location={self.location} --project={self.project} --format=json"
        )

    def __str__(self) -> str:
        return f"{self.location}/{self.project}/{self.name}" if self.name else self.upload_url

    @classmethod
    def parse(cls, text: str, *, project: str = "", location: str = "", endpoints: Endpoints) -> "Repository":
        """Read any form that the `repository` input takes.

        Raises:
            BadInput: It has none of the forms, or a part of it is not valid.
        """
        if not text:
            raise BadInput("`repository` is missing.", fix=_FIX, anchor="repository-form")
        if not text.isprintable():
            raise BadInput(
                f"`repository` contains invisible characters: {text.rpartition('@')[2]!a}",
                cause="the text was copied from a page or a document that contains such characters",
                fix="type the name or URL of the repository again",
                anchor="repository-form",
            )
        if text.partition("/")[0].endswith(".pkg.dev"):
            text = f"https://{text}"
        if "://" in text:
            return cls._from_url(text, project=project, location=location, endpoints=endpoints)
        if resource := _RESOURCE.fullmatch(text.strip("/")):
            _refuse_parts_twice(text, project, location)
            return cls._from_parts(resource[2], resource[1], resource[3], endpoints)
        parts = text.strip("/").split("/")
        match parts:
            case [name]:
                given = {"`project`": project, "`location`": location}
                if missing := " and ".join(which for which, value in given.items() if not value):
                    verb = "is" if project or location else "are"
                    raise BadInput(
                        f"`repository` is only a name ({name!r}), and {missing} {verb} not set.",
                        fix=f"set {missing}, or set `repository` to a full path such as us-central1/my-project/{name}",
                        anchor="repository-form",
                    )
                return cls._from_parts(location, project, name, endpoints)
            case [first, second, third]:
                _refuse_parts_twice(text, project, location)
                return cls._from_parts(first, second, third, endpoints)
        raise BadInput(
            f"`repository` is not the name or URL of a repository: {text}", fix=_FIX, anchor="repository-form"
        )

    @classmethod
    def _from_parts(cls, location: str, project: str, name: str, endpoints: Endpoints) -> "Repository":
        if zone := _ZONE.fullmatch(location):
            raise BadInput(
                f"{location} is a zone; a repository is in a region or multi-region.",
                fix=f"use the region {zone[1]}",
                anchor="repository-location",
            )
        if not _LOCATION.fullmatch(location):
            raise BadInput(
                f"{location!r} is not a location of Artifact Registry.",
                cause="the order is LOCATION/PROJECT/REPOSITORY, and a location looks like us-central1 or europe",
                fix=f"use one of the locations that this lists\n  gcloud artifacts locations list --project={project}",
                anchor="repository-location",
            )
        if not _PROJECT.fullmatch(project):
            raise BadInput(
                f"{project!r} is not a valid project ID.",
                fix="use one of the project IDs that this lists\n  gcloud projects list --format='value(projectId)'",
                anchor="repository-form",
            )
        if not _NAME.fullmatch(name):
            raise BadInput(
                f"{name!r} is not a valid repository name: a name has only lower-case letters, digits and hyphens.",
                fix="use one of the repositories that this lists\n"
                f"  gcloud artifacts repositories list --project={project} --location={location}",
                anchor="repository-form",
            )
        base = f"{endpoints.python_registry(location)}/{project.replace(':', '/')}/{name}/"
        return cls(base, f"{base}simple/", location, project, name)

    @classmethod
    def _from_url(cls, text: str, *, project: str, location: str, endpoints: Endpoints) -> "Repository":
        if not is_web_url(text):
            raise BadInput(
                "`repository` looks like a URL, but is not a valid one that begins with https://.",
                fix=_FIX,
                anchor="repository-form",
            )
        url = urlsplit(text)
        host = url.hostname or ""
        if url.username is not None or url.password is not None:
            raise BadInput(
                "`repository` is a URL with a user name or a password.",
                cause="a secret in a URL appears in logs",
                fix="remove the user name and the password from the URL, and pass the token as `access-token`",
                anchor="repository-form",
            )
        if url.query or url.fragment:
            raise BadInput(
                "`repository` is a URL with a query or a fragment.",
                fix="remove what follows the last / of the path",
                anchor="repository-form",
            )
        _refuse_parts_twice(text, project, location)
        path = url.path.rstrip("/").removesuffix("/simple").rstrip("/")
        if google := _HOST.fullmatch(host):
            match path.strip("/").split("/"):
                case [plain, name]:
                    return cls._from_parts(google[1], plain, name, endpoints)
                case [domain, plain, name]:
                    return cls._from_parts(google[1], f"{domain}:{plain}", name, endpoints)
            raise BadInput(
                f"`repository` is a URL of Artifact Registry that does not name a project and a repository: {text}",
                fix="use `repository: https://LOCATION-python.pkg.dev/PROJECT/REPOSITORY/`",
                anchor="repository-form",
            )
        if host.endswith(".pkg.dev"):
            raise BadInput(
                f"{host} is a host of Artifact Registry, but not for Python packages.",
                cause="it is the URL of a Docker, npm or other repository",
                fix="use `repository: https://LOCATION-python.pkg.dev/PROJECT/REPOSITORY/`",
                anchor="repository-form",
            )
        base = urlunsplit((url.scheme, url.netloc, f"{path}/", "", ""))
        return cls(base, f"{base}simple/")


def is_web_url(url: str) -> bool:
    """Return whether this is an HTTP URL with a valid host (RFC 3986, RFC 5891)."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        return parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _refuse_parts_twice(text: str, project: str, location: str) -> None:
    if project or location:
        given = "`project`" if project else "`location`"
        raise BadInput(
            f"`repository` ({text}) already contains the project and the location, so {given} must not be set.",
            fix=f"remove {given}",
            anchor="repository-form",
        )
