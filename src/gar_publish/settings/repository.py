"""Where to publish: one repository, and every URL derived from it."""

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
_FORMS = (
    "LOCATION/PROJECT/REPOSITORY (us-central1/my-project/python), "
    "projects/P/locations/L/repositories/R, "
    "https://LOCATION-python.pkg.dev/PROJECT/REPOSITORY/, "
    "or the bare name together with `project` and `location`"
)


@dataclass(frozen=True)
class Repository:
    """One package index that takes uploads.

    Attributes:
        upload_url: Where files are posted to, with a trailing slash.
        index_url: The simple index (PEP 503), with a trailing slash.
        location: The region or multi-region; None where the repository was given as the URL of another index.
        project: The Google Cloud project's id; None likewise.
        name: The repository's id; None likewise.
    """

    upload_url: str
    index_url: str
    location: str | None = None
    project: str | None = None
    name: str | None = None

    @property
    def resource(self) -> str | None:
        """The name that Google's APIs know it by (https://google.aip.dev/122), or None for another index."""
        if self.name is None:
            return None
        return f"projects/{self.project}/locations/{self.location}/repositories/{self.name}"

    @property
    def files_url(self) -> str | None:
        """Where Artifact Registry serves files, as `NAME/FILE` below, or None for another index."""
        return self.upload_url if self.name else None

    def to_create(self, name: str | None = None) -> str:
        """The command that creates it, or one of another name beside it."""
        return (
            f"gcloud artifacts repositories create {name or self.name} --repository-format=python "
            f"--location={self.location} --project={self.project}"
        )

    def to_describe(self) -> str:
        """The command that shows what it is."""
        return f"gcloud artifacts repositories describe {self.name} --location={self.location} --project={self.project}"

    def to_grant(self, member: str, role: str) -> str:
        """The command that gives a member, quoted for a shell where that is needed, a role on it."""
        return (
            f"gcloud artifacts repositories add-iam-policy-binding {self.name} --location={self.location} "
            f"--project={self.project} --member={member} --role={role}"
        )

    def __str__(self) -> str:
        return f"{self.location}/{self.project}/{self.name}" if self.name else self.upload_url

    @classmethod
    def parse(cls, text: str, *, project: str = "", location: str = "", endpoints: Endpoints) -> "Repository":
        """Read any form that the `repository` input takes.

        Raises:
            BadInput: It has none of the forms, or a part of it cannot be right.
        """
        if not text:
            raise BadInput("`repository` is missing.", fix=f"give it as {_FORMS}", anchor="repository-form")
        if not text.isprintable():
            raise BadInput(
                f"`repository` holds characters that cannot be seen: {text!a}",
                cause="it was copied from a page or a document that holds them",
                fix="type it anew",
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
                if not project or not location:
                    given = {"`project`": project, "`location`": location}
                    missing = " and ".join(which for which, value in given.items() if not value)
                    verb = "is" if any(given.values()) else "are"
                    raise BadInput(
                        f"`repository` is the bare name {name!r}, and {missing} {verb} missing.",
                        fix=f"set {missing}, or give `repository` as us-central1/my-project/{name}",
                        anchor="repository-form",
                    )
                return cls._from_parts(location, project, name, endpoints)
            case [first, second, third]:
                _refuse_parts_twice(text, project, location)
                return cls._from_parts(first, second, third, endpoints)
        raise BadInput(
            f"`repository` has no form that is known: {text}",
            fix=f"give it as {_FORMS}",
            anchor="repository-form",
        )

    @classmethod
    def _from_parts(cls, location: str, project: str, name: str, endpoints: Endpoints) -> "Repository":
        if zone := _ZONE.fullmatch(location):
            raise BadInput(
                f"{location} is a zone; a repository lives in a region or multi-region.",
                fix=f"use {zone[1]}",
                anchor="repository-location",
            )
        if not _LOCATION.fullmatch(location):
            raise BadInput(
                f"{location!r} cannot be a location of Artifact Registry.",
                cause="the order is LOCATION/PROJECT/REPOSITORY, and a location looks like us-central1 or europe",
                fix=f"gcloud artifacts locations list --project={project}",
                anchor="repository-location",
            )
        if not _PROJECT.fullmatch(project):
            raise BadInput(
                f"{project!r} cannot be the id of a Google Cloud project.",
                fix="gcloud projects list --format='value(projectId)'",
                anchor="repository-form",
            )
        if not _NAME.fullmatch(name):
            raise BadInput(
                f"{name!r} cannot be the name of a repository: lower-case letters, digits and hyphens only.",
                fix=f"gcloud artifacts repositories list --project={project} --location={location}",
                anchor="repository-form",
            )
        base = f"{endpoints.python_registry(location)}/{project.replace(':', '/')}/{name}/"
        return cls(base, f"{base}simple/", location, project, name)

    @classmethod
    def _from_url(cls, text: str, *, project: str, location: str, endpoints: Endpoints) -> "Repository":
        try:
            url = urlsplit(text)
            host = url.hostname or ""
            _ = url.port
        except ValueError as error:
            raise BadInput(
                f"`repository` is not a URL: {error}", fix=f"give it as {_FORMS}", anchor="repository-form"
            ) from None
        if url.scheme not in {"https", "http"} or not host:
            raise BadInput(
                "`repository` is a URL, but not an https one.",
                fix=f"give it as {_FORMS}",
                anchor="repository-form",
            )
        if not is_web_url(text):
            raise BadInput(
                f"`repository` names a host that cannot be one: {host}",
                fix=f"give it as {_FORMS}",
                anchor="repository-form",
            )
        if url.username is not None or url.password is not None:
            raise BadInput(
                "`repository` holds a user name or a password.",
                cause="a secret in a URL ends up in logs",
                fix="leave it out of the URL and give the token as `access-token`",
                anchor="repository-form",
            )
        if url.query or url.fragment:
            raise BadInput(
                "`repository` holds a query or a fragment.",
                fix="give the URL up to the last /",
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
                f"`repository` is a URL of Artifact Registry without a project and a repository: {text}",
                fix="https://LOCATION-python.pkg.dev/PROJECT/REPOSITORY/",
                anchor="repository-form",
            )
        if host.endswith(".pkg.dev"):
            raise BadInput(
                f"{host} is a host of Artifact Registry, but not one for Python packages.",
                cause="the URL of a Docker, npm or other repository was given",
                fix="https://LOCATION-python.pkg.dev/PROJECT/REPOSITORY/",
                anchor="repository-form",
            )
        base = urlunsplit((url.scheme, url.netloc, f"{path}/", "", ""))
        return cls(base, f"{base}simple/")


def is_web_url(url: str) -> bool:
    """Whether this is a URL of HTTP whose host can be looked up (RFC 3986, RFC 5891)."""
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
            f"`repository` ({text}) says it all, and {given} is given as well.",
            fix="give `project` and `location` only with a bare repository name",
            anchor="repository-form",
        )
