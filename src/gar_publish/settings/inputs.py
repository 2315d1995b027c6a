"""An input of an action, which is also an option of the command line, and how its text is read."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal

from packaging.version import Version

from gar_publish.errors import BadInput

INDEX_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
"""A name that uv and Poetry accept for an index."""

NOT_GIVEN = "none"
"""The default of a secret in `action.yml`. The runner passes on a secret that does not exist as an empty text."""

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NO = ("no", "n", "off", "0")
"""What people write for false; a fix must not be the opposite of what they mean."""


@dataclasses.dataclass(frozen=True)
class Input:
    """One input.

    Attributes:
        name: Its name in `action.yml`, and that of its option.
        help: The one text about it, for `action.yml`, the documents and `--help`.
        default: The text that an absent or blank input stands for.
        kind: The kind of value, which decides how the text is read.
        words: The words that the kinds `word` and `words` accept, and a `flag` besides true and false.
    """

    name: str
    help: str
    default: str = ""
    kind: Literal["text", "secret", "lines", "flag", "number", "word", "words", "version", "versions", "index-name"] = (
        "text"
    )
    words: tuple[str, ...] = ()

    def field(self) -> Any:
        """Return a dataclass field that `read_fields` fills from this input."""
        return dataclasses.field(default=self.read({}), metadata={"input": self}, repr=self.kind != "secret")

    def text(self, inputs: Mapping[str, str]) -> str:
        """Return what was given, without white space around it, or the default."""
        return inputs.get(self.name, "").strip() or self.default

    def read(self, inputs: Mapping[str, str]) -> Any:  # noqa: PLR0911 - one for each kind
        """Return the value; None for a text that is absent and has no default.

        Raises:
            BadInput: The text is not of the input's kind.
        """
        text = self.text(inputs)
        match self.kind:
            case "secret":
                return None if text == NOT_GIVEN else text or None
            case "lines":
                return tuple(line.strip() for line in text.splitlines() if line.strip())
            case "flag":
                good = {**_BOOLEANS, **{word: word for word in self.words}}
                takes = f"true, false or {', '.join(self.words)}" if self.words else "true or false"
                self._check(text in good, text, takes, fix="false" if text.lower() in _NO else "true")
                return good[text]
            case "number":
                self._check(re.fullmatch(r"[0-9]{1,3}", text), text, "a number from 0 to 999", fix="0")
                return int(text)
            case "word":
                return self._word(text)
            case "words":
                words = [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
                return frozenset(map(self._word, words or [text]))
            case "versions":
                versions = tuple(part for part in re.split(r"[,\s]+", text) if part)
                are_good = all(re.fullmatch(r"3\.[0-9]{1,2}(\.[0-9]{1,2})?", each) for each in versions)
                self._check(are_good, text, "versions of Python, comma-separated", fix="3.11, 3.13")
                return versions
            case "version":
                return self._version(text) if text else None
            case "index-name":
                self._check(not text or INDEX_NAME.fullmatch(text), text, "letters, digits, - and _", fix="my-index")
        return text or None

    def _word(self, text: str) -> str:
        self._check(text in self.words, text, f"one of {', '.join(self.words)}", fix=self.words[0])
        return text

    def _version(self, text: str) -> Version:
        try:
            return Version(text)
        except ValueError:  # InvalidVersion, or a number of more digits than int() takes
            raise BadInput(
                f"`{self.name}` is not a version: {text}",
                cause="a version looks like 1.2.3 or v1.2.3; the name of a branch is not a version",
                fix=f"use `{self.name}: 1.2.3`",
                anchor="expected-version",
            ) from None

    def _check(self, good: object, text: str, takes: str, *, fix: str) -> None:
        if not good:
            raise BadInput(
                f"`{self.name}` is {text!r}; it takes {takes}.",
                fix=f"use `{self.name}: {fix}`",
                anchor="booleans" if self.kind == "flag" else "choices",
            )


def flag(name: str, help_: str, default: str = "false") -> bool:
    """Return the dataclass field of a flag."""
    declared: bool = Input(name, help_, default, "flag").field()
    return declared


def inputs_of(settings: type) -> tuple[Input, ...]:
    """Return the inputs that fields of a dataclass are read from, in their order."""
    return tuple(each.metadata["input"] for each in dataclasses.fields(settings) if "input" in each.metadata)


def read_fields(settings: type, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of those fields, by their names.

    Raises:
        BadInput: The text of an input is not of its kind.
    """
    return {
        each.name: each.metadata["input"].read(inputs)
        for each in dataclasses.fields(settings)
        if "input" in each.metadata
    }
