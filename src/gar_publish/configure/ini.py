"""Edits of pip.conf and .pypirc that keep every other line, comments included.

pip and twine read these files without interpolation, so a `%` in a value stays as it is.
"""

import configparser

from configupdater import ConfigUpdater, Section

from gar_publish.configure.files import Malformed
from gar_publish.login import Login, url_without_login


class _Pip(ConfigUpdater):
    def optionxform(self, optionstr: str) -> str:
        """As pip does: it takes `extra_index_url` for `extra-index-url`."""
        return optionstr.lower().replace("_", "-")


def with_pip_index(text: str, url: str, *, only: bool) -> str:
    """A pip.conf with this index beside the others, or as the only one.

    Args:
        text: The file as it is.
        url: The simple index, with user name and password.
        only: Whether pip is to look nowhere else.

    Raises:
        Malformed: pip could not read the file either.
    """
    updater = _parsed(_Pip(), text)
    section = _section(updater, "global")
    extras = _values(section, "extra-index-url")
    others = [each for each in extras if url_without_login(each) != url_without_login(url)]
    if only:
        section["index-url"] = url
        _set_values(section, "extra-index-url", [])
    else:
        if url_without_login(_value(section, "index-url")) == url_without_login(url):
            del section["index-url"]
        _set_values(section, "extra-index-url", [*others, url])
    return str(updater)


def with_pypirc_repository(text: str, name: str, url: str, login: Login) -> str:
    """A .pypirc in which `twine upload --repository NAME` finds this repository.

    Without a password, twine asks its keyring for both user name and password.

    Raises:
        Malformed: twine could not read the file either.
    """
    updater = _parsed(ConfigUpdater(), text)
    distutils = _section(updater, "distutils")
    # Without the option, twine knows these two.
    servers = _values(distutils, "index-servers") or ["pypi", "testpypi"]
    if name not in servers:
        _set_values(distutils, "index-servers", [*servers, name])
    section = _section(updater, name)
    section["repository"] = url
    for option, value in (("username", login.user), ("password", login.password)):
        if login.password is not None:
            section[option] = value
        elif option in section:
            del section[option]
    return str(updater)


def _parsed(updater: ConfigUpdater, text: str) -> ConfigUpdater:
    try:
        updater.read_string(text if text.endswith("\n") or not text else f"{text}\n")
    except configparser.ParsingError as error:  # its message quotes the line, which may hold a secret
        raise Malformed(error.errors[0][0] if error.errors else getattr(error, "lineno", None)) from None
    except configparser.Error as error:
        raise Malformed(getattr(error, "lineno", None)) from None
    return updater


def _section(updater: ConfigUpdater, name: str) -> Section:
    if name not in updater:
        others = updater.sections()
        updater.add_section(name)
        if others:
            updater[name].add_before.space()
    return updater[name]


def _value(section: Section, option: str) -> str:
    return (section[option].value or "") if option in section else ""


def _values(section: Section, option: str) -> list[str]:
    return _value(section, option).split()


def _set_values(section: Section, option: str, values: list[str]) -> None:
    if values == _values(section, option):
        return
    if option not in section:
        section[option] = ""
    if len(values) > 1:
        section[option].set_values(values)
    elif values:
        section[option] = values[0]
    else:
        del section[option]
