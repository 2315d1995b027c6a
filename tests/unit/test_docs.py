"""The documents agree with the code: tables, links, quotes, inputs, commands, and a section for every failure."""

import ast
import itertools
import json
import re
import runpy
import shlex
import subprocess
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from gar_publish.auth import refusals
from gar_publish.bootstrap.setup import Setup
from gar_publish.cli import parser as arguments
from gar_publish.cli.suggestions import Parser
from gar_publish.projects import plan
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from tests import gcloud
from tests.blocks import blocks
from tests.conftest import ROOT

SOURCES = [*sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "emulator" / "src").rglob("*.py"))]
README = ROOT / "README.md"
DOCUMENTS = sorted(file for folder in (".", "docs", "emulator", "examples/*") for file in ROOT.glob(f"{folder}/*.md"))
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
SETUP = ROOT / "docs" / "setup.md"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
PAGES = sorted(file.name for file in ROOT.glob("docs/*.md") if file.name != "README.md")
ON_GITHUB = re.compile(
    r"https://github\.com/org/gar-publish/(?:blob|tree)/main/|https://raw\.githubusercontent\.com/org/gar-publish/main/"
)
"""How an absolute link to a file of this repository begins."""
REASONS = [reason for service in (*refusals.SERVICES, refusals.OTHER) for reason in service.reasons]

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)


def failures_in_code() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call that names an anchor, with each anchor that it may name."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            named = [keyword.value for keyword in node.keywords if keyword.arg == "anchor"]
            if isinstance(node.func, ast.Name) and node.func.id == "Reason":
                named.append(node.args[-1])
            for value in named:
                for anchor in strings(value):
                    yield anchor, node


def strings(node: ast.expr) -> list[str]:
    """Return the strings that an expression may be, without those in the condition of an `if`."""
    if isinstance(node, ast.IfExp):
        return strings(node.body) + strings(node.orelse)
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def sentences_in_code() -> Mapping[str, list[str]]:
    """Return the sentences of failures as regular expressions, by anchor."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for anchor, call in failures_in_code():
        found[anchor] += [template for node in ast.walk(call) if (template := as_pattern(node))]
    for service in (*refusals.SERVICES, refusals.OTHER):
        for anchor in {reason.anchor for reason in (*service.reasons, refusals.UNKNOWN)}:
            found[anchor].append(f"{as_pattern(ast.Constant(service.what))} \\(HTTP [0-9]+\\)\\.")
    return found


def as_pattern(node: ast.AST) -> str:
    """Return a string with placeholders, of either kind, as a regular expression; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return ".+".join(re.escape(part) for part in re.split(r"\{\w+\}", node.value))
    if isinstance(node, ast.JoinedStr):
        return "".join(as_pattern(part) or ".+" for part in node.values)
    return ""


def as_text(node: ast.AST | None) -> str:
    """Return a string with X for each placeholder; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return "".join(as_text(part) or "X" for part in node.values) if isinstance(node, ast.JoinedStr) else ""


def prose(document: Path) -> str:
    """Return a document without its code blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def headings(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to a document's headings."""
    titles = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def fences(document: Path, language: str) -> list[str]:
    """Return the code blocks of one language."""
    return [block.text for block in blocks(document) if block.language == language]


def shell_lines(document: Path) -> list[str]:
    return "\n".join(fences(document, "sh")).replace("\\\n", " ").splitlines()


@cache
def gcloud_tree() -> dict[str, Any]:
    """Return the commands and options of the installed gcloud, from its list for shell completion."""
    file = Path(gcloud.require()).resolve().parent.parent / "data" / "cli" / "gcloud_completions.py"
    tree: dict[str, Any] = runpy.run_path(str(file))["STATIC_COMPLETION_CLI_TREE"]
    return tree


def check_gcloud(command: str) -> None:
    node = gcloud_tree()
    options = set(node["flags"])
    for word in re.findall(r"[^\s'\"]+(?:'[^']*'|\"[^\"]*\")?", command.removeprefix("gcloud ")):
        if option := re.match(r"--(?:no-)?([a-z-]+)", word):
            known = options | set(node["flags"])
            assert f"--{option[1]}" in known or word.partition("=")[0] in known, f"{word} in: {command}"
        elif node["commands"]:
            assert word in node["commands"], f"{word} in: {command}"
            node = node["commands"][word]
    assert not node["commands"], f"unfinished: {command}"


def gcloud_commands(text: str) -> list[str]:
    """Return each gcloud command in a text, without the prose or the program that follows it."""
    return [found.rstrip(" .") for found in re.findall(r"\bgcloud [a-z](?:'[^']*'|\"[^\"]*\"|[^|;,`(<)\n])*", text)]


def test_every_anchor_of_a_failure_is_a_heading_and_no_heading_is_left_over() -> None:
    sections = re.findall(r"^### (.+)$", TROUBLESHOOTING.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted({anchor for anchor, _ in failures_in_code()}) == sorted(sections)


def test_troubleshooting_quotes_what_the_code_says() -> None:
    sentences = sentences_in_code()
    for section in TROUBLESHOOTING.read_text(encoding="utf-8").split("\n### ")[1:]:
        anchor, _, text = section.partition("\n")
        quotes = [block.replace("\n> ", " ") for block in re.findall(r"^> (.+(?:\n> .+)*)", text, re.MULTILINE)]
        assert quotes, anchor
        for quote in quotes:
            said = quote.removeprefix("Likely cause: ")
            assert any(re.fullmatch(template, said) for template in sentences[anchor] if len(template) > 15), quote


def test_a_likely_cause_is_two_lines_of_a_terminal_at_most() -> None:
    causes = [
        text
        for _, call in failures_in_code()
        for keyword in call.keywords
        if keyword.arg == "cause"
        for node in ast.walk(keyword.value)
        if (text := as_text(node).replace("X", ""))
    ]
    causes += [re.sub(r"\{\w+\}", "", reason.cause) for reason in REASONS]
    assert len(causes) > 200
    assert not [each for each in causes if len(f"Likely cause: {each}") > 165]


def test_tables_are_those_that_make_docs_writes() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "tables.py"))["written"]
    for path, text in written().items():
        assert path.read_text(encoding="utf-8") == text, path


def links(document: Path) -> list[str]:
    """Return the targets of all links, inline or defined on a line of their own."""
    found = re.findall(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return ["".join(each) for each in found]


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        if begin := ON_GITHUB.match(path):
            target = ROOT / path[begin.end() :]
            assert target.is_dir() == ("/tree/" in begin[0]), link
        elif "://" in path:
            continue
        else:
            target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("document", [README, ROOT / "emulator" / "README.md"], ids=lambda path: path.parent.name)
def test_links_work_on_a_package_index(document: Path) -> None:
    assert [link for link in links(document) if not link.startswith("https://")] == []


def test_every_link_of_the_readme_has_a_definition_and_no_definition_is_left_over() -> None:
    text = re.sub(r"`[^`\n]*`", "", prose(README))
    defined = re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE)
    assert sorted(set(re.findall(r"\[([^\]]+)\](?![\[(:])", text))) == sorted(defined)


def test_the_index_has_one_line_for_each_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^- \[([\w-]+\.md)\]\(\1\): .+\.$", index, re.MULTILINE)) == PAGES


def test_the_readme_links_the_index_and_every_page() -> None:
    linked = {ON_GITHUB.sub("", link).partition("#")[0] for link in links(README)}
    assert {f"docs/{page}" for page in ("README.md", *PAGES)} <= linked


def test_the_readme_is_short() -> None:
    text = re.sub(r"^\[[^\]]+\]: .*\n", "", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(text.splitlines()) < 300


def test_architecture_lists_the_rooms_in_the_order_of_the_layers() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (layers,) = (each["layers"] for each in tools["importlinter"]["contracts"] if each["id"] == "rooms")
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("| room |")[2].partition("\n\n")[0]
    rooms = re.findall(r"`(\w+)(?:/|\.py)`(?=[^|]*\|[^|]*\|$)", table, re.MULTILINE)
    assert rooms == [room for layer in layers for room in layer.split(" | ")]


def test_architecture_gives_a_reason_for_each_dependency() -> None:
    declared = set()
    for folder in (ROOT, ROOT / "emulator"):
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for requirements in (project["dependencies"], *project.get("optional-dependencies", {}).values()):
            declared |= {Requirement(each).name for each in requirements}
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("| package |")[2]
    rows = re.findall(r"^\| ([\w, -]+?) (?:\([^)]+\) )?\| [^|]+ \| [^|]+ \|$", table.partition("\n\n")[0], re.MULTILINE)
    assert {name for row in rows for name in row.split(", ")} - {"---"} == declared


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md", "docs/security.md"])
def test_files_that_documents_name_exist(name: str) -> None:
    """A path starts at the root of the repository or, for a module, at the package."""
    code = re.findall(r"`([\w./-]+)`", prose(ROOT / name))
    paths = {each for each in code if re.fullmatch(r"(?:\.?\w[\w-]*/)+(?:[\w-]+\.(?:md|py|toml|txt|yml))?", each)}
    assert paths
    assert [path for path in paths if not any((ROOT / base / path).exists() for base in ("", "src/gar_publish"))] == []


@each_example
def test_examples_install_by_hash(example: Path) -> None:
    """A version alone is not enough: pip prefers a stranger's file of the same version that has a build tag."""
    files = [*example.glob(".github/workflows/*"), *example.glob("*Dockerfile"), *example.glob("cloudbuild.yaml")]
    text = re.sub(r"^ *#.*", "", "".join(file.read_text(encoding="utf-8") for file in files), flags=re.MULTILINE)
    for before, command in itertools.pairwise(["", *re.findall(r"\binstall[ ,].*", text)]):
        is_second_step = "--no-deps --require-hashes" in before
        assert "--require-hashes" in command or is_second_step or command == "install uv", command


@each_example
def test_examples_with_an_extra_index_warn_of_dependency_confusion(example: Path) -> None:
    projects = "".join(file.read_text(encoding="utf-8") for file in example.rglob("pyproject.toml"))
    readme = (example / "README.md").read_text(encoding="utf-8")
    assert "[dependency confusion](../../docs/dependency-confusion.md)" in readme or "explicit = true" in projects


@each_document
def test_documents_install_what_was_published_by_hash(document: Path) -> None:
    for block in fences(document, "yaml"):
        for step in mappings(yaml.safe_load(block)):
            assert "outputs.requirements }}" not in str(step.get("run", "")) + str(step.get("env", "")), step


def test_the_plan_is_that_of_the_example() -> None:
    (shown,) = fences(ROOT / "docs" / "monorepo.md", "json")
    selected = plan.select(
        ["packages/*"], ROOT / "examples" / "monorepo", changed_since=None, environment={}, warn=pytest.fail
    )
    assert json.loads(shown) == plan.matrix(selected)


@each_document
def test_workflows_use_inputs_and_outputs_that_exist(document: Path) -> None:
    for name, folder, id_ in (("org/gar-publish@", ROOT, "gar"), ("org/gar-publish/setup@", ROOT / "setup", "setup")):
        action = yaml.safe_load((folder / "action.yml").read_text(encoding="utf-8"))
        for block in fences(document, "yaml"):
            for step in (node for node in mappings(yaml.safe_load(block)) if name in str(node.get("uses"))):
                assert set(step.get("with", {})) <= set(action["inputs"]), step
            used = re.findall(rf"steps\.{id_}\.outputs\.([\w-]+)", block)
            assert set(used) <= set(action["outputs"]), used


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for each in node.values():
            yield from mappings(each)
    elif isinstance(node, list):
        for each in node:
            yield from mappings(each)


@each_document
def test_commands_of_gar_publish_are_understood(document: Path) -> None:
    parser = arguments.new_parser()
    for line in shell_lines(document):
        for command in re.findall(r"\bgar-publish ([a-z-]+[^|)&#]*)", line):
            parser.parse_args(shlex.split(command))


@each_document
def test_commands_in_sentences_are_understood(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A required argument may be missing in a sentence."""

    def error(_: Parser, message: str) -> None:
        assert message.startswith("the following arguments are required: "), message

    monkeypatch.setattr(Parser, "error", error)
    for code in re.findall(r"`([^`]+)`", prose(document)):
        for command in re.findall(r"\bgar-publish\s([a-z-]+[^|)&#…>]*)", code):
            arguments.new_parser().parse_args(shlex.split(command))


@pytest.mark.parametrize(
    "block", [block for document in DOCUMENTS for block in fences(document, "sh") if "gar-publish index-url" in block]
)
def test_after_a_failed_index_url_nothing_is_installed_from_pypi(block: str, tmp_path: Path) -> None:
    """With `set -e`, the commands after it do not run, or get the `--no-index` that it prints."""
    said = tmp_path / "said"
    fail = f'case "$*" in *"index-url "*) echo failed >>{said}; echo --no-index; exit 3;; esac'
    tell = f'case "$*" in *" /dev/stdin"*) set -- "$@" "$(/bin/cat)";; esac; echo "$*" >>{said}'
    for name in ("gar-publish", "uvx", "pip", "uv", "docker"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{fail if name in {'gar-publish', 'uvx'} else tell}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(["/bin/sh", "-ec", block], env={"PATH": str(tmp_path)}, check=False)
    assert done.returncode in {0, 3}
    _, failed, after = said.read_text(encoding="utf-8").partition("failed\n")
    assert failed
    assert all(line == "failed" or "--no-index" in line for line in after.splitlines())


@each_document
def test_gcloud_knows_the_commands_of_the_documents(document: Path) -> None:
    inline = re.findall(r"`(gcloud [^`]+)`", document.read_text(encoding="utf-8"))
    for command in gcloud_commands("\n".join(shell_lines(document) + inline)):
        check_gcloud(command)


def test_gcloud_knows_the_commands_that_failures_suggest() -> None:
    fixes = [reason.fix for reason in REASONS]
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "fix":
                fixes += [as_text(each) for each in ast.walk(node.value)]
            elif isinstance(node, ast.Return) and as_text(node.value).startswith("gcloud "):
                fixes.append(as_text(node.value))
    commands = set(gcloud_commands("\n".join(fixes)))
    assert len(commands) > 20
    for command in commands:
        check_gcloud(command)


def test_setup_shows_the_conditions_and_the_mapping_that_bootstrap_prints() -> None:
    repository = Repository.parse("us-central1/my-project/python", endpoints=Endpoints())
    conditions, _, mapping = fences(SETUP, "text")
    asked = (
        {"github": "octo-org/hello"},
        {"github": "octo-org"},
        {"github": "octo-org/hello", "environment": "release"},
    )
    setups = [Setup.read(options, repository) for options in asked]
    assert conditions.splitlines() == [each.condition("123456", "456789") for each in setups]
    assert mapping.strip() == ",".join(f"{name}={claim}" for name, claim in setups[0].mapping.items())
