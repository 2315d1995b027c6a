"""Measure how much longer a preview takes than publishing the same packages: `python -m bench.previews --rounds 10`.

Each package requires another one of the workspace, and a pull request has changed all of them. The emulator is as far
away as in `make bench`. Each round runs both, in changing order, and the result is the median of the rounds' ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import projects, publisher
from bench.measure import Bench, Case, Command
from bench.previews_kill import previews_repository
from bench.stage import Stage
from bench.tools import Tools
from gar_emulator.world.iam import Binding

PLAIN, PREVIEW = "publish", "publish --preview"
WHERE = "us-central1/demo-project/previews"
REPOSITORY = previews_repository("previews")
_POOL = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github"
WRITER = Binding(
    f"principalSet://{_POOL}/attribute.repository_owner/octo-org", "roles/artifactregistry.writer", REPOSITORY.resource
)
"""Octo-org's workflows publish there."""
ALLOWED = 1.05


def main() -> int:
    """Measure, and print the result.

    Returns:
        1 if a preview takes more than 5 % longer, or a run failed.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--packages", type=int, default=60)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="gar-publish-bench-", ignore_cleanup_errors=True) as scratch,
        Stage(Path(scratch)) as stage,
    ):
        ratios = measure(stage, options.packages, options.rounds)
    if not ratios:
        return 1
    ratio = statistics.median(ratios)
    print(f"a preview takes {ratio:.3f} times as long ({min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} rounds)")
    return int(ratio > ALLOWED)


def measure(stage: Stage, count: int, rounds: int) -> list[float]:
    """Return, for each round, the time of a preview divided by that of publishing; nothing if one failed."""
    stage.emulator.cloud.store.create(REPOSITORY)
    stage.emulator.cloud.set_policy(REPOSITORY.resource, [WRITER])
    tools = Tools(stage)
    names = [projects.part(number) for number in range(count)]

    def prepare(folder: Path, number: int) -> None:
        projects.write_workspace(folder, count, f"1.{number}.0")
        for each in range(1, count):
            with (folder / "packages" / projects.part(each) / "pyproject.toml").open("a") as file:
                file.write(f'dependencies = ["{projects.part(each // 2)}>=1.0"]\n')

    def plain(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
        prepare(folder, number)
        return {PLAIN: tools.ours(folder, "packages/*")}

    def preview(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
        base = _commit(folder)
        prepare(folder, number)
        head = _commit(folder)
        event = folder.with_suffix(".json")
        pull_request = {"number": number, "head": {"sha": head}, "base": {"sha": base}}
        event.write_text(json.dumps({"pull_request": pull_request}))
        job = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event), "GITHUB_SHA": head}
        return {PREVIEW: tools.ours(folder, "--repository", WHERE, "--preview", "packages/*", **job)}

    def check(repository: str, version: str) -> None:
        stored = {each.package for each in stage.emulator.files(repository) if each.version.startswith(version)}
        if missing := set(names) - stored:
            raise RuntimeError(f"not uploaded: {sorted(missing)}")

    cases = [
        Case(PLAIN, plain, lambda number: check(publisher.REPOSITORY, f"1.{number}.0")),
        Case(PREVIEW, preview, lambda number: check(WHERE, f"1.{number}.1.dev")),
    ]
    bench = Bench(stage.folder / "runs", lambda line: print(line, file=sys.stderr))
    found = bench.run(cases, rounds)
    if bench.failed:
        return []
    return [two / one for one, two in zip(found[PLAIN].seconds, found[PREVIEW].seconds, strict=True)]


def _commit(folder: Path) -> str:
    """Commit everything in a folder, and return the hash."""
    git = ["git", "-C", str(folder), "-c", "user.name=octocat", "-c", "user.email=octocat@example.org"]
    environment = {name: os.environ[name] for name in ("PATH",) if name in os.environ} | {"HOME": str(folder.parent)}
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Change", "--allow-empty"]):
        subprocess.run([*git, *command], env=environment, check=True, capture_output=True)
    done = subprocess.run([*git, "rev-parse", "HEAD"], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
