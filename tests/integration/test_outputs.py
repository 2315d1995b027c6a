"""The results of a run: install option, outputs, step summary and report."""

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import requests
import yaml

from gar_emulator import Emulator, Fault
from gar_emulator.world.iam import READ_ONLY
from tests.conftest import ROOT
from tests.integration.frontdoors import (
    DIRECT,
    HELLO,
    HURRIED,
    PROVIDER,
    PUBLISH,
    PUBLISHER,
    READER,
    REPOSITORY,
    Doors,
    Step,
    install,
    publish,
    uploads,
)
from tests.leaks import Leaks
from tests.runner import Masker
from tests.unit.servers import Reply, Seen, serve
from tests.wheels import make_wheel


class TestInstallOption:
    """The install option for later steps."""

    def act(self, hello: Doors, **inputs: str) -> Step:
        given = {"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "dist": "dist"}
        step = hello.action(given | {name.replace("_", "-"): value for name, value in inputs.items()})
        assert step.code == 0, step.log
        return step

    def rights(self, step: Step, emulator: Emulator) -> tuple[int, int]:
        """Return the statuses of a request that reads, and of an empty upload."""
        url = step.outputs["extra-index-url"].partition("--extra-index-url ")[2]
        auth = ("oauth2accesstoken", url.partition("oauth2accesstoken:")[2].partition("@")[0])
        upload = f"{emulator.address('us-central1-python.pkg.dev')}/demo-project/python/"
        return (
            requests.get(f"{upload}simple/hello/", auth=auth, timeout=10).status_code,
            requests.post(upload, files={"a": b""}, auth=auth, timeout=10).status_code,
        )

    @pytest.mark.parametrize(("wanted", "account"), [("auto", ""), ("read-only", PUBLISHER)])
    def test_installs_and_cannot_upload(self, hello: Doors, emulator: Emulator, wanted: str, account: str) -> None:
        step = self.act(hello, index_token=wanted, service_account=account)
        assert self.rights(step, emulator) == (200, 403)
        warned = ["The token for installs expires at"] * (not account)
        assert re.findall("^::warning::(The .* at) ", step.log, re.MULTILINE) == warned
        assert step.log.count("set `service-account`") == step.log.count("::warning") == len(warned)
        installed = install(hello, step.outputs["extra-index-url"], "hello==1.0")
        assert (installed / "hello.py").is_file()

    def test_is_exchanged_after_a_long_upload(self, hello: Doors, emulator: Emulator) -> None:
        emulator.cloud.switch(federated_lifetime=6)
        emulator.inject(Fault("upload", "drip", seconds=0.02))  # longer than a tenth of the token's life
        self.act(hello)
        seen = emulator.requests
        later = seen[seen.index(uploads(emulator)[0]) :]
        assert "sts.googleapis.com" in {each.host for each in later}

    def test_publisher(self, hello: Doors, emulator: Emulator) -> None:
        step = self.act(hello, index_token="publisher", service_account=PUBLISHER)
        assert self.rights(step, emulator) == (200, 400)
        assert "::warning" not in step.log

    def test_auto_where_the_registry_takes_no_read_only_token(self, hello: Doors, emulator: Emulator) -> None:
        emulator.cloud.switch(read_only_scope=False)
        step = self.act(hello, service_account=PUBLISHER)
        assert self.rights(step, emulator) == (200, 400)
        assert step.log.count("::warning") == 1
        assert "::warning::The install options have the publishing token" in step.log

    def test_read_only_where_the_registry_takes_no_read_only_token(self, hello: Doors, emulator: Emulator) -> None:
        emulator.cloud.switch(read_only_scope=False)
        step = hello.action(
            {
                "repository": REPOSITORY,
                "workload-identity-provider": PROVIDER,
                "dist": "dist",
                "index-token": "read-only",
            }
        )
        assert step.code == 6
        (message,) = step.errors
        assert "or the token's scope, a service perimeter or a deny policy" in message
        assert "use `index-token: auto`" in message
        assert uploads(emulator) == []

    def test_auto_with_a_given_token(self, hello: Doors, emulator: Emulator) -> None:
        given = {"workload_identity_provider": "", "access_token": emulator.access_token(PUBLISHER)}
        step = self.act(hello, **given)
        assert self.rights(step, emulator) == (200, 400)
        assert "::warning::The install options have the publishing token" in step.log

    def test_none(self, hello: Doors, emulator: Emulator) -> None:
        step = self.act(hello, index_token="none")
        assert step.outputs["extra-index-url"] == ""
        assert step.outputs["token-expires-at"] == ""
        assert "::warning" not in step.log
        asked = [seen for seen in emulator.requests if seen.host == "sts.googleapis.com"]
        assert len(asked) == 1, "no second token, because it would be unused"

    def test_command(self, hello: Doors) -> None:
        publish(hello, "--dist", "dist")
        done = hello.command("index-url", "--repository", REPOSITORY, *DIRECT)
        assert done.code == 0, done.err
        (warning,) = done.warnings
        assert "in less than ten minutes" in warning
        assert "set `--service-account`" in warning
        assert (install(hello, done.out, "hello") / "hello.py").is_file()

    def test_command_as_a_reader(self, hello: Doors, emulator: Emulator) -> None:
        publish(hello, "--dist", "dist")
        options = ("--repository", REPOSITORY, "--access-token", "-", "--index-token", "publisher")
        done = hello.command("index-url", *options, given=emulator.access_token(READER, scopes=[READ_ONLY]))
        assert (install(hello, done.out, "hello") / "hello.py").is_file()

    def test_command_without_a_token(self, hello: Doors, emulator: Emulator) -> None:
        done = hello.command("index-url", "--repository", REPOSITORY, *DIRECT, "--index-token", "none")
        assert done.out == (
            f"--extra-index-url {emulator.address('us-central1-python.pkg.dev')}/demo-project/python/simple/\n"
        )


class TestOutputs:
    def test_of_the_action(self, hello: Doors, emulator: Emulator) -> None:
        sha256 = hashlib.sha256((hello.folder / "dist" / HELLO).read_bytes()).hexdigest()
        index = f"{emulator.address('us-central1-python.pkg.dev')}/demo-project/python/simple/"

        step = hello.action(
            {
                "repository": "projects/demo-project/locations/us-central1/repositories/python",
                "credentials-json": json.dumps(emulator.key(PUBLISHER), indent=2),
                "dist": "dist/*.whl\n",
            }
        )

        assert step.code == 0, step.log
        outputs = dict(step.outputs)
        assert list(outputs) == list(yaml.safe_load((ROOT / "action.yml").read_text())["outputs"])
        assert Masker(step.log).mask(outputs["extra-index-url"]) != outputs.pop("extra-index-url")
        assert {name: Masker(step.log).mask(value) for name, value in outputs.items()} == outputs
        (package,) = json.loads(outputs.pop("packages"))
        assert package.pop("files") == [
            {
                "filename": HELLO,
                "sha256": sha256,
                "size": (hello.folder / "dist" / HELLO).stat().st_size,
                "url": index.replace("/simple/", f"/hello/{HELLO}"),
                "status": "uploaded",
            }
        ]
        assert package == {"name": "hello", "version": "1.0"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", outputs.pop("token-expires-at"))
        assert outputs == {
            "index-url": index,
            "requirements": "hello==1.0",
            "requirements-hashed": f"hello==1.0 --hash=sha256:{sha256}",
            "lock": "",
            "name": "hello",
            "version": "1.0",
            "published": "true",
            "sboms": "",
            "provenance": "",
            "preview-install": "",
            "preview-install-uv": "",
        }
        assert step.summary.startswith(f"### Published to `{REPOSITORY}`\n")
        assert f"| hello | 1.0 | uploaded | `{HELLO}` |" in step.summary
        assert f"| `{sha256}` |" in step.summary
        assert "Every file was read back" in step.summary
        assert "steps.ID_OF_THE_STEP.outputs.extra-index-url }}" in step.summary

    def test_no_summary(self, hello: Doors) -> None:
        inputs = {"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "dist": "dist", "summary": "false"}
        step = hello.action(inputs)
        assert step.code == 0
        assert step.summary == ""

    def test_summary_of_a_run_that_stopped_midway(self, hello: Doors, emulator: Emulator) -> None:
        make_wheel(hello.folder / "dist", "lib", requires=["hello"], content="#" * 5000)
        emulator.cloud.switch(max_upload_size=4000)
        step = hello.action({"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "dist": "dist"})
        assert step.code == 6
        assert len(step.errors) == 1
        assert step.outputs["published"] == "true"
        assert step.outputs["extra-index-url"] == ""
        assert "| uploaded |" in step.summary
        assert "| failed |" in step.summary
        assert "lib-1.0-py3-none-any.whl" in step.summary

    def test_json_file(self, hello: Doors) -> None:
        done = hello.command(*PUBLISH, *DIRECT, "--dist", "dist", "--json", "report.json")
        assert done.code == 0
        assert done.out == ""
        report = json.loads((hello.folder / "report.json").read_text())
        assert list(report) == [
            *("index-url", "requirements", "requirements-hashed", "lock", "packages", "name", "version", "published"),
            *("token-expires-at", "sboms", "provenance", "preview-install", "preview-install-uv"),
            *("repository", "dry-run", "verified", "warnings", "rehearsals", "evidence"),
        ]
        assert report["repository"] == REPOSITORY

    def test_hashes_are_those_that_pip_requires(self, hello: Doors) -> None:
        _, report = publish(hello, "--dist", "dist")
        line = hello.command("index-url", "--repository", REPOSITORY, *DIRECT).out
        installed = install(hello, line, report["requirements-hashed"], options=["--require-hashes"])
        assert (installed / "hello.py").is_file()

    def test_index_that_lists_uploads_late(self, hello: Doors, emulator: Emulator) -> None:
        emulator.cloud.switch(index_delay=1000.0)
        done, report = publish(hello, "--dist", "dist", hurried=True)
        assert done.code == 6
        assert "was uploaded, but the index does not list it" in report["failure"]["what"]
        assert "`--no-verify`" in report["failure"]["fix"]

    def test_summary_that_cannot_be_written(self, hello: Doors) -> None:
        nowhere = {"GITHUB_STEP_SUMMARY": str(hello.folder / "no/summary")}
        step = hello.action({"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "dist": "dist"}, nowhere)
        assert step.code == 0
        assert "::warning::The step summary could not be added:" in step.log
        done = hello.command(*PUBLISH, *DIRECT, "--dist", "dist", variables=nowhere)
        assert done.code == 0
        assert done.warnings[-1].startswith("The step summary could not be added:")

    @pytest.mark.parametrize("fault", [None, Fault("upload", "503", times=0)], ids=["success", "failure"])
    def test_report_without_a_reader_of_the_log(self, hello: Doors, emulator: Emulator, fault: Fault | None) -> None:
        """As in `gar-publish … 2>&1 | head -1`."""
        if fault:
            emulator.inject(fault)
        reading, writing = os.pipe()
        os.close(reading)
        ended = subprocess.run(
            [
                sys.executable,
                "-c",
                HURRIED,
                *PUBLISH,
                *DIRECT,
                "--dist",
                "dist",
                "--json",
                "report.json",
            ],
            cwd=hello.folder,
            env=dict(hello.environment),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            check=False,
        )
        os.close(writing)
        report = json.loads((hello.folder / "report.json").read_text())
        assert (ended.returncode, report["published"]) == ((7, False) if fault else (0, True))

    @pytest.mark.parametrize("fault", ["full disk", "closed pipe"])
    def test_report_that_cannot_be_written_after_publishing(self, hello: Doors, fault: str) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        file, reason = ("/dev/full", "No space left on device") if fault == "full disk" else ("-", "Broken pipe")
        ended = subprocess.run(
            [sys.executable, "-c", HURRIED, *PUBLISH, *DIRECT, "--dist", "dist", "--json", file],
            cwd=hello.folder,
            env=dict(hello.environment),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        os.close(writing)
        assert ended.returncode == 1, "not 2: the docs say of a wrong input that nothing was published"
        assert f"uploaded  {HELLO}" in ended.stderr
        assert f"error: The outputs cannot be written: {reason}." in ended.stderr
        assert "Traceback" not in ended.stderr

    @pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
    def test_streams_that_were_closed_before_the_start(self, hello: Doors, closed: str) -> None:
        """Start it as a daemon does."""
        command = shlex.join([sys.executable, "-m", "gar_publish.cli.main", *PUBLISH, *DIRECT, "--json", "report.json"])
        ended = subprocess.run(
            ["/bin/sh", "-c", f"exec {command} --dist dist {closed}"],
            cwd=hello.folder,
            env=dict(hello.environment),
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert ended.returncode == 0
        assert json.loads((hello.folder / "report.json").read_text())["published"] is True

    def test_no_summary_of_a_failure_either(self, hello: Doors) -> None:
        inputs = {"repository": "nonsense", "summary": "false"}
        assert hello.action(inputs).summary == ""
        summary = hello.folder / "summary"
        variables = {"GITHUB_STEP_SUMMARY": str(summary)}
        hello.command("publish", "--repository", "nonsense", "--no-summary", variables=variables)
        assert not summary.exists()
        hello.command("publish", "--repository", "nonsense", variables=variables)
        assert "is only a name" in summary.read_text()

    @pytest.mark.parametrize("path", ["/simple/", "/"], ids=["index", "upload"])
    def test_server_that_repeats_the_token(self, hello: Doors, path: str, leaks: Leaks) -> None:
        """The scanner looks for this token, too."""
        token = "ya29.made-up-token-of-this-test"
        leaks.know(token, "token of another server")

        def repeat(seen: Seen) -> Reply:
            authorization = seen.headers["Authorization"]
            return Reply(403, f"Not with {authorization}: {base64.b64decode(authorization[6:]).decode()}")

        with serve() as server:
            server.on("/", Reply(404))
            server.on(path, repeat)
            step = hello.action({"repository": server.url, "access-token": token, "dist": "dist"})
            done = hello.command(
                *("publish", "--repository", server.url, "--access-token", "-", "--dist", "dist"),
                *("--json", "report.json"),
                given=token,
                variables={"GITHUB_STEP_SUMMARY": str(hello.folder / "summary")},
            )
        assert (step.code, done.code) == (6, 6)
        written = [(hello.folder / name).read_text() for name in ("report.json", "summary")]
        for text in (step.log, step.summary, done.err, *written):
            assert "Not with [hidden]: oauth2accesstoken:[hidden]" in text
