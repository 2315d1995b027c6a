"""Write the results into `docs/benchmarks.md`, between two marks, and draw a chart of each table."""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from html import escape
from pathlib import Path

from bench import rows
from bench.measured import Measured, Table
from bench.rows import MB, Row
from bench.stage import OURS, PEERS, ROOT
from bench.tools import OURSELVES

DOCUMENT = ROOT / "docs" / "benchmarks.md"
CHARTS = ROOT / "docs" / "benchmarks"
_MARKED = re.compile(r"(<!-- measured: [^\n]*-->\n).*?(<!-- /measured -->)", re.DOTALL)
_TOOLS = ("build", "twine", "pip", "uv", "hatch", "flit", "poetry", "pdm")


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
        *(part for title, table in of.tables.items() if table for part in _table(title, table)),
        *(f"Failed: {name} ({title})." for title, names in of.failed.items() for name in names),
        *(f"Not measured: {title}: {why}." for title, why in of.missing.items()),
    ]
    return "\n\n".join(parts)


def write(made: list[Row], of: Measured, generators: Iterable[str]) -> None:
    """Write the page and its charts."""
    text = filled(DOCUMENT.read_text(encoding="utf-8"), as_markdown(made, of, generators))
    DOCUMENT.write_text(text, encoding="utf-8")
    shutil.rmtree(CHARTS, ignore_errors=True)
    CHARTS.mkdir()
    for title, table in of.tables.items():
        if table:
            (CHARTS / _file_name(title)).write_text(chart(title, table), encoding="utf-8")


def _table(title: str, table: Table) -> list[str]:
    processes = any(of.processors for of in table.values())
    columns = ["median s", "fastest", "slowest", "runs", *(["processors s", "peak memory MB"] if processes else [])]
    lines = [f"| | {' | '.join(columns)} |", f"| --- |{' --: |' * len(columns)}"]
    for name, of in table.items():
        cells = [f"{of.median:.2f}", f"{min(of.seconds):.2f}", f"{max(of.seconds):.2f}", f"{len(of.seconds)}"]
        if processes:
            cells += [f"{of.processor:.2f}" if of.processor else "", f"{of.memory / MB:.0f}" if of.memory else ""]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return [f"### {title}", f"![{title}, seconds](benchmarks/{_file_name(title)})", "\n".join(lines)]


def _file_name(title: str) -> str:
    return f"{re.sub(r'[^a-z0-9]+', '-', title.lower())}.svg"


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


def chart(title: str, table: Table) -> str:
    """Draw the seconds of a table as bars, sorted in each group; the group is what stands before a colon."""
    groups: dict[str, dict[str, float]] = {}
    for name, summary in table.items():
        group, _, rest = name.rpartition(": ")
        groups.setdefault(group, {})[rest] = summary.median
    drawn: list[str] = []
    top = 0
    for group, bars in groups.items():
        drawn += _bars(group or title, bars, top)
        top += (len(bars) + 2) * _LINE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}"'
    opening = f'{head} role="img" aria-label="{escape(title)}: seconds">'
    return "\n".join([opening, f"<style>{_STYLE}</style>", *drawn, "</svg>", ""])


def _bars(title: str, bars: dict[str, float], top: int) -> list[str]:
    most = max(bars.values())
    drawn = [f'<text class="title" x="0" y="{top + 17}">{escape(title)}, seconds</text>']
    for number, (name, seconds) in enumerate(sorted(bars.items(), key=lambda bar: bar[1]), 1):
        y, width = top + number * _LINE, max(seconds / most * _BARS, 1)
        kind = "ours" if name.startswith(OURSELVES) else "peer"
        drawn += [
            f'<text x="{_LABELS - 8}" y="{y + 17}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{_LABELS}" y="{y + 4}" width="{width:.1f}" height="{_LINE - 7}" rx="2"/>',
            f'<text x="{_LABELS + width + 8:.1f}" y="{y + 17}">{seconds:.2f}</text>',
        ]
    return drawn
