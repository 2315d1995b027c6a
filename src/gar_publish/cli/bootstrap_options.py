"""The options of `gar-publish bootstrap`."""

import argparse


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options that only this command has."""
    command.add_argument(
        "--github", required=True, metavar="OWNER[/REPOSITORY]", help="the repository or organisation that publishes"
    )
    command.add_argument("--environment", metavar="NAME", help="let only jobs of this GitHub environment publish")
    command.add_argument(
        "--service-account",
        dest="account",
        metavar="NAME",
        help="create this account, and let the jobs publish as this account instead of as themselves; its tokens last "
        "an hour, theirs about five minutes",
    )
    command.add_argument(
        "--previews",
        action="store_true",
        help="set up a repository for previews of pull requests: with a label that says so, a cleanup policy, and the "
        "right to delete versions",
    )
    command.add_argument(
        "--issuer", metavar="URL", help="the issuer of a ghe.com tenant, or of an enterprise that has its own"
    )
    command.add_argument(
        "--github-owner-id",
        type=_number,
        metavar="NUMBER",
        help="GitHub's id of the owner: gh api users/OWNER --jq .id",
    )
    command.add_argument(
        "--github-repository-id",
        type=_number,
        metavar="NUMBER",
        help="its id of the repository: gh api repos/OWNER/REPOSITORY --jq .id",
    )
    command.add_argument(
        "--project-number", type=_number, metavar="NUMBER", help="for --workflow; without it, Google is asked"
    )
    forms = command.add_mutually_exclusive_group()
    for name, meaning in (
        ("terraform", "print Terraform's configuration instead of a shell script"),
        ("workflow", "print the workflow that publishes"),
        ("check", "check what exists already; needs the ids"),
    ):
        forms.add_argument(f"--{name}", dest="form", action="store_const", const=name, default="script", help=meaning)


def _number(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return text
