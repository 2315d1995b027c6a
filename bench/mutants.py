"""Make small changes in one room, and show which of them its own unit tests notice.

    nice -n 19 .venv/bin/python -m bench.mutants registry --count 40 --seed 1

ROOM is a folder or a module of `src/gar_publish`, such as `registry` or `context`. The seed decides which changes are
drawn; all are equally likely. Each change is made in a copy of the checkout, never in the checkout itself. The tests of
`tests/unit/ROOM` run against it, those of the changed module first. A change that breaks a test, or makes the tests
take far too long, is killed. One that does not is printed as SURVIVED: write the missing test, or show that the change
makes no difference.

The kinds of changes:

- comparisons: `==` to `!=`, `<` to `<=`, `>` to `>=`, `in` to `not in`, `is` to `is not`, and back
- `and` to `or` and back; `not` removed; the condition of an `if`, a `while` or a comprehension negated
- `+` to `-` and back; a number plus or minus 1; `True` to `False` and back
- a string, including the text of a message, wrapped in `XX`
- `return VALUE` to `return None`; `raise` to `pass`; `break` to `continue` and back
- a keyword argument of a call removed

Annotations, docstrings, decorators, `__all__` and TYPE_CHECKING blocks are not changed. A program that a test starts
runs the changed code only if it gets `PYTHONPATH` from the test.
"""

import argparse
import ast
import compileall
import multiprocessing
import os
import py_compile
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = Path("src", "gar_publish")
TESTS = Path("tests", "unit")

_PAIRS: list[tuple[type[ast.AST], type[ast.AST]]] = [
    (ast.Eq, ast.NotEq),
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.In, ast.NotIn),
    (ast.Is, ast.IsNot),
    (ast.And, ast.Or),
    (ast.Add, ast.Sub),
    (ast.Break, ast.Continue),
]
_SWAPPED: dict[type[ast.AST], Any] = dict(_PAIRS) | {second: first for first, second in _PAIRS}
_NEGATED_BY_OPERATOR = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
_NOT_MUTATED = {"annotation", "returns", "decorator_list"}
_CONTEXT = 60
_LONGEST = 200
_PRELOADED = [
    "pytest",
    "cyclonedx.model.bom",
    "docker",
    "google.auth.transport.requests",
    "starlette.applications",
    "twine.package",
    "uvicorn",
]
"""Imported once for all runs of the tests, which are forks of one process."""


@dataclass(frozen=True)
class Place:
    """The place of a node in its tree."""

    parent: ast.AST
    field: str
    index: int | None

    def put(self, node: object) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


@dataclass(frozen=True)
class Mutant:
    """A file with one small change."""

    path: Path
    tree: ast.Module
    place: Place
    old: Any
    new: ast.AST

    def source(self) -> str:
        self.place.put(self.new)
        try:
            return ast.unparse(self.tree)
        finally:
            self.place.put(self.old)

    def __str__(self) -> str:
        old, new = ast.unparse(self.old), ast.unparse(self.new)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
        start = max(same - _CONTEXT, 0)
        old, new = (f"{'…' if start else ''}{text[start:][:_LONGEST]}" for text in (old, new))
        return f"{self.path}:{self.old.lineno}\n  - {old}\n  + {new}"


def mutants(path: Path, source: str) -> Iterator[Mutant]:
    """Yield all mutants of one file, in the order of its nodes."""
    tree = ast.parse(source)
    for place, node in _places(tree):
        for new in _changes(place, node):
            yield Mutant(path, tree, place, node, new)


def _places(parent: ast.AST) -> Iterator[tuple[Place, ast.AST]]:
    for field, value in ast.iter_fields(parent):
        if field in _NOT_MUTATED or (field == "body" and _is_for_type_checkers(parent)):
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST) and not _stays(parent, node):
                yield Place(parent, field, index), node
                yield from _places(node)


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _stays(parent: ast.AST, node: ast.AST) -> bool:
    match parent, node:
        case _, ast.Expr(ast.Constant()):  # a docstring
            return True
        case _, ast.Assign([ast.Name("__all__")]):
            return True
        case ast.JoinedStr() | ast.FormattedValue(), ast.Constant() | ast.JoinedStr():  # changed as one f-string
            return True
        case ast.Call(ast.Name("cast"), [first, *_]), _:
            return first is node
        case _:
            return False


def _changes(place: Place, node: ast.AST) -> Iterator[ast.AST]:
    yield from _with_other_operator(node)
    yield from _with_other_value(node)
    match node:
        case ast.Return(ast.AST() as value) if ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.Raise():
            yield ast.Pass()
        case ast.Break() | ast.Continue():
            yield _SWAPPED[type(node)]()
        case ast.Call(function, arguments, keywords):
            for keyword in keywords:
                yield ast.Call(function, arguments, [other for other in keywords if other is not keyword])
    if place.field in {"test", "ifs"} and isinstance(node, ast.expr) and not _is_not_negated(node):
        yield ast.UnaryOp(ast.Not(), node)


def _with_other_operator(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, operators, comparators):
            for index, operator in enumerate(operators):
                changed = [*operators[:index], _SWAPPED[type(operator)](), *operators[index + 1 :]]
                yield ast.Compare(left, changed, comparators)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(_SWAPPED[type(operator)](), values)
        case ast.BinOp(left, ast.Add() | ast.Sub() as operator, right):
            yield ast.BinOp(left, _SWAPPED[type(operator)](), right)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand


def _with_other_value(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.Constant(str(value)):
            yield ast.Constant(f"XX{value}XX")
        case ast.Constant(bytes(value)):
            yield ast.Constant(b"XX" + value + b"XX")
        case ast.JoinedStr(values):
            yield ast.JoinedStr([ast.Constant("XX"), *values, ast.Constant("XX")])


def _is_not_negated(condition: ast.expr) -> bool:
    match condition:
        case ast.UnaryOp(ast.Not()) | ast.Name("TYPE_CHECKING"):
            return True
        case ast.Compare(ops=[operator]):
            return isinstance(operator, _NEGATED_BY_OPERATOR)
        case _:
            return False


def sample(root: Path, room: str, count: int, seed: int) -> list[Mutant]:
    """Draw `count` mutants of a room, and return them in the order of its files."""
    folder = root / PACKAGE / room
    paths = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    found = [mutant for path in paths for mutant in mutants(path.relative_to(root), path.read_text(encoding="utf-8"))]
    drawn = random.Random(seed).sample(range(len(found)), min(count, len(found)))
    return [found[number] for number in sorted(drawn)]


def copy(root: Path, to: Path) -> None:
    """Copy the files of a checkout that git tracks or does not ignore."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listing, cwd=root, text=True).split("\0"):
        if name and (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)
    # Mutated sources can have the size and time of the originals, so byte code is checked by hash.
    compileall.compile_dir(to, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def test_files(root: Path, room: str, first: str) -> list[Path]:
    """Return the test files of a room, those of one module first."""
    folder = root / TESTS / room
    found = sorted(folder.rglob("test_*.py")) if folder.is_dir() else [root / TESTS / f"test_{room}.py"]
    return sorted(found, key=lambda path: not path.name.startswith(f"test_{first}"))


def passes(root: Path, files: list[Path], timeout: float | None = None) -> bool:
    """Run test files in a copy, and return whether all of their tests pass in time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    tests = context.Process(target=_run_tests, args=(root, files))
    tests.start()
    tests.join(timeout)
    if tests.exitcode is None and tests.pid is not None:
        os.killpg(tests.pid, signal.SIGKILL)
        tests.join()
    return tests.exitcode == 0


def _run_tests(root: Path, files: list[Path]) -> None:
    os.setsid()
    os.chdir(root)
    for descriptor in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    path = [str(root / folder) for folder in ("src", "emulator/src")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path)
    sys.path[:0] = path
    os._exit(pytest.main(["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", *map(str, files)]))


def run(root: Path, room: str, count: int, seed: int) -> tuple[int, int]:
    """Run a room's tests against a sample of its mutants, and print whether each survived.

    Returns:
        The number of killed mutants, and of all mutants in the sample.
    """
    killed = 0
    with tempfile.TemporaryDirectory(prefix="gar-publish-mutants-") as folder:
        copied = Path(folder)
        copy(root, copied)
        started = time.monotonic()
        if not passes(copied, test_files(copied, room, room)):
            sys.exit(f"the tests of {room} fail without any change")
        timeout = 30 + 3 * (time.monotonic() - started)
        drawn = sample(copied, room, count, seed)
        for mutant in drawn:
            path = copied / mutant.path
            before = path.read_bytes()
            path.write_text(mutant.source(), encoding="utf-8")
            survived = passes(copied, test_files(copied, room, mutant.path.stem), timeout)
            path.write_bytes(before)
            killed += not survived
            print(f"{mutant}\n  {'SURVIVED' if survived else 'killed'}", flush=True)
    return killed, len(drawn)


def main() -> int:
    """Run the tests against a sample of mutants, and print how many were killed.

    Returns:
        0, even if mutants survived.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("room", metavar="ROOM")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkout", type=Path, default=ROOT, help="another checkout of gar-publish")
    options = parser.parse_args()
    killed, count = run(options.checkout, options.room, options.count, options.seed)
    print(f"{killed} of {count} killed ({killed / count:.0%})" if count else "0 of 0 killed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
