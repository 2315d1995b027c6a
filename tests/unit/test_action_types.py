"""action-types.yml has the types that the code accepts, which nonsense brings to light."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gar_publish.errors import Failure
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.settings import Settings, SetupSettings
from tests.conftest import ROOT

STRING = {"type": "string"}

each_action = pytest.mark.parametrize("folder", [ROOT, ROOT / "setup"], ids=["publish", "setup"])


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def accepted(name: str, settings: type[Settings | SetupSettings]) -> dict[str, Any]:
    """Return an input's type in the form of https://github.com/typesafegithub/github-actions-typing."""
    inputs = {"repository": "us/demo-project/python", name: "nonsense"}
    try:
        read = settings.from_inputs(inputs, environment={}, endpoints=Endpoints())
        field = name.replace("-", "_")
        if isinstance(getattr(read, field, getattr(read.repository, field, None)), tuple):
            return {"type": "list", "separator": "\n", "list-item": STRING}
    except Failure as refused:
        said = str(refused)
        if "it takes true or false" in said:
            return {"type": "boolean"}
        if words := re.search(r"it takes true, false or (\w+)\.", said):
            return {"type": "enum", "allowed-values": ["true", "false", words[1]]}
        if "it takes a number" in said:
            return {"type": "integer"}
        if choices := re.search(r"it takes one of (.+)\.", said):
            one = {"type": "enum", "allowed-values": choices[1].split(", ")}
            return {"type": "list", "separator": ",", "list-item": one} if name == "formats" else one
    return STRING


@pytest.mark.parametrize(("folder", "settings"), [(ROOT, Settings), (ROOT / "setup", SetupSettings)])
def test_inputs_have_the_types_that_the_code_accepts(folder: Path, settings: type[Settings | SetupSettings]) -> None:
    declared, action = load(folder / "action-types.yml")["inputs"], load(folder / "action.yml")["inputs"]
    assert declared == {name: accepted(name, settings) for name in action}


@each_action
def test_every_output_has_a_type(folder: Path) -> None:
    declared, action = load(folder / "action-types.yml")["outputs"], load(folder / "action.yml")["outputs"]
    assert declared.keys() == action.keys()
    booleans = {name for name, each in action.items() if each["description"].startswith("`true`")}
    assert {name for name, each in declared.items() if each["type"] == "boolean"} == booleans
