"""Makes docs/summary.png: the step summary of a real run of examples/monorepo, rendered by Chromium.

`python docs/picture.py`; it needs `chromium` on the path.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt

from gar_emulator import Emulator

ROOT = Path(__file__).parent.parent
PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
STYLE = """
body { margin: 0; background: #fff; color: #1f2328; font: 14px/1.5 "Liberation Sans", sans-serif; }
main { margin: 20px; padding: 4px 24px 16px; border: 1px solid #d1d9e0; border-radius: 6px; }
h1, h2, h3 { font-weight: 600; line-height: 1.25; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: 5px 12px; border: 1px solid #d1d9e0; text-align: left; }
tr:nth-child(2n) td { background: #f6f8fa; }
code { padding: .2em .4em; background: #eff1f3; border-radius: 6px; font: 85% "DejaVu Sans Mono", monospace; }
pre { padding: 12px; background: #f6f8fa; border-radius: 6px; }
pre code { padding: 0; background: none; }
blockquote { margin: 0; padding: 0 1em; color: #59636e; border-left: .25em solid #d1d9e0; }
a { color: #0969da; text-decoration: none; }
"""


def summary(folder: Path) -> str:
    """Publish examples/monorepo to an emulator; the summary that the job's page shows."""
    work, said = folder / "work", folder / "summary.md"
    shutil.copytree(ROOT / "examples" / "monorepo", work)
    said.touch()
    with Emulator(data=folder / "emulator") as emulator:
        subprocess.run(
            [
                *(sys.executable, "-m", "gar_publish.cli.main", "publish", "packages/*"),
                *("--repository", "us-central1/demo-project/python", "--workload-identity-provider", PROVIDER),
            ],
            cwd=work,
            env={**os.environ, **emulator.exports(), "GITHUB_STEP_SUMMARY": str(said)},
            check=True,
        )
    return said.read_text(encoding="utf-8")


def main() -> None:
    """Write docs/summary.png."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        body = MarkdownIt("gfm-like", {"linkify": False}).render(summary(folder))
        page = folder / "page.html"
        page.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><main>{body}</main>", "utf-8")
        subprocess.run(
            [
                shutil.which("chromium") or sys.exit("chromium is not installed"),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--window-size=1120,515",
                f"--screenshot={ROOT / 'docs' / 'summary.png'}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    main()
