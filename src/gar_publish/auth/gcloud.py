"""Tokens of gcloud's login."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from gar_publish.auth.tokens import Token
from gar_publish.console import Console
from gar_publish.errors import CredentialsFailure

_SECONDS = 60


def find(environment: Mapping[str, str]) -> str | None:
    """Return the gcloud program on the PATH (`gcloud.cmd` on Windows)."""
    return shutil.which("gcloud", path=environment.get("PATH", ""))


def login_file(environment: Mapping[str, str]) -> Path | None:
    """Return the file of `gcloud auth application-default login`; None if there is none."""
    if folder := environment.get("CLOUDSDK_CONFIG"):
        config = Path(folder)
    elif folder := environment.get("APPDATA"):
        config = Path(folder, "gcloud")
    else:
        config = Path(environment.get("HOME", "/nonexistent"), ".config", "gcloud")
    file = config / "application_default_credentials.json"
    return file if file.is_file() else None


def fetch(program: str, environment: Mapping[str, str], console: Console) -> Token:
    """Return a token from gcloud that is valid for at least ten minutes.

    Raises:
        CredentialsFailure: gcloud is not logged in, or its login has expired.
    """
    command = [program, "config", "config-helper", "--format=json(credential)", "--min-expiry=10m"]
    try:
        done = subprocess.run(
            command,
            env={**_without_job_secrets(environment), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=True,
        )
        credential = json.loads(done.stdout)["credential"]
        value = str(credential["access_token"])
        console.mask(value)
        expiry = credential.get("token_expiry")
        return Token(value, datetime.fromisoformat(expiry).astimezone(UTC) if expiry else None)
    except subprocess.CalledProcessError as error:
        words = error.stderr
    except subprocess.TimeoutExpired:
        words = f"no answer in {_SECONDS} s"
    except (OSError, ValueError, KeyError, TypeError):
        words = "an answer without a token"
    raise CredentialsFailure(
        "gcloud is installed, but returned no token.",
        cause="no account is logged in, or the login has expired",
        fix="log in, then run the same command again\n  gcloud auth login",
        anchor="gcloud-login",
        detail=words[-1000:],
    )


def _without_job_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what gcloud does not need: the job's inputs and its right to an identity token."""
    return {name: value for name, value in environment.items() if not name.startswith(("ACTIONS_", "INPUT_"))}
