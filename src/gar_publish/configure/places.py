"""The paths of each tool's settings on each system.

Nothing here reads from this machine, so that the paths on Windows and macOS can be tested on Linux.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Machine:
    """The facts that a user's paths depend on.

    Attributes:
        system: The operating system as `platform.system()` names it: "Linux", "Darwin", "Windows".
        environment: The environment's variables.
        home: The user's home folder.
        exists: Returns whether there is a file or a folder at a path.
    """

    system: str
    environment: Mapping[str, str]
    home: PurePath
    exists: Callable[[PurePath], bool]

    def named(self, variable: str) -> PurePath | None:
        """Return the path in a variable, if it is set."""
        value = self.environment.get(variable)
        return type(self.home)(value) if value else None

    @property
    def roaming(self) -> PurePath:
        return self.named("APPDATA") or self.home / "AppData" / "Roaming"

    @property
    def xdg(self) -> PurePath:
        """https://specifications.freedesktop.org/basedir-spec/latest/"""
        return self.named("XDG_CONFIG_HOME") or self.home / ".config"

    @property
    def library(self) -> PurePath:
        return self.home / "Library" / "Application Support"

    def config(self, tool: str) -> PurePath:
        """Return the folder of a tool that follows platformdirs."""
        match self.system:
            case "Windows":
                return self.roaming / tool
            case "Darwin":
                return (self.named("XDG_CONFIG_HOME") or self.library) / tool
        return self.xdg / tool


def pip_file(machine: Machine) -> PurePath:
    """https://pip.pypa.io/en/stable/topics/configuration/#location"""
    if named := machine.named("PIP_CONFIG_FILE"):
        return named
    usual, legacy = _pip_files(machine)
    return legacy if machine.exists(legacy) and not machine.exists(usual) else usual


def pip_environment_file(machine: Machine) -> PurePath | None:
    """Return the file of an active virtual environment, which overrides the user's own."""
    folder = machine.named("VIRTUAL_ENV")
    return folder / ("pip.ini" if machine.system == "Windows" else "pip.conf") if folder else None


def weaker_pip_files(machine: Machine) -> tuple[PurePath, ...]:
    """Return the files that pip reads before the user's own, which overrides them."""
    everyone: tuple[PurePath, ...]
    match machine.system:
        case "Windows":
            everyone = (
                type(machine.home)(machine.environment.get("PROGRAMDATA", r"C:\ProgramData")) / "pip" / "pip.ini",
            )
        case "Darwin":
            everyone = (type(machine.home)("/Library/Application Support/pip/pip.conf"),)
        case _:
            named = (machine.environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
            everyone = tuple(
                type(machine.home)(each) for each in (*(f"{one}/pip/pip.conf" for one in named), "/etc/pip.conf")
            )
    own = pip_file(machine)
    return tuple(each for each in (*everyone, *reversed(_pip_files(machine))) if each != own)


def _pip_files(machine: Machine) -> tuple[PurePath, PurePath]:
    """Return pip's current path and its legacy path."""
    match machine.system:
        case "Windows":
            return machine.roaming / "pip" / "pip.ini", machine.home / "pip" / "pip.ini"
        case "Darwin" if machine.exists(machine.library / "pip"):
            usual = machine.library / "pip" / "pip.conf"
        case "Darwin":
            usual = machine.home / ".config" / "pip" / "pip.conf"
        case _:
            usual = machine.xdg / "pip" / "pip.conf"
    return usual, machine.home / ".pip" / "pip.conf"


def uv_file(machine: Machine) -> PurePath:
    """https://docs.astral.sh/uv/concepts/configuration-files/"""
    base = machine.roaming if machine.system == "Windows" else machine.xdg
    return machine.named("UV_CONFIG_FILE") or base / "uv" / "uv.toml"


def poetry_folder(machine: Machine) -> PurePath:
    """https://python-poetry.org/docs/configuration/#config-directory"""
    return machine.named("POETRY_CONFIG_DIR") or machine.config("pypoetry")


def pdm_file(machine: Machine) -> PurePath:
    """https://pdm-project.org/en/latest/usage/config/#configuration-files"""
    if named := machine.named("PDM_CONFIG_FILE"):
        return named
    if machine.system == "Windows":
        local = machine.named("LOCALAPPDATA") or machine.home / "AppData" / "Local"
        return local / "pdm" / "pdm" / "config.toml"
    return machine.config("pdm") / "config.toml"


def pypirc_file(machine: Machine) -> PurePath:
    """https://packaging.python.org/en/latest/specifications/pypirc/"""
    return machine.home / ".pypirc"


def netrc_file(machine: Machine) -> PurePath:
    """https://requests.readthedocs.io/en/latest/user/authentication/#netrc-authentication"""
    return machine.named("NETRC") or machine.home / ("_netrc" if machine.system == "Windows" else ".netrc")


def docker_file(machine: Machine, name: str) -> PurePath:
    """Return a path outside every project, so that no build context contains it."""
    return machine.config("gar-publish") / f"{name}.pip.conf"
