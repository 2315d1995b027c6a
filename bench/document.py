"""Write the results into `docs/benchmarks.md`, between two marks, and draw its chart."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from bench import rows
from bench.rows import MB, Measured, Row, Table
from bench.stage import OURS, PEERS, ROOT
from bench.tools import OURSELVES

DOCUMENT = ROOT / "docs" / "benchmarks.md"
CHART = ROOT / "docs" / "benchmarks.svg"
_MARKED = re.compile(r"(<!-- measured: [^\n]*-->\n).*?(<!-- /measured -->)", re.DOTALL)
_TOOLS = ("build", "twine", "pip", "uv", "hatch", "flit", "poetry")


def filled(document: str, measured: str) -> str:
    """Return the document with this text between its marks."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{measured}\n\n{found[2]}", document)


def as_markdown(made: list[Row], of: Measured, generators: Iterable[str]) -> str:
    """Return the text between the marks."""
    parts = [
        "### Targets",
        rows.as_markdown(made),
        "### Machine and versions",
        _machine(generators),
        *_table("### One small package", of.small),
        *_table("### 50 small packages", of.workspace),
        *_table("### gar-publish, by the number of packages", of.scale),
        *_table("### In containers", of.containers, memory=False),
        *(f"Failed: {name}." for name in of.failed),
    ]
    return "\n\n".join(parts)


def _table(title: str, table: Table, *, memory: bool = True) -> list[str]:
    if not table:
        return []
    columns = ["median s", "fastest", "slowest", "runs", *(["peak memory MB"] if memory else [])]
    lines = [f"| | {' | '.join(columns)} |", f"| --- |{' --: |' * len(columns)}"]
    for name, of in table.items():
        cells = [f"{of.median:.2f}", f"{min(of.seconds):.2f}", f"{max(of.seconds):.2f}", f"{len(of.seconds)}"]
        lines.append(f"| {' | '.join([name, *cells, *([f'{of.memory / MB:.0f}'] if memory else [])])} |")
    return [title, "\n".join(lines)]


def _machine(generators: Iterable[str]) -> str:
    listed = subprocess.run(
        [OURS / "uv", "pip", "list", "--format", "json", "--python", PEERS / "python"],
        capture_output=True,
        check=True,
    )
    installed = {each["name"]: each["version"] for each in json.loads(listed.stdout)}
    versions = [f"{name} {installed[name]}" for name in _TOOLS]
    about = {
        "command": "`make bench`",
        "machine": f"{os.cpu_count()} cores{_model()}, {_memory()}, {platform.system()} {platform.machine()}",
        "user": "root" if hasattr(os, "geteuid") and os.geteuid() == 0 else "not root",
        "Python": platform.python_version(),
        "peers": ", ".join(versions),
        "backends": ", ".join(sorted(generators)),
    }
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in about.items())])


def _model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return f" ({found[1]})" if found else ""


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.0f} GB"


# The chart

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600 } .peer { fill: #8c959f }
.ours { fill: #1a7f37 } @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .peer { fill: #6e7681 }
.ours { fill: #3fb950 } }
"""
_WIDTH, _LABELS, _BARS, _LINE = 800, 300, 420, 24


def chart(of: Measured) -> str:
    """Draw the seconds for one small package and for 50 as bars."""
    shown = {
        "One small hatchling package, seconds": {
            name.removeprefix("hatchling: "): summary.median
            for name, summary in of.small.items()
            if name.startswith("hatchling: ")
        },
        "50 small hatchling packages, seconds": {name: summary.median for name, summary in of.workspace.items()},
    }
    drawn: list[str] = []
    top = 0
    for title, bars in shown.items():
        if bars:
            drawn += _bars(title, bars, top)
            top += (len(bars) + 2) * _LINE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}"'
    opening = f'{head} role="img" aria-label="Seconds that gar-publish and its peers take">'
    return "\n".join([opening, f"<style>{_STYLE}</style>", *drawn, "</svg>", ""])


def _bars(title: str, bars: Mapping[str, float], top: int) -> list[str]:
    most = max(bars.values())
    drawn = [f'<text class="title" x="0" y="{top + 17}">{escape(title)}</text>']
    for number, (name, seconds) in enumerate(sorted(bars.items(), key=lambda bar: bar[1]), 1):
        y, width = top + number * _LINE, max(seconds / most * _BARS, 1)
        kind = "ours" if name.startswith(OURSELVES) else "peer"
        drawn += [
            f'<text x="{_LABELS - 8}" y="{y + 17}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{_LABELS}" y="{y + 4}" width="{width:.1f}" height="{_LINE - 7}" rx="2"/>',
            f'<text x="{_LABELS + width + 8:.1f}" y="{y + 17}">{seconds:.2f}</text>',
        ]
    return drawn
