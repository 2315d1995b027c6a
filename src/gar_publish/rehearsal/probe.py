"""Import what an installed distribution brings, and write what happened to a file.

A Python of an environment runs this file, with a folder as the argument: it reads `request.json` there and writes
`answer.json`. It imports nothing of gar-publish, and works with Python 3.8.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import json
import os
import re
import sys
import traceback
import warnings
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_IMPORTED = {"tests", "test", "testing", "examples", "example", "docs", "doc", "templates", "template"}
OF_ONE_PYTHON = re.compile(r"(^|_|py_?|python_?|cp_?)[23](_?\d{1,2})?(k|plus)?$")
LEFT_OVER = {"setup", "conftest", "noxfile", "__main__"}
VALUE = re.compile(r"\s*(?P<module>[\w.]+)\s*(?::\s*(?P<attribute>[\w.]+))?\s*(\[.*\])?\s*$")
LONGEST = 500
SUFFIXES = sorted(all_suffixes(), key=len, reverse=True)
SCRIPTS = ("console_scripts", "gui_scripts")


class Installed:
    """The modules of an installed distribution.

    Attributes:
        packages: The names of its regular packages.
        modules: The names of all its modules and packages, each with its file.
        points: Its entry points, each with group, name, module and attribute.
    """

    def __init__(self, name: str) -> None:
        site, info = find(name)
        self.packages: set[str] = set()
        self.modules: dict[str, str] = {}
        self.points = list(entry_points(info / "entry_points.txt"))
        for line in (info / "RECORD").read_text(encoding="utf-8").splitlines():
            folder, _, file = line.rpartition(",")[0].rpartition(",")[0].strip('"').rpartition("/")
            suffix = next((each for each in SUFFIXES if file.endswith(each)), "")
            parts = [*(folder.split("/") if folder else []), file[: len(file) - len(suffix)]]
            if not suffix or "__pycache__" in parts or not all(part.isidentifier() for part in parts):
                continue
            path = f"{Path(site, *parts)}{suffix}"
            if parts[-1] == "__init__":
                parts.pop()
                self.packages |= {".".join(parts)} - {""}
            if parts:
                self.modules.setdefault(".".join(parts), path)

    def top(self) -> list[str]:
        """Return the modules and regular packages that are in no regular package, in the order of their names."""
        return [
            name
            for name in sorted(self.modules)
            if not self.packages.intersection(parents(name)) and is_for_import(name)
        ]

    def deep(self) -> list[str]:
        """Return all other modules that are for import."""
        top = set(self.top())
        return [name for name in sorted(self.modules) if name not in top and is_for_import(name)]

    def has(self, name: str) -> bool:
        """Return whether there is a module of this name, or anything below it."""
        return name in self.modules or any(each.startswith(name + ".") for each in self.modules)

    def lacks(self, name: str) -> str:
        """Return the first part of a dotted name that one of its regular packages should have, and has not."""
        for each in [*parents(name), name]:
            above = each.rpartition(".")[0]
            if above in self.packages and not self.has(each):
                return each
            if above and above not in self.packages:
                return ""
        return ""


def find(name: str) -> tuple[str, Path]:
    """Return the folder that has a distribution, and that of its metadata."""
    # importlib.metadata would do, but takes longer to import than everything else.
    for site in sys.path:
        for each in sorted(Path(site).glob("*.dist-info")):
            if re.sub(r"[-_.]+", "-", each.name.partition("-")[0]).lower() == name:
                return site, each
    raise LookupError(name)


def entry_points(file: Path) -> Iterator[tuple[str, str, str, str]]:
    group = ""
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        if line.lstrip().startswith("#"):
            continue
        name, _, value = line.partition("=")
        parts = VALUE.match(value)
        if line.startswith("["):
            group = line.strip("[] ")
        elif parts:
            yield group, name.strip(), parts["module"], parts["attribute"] or ""


def parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:number]) for number in range(1, len(parts))]


def is_for_import(name: str) -> bool:
    parts = name.split(".")
    return (
        NOT_IMPORTED.isdisjoint(parts)
        and parts[-1] not in LEFT_OVER
        and not any(OF_ONE_PYTHON.search(part) for part in parts[1:])
    )


def load(module: str, attribute: str = "") -> dict[str, Any] | None:
    """Import a module and get an attribute of it. Return what went wrong; None if nothing did."""
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split(".") if attribute else ():
            found = getattr(found, part)
    except BaseException as error:  # noqa: BLE001 - SystemExit, too
        return told(error)
    return None


def told(error: BaseException) -> dict[str, Any]:
    """Return an exception as JSON, with the modules that were missing when it or one of its causes was raised."""
    missing: list[str] = []
    each: BaseException | None = error
    for _ in range(10):
        if each is None:
            break
        if isinstance(each, ModuleNotFoundError) and each.name:
            missing.append(each.name)
        each = each.__cause__ or each.__context__
    where = [
        f"{shortened(frame.filename)}, line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith("<")
    ]
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001 - it is the wheel's own class
        message = ""
    return {
        "type": type(error).__name__,
        "message": shortened(message)[:LONGEST],
        "missing": missing,
        "where": [each for each in where if "importlib" not in each][-1:],
    }


def shortened(text: str) -> str:
    """Return a text with paths relative to the folders that Python looks in."""
    for folder in sorted(sys.path, key=len, reverse=True):
        text = text.replace(folder + os.sep, "") if folder else text
    return text


def unconditional(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the imports of a module that always happen."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If) and any(isinstance(each, (ast.Raise, ast.Expr)) for each in node.body):
            return  # what follows may need the condition


def examine(installed: Installed, name: str) -> Iterator[dict[str, Any]]:
    """Yield what is wrong with a module, without importing it, as far as it can be told."""
    path = installed.modules[name]
    if not path.endswith(".py"):
        return
    try:
        tree = compile(Path(path).read_bytes(), path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        yield {"kind": "syntax", "name": name, "message": f"{error.msg} (line {error.lineno})"}
        return
    except (OSError, ValueError, RecursionError, MemoryError):
        return
    package = name if name in installed.packages else name.rpartition(".")[0]
    for node in unconditional(tree.body):  # type: ignore[attr-defined]
        for wanted in imported(installed, node, package):
            lacked = installed.lacks(wanted)
            top = wanted.partition(".")[0]
            if lacked and is_missing(lacked):
                yield {"kind": "own", "name": name, "missing": lacked, "line": node.lineno}
                return
            if not lacked and not installed.has(top) and not is_there(top):
                yield {"kind": "other", "name": name, "missing": top, "line": node.lineno}


def imported(installed: Installed, node: ast.stmt, package: str) -> Iterator[str]:
    """Yield the names of the modules that a statement imports for certain."""
    if isinstance(node, ast.Import):
        yield from (each.name for each in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = package.split(".")
            if node.level > len(parts):
                return
            base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
        yield base
        if base in installed.packages and is_bare(installed.modules[base]):
            yield from (f"{base}.{each.name}" for each in node.names if each.name != "*")


def is_bare(path: str) -> bool:
    """Return whether a module has nothing but strings, so that whatever is imported from it must be a module."""
    if not path.endswith("__init__.py"):
        return False
    body = ast.parse(Path(path).read_bytes()).body
    return all(isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) for each in body)


def is_missing(name: str) -> bool:
    """Return whether a module that no file brings cannot be imported either: a package may make it in memory."""
    above = name.rpartition(".")[0]
    if load(above):
        return False
    failure = load(name)
    return bool(failure and failure["type"] == "ModuleNotFoundError" and name in failure["missing"][:1])


def is_of_python(missing: list[str]) -> bool:
    """Return whether the first missing module belongs to Python: of another platform, or left out of this Python."""
    return bool(missing) and missing[0] in getattr(sys, "stdlib_module_names", ())


def is_there(top: str) -> bool:
    if top in sys.modules or top in getattr(sys, "stdlib_module_names", ()):
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except Exception:  # noqa: BLE001 - another package's finder
        return True


def main(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    warnings.simplefilter("ignore")
    only: list[str] | None = request["only"]
    installed = Installed(request["name"])
    answer: dict[str, Any] = {"doing": "", "loaded": [], "found": [], "count": 0}

    def save() -> None:
        new = folder / "answer.new"
        new.write_text(json.dumps(answer), encoding="utf-8")
        new.replace(folder / "answer.json")

    points = installed.points
    tries = [("module", name, name, "") for name in installed.top()]
    tries += [each for each in points if each[0] in SCRIPTS]
    tries += [each for each in points if each[0] not in SCRIPTS]
    for group, name, module, attribute in tries:
        title = name if group == "module" else f"{group}: {name} = {module}" + (f":{attribute}" if attribute else "")
        if only is not None and title not in only:
            continue
        answer["doing"] = title
        save()
        failure = load(module, attribute)
        answer["count"] += 1
        if failure:
            # An attribute that is a submodule is there as soon as somebody imports that.
            owns = installed.has(module.partition(".")[0]) and not installed.has(f"{module}.{attribute}")
            needs = [each for each in failure["missing"] if not installed.has(each) and not installed.lacks(each)]
            answer["loaded"].append(
                {
                    "group": group,
                    "title": title,
                    "module": module,
                    "own": owns,
                    "needs": needs,
                    "is_of_python": is_of_python(failure["missing"]),
                    **failure,
                }
            )
    if only is None:
        for name in installed.deep():
            answer["doing"] = f"{name} (reading it)"
            answer["count"] += 1
            answer["found"] += examine(installed, name)
    answer["doing"] = ""
    save()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    with contextlib.suppress(Exception):  # a module may have closed or replaced it
        sys.stdout.flush()
    os._exit(0)  # threads of the wheel's modules may not end
