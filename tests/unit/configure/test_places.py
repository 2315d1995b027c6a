"""Where the files are: on Linux, macOS and Windows, wherever the tests run."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath, PurePosixPath, PureWindowsPath

import pytest

from gar_publish.configure.places import (
    Machine,
    docker_file,
    pdm_file,
    pip_environment_file,
    pip_file,
    poetry_folder,
    pypirc_file,
    uv_file,
    weaker_pip_files,
)

LIBRARY = "/Users/me/Library/Application Support"
USERS = "/home/me/.config/pip/pip.conf"
ROAMING = r"C:\Users\me\AppData\Roaming"


def linux(environment: Mapping[str, str] | None = None) -> Machine:
    return Machine("Linux", environment or {}, PurePosixPath("/home/me"), lambda _: False)


def mac(*folders: str, environment: Mapping[str, str] | None = None) -> Machine:
    return Machine("Darwin", environment or {}, PurePosixPath("/Users/me"), lambda path: str(path) in folders)


def windows(environment: Mapping[str, str] | None = None) -> Machine:
    return Machine("Windows", environment or {}, PureWindowsPath(r"C:\Users\me"), lambda _: False)


def docker(machine: Machine) -> PurePath:
    return docker_file(machine, "gar")


@pytest.mark.parametrize(
    ("file", "on_linux", "on_mac", "on_windows"),
    [
        (pip_file, "/home/me/.config/pip/pip.conf", "/Users/me/.config/pip/pip.conf", rf"{ROAMING}\pip\pip.ini"),
        (uv_file, "/home/me/.config/uv/uv.toml", "/Users/me/.config/uv/uv.toml", rf"{ROAMING}\uv\uv.toml"),
        (
            poetry_folder,
            "/home/me/.config/pypoetry",
            f"{LIBRARY}/pypoetry",
            rf"{ROAMING}\pypoetry",
        ),
        (
            pdm_file,
            "/home/me/.config/pdm/config.toml",
            f"{LIBRARY}/pdm/config.toml",
            r"C:\Users\me\AppData\Local\pdm\pdm\config.toml",
        ),
        (pypirc_file, "/home/me/.pypirc", "/Users/me/.pypirc", r"C:\Users\me\.pypirc"),
        (
            docker,
            "/home/me/.config/gar-publish/gar.pip.conf",
            f"{LIBRARY}/gar-publish/gar.pip.conf",
            rf"{ROAMING}\gar-publish\gar.pip.conf",
        ),
    ],
)
def test_the_paths_of_each_system(
    file: Callable[[Machine], PurePath], on_linux: str, on_mac: str, on_windows: str
) -> None:
    assert str(file(linux())) == on_linux
    assert str(file(mac())) == on_mac
    assert str(file(windows())) == on_windows


@pytest.mark.parametrize(
    ("machine", "files"),
    [
        (linux(), ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", "/home/me/.pip/pip.conf"]),
        (linux({"PIP_CONFIG_FILE": "/x"}), ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", "/home/me/.pip/pip.conf", USERS]),
        (mac(), ["/Library/Application Support/pip/pip.conf", "/Users/me/.pip/pip.conf"]),
        (windows(), [r"C:\ProgramData\pip\pip.ini", r"C:\Users\me\pip\pip.ini"]),
    ],
)
def test_the_files_that_pip_reads_before_the_users_own(machine: Machine, files: list[str]) -> None:
    assert [str(each) for each in weaker_pip_files(machine)] == files


def test_pip_on_macos_keeps_its_existing_folder() -> None:
    assert str(pip_file(mac(f"{LIBRARY}/pip"))) == f"{LIBRARY}/pip/pip.conf"


@pytest.mark.parametrize(
    ("variable", "value", "file", "expected"),
    [
        ("PIP_CONFIG_FILE", "/etc/ours.conf", pip_file, "/etc/ours.conf"),
        ("UV_CONFIG_FILE", "/etc/ours.toml", uv_file, "/etc/ours.toml"),
        ("PDM_CONFIG_FILE", "/etc/ours.toml", pdm_file, "/etc/ours.toml"),
        ("POETRY_CONFIG_DIR", "/etc/poetry", poetry_folder, "/etc/poetry"),
        ("XDG_CONFIG_HOME", "/etc/me", pip_file, "/etc/me/pip/pip.conf"),
        ("XDG_CONFIG_HOME", "/etc/me", uv_file, "/etc/me/uv/uv.toml"),
        ("XDG_CONFIG_HOME", "/etc/me", pdm_file, "/etc/me/pdm/config.toml"),
        ("XDG_CONFIG_HOME", "", uv_file, "/home/me/.config/uv/uv.toml"),
    ],
)
def test_a_variable_names_another_path(
    variable: str, value: str, file: Callable[[Machine], PurePath], expected: str
) -> None:
    assert str(file(linux({variable: value}))) == expected


@pytest.mark.parametrize(
    ("variable", "file", "expected"),
    [
        ("APPDATA", pip_file, r"D:\me\pip\pip.ini"),
        ("APPDATA", uv_file, r"D:\me\uv\uv.toml"),
        ("LOCALAPPDATA", pdm_file, r"D:\me\pdm\pdm\config.toml"),
    ],
)
def test_windows_can_have_settings_on_another_drive(
    variable: str, file: Callable[[Machine], PurePath], expected: str
) -> None:
    assert str(file(windows({variable: r"D:\me"}))) == expected


@pytest.mark.parametrize(
    ("machine", "legacy"),
    [(linux, "/home/me/.pip/pip.conf"), (mac, "/Users/me/.pip/pip.conf"), (windows, r"C:\Users\me\pip\pip.ini")],
)
def test_pip_keeps_its_legacy_path_if_it_is_the_only_one(machine: Callable[[], Machine], legacy: str) -> None:
    usual = pip_file(machine())
    assert str(pip_file(replace(machine(), exists=lambda path: str(path) == legacy))) == legacy
    assert pip_file(replace(machine(), exists=lambda path: str(path) in {legacy, str(usual)})) == usual


def test_a_virtual_environment_has_its_own_file() -> None:
    assert str(pip_environment_file(linux({"VIRTUAL_ENV": "/home/me/app/.venv"}))) == "/home/me/app/.venv/pip.conf"
    assert str(pip_environment_file(windows({"VIRTUAL_ENV": r"C:\.venv"}))) == r"C:\.venv\pip.ini"
    assert pip_environment_file(linux()) is None
