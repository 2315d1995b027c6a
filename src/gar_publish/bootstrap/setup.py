"""The setup that the script, Terraform, the workflow and the check have in common.

https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gar_publish.auth.refusals import project_of
from gar_publish.errors import BadInput
from gar_publish.registry.refusals import WRITER
from gar_publish.settings.repository import DELETER, Repository

PROVIDER = "github"
ISSUER = "https://token.actions.githubusercontent.com"
"""The issuer of all jobs on github.com, unless their enterprise has its own."""
_HOST = "github.com"
IMPERSONATOR = "roles/iam.workloadIdentityUser"
POLICY = "old-previews"
DAYS = 30
"""The name of the cleanup policy of a repository for previews, and the age at which it deletes them."""

_ISSUER = re.compile(rf"{re.escape(ISSUER)}(?:/[A-Za-z0-9-]+)?|https://token\.actions\.([a-z0-9-]+\.ghe\.com)")
"""https://docs.github.com/en/enterprise-cloud@latest/actions/reference/security/oidc"""

ADVICE = (
    "A job's own tokens last about five minutes, those of a service account an hour.",
    "For jobs that install packages later, such as in a docker build, add --service-account=publisher.",
)
"""What a setup without a service account comes with, as lines."""

_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}")
_NAME = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,100}")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9._-]{1,100}")
_ACCOUNT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_LONGEST_POOL = 32
_DIGEST = 8


@dataclass(frozen=True)
class Setup:
    """A GitHub repository, or all of an owner, that publishes to one repository.

    Attributes:
        repository: The repository to publish to, in Artifact Registry.
        owner: The user or organisation on GitHub.
        name: The GitHub repository that publishes; None for every repository of the owner.
        environment: The GitHub environment whose jobs publish; None for every job.
        account: The name of the service account that the jobs act as; None if they publish as themselves.
        owner_id: GitHub's number for the owner, if known.
        repository_id: GitHub's number for the GitHub repository, if known.
        issuer: The issuer of the jobs' identity tokens.
        previews: Whether the repository is for previews of pull requests, which the jobs also delete.
    """

    repository: Repository
    owner: str
    name: str | None
    environment: str | None
    account: str | None
    owner_id: str | None
    repository_id: str | None
    issuer: str = ISSUER
    previews: bool = False

    @classmethod
    def read(cls, options: Mapping[str, object], repository: Repository) -> "Setup":
        """Read the options of the command.

        Raises:
            BadInput: One of them is malformed.
        """
        texts = {name: value.strip() for name, value in options.items() if isinstance(value, str)}
        issuer = texts.get("issuer", ISSUER).rstrip("/")
        owner, name = _github(texts.get("github", ""), _host(issuer))
        environment = texts.get("environment")
        if environment is not None and not _ENVIRONMENT.fullmatch(environment):
            raise BadInput(
                f"`--environment` is {environment!r}; it takes letters, digits, dots, - and _.",
                cause="the name becomes part of a condition and of a shell script",
                fix="rename the environment on GitHub, in Settings > Environments",
                anchor="bootstrap-names",
            )
        if repository.resource is None:
            raise BadInput(
                f"{repository} is not a repository of Artifact Registry, so there is nothing to set up.",
                fix="use --repository LOCATION/PROJECT/REPOSITORY",
                anchor="bootstrap-names",
            )
        return cls(
            repository,
            owner,
            name,
            environment,
            _account(texts.get("account"), str(repository.project)),
            texts.get("github_owner_id"),
            texts.get("github_repository_id") if name else None,
            issuer,
            bool(options.get("previews")),
        )

    @property
    def host(self) -> str:
        """Return the host of GitHub that has the repositories."""
        return _host(self.issuer)

    @property
    def github(self) -> str:
        return f"{self.owner}/{self.name}" if self.name else self.owner

    @property
    def principal(self) -> str:
        """Return who may publish, in words."""
        jobs = f"jobs of {self.github}" if self.name else f"jobs of every repository of {self.owner}"
        return f"{jobs} in the environment {self.environment}" if self.environment else jobs

    @property
    def role(self) -> str:
        """Return the role that publishing needs on the repository."""
        return DELETER if self.previews else WRITER

    @property
    def packages(self) -> str:
        """Return what is published, in words."""
        return "previews of Python packages" if self.previews else "Python packages"

    @property
    def description(self) -> str:
        """Return what the repository has, in words."""
        return "Previews of pull requests, which are deleted" if self.previews else "Private Python packages"

    @property
    def pool(self) -> str:
        """Return the pool's id; each setup has its own pool, so that no other provider can admit anyone to it.

        `settings/credential.py` recognises it by its beginning.
        """
        tenant = None if self.host == _HOST else self.host
        parts = [part.lower() for part in ("github", tenant, self.owner, self.name, self.environment) if part]
        plain = "--".join(parts)
        id_ = re.sub(r"[^a-z0-9-]", "-", plain)
        if id_ == plain and len(id_) <= _LONGEST_POOL and plain.split("--") == parts:
            return id_
        digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:_DIGEST]
        return f"{id_[: _LONGEST_POOL - _DIGEST - 1].rstrip('-')}-{digest}"

    @property
    def mapping(self) -> Mapping[str, str]:
        """Return the attribute mapping; it has only ids, since names change owners and subjects have two forms."""
        claims = ["repository_id", "repository_owner_id", *(["environment"] if self.environment else [])]
        return {
            "google.subject": "assertion.repository_id",
            **{f"attribute.{claim}": f"assertion.{claim}" for claim in claims},
        }

    def condition(self, owner_id: str, repository_id: str) -> str:
        """Return the provider's condition, as CEL."""
        claims = {
            "repository_owner_id": owner_id,
            **({"repository_id": repository_id} if self.name else {}),
            **({"environment": self.environment} if self.environment else {}),
        }
        return " && ".join(f"assertion.{claim} == '{value}'" for claim, value in claims.items())

    def member(self, pool: str, owner_id: str, repository_id: str) -> str:
        """Return the IAM member that stands for the jobs.

        Args:
            pool: The pool's full name, with the project's number.
            owner_id: GitHub's number for the owner.
            repository_id: GitHub's number for the GitHub repository; not used without a name.
        """
        attribute = f"repository_id/{repository_id}" if self.name else f"repository_owner_id/{owner_id}"
        return f"principalSet://iam.googleapis.com/{pool}/attribute.{attribute}"

    @property
    def services(self) -> list[str]:
        names = ["artifactregistry", "cloudresourcemanager", "iam", "sts"]
        return [f"{name}.googleapis.com" for name in (*names, *(["iamcredentials"] if self.account else []))]

    @property
    def email(self) -> str | None:
        return f"{self.account}@{_domain(str(self.repository.project))}" if self.account else None

    def provider(self, number: str) -> str:
        """Return the provider's full name, for the workflow."""
        return f"projects/{number}/locations/global/workloadIdentityPools/{self.pool}/providers/{PROVIDER}"

    @property
    def ids(self) -> Mapping[str, tuple[str | None, str]]:
        """Return each id that is needed, None if it is not known, and the command that prints it."""
        gh = "gh api" if self.host == _HOST else f"gh api --hostname {self.host}"
        if not self.name:
            return {"owner_id": (self.owner_id, f"{gh} users/{self.owner} --jq .id")}
        return {
            "owner_id": (self.owner_id, f"{gh} repos/{self.github} --jq .owner.id"),
            "repository_id": (self.repository_id, f"{gh} repos/{self.github} --jq .id"),
        }

    @property
    def ids_page(self) -> str:
        """Return the page of GitHub's API with the ids, which needs no login if the repository is public."""
        api = f"https://api.{self.host}"
        return f"{api}/repos/{self.github}" if self.name else f"{api}/users/{self.owner}"

    @property
    def arguments(self) -> list[str]:
        """Return the options that describe this setup."""
        given = {
            "github": self.github,
            "repository": str(self.repository),
            "environment": self.environment,
            "service-account": self.account,
            "github-owner-id": self.owner_id,
            "github-repository-id": self.repository_id,
            "issuer": None if self.issuer == ISSUER else self.issuer,
        }
        return [f"--{name}={value}" for name, value in given.items() if value] + ["--previews"] * self.previews


def _host(issuer: str) -> str:
    """Return the host of GitHub that an issuer belongs to.

    Raises:
        BadInput: It is not an issuer of GitHub Actions: Google would trust whatever its server signs.
    """
    found = _ISSUER.fullmatch(issuer)
    if not found:
        raise BadInput(
            f"`--issuer` is {issuer!r}, which is not an issuer of GitHub Actions.",
            fix="use --issuer https://token.actions.TENANT.ghe.com for a tenant on ghe.com, or "
            f"--issuer {ISSUER}/ENTERPRISE for an enterprise with its own issuer",
            anchor="bootstrap-names",
        )
    return found[1] or _HOST


def _github(text: str, host: str) -> tuple[str, str | None]:
    owner, slash, name = text.removeprefix(f"https://{host}/").partition("/")
    name = name.rstrip("/").removesuffix(".git")
    if not _OWNER.fullmatch(owner) or (slash and not _NAME.fullmatch(name)):
        raise BadInput(
            f"`--github` is {text!r}, which is not a repository or organisation on {host}.",
            fix="use --github OWNER/REPOSITORY, or --github OWNER for all repositories of an organisation",
            anchor="bootstrap-names",
        )
    return owner, name or None


def _account(text: str | None, project: str) -> str | None:
    if text is None:
        return None
    name, at, _ = text.partition("@")
    if (at and project_of(text) != project) or not _ACCOUNT.fullmatch(name):
        raise BadInput(
            f"`--service-account` is {text!r}, which is not a valid service account of {project}.",
            cause="a name has 6 to 30 lower-case letters, digits and hyphens; an address must be of this project",
            fix="use a name like --service-account publisher",
            anchor="bootstrap-names",
        )
    return name


def _domain(project: str) -> str:
    """Return the domain of a project's accounts; the reverse of `project_of`."""
    domain, _, id_ = project.rpartition(":")
    return f"{id_}.{domain}.iam.gserviceaccount.com" if domain else f"{id_}.iam.gserviceaccount.com"
