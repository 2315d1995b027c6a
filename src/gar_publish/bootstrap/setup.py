"""Who is to publish where: the set-up that the script, Terraform and the check agree on.

https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gar_publish.auth.refusals import project_of
from gar_publish.errors import BadInput
from gar_publish.settings.repository import Repository

PROVIDER = "github"
ISSUER = "https://token.actions.githubusercontent.com"
WRITER = "roles/artifactregistry.writer"
IMPERSONATOR = "roles/iam.workloadIdentityUser"

_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}")
_NAME = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,100}")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9._-]{1,100}")
_ACCOUNT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_LONGEST_POOL = 32
_DIGEST = 8


@dataclass(frozen=True)
class Wanted:
    """A set-up.

    Attributes:
        repository: Where packages go; one of Artifact Registry.
        owner: The user or organisation on GitHub.
        name: The one repository on GitHub that publishes; None for every repository of the owner.
        environment: The one environment whose jobs publish; None for every job.
        account: The name of the service account that the jobs act as; None where they publish as themselves.
        owner_id: GitHub's number for the owner; None if it is not known.
        repository_id: GitHub's number for the repository; None if it is not known, or there is no such one.
    """

    repository: Repository
    owner: str
    name: str | None
    environment: str | None
    account: str | None
    owner_id: str | None
    repository_id: str | None

    @classmethod
    def read(cls, options: Mapping[str, object], repository: Repository) -> "Wanted":
        """Read the options of the command.

        Raises:
            BadInput: One of them is malformed.
        """
        texts = {name: value.strip() for name, value in options.items() if isinstance(value, str)}
        owner, name = _github(texts.get("github", ""))
        environment = texts.get("environment")
        if environment is not None and not _ENVIRONMENT.fullmatch(environment):
            raise BadInput(
                f"`--environment` is {environment!r}; it takes letters, digits, dots, - and _.",
                cause="the name becomes part of a condition and of a shell script",
                fix="give the environment such a name: Settings > Environments",
                anchor="bootstrap-names",
            )
        if repository.resource is None:
            raise BadInput(
                f"{repository} is not a repository of Artifact Registry, so there is nothing to set up.",
                fix="--repository us-central1/my-project/python",
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
        )

    @property
    def github(self) -> str:
        return f"{self.owner}/{self.name}" if self.name else self.owner

    @property
    def who(self) -> str:
        """Who may publish, in words."""
        jobs = f"jobs of {self.github}" if self.name else f"jobs of every repository of {self.owner}"
        return f"{jobs} in the environment {self.environment}" if self.environment else jobs

    @property
    def pool(self) -> str:
        """The pool's id: one pool for each set-up, so that no other provider lets anybody else into it."""
        parts = [part.lower() for part in ("github", self.owner, self.name, self.environment) if part]
        plain = "--".join(parts)
        id_ = re.sub(r"[^a-z0-9-]", "-", plain)
        if id_ == plain and len(id_) <= _LONGEST_POOL and plain.split("--") == parts:
            return id_
        digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:_DIGEST]
        return f"{id_[: _LONGEST_POOL - _DIGEST - 1].rstrip('-')}-{digest}"

    @property
    def mapping(self) -> Mapping[str, str]:
        """Attributes by name; ids only, since names change hands and subjects come in two forms."""
        claims = ["repository_id", "repository_owner_id", *(["environment"] if self.environment else [])]
        return {
            "google.subject": "assertion.repository_id",
            **{f"attribute.{claim}": f"assertion.{claim}" for claim in claims},
        }

    def condition(self, owner_id: str, repository_id: str) -> str:
        """Whom the provider lets in, as CEL."""
        claims = {
            "repository_owner_id": owner_id,
            **({"repository_id": repository_id} if self.name else {}),
            **({"environment": self.environment} if self.environment else {}),
        }
        return " && ".join(f"assertion.{claim} == '{value}'" for claim, value in claims.items())

    def jobs(self, pool: str, owner_id: str, repository_id: str) -> str:
        """The member of IAM that stands for the jobs.

        Args:
            pool: The pool's full name, with the project's number.
            owner_id: GitHub's number for the owner.
            repository_id: GitHub's number for the repository, where there is one.
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
        """The provider's full name, as the workflow has it."""
        return f"projects/{number}/locations/global/workloadIdentityPools/{self.pool}/providers/{PROVIDER}"

    @property
    def ids(self) -> Mapping[str, tuple[str | None, str]]:
        """What is known of each id that is needed, and the command that finds it out."""
        if not self.name:
            return {"owner_id": (self.owner_id, f"gh api users/{self.owner} --jq .id")}
        return {
            "owner_id": (self.owner_id, f"gh api repos/{self.github} --jq .owner.id"),
            "repository_id": (self.repository_id, f"gh api repos/{self.github} --jq .id"),
        }

    @property
    def arguments(self) -> list[str]:
        """The options that ask for this set-up again."""
        given = {
            "github": self.github,
            "repository": str(self.repository),
            "environment": self.environment,
            "service-account": self.account,
            "github-owner-id": self.owner_id,
            "github-repository-id": self.repository_id,
        }
        return [f"--{name}={value}" for name, value in given.items() if value]


def _github(text: str) -> tuple[str, str | None]:
    owner, slash, name = text.removeprefix("https://github.com/").partition("/")
    name = name.rstrip("/").removesuffix(".git")
    if not _OWNER.fullmatch(owner) or (slash and not _NAME.fullmatch(name)):
        raise BadInput(
            f"`--github` is {text!r}, which is no repository or organisation on GitHub.",
            fix="--github OWNER/REPOSITORY, or --github OWNER for all repositories of an organisation",
            anchor="bootstrap-names",
        )
    return owner, name or None


def _account(text: str | None, project: str) -> str | None:
    if text is None:
        return None
    name, at, _ = text.partition("@")
    if (at and project_of(text) != project) or not _ACCOUNT.fullmatch(name):
        raise BadInput(
            f"`--service-account` is {text!r}; it takes the name of an account of {project}.",
            cause="a name has 6 to 30 lower-case letters, digits and hyphens; of an address, the project must fit",
            fix="--service-account publisher",
            anchor="bootstrap-names",
        )
    return name


def _domain(project: str) -> str:
    """What the addresses of a project's accounts end in, as `project_of` reads it."""
    domain, _, id_ = project.rpartition(":")
    return f"{id_}.{domain}.iam.gserviceaccount.com" if domain else f"{id_}.iam.gserviceaccount.com"
