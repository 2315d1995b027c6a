import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gar_publish.builder.builds import Built
from gar_publish.distributions import distribution
from gar_publish.errors import BadInput, BuildFailure, Failure
from gar_publish.previews.origin import Preview
from gar_publish.projects.find import Project
from gar_publish.publish import delivery
from gar_publish.publish.schedule import Package
from gar_publish.publish.sources import Sources
from gar_publish.registry.outcomes import ExistingFile, NotBuilt, PublishedFile
from tests.unit.failures import words
from tests.unit.publish.registry import Bench
from tests.wheels import make_sdist, make_wheel

FAILED = BuildFailure("No.", anchor="build-failed")


def project(name: str | None, version: str | None = "1.0", *build_requires: str) -> Project:
    return Project(Path(name or "unnamed"), f"packages/{name}", name, version, build_requires=frozenset(build_requires))


class Opened:
    """The sources of a run, with its delivery."""

    def __init__(self, bench: Bench, *projects: Project, **inputs: str) -> None:
        settings = bench.settings(**inputs)
        self.destination = bench.destination(settings, projects)
        names = [each.name for each in projects if each.name]
        self.delivery = bench.delivery(names, unnamed=len(projects) - len(names), **inputs)
        self.sources = Sources(
            settings,
            bench.context,
            projects,
            destination=self.destination,
            delivery=self.delivery,
            readers=bench.pool,
        )


def test_a_build_does_not_wait_for_ever_for_a_package_that_waits_for_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_LONGEST_WAIT", 0)
    opened = Opened(bench, project("lib"), project(None, "1.0", "lib"))  # until its name is known, nothing is uploaded
    opened.delivery.add(Package.of([distribution.read(make_wheel(tmp_path, "lib"))]))
    assert not opened.delivery.has_landed("lib")


def outline(packages: Sequence[Package]) -> list[tuple[str, list[str], bool]]:
    return [(each.name, [file.filename for file in each.files], each.unnamed) for each in packages]


def test_without_skip_everything_is_built(bench: Bench) -> None:
    bench.registry.files["lib-1.0-py3-none-any.whl"] = b"published"
    lib = project("lib")
    assert Opened(bench, lib).sources.to_build() == (lib,)


def test_with_skip_existing_versions_are_not_built(bench: Bench) -> None:
    names = (
        "lib-1.0-py3-none-any.whl",
        "old-1.0-py3-none-any.whl",
        "native-1.0-cp313-cp313-win32.whl",
        "sd-1.0.tar.gz",
    )
    bench.registry.files |= dict.fromkeys(names, b"published")
    lib, others = project("lib"), [project("old", "2.0"), project("native"), project("sd"), project("no", None)]
    opened = Opened(bench, lib, *others, project(None), if_exists="skip")
    assert opened.sources.to_build() == [*others, project(None)]
    assert opened.delivery.has_landed("lib")
    url = f"{bench.server.url}/f/lib-1.0-py3-none-any.whl"
    existing = ExistingFile("lib-1.0-py3-none-any.whl", "lib", "1.0")
    sha256 = hashlib.sha256(b"published").hexdigest()
    assert opened.sources.skipped == [PublishedFile(existing, "skipped", sha256, url)]


def test_with_skip_all_formats_must_exist(bench: Bench) -> None:
    bench.registry.files |= {"lib-1.0-py3-none-any.whl": b"1", "lib-1.0.tar.gz": b"2", "app-1.0.tar.gz": b"3"}
    app = project("app")
    opened = Opened(bench, project("lib"), app, if_exists="skip", formats="wheel,sdist")
    assert opened.sources.to_build() == [app]
    assert {each.distribution.filename for each in opened.sources.skipped} == {
        "lib-1.0-py3-none-any.whl",
        "lib-1.0.tar.gz",
    }


def test_build_requirements_of_the_repository_are_installed_from_it(bench: Bench) -> None:
    bench.registry.files["lib-1.0-py3-none-any.whl"] = b"published"
    sources = Opened(bench, project("app")).sources
    host = bench.server.url.removeprefix("http://")
    assert sources.private_index(["lib"]) == f"http://oauth2accesstoken:ya29.given@{host}/upload/simple/"


def test_other_build_requirements_need_no_private_index(bench: Bench) -> None:
    assert Opened(bench, project("app")).sources.private_index(["setuptools"]) is None


def test_a_build_requirement_of_this_run_is_waited_for(bench: Bench) -> None:
    opened = Opened(bench, project("app", "1.0", "lib"), project("lib"))
    opened.delivery.leave_out("lib", landed=True)
    assert opened.sources.private_index(["lib"])


@pytest.mark.parametrize(("landed", "dry_run"), [(False, "false"), (True, "true")])
def test_a_build_requirement_of_this_run_that_is_not_published(bench: Bench, *, landed: bool, dry_run: str) -> None:
    opened = Opened(bench, project("app", "1.0", "lib"), project("lib"), dry_run=dry_run)
    opened.delivery.leave_out("lib", landed=landed)
    with pytest.raises(BuildFailure) as caught:
        opened.sources.private_index(["lib"])
    assert words(caught.value) == [
        "A build needs lib, which this run has not published. gar-publish does not take it from another index.",
        "lib failed, or waits for packages that come only after this build, or this is a dry run or a rehearsal",
        "publish lib first, in a run of its own",
        "build-requirements",
    ]


def test_a_build_requirement_in_a_cycle_is_not_waited_for(bench: Bench) -> None:
    opened = Opened(bench, project("app", "1.0", "lib"), project("lib", "1.0", "app"))
    assert opened.sources.private_index(["app", "lib"]) is None


def test_finished_builds_are_packages(bench: Bench, tmp_path: Path) -> None:
    app, unnamed = project("app"), project(None)
    builds = [Built(unnamed, (make_wheel(tmp_path, "lib"),)), Built(app, (make_wheel(tmp_path, "app"),))]
    packages = list(Opened(bench, app, unnamed).sources.built.read(builds))
    assert outline(packages) == [
        ("lib", ["lib-1.0-py3-none-any.whl"], True),
        ("app", ["app-1.0-py3-none-any.whl"], False),
    ]


def test_one_of_several_builds_may_fail(bench: Bench, tmp_path: Path) -> None:
    app, lib, other = replace(project("app"), label="."), project("lib"), project("other")
    builds = [
        Built(app, failure=FAILED),
        Built(lib, (make_wheel(tmp_path, "lib"),)),
        Built(other, (make_wheel(tmp_path, "renamed"),)),
    ]
    opened = Opened(bench, app, lib, other)
    assert [each.name for each in opened.sources.built.read(builds)] == ["lib"]
    first, second = opened.sources.built.not_built
    assert first == NotBuilt("app", FAILED)
    assert (second.label, second.failure.anchor) == ("packages/other", "other-name")
    assert not opened.delivery.has_landed("app")
    assert not opened.delivery.has_landed("other")


def test_a_single_build_that_fails_ends_the_run(bench: Bench) -> None:
    app = project("app")
    with pytest.raises(BuildFailure, match=r"No\."):
        list(Opened(bench, app).sources.built.read([Built(app, failure=FAILED)]))


def test_two_projects_with_the_same_name(bench: Bench, tmp_path: Path) -> None:
    app, unnamed = project("app"), project(None)
    wheel = make_wheel(tmp_path, "app")
    opened = Opened(bench, app, unnamed)
    packages = list(opened.sources.built.read([Built(unnamed, (wheel,)), Built(app, (wheel,))]))
    assert [each.name for each in packages] == ["app"]
    (not_built,) = opened.sources.built.not_built
    assert "have the same package name, app" in not_built.failure.what
    assert not opened.delivery.has_landed("app")


PREVIEW = Preview("pr42", "abc1234", datetime(2026, 11, 29, 10, 0, 1, tzinfo=UTC), None)
VERSION = "1.0.1.dev1795946401+pr42.gabc1234"


def test_a_preview_requires_exact_siblings(bench: Bench, tmp_path: Path) -> None:
    app, lib, unnamed = project("app"), project("lib"), project(None)
    builds = [
        Built(app, (make_wheel(tmp_path, "app", requires=["lib>=1.0", "late"]),)),
        Built(unnamed, (make_wheel(tmp_path, "late"),)),
        Built(lib, (make_wheel(tmp_path, "lib", requires=["numpy"]),)),
    ]
    opened = Opened(bench, unnamed, app, lib)
    (tmp_path / "stamped").mkdir()
    packages = list(opened.sources.preview(builds, PREVIEW, tmp_path / "stamped"))
    assert outline(packages) == [
        ("late", [f"late-{VERSION}-py3-none-any.whl"], True),
        ("app", [f"app-{VERSION}-py3-none-any.whl"], False),
        ("lib", [f"lib-{VERSION}-py3-none-any.whl"], False),
    ]
    requires = [each.files[0].package.metadata.get("requires_dist") for each in packages]
    assert requires == [None, [f"lib=={VERSION}", f"late=={VERSION}"], ["numpy"]]
    assert opened.sources.pins(["app", "numpy"]) == [f"app=={VERSION}"]
    assert Opened(bench, app).sources.pins(["app"]) == []


def test_a_preview_lacks_what_requires_a_failed_build(bench: Bench, tmp_path: Path) -> None:
    app, lib, other = replace(project("app"), label="."), project("lib"), project("other")
    builds = [
        Built(app, (make_wheel(tmp_path, "app", requires=["lib; extra == 'x'"]),)),
        Built(other, (make_wheel(tmp_path, "other"),)),
        Built(lib, failure=FAILED),
    ]
    opened = Opened(bench, app, lib, other)
    (tmp_path / "stamped").mkdir()
    packages = opened.sources.preview(builds, PREVIEW, tmp_path / "stamped")
    assert [each.name for each in packages] == ["other"]
    assert [(each.label, each.failure.what) for each in opened.sources.built.not_built] == [
        ("packages/lib", "No."),
        ("app", "app requires lib, which was not built, so no preview of app can be installed."),
    ]
    assert not opened.delivery.has_landed("app")


def test_a_build_does_not_wait_for_ever_for_a_preview_that_waits_for_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_LONGEST_WAIT", 0)
    app, lib = project("app"), project("lib")
    opened = Opened(bench, app, lib)

    def builds() -> Iterator[Built]:
        yield Built(app, (make_wheel(tmp_path, "app", requires=["lib"]),))
        assert not opened.delivery.has_landed("app")
        yield Built(lib, failure=FAILED)

    assert list(opened.sources.preview(builds(), PREVIEW, tmp_path)) == []


def test_a_preview_has_no_sdists(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    make_sdist(tmp_path / "dist")
    with pytest.raises(BadInput, match="`dist` has sdists alone"):
        Opened(bench, dist="dist").sources.prebuilt_preview(PREVIEW, tmp_path)


def test_a_preview_of_built_files_takes_no_projects(bench: Bench, tmp_path: Path) -> None:
    """Those of a fork take names: see `previews/forks.py`."""
    make_wheel(tmp_path / "dist", "app")
    opened = Opened(bench, dist="dist", packages="libs", preview="true", repository="us/acme/previews")
    with pytest.raises(BadInput, match=r"A project \(libs\) and `dist` cannot be combined"):
        opened.sources.prebuilt_preview(PREVIEW, tmp_path)


@pytest.mark.parametrize("name", ["app-2.0", "app-1.0.0", "App-1.0"])
def test_a_preview_has_one_version_of_each_package(bench: Bench, tmp_path: Path, name: str) -> None:
    wheel = make_wheel(tmp_path / "dist", "app")
    wheel.rename(wheel.with_name(f"{name}-py3-none-any.whl"))
    make_wheel(tmp_path / "dist", "app", name.partition("-")[2])
    make_wheel(tmp_path / "dist", "app")
    with pytest.raises(BuildFailure, match="The wheels of app have different versions: "):
        Opened(bench, dist="dist").sources.prebuilt_preview(PREVIEW, tmp_path)


@pytest.mark.parametrize(("content", "why"), [({"app.py": "def ("}, "cannot be imported"), ({}, "is empty")])
def test_the_wheels_of_a_preview_are_checked(bench: Bench, tmp_path: Path, content: dict[str, str], why: str) -> None:
    wheel = make_wheel(tmp_path / "dist", "app", files=content)
    app = project("app")
    with pytest.raises(BuildFailure, match=why):
        Opened(bench, dist="dist").sources.prebuilt_preview(PREVIEW, tmp_path)
    with pytest.raises(BuildFailure, match=why):
        list(Opened(bench, app).sources.preview([Built(app, (wheel,))], PREVIEW, tmp_path))


def test_given_files_are_grouped_by_name(bench: Bench, tmp_path: Path) -> None:
    make_wheel(tmp_path / "dist", "app", requires=["sample", "app[x]", "requests"])
    make_wheel(tmp_path / "dist", "sample")
    make_sdist(tmp_path / "dist")
    packages = Opened(bench, dist="dist").sources.prebuilt()
    assert [(name, sorted(files)) for name, files, _ in outline(packages)] == [
        ("app", ["app-1.0-py3-none-any.whl"]),
        ("sample", ["sample-1.0-py3-none-any.whl", "sample-1.0.tar.gz"]),
    ]
    assert packages[0].required == {"sample", "requests"}


def test_given_files_in_a_cycle_are_refused(bench: Bench, tmp_path: Path) -> None:
    make_wheel(tmp_path / "dist", "a", requires=["b"])
    make_wheel(tmp_path / "dist", "b", requires=["a"])
    with pytest.raises(BadInput, match="a requires b, which requires a"):
        Opened(bench, dist="dist").sources.prebuilt()


def test_a_missing_source_ends_a_promotion(bench: Bench, tmp_path: Path) -> None:
    opened = Opened(bench, repository="us/demo-project/python", promote_from="us/demo-project/dev", packages="lib==1.0")
    promotion = opened.sources._settings.promotion
    assert promotion
    with pytest.raises(Failure, match="us/demo-project/dev, to promote from, does not exist"):
        opened.sources.promoted(promotion, tmp_path)
