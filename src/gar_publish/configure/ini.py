"""Edits pip.conf and .pypirc, and keeps every other line, comments included.

pip and twine read these files without interpolation, so `%` is not escaped.
"""

import configparser
from collections.abc import Collection, Iterator

from configupdater import ConfigUpdater, Option, Section

from gar_publish.configure.files import Malformed
from gar_publish.settings.index_url import Login, same_index

_REPLACED = "# replaced by gar-publish: "


class _Pip(ConfigUpdater):
    def optionxform(self, optionstr: str) -> str:
        """Return the option's name as pip reads it: `extra_index_url` is `extra-index-url`."""
        return optionstr.lower().replace("_", "-")


def with_pip_index(text: str, url: str, *, only: bool) -> str:
    """Return a pip.conf with this index in addition to the others, or as the only one.

    In pip, the section of a command ([install]) overrides [global], so one that names indexes is changed too. The only
    index replaces others by comments, from which they come back when it is not the only one any more.

    Args:
        text: The current text.
        url: The simple index, with user name and password.
        only: Whether it should be the only index.

    Raises:
        Malformed: pip cannot read the file either.
    """
    updater = _parsed(_Pip(), text)
    everywhere = _section(updater, "global")
    if only:
        for section in [each for each in updater.iter_sections() if each is everywhere or _names_indexes(each)]:
            for option in ("extra-index-url", "index-url"):
                lines = list(_lines_without(section, option, url))
                for comment in [line for line in lines if not _items(line)]:
                    section[option].add_before.comment(comment)
                if others := [each for line in lines for each in _items(line)]:
                    section[option].add_before.comment(f"{_REPLACED}{option} = {' '.join(others)}")
            section["index-url"] = url
            _set_lines(section, "extra-index-url", [])
        return str(updater)
    for section in updater.iter_sections():
        if same_index(_value(section, "index-url"), url):
            del section["index-url"]
    updater = _parsed(_Pip(), _with_replaced_indexes(updater))
    everywhere = _section(updater, "global")
    for section in updater.iter_sections():
        if section is everywhere or "extra-index-url" in section:
            _set_lines(section, "extra-index-url", [*_lines_without(section, "extra-index-url", url), url])
    return str(updater)


def pip_indexes(text: str, options: Collection[str] = ("index-url", "extra-index-url")) -> list[str]:
    """Return the indexes in a pip.conf.

    Raises:
        Malformed: pip cannot read the file either.
    """
    sections = list(_parsed(_Pip(), text).iter_sections())
    lines = [line for section in sections for option in options for line in _lines(section, option)]
    return [each for line in lines for each in _items(line)]


def with_pypirc_repository(text: str, name: str, url: str, login: Login) -> str:
    """Return a .pypirc in which `twine upload --repository NAME` finds this repository.

    Without a password, twine gets both user name and password from its keyring.

    Raises:
        Malformed: twine cannot read the file either.
    """
    updater = _parsed(ConfigUpdater(), text)
    distutils = _section(updater, "distutils")
    # twine's default for the option
    servers = _lines(distutils, "index-servers") or ["pypi", "testpypi"]
    if not any(name in _items(line) for line in servers):
        _set_lines(distutils, "index-servers", [*servers, name])
    section = _section(updater, name)
    section["repository"] = url
    for option, value in (("username", login.user), ("password", login.password)):
        if login.password is not None:
            section[option] = value
        elif option in section:
            del section[option]
    return str(updater)


def _with_replaced_indexes(updater: ConfigUpdater) -> str:
    """Return a pip.conf with the indexes that comments keep, except where an option has another value by now."""
    taken = {(section.name, option) for section in updater.iter_sections() for option in section.options()}
    lines = []
    for block in updater.iter_blocks():
        for line in str(block).splitlines(keepends=True):
            replaced = line.removeprefix(_REPLACED)
            option = block.name if isinstance(block, Section) else "", replaced.partition(" =")[0]
            if replaced == line or option in taken:
                lines.append(line)
            else:
                lines.append(replaced)
                taken.add(option)
    return "".join(lines)


def _parsed(updater: ConfigUpdater, text: str) -> ConfigUpdater:
    try:
        updater.read_string(text if text.endswith("\n") or not text else f"{text}\n")
    except configparser.Error as error:  # its message quotes the line, which may contain a secret
        errors = getattr(error, "errors", None)
        raise Malformed(errors[0][0] if errors else getattr(error, "lineno", None)) from None
    flat = _flat(updater)
    return updater if flat == str(updater) else _parsed(type(updater)(), flat)


def _flat(updater: ConfigUpdater) -> str:
    """Return a text without the indentation of sections and options: below a new option, they would be its value."""
    parts = []
    for block in updater.iter_blocks():
        inside = [*block.iter_blocks()] if isinstance(block, Section) else []
        header = str(block).removesuffix("".join(map(str, inside)))
        parts.append(header.lstrip() if isinstance(block, Section) else header)
        for each in inside:
            lines = str(each).splitlines(keepends=True)
            indentation = lines[0].removesuffix(lines[0].lstrip()) if isinstance(each, Option) else ""
            parts += [line.removeprefix(indentation) for line in lines]
    return "".join(parts)


def _section(updater: ConfigUpdater, name: str) -> Section:
    if name not in updater:
        others = updater.sections()
        updater.add_section(name)
        if others:
            updater[name].add_before.space()
    return updater[name]


def _value(section: Section, option: str) -> str:
    return (section[option].value or "") if option in section else ""


def _names_indexes(section: Section) -> bool:
    return "index-url" in section or "extra-index-url" in section


def _lines(section: Section, option: str) -> list[str]:
    """Return the lines of a list, comments included."""
    return [line.strip() for line in _value(section, option).splitlines() if line.strip()]


def _items(line: str) -> list[str]:
    return [] if line.startswith(("#", ";")) else line.split()


def _lines_without(section: Section, option: str, url: str) -> Iterator[str]:
    for line in _lines(section, option):
        others = [each for each in _items(line) if not same_index(each, url)]
        if others == _items(line):
            yield line
        elif others:
            yield " ".join(others)


def _set_lines(section: Section, option: str, lines: list[str]) -> None:
    if lines == _lines(section, option):
        return
    if option not in section:
        section[option] = ""
    if len(lines) > 1:
        section[option].set_values(lines)
    elif lines:
        section[option] = lines[0]
    else:
        del section[option]
