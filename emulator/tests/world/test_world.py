from importlib.resources import files
from pathlib import Path

import pytest

from gar_emulator.errors import EmulatorError
from gar_emulator.world.world import World


def test_default_world() -> None:
    world = World.default()
    assert [(project.id, project.number) for project in world.projects] == [("demo-project", 123456789012)]
    assert [item.resource for item in world.repositories] == [
        "projects/demo-project/locations/us-central1/repositories/python"
    ]
    assert world.repositories[0].format == "PYTHON"
    assert world.repositories[0].mode == "STANDARD_REPOSITORY"
    (provider,) = world.providers
    assert (provider.pool, provider.id) == ("github", "github")
    assert provider.condition == "assertion.repository_owner == 'octo-org'"
    assert [account.email.partition("@")[0] for account in world.accounts] == ["publisher", "reader", "owner"]
    assert [key.account for key in world.keys] == [world.accounts[0].email]
    assert world.ambient
    assert world.ambient.account == world.accounts[0].email
    assert world.gcloud
    assert world.gcloud.account == world.accounts[2].email


def test_world_file(tmp_path: Path) -> None:
    file = tmp_path / "world.toml"
    default = (files("gar_emulator") / "default.toml").read_text("utf-8")
    file.write_text(
        default
        + """
[switches]
duplicate-status = 409
index-delay = 2

[[repositories]]
project = "demo-project"
location = "europe-west1"
name = "mirror"
mode = "REMOTE_REPOSITORY"
public = true
"""
    )
    world = World.load(file)
    assert world.switches.duplicate_status == 409
    assert world.switches.index_delay == 2.0
    assert world.repositories[1].public
    assert world.repositories[1].mode == "REMOTE_REPOSITORY"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("projects = ", "is not TOML"),
        ("[[cities]]", "unknown table, cities"),
        ("[projects]\nid = 'p'\nnumber = 1", "[projects] instead of [[projects]]"),
        ("[[projects]]\nid = 'p'", "has no number"),
        ("[[projects]]\nid = 'p'\nnumber = '1'", "wrong type: '1'"),
        ("[[projects]]\nid = 'p'\nnumber = true", "wrong type: True"),
        ("[[projects]]\nid = 'p'\nnumber = 1\nnmae = 'x'", "unknown entry, nmae"),
        ("[[projects]]\nid = 'p'\nnumber = 1\ndisabled-services = ['x.googleapis.com']", "disables an unknown service"),
        ("[[pools]]\nproject = 'p'\nid = 'x'", "names the project p but does not declare it"),
        ("[[keys]]\naccount = 'a@p.iam.gserviceaccount.com'", "names the account a@p"),
        ("[ambient]\naccount = 'a@p.iam.gserviceaccount.com'", "names the account a@p"),
        ("[[bindings]]\nmember = 'allUsers'\nrole = 'roles/king'\nresource = 'projects/p'", "roles/king"),
        ("[switches]\nmissing-repository = '500'", "by-rights, 403 or 404"),
        ("[switches]\njson-index = 1", "wrong type: 1"),
        ("[switches]\nindex-delay = -1", "[switches]: index-delay must be 0 or more"),
        ("[switches]\nindex-delay = nan", "index-delay must be 0 or more"),
        ("[switches]\nmax-upload-size = -1", "max-upload-size must be 0 or more"),
        ("[switches]\nfederated-lifetime = -1", "federated-lifetime must be 0 or more"),
        ("[switches]\nduplicate-status = 200", "duplicate-status must be an HTTP status from 400 to 599"),
        ("[switches]\nwrong-repository-status = 600", "wrong-repository-status must be an HTTP status"),
        ("[switches]\nattribute-condition-status = -1", "attribute-condition-status must be an HTTP status"),
        ("[switches]\nupload-status = 400", "upload-status must be an HTTP status from 200 to 299"),
        ("[faults]\nendpoint = 'sts'\nfault = '503'", "[faults] instead of [[faults]]"),
        ("[[faults]]\nendpoint = 'sts'\nfault = '418'", "[[faults]] number 1: fault must be one of"),
        ("[[faults]]\nendpoint = 'uplod'\nfault = '503'", "[[faults]] number 1: endpoint must be one of"),
        ("[[faults]]\nendpoint = 'sts'\nfault = '503'\nchance = 2", "chance must be between 0 and 1"),
        (
            "[[projects]]\nid='p'\nnumber=1\n[[repositories]]\nproject='p'\nlocation='us'\nname='r'\nformat='PIP'",
            "unknown format",
        ),
        (
            "[[providers]]\nproject='p'\npool='x'\nid='y'\nissuer='https://i'\nmapping={'google.subject'='assertion.sub'}",
            "pool that it does not declare",
        ),
        (
            (
                "[[projects]]\nid='p'\nnumber=1\n[[pools]]\nproject='p'\nid='x'\n"
                "[[providers]]\nproject='p'\npool='x'\nid='y'\nissuer='https://i'\nmapping={'attribute.a'='assertion.sub'}"
            ),
            "without a mapping of google.subject",
        ),
        (
            (
                "[[projects]]\nid='p'\nnumber=1\n[[pools]]\nproject='p'\nid='x'\n[[providers]]\nproject='p'\npool='x'\n"
                "id='y'\nissuer='https://i'\nmapping={'google.subject'='assertion.sub'}\ncondition='assertion =='"
            ),
            "invalid CEL expression, assertion ==",
        ),
    ],
)
def test_bad_world_file_is_explained(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "world.toml"
    file.write_text(text)
    with pytest.raises(EmulatorError) as caught:
        World.load(file)
    assert said in caught.value.what
    assert str(file) in caught.value.what


def test_missing_world_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="cannot be read"):
        World.load(tmp_path / "none.toml")
