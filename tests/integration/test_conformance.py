"""`python -m conformance`: every switch is found, records are adopted, and no target makes it hang or leak."""

import base64
import json
import re
import runpy
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from conformance.__main__ import main
from conformance.adopt import DEFAULTS, TABLE, adopt
from conformance.calls import Client, NotObserved, form
from conformance.checks import CHECKS
from conformance.early import after_refusal
from conformance.lab import LONGEST_RUN, Lab, Place, basic, built, remove_killed, wheel
from conformance.records import Record, comparison, default, differences, measure, shown
from conformance.targets import OWNER, PUBLIC_HOST, PUBLIC_ROOT, lab_of, owned_world
from gar_emulator import Emulator
from gar_emulator.world.iam import Binding
from gar_emulator.world.switches import Switches
from gar_emulator.world.world import Project, Repository
from tests.conftest import ROOT, copy_tree
from tests.gcloud import require, settings
from tests.leaks import Leaks
from tests.unit.servers import Reply, ScriptedServer, Seen, serve

FLIPPED: dict[str, list[Any]] = {
    "any-spelling": [False],
    "attribute-condition-status": [400],
    "attributes-limit": [512, 0],
    "bearer-tokens": [False],
    "challenge": [False],
    "check-digests": [False],
    "check-names": [False],
    "duplicate-identical": [True],
    "duplicate-status": [409],
    "early-refusals": ["reset", "never"],
    "epochs": [True],
    "federated-lifetime": [3600],
    "federated-tokens": [False],
    "head-redirects": [True],
    "immutable-subject": [True],
    "index-delay": [1.0],
    "json-index": [True],
    "json-key-user": [True],
    "max-upload-size": [256 * 1024],
    "metadata-files": [True],
    "missing-repository": ["403", "404"],
    "open-downloads": [False],
    "operation-seconds": [1.0],
    "quota-project": [False],
    "read-only-scope": [False],
    "redirect-length": [0, 3000],
    "repository-delay": [1.0],
    "requires-python": [False],
    "reuse-deleted": [False],
    "root-index": [True],
    "slashless-uploads": [True],
    "texts": ["empty", "detailed"],
    "upload-status": [201],
    "wrong-repository-status": [404],
}
"""Every switch, and values that are not its default."""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(owned_world(), data=tmp_path_factory.mktemp("conformance")) as running:
        yield running


@pytest.fixture(scope="module")
def lab(emulator: Emulator) -> Iterator[Lab]:
    with built(lab_of(emulator)) as made:
        yield made


@pytest.fixture(scope="module")
def usual(lab: Lab) -> list[Record]:
    """Return the records of an emulator with its defaults."""
    return list(measure(lab, "project"))


@pytest.fixture(scope="module")
def flipped(emulator: Emulator, lab: Lab) -> dict[tuple[str, Any], list[Record]]:
    """Return the records of an emulator with one value of one switch changed, for each of them."""
    found = {}
    for switch, values in FLIPPED.items():
        name = switch.replace("-", "_")
        for value in values:
            emulator.cloud.switch(**{name: value})
            found[switch, value] = list(measure(lab, "project"))
        emulator.cloud.switch(**{name: default(switch)})
    return found


def test_each_switch_has_one_check() -> None:
    switches = [item.name.replace("_", "-") for item in fields(Switches)]
    assert sorted(check.switch for check in CHECKS) == sorted(switches) == sorted(FLIPPED)
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_emulator_agrees_with_its_own_defaults(usual: list[Record]) -> None:
    assert comparison(usual) == f"{len(CHECKS)} of {len(CHECKS)} checks agree with the emulator's defaults."


def test_each_flipped_switch_is_found_and_nothing_else(flipped: dict[tuple[str, Any], list[Record]]) -> None:
    found = {key: [(each.switch, each.value) for each in differences(records)] for key, records in flipped.items()}
    assert found == {key: [key] for key in found}
    switches = {switch for switch, _ in found}
    assert f"{len(switches)} of {len(fields(Switches))} switches found" == "34 of 34 switches found"


# Adopting


def test_flipped_values_are_adopted(flipped: dict[tuple[str, Any], list[Record]], tmp_path: Path) -> None:
    for (switch, value), records in flipped.items():
        copy(tmp_path, TABLE, DEFAULTS)
        assert adopt(records, tmp_path)
        adopted = runpy.run_path(str(tmp_path / DEFAULTS))["Switches"]()
        assert asdict(adopted) == asdict(replace(Switches(), **{switch.replace("-", "_"): value}))
        rows = [line for line in (tmp_path / TABLE).read_text("utf-8").splitlines() if f"| `{switch}` (" in line]
        assert rows
        for row in rows:
            assert re.search(rf"\| `{switch}` \({re.escape(shown(value))}\b", row)
            assert f"measured on {records[0].date}" in row
            assert "guess" not in row.split("|")[2]


def test_default_behaviour_is_adopted_without_a_change_of_defaults(usual: list[Record], tmp_path: Path) -> None:
    copy(tmp_path, TABLE, DEFAULTS)
    assert adopt(usual, tmp_path) == []
    assert (tmp_path / DEFAULTS).read_bytes() == (ROOT / DEFAULTS).read_bytes()
    before, after = ((folder / TABLE).read_text("utf-8") for folder in (ROOT, tmp_path))
    assert len(re.findall(r"measured on \d", after)) == sum(after.count(f"| `{check.switch}` (") for check in CHECKS)
    assert [row.split("|")[3:] for row in after.splitlines()] == [row.split("|")[3:] for row in before.splitlines()]


AGAIN = """
import contextlib, pathlib
from conformance.__main__ import main
record = pathlib.Path("again.jsonl")
with record.open("w") as stream, contextlib.redirect_stdout(stream):
    main([])
main(["compare", str(record)])
"""


def test_suite_passes_where_all_flipped_values_are_adopted(
    flipped: dict[tuple[str, Any], list[Record]],
    tmp_path: Path,
    clean_env: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All at once; without federated tokens, the limit of their attributes cannot be observed."""
    copy_tree(ROOT / "conformance", tmp_path / "conformance")
    copy_tree(ROOT / "emulator", tmp_path / "emulator")
    copy(tmp_path, TABLE)
    record = tmp_path / "record.jsonl"
    record.write_text(
        "".join(
            f"{each.line()}\n" for switch, value in flipped for each in flipped[switch, value] if each.switch == switch
        )
    )
    assert main(["adopt", str(record)], tmp_path) == 0
    assert "Reword in docs/fidelity.md: An accepted upload is answered 200" in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-P", "-c", AGAIN],
        cwd=tmp_path,
        env={**clean_env, "PYTHONPATH": f"{tmp_path}:{tmp_path / 'emulator/src'}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert f"{len(CHECKS) - 1} of {len(CHECKS)} checks agree" in done.stdout, done.stdout


def test_emulators_record_is_not_adopted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "record.jsonl"
    record.write_text(Record("C1.upload", "", "upload-status", 201, "", "emulator", "2026-01-01").line())
    assert main(["adopt", str(record)], tmp_path) == 2
    assert "a record of the emulator measures nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "is no record of this suite"),
        ("[]", "is no record of this suite"),
        ('{"id": "B1.root"}', "is no record of this suite"),
        (Record("X9", "", "texts", "empty", "", "public", "2026-01-01").line(), "there is no such check"),
        (Record("B1.root", "", "root-index", "x) | `y`", "", "public", "2026-01-01").line(), "cannot be x) | `y`"),
        (Record("C1.upload", "", "upload-status", 302, "", "project", "2026-01-01").line(), "cannot be 302"),
        (
            Record("C1.upload", "", "upload-status", value=True, why="", target="project", date="2026-01-01").line(),
            "cannot be true",
        ),
        (Record("C1.upload", "", "upload-status", 201, "", "project", "today | x").line(), "is no record"),
    ],
)
def test_bad_record_changes_nothing(line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy(tmp_path, TABLE, DEFAULTS)
    record = tmp_path / "record.jsonl"
    record.write_text(line)
    assert main(["adopt", str(record)], tmp_path) == 2
    assert said in capsys.readouterr().err
    for name in (TABLE, DEFAULTS):
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()


def test_compare_names_the_switch(
    flipped: dict[tuple[str, Any], list[Record]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "record.jsonl"
    record.write_text("".join(f"{each.line()}\n" for each in flipped["duplicate-status", 409]))
    assert main(["compare", str(record)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "C2.different differs: The status for a file name that exists is 409, in the emulator 400.",
        "    The switch that makes it agree: duplicate-status = 409",
        f"{len(CHECKS) - 1} of {len(CHECKS)} checks agree with the emulator's defaults.",
    ]


def copy(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


# Records


def test_records_hold_no_token(flipped: dict[tuple[str, Any], list[Record]], leaks: Leaks) -> None:
    for records in flipped.values():
        for each in records:
            assert each.date
            assert each.request or each.value in {None, "never"}
            leaks.scan(each.id, each.line())
            assert len(each.body) <= 2048
    (redirect,) = (each for each in flipped["upload-status", 201] if each.switch == "redirect-length")
    assert redirect.headers
    assert re.fullmatch(r"\S+/downloads/<\d{4} characters cut>", redirect.headers["location"])
    assert (redirect.status, redirect.credential) == (307, "reader")


# Hostile targets


SECRET = "ya29.a-secret-of-the-test"
QUICK = (2.0, 0.2)


def hostile(server: ScriptedServer, *replies: Reply | Callable[[Seen], Reply]) -> list[Record]:
    """Return the records of a place on a server that answers every request in the same way."""
    for reply in replies:
        server.on("/", reply)
    client = Client(lambda host: f"{server.url}/{host}", QUICK)
    return list(measure(Place(client, "h-python.pkg.dev", "/p/r", "pkg", basic("reader", SECRET)), "public"))


def test_credentials_do_not_follow_redirects_and_links_elsewhere() -> None:
    with serve() as server, serve() as elsewhere:
        for reply in (
            Reply(302, headers={"Location": f"{elsewhere.url}/h-python.pkg.dev/p/r/pkg.whl"}),
            Reply(200, f'<a href="{elsewhere.url}/h-python.pkg.dev/p/r/pkg.whl">pkg.whl</a>'),
            Reply(200, f'<a href="//{elsewhere.url.partition("://")[2]}/p/r/pkg.whl">pkg.whl</a>'),
        ):
            found = {each.switch: each for each in hostile(server, reply)}
            assert found["redirect-length"].value is None
        assert elsewhere.seen == []
        assert server.seen


def test_token_that_a_server_echoes_is_cut() -> None:
    def echo(seen: Seen) -> Reply:
        sent = str(seen.headers["Authorization"])
        return Reply(403, f"{sent} {base64.b64decode(sent.partition(' ')[2]).decode()}", {"X-Echo": sent})

    with serve() as server:
        for each in hostile(server, echo):
            assert each.status == 403
            assert "cut>" in each.body
            assert SECRET not in each.line()
            assert base64.b64encode(f"oauth2accesstoken:{SECRET}".encode()).decode() not in each.line()


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",  # an endless body
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: ",  # an endless header
        b"",  # an endless status line
    ],
)
@pytest.mark.parametrize("pause", [0.0, 0.01])
def test_endless_answers_are_bounded(beginning: bytes, pause: float) -> None:
    with endless(beginning, pause) as url:
        start = time.monotonic()
        client = Client(lambda _: url, (0.1, 0.05))
        with suppress(NotObserved):
            client.call("GET", "h-python.pkg.dev", "/p/r/simple/pkg/", basic("reader", SECRET))
        assert time.monotonic() - start < 10  # 0.3 seconds, unless the machine is busy
        assert client.last is None or len(client.last.body) <= 2048


@pytest.mark.parametrize(("pause", "said"), [(0.01, "stays open after an early answer"), (0.0, "is too long")])
def test_endless_answer_to_a_large_upload_is_bounded(pause: float, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.early.ENDING", 0.2)
    with endless(b"HTTP/1.1 403 Forbidden\r\n\r\n", pause) as url:
        start = time.monotonic()
        client, upload = Client(lambda _: url), form("pkg", "1", b"wheel")
        with pytest.raises(NotObserved, match=said):
            after_refusal(client, "h-python.pkg.dev", "/p/r/", basic("reader", SECRET), upload=upload, seconds=60)
        assert time.monotonic() - start < 30  # 0.2 seconds, unless the machine is busy


@contextmanager
def endless(beginning: bytes, pause: float) -> Iterator[str]:
    """Run a server that answers with a beginning, and then sends on until the client leaves."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.recv(65536)
                self.request.sendall(beginning)
                while True:
                    self.request.sendall(b"x" if pause else b"5\r\nxxxxx\r\n" * 1000)
                    time.sleep(pause)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("body", ["{}", "[]", "nonsense", '{"projectNumber": 7}', '{"name": "../../x", "done": true}'])
def test_project_that_answers_nonsense_ends_with_one_sentence(
    body: str, monkeypatch: pytest.MonkeyPatch, stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve() as server:
        server.on("/", Reply(200, body))
        monkeypatch.setenv("GAR_EMULATOR_HOST", server.url)
        monkeypatch.setenv("PATH", str(stand_in))
        assert main(["--project", "p"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert SECRET not in said.err
    assert said.err.startswith("conformance: ") or "\nconformance: " in said.err


# Without a network or a login


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """Return a folder with a `gcloud` that prints a token."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gcloud").write_text(f"#!/bin/sh\necho {SECRET}\n")
    (folder / "gcloud").chmod(0o755)
    return folder


@pytest.mark.parametrize("arguments", [["--public"], ["--project", "p"]])
def test_without_a_network_one_sentence_ends_it(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("PATH", str(stand_in))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"conformance: \S+\.(dev|com) gives no answer to GET: [^\n]*refused[^\n]*\n", said.err)


def test_without_gcloud_or_a_login_one_sentence_ends_it(
    monkeypatch: pytest.MonkeyPatch, stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(stand_in))
    (stand_in / "gcloud").write_text("#!/bin/sh\necho 'no active account' >&2\nexit 1\n")
    assert main(["--project", "p"]) == 2
    (stand_in / "gcloud").unlink()
    assert main(["--project", "p"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "conformance: `gcloud auth print-access-token` fails: no active account",
        "conformance: gcloud is not installed: install the Google Cloud CLI and run `gcloud auth login`",
    ]


def test_public_repository_is_read_without_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project, name = PUBLIC_ROOT.strip("/").split("/")
    world = replace(
        owned_world(),
        projects=(Project(project, 1),),
        repositories=(Repository(project, "us", name, public=True),),
        pools=(),
        providers=(),
        accounts=(),
        keys=(),
        ambient=None,
        bindings=(Binding(OWNER, "roles/owner", f"projects/{project}"),),
    )
    with Emulator(world, data=tmp_path / "data") as emulator:
        options = form("jax", "1", wheel("jax", "1"), requires_python=">=3.9")
        owner = basic("owner", emulator.access_token(OWNER))
        Client(emulator.address).call("POST", PUBLIC_HOST, f"{PUBLIC_ROOT}/", owner, **options)
        uploaded = len(emulator.requests)
        monkeypatch.setenv("GAR_EMULATOR_HOST", emulator.url)
        assert main(["--public"]) == 0
        assert {(each.method, each.principal) for each in list(emulator.requests)[uploaded:]} == {
            ("GET", ""),
            ("HEAD", ""),
        }
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["switch"]: each["value"] for each in records} == {
        check.switch: default(check.switch) for check in CHECKS if check.public
    }


# Interruptions


def resources(emulator: Emulator) -> list[str]:
    """Return what runs have made and not removed."""
    cloud = emulator.cloud
    names = [
        *(item.resource for item in cloud.repositories),
        *(item.resource for item in cloud.world.pools if not item.deleted),
        *(item.resource for item in cloud.world.accounts if not item.deleted),
    ]
    return [name for name in names if "conformance-" in name]


@contextmanager
def running(emulator: Emulator, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "conformance", "--project", "demo-project"],
        cwd=ROOT,
        env={**environment, "GAR_EMULATOR_HOST": emulator.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def owners(emulator: Emulator, tmp_path: Path, clean_env: dict[str, str], stand_in: Path) -> dict[str, str]:
    """Return the environment of a project's owner whose gcloud is a stand-in."""
    token = tmp_path / "token"
    token.write_text(emulator.access_token(OWNER))
    (stand_in / "gcloud").write_text(f"#!/bin/sh\ncat {token}\n")
    return {**clean_env, "PATH": f"{stand_in}:{clean_env['PATH']}"}


@pytest.mark.parametrize(
    ("when", "number"), [("while it builds", signal.SIGTERM), ("while it measures", signal.SIGINT)]
)
def test_interrupted_run_removes_what_it_made(
    when: str, number: signal.Signals, emulator: Emulator, owners: dict[str, str]
) -> None:
    before = resources(emulator)
    with running(emulator, owners) as process:
        wait_for(lambda: len(resources(emulator)) > len(before))
        if when == "while it measures":
            assert process.stdout
            assert json.loads(process.stdout.readline())["id"]
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "conformance: interrupted; what this run made is removed"
    assert resources(emulator) == before


def test_next_run_removes_what_a_killed_one_left(
    emulator: Emulator, lab: Lab, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    """While another run goes on: `lab`."""
    program = require()
    environment = {**settings(emulator.exports(), emulator.access_token(OWNER), tmp_path), **clean_env}
    environment["PATH"] = f"{Path(program).parent}:{environment['PATH']}"
    before = resources(emulator)
    with running(emulator, environment) as process:
        wait_for(lambda: len(resources(emulator)) > len(before) + 2)
        process.kill()
        process.wait()
    left = set(resources(emulator)) - set(before)
    assert left
    with running(emulator, environment) as process:
        wait_for(lambda: not left & set(resources(emulator)))
        assert set(resources(emulator)) >= set(before)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert lab.run not in said
    assert resources(emulator) == before


def test_run_of_another_machine_is_removed_once_it_must_have_ended(emulator: Emulator, lab: Lab) -> None:
    other = lab_of(emulator)
    lab.finish(lab.create(f"{other.run}-py", "PYTHON"))
    for later, is_there in ((60, True), (LONGEST_RUN + 60, False)):
        remove_killed(lab_of(emulator, started=time.time() + later))
        assert any(other.run in each for each in resources(emulator)) is is_there
        assert any(lab.run in each for each in resources(emulator))
        assert lab_of(emulator, started=other.started).run != other.run
