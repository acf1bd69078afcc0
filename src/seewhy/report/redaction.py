"""Texts without the places they were made at: an absolute path becomes its last part, ``…/scan.nii``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from seewhy.values import Json

_STOP: Final = r"\s'\"<>|*?,;()\[\]{}"
_DRIVE: Final = r"[A-Za-z]:(?:\\\\?|/)"
_SHARE: Final = r"(?<!\\)(?:\\\\(?=[\w.$-]+\\[\w$])|\\{4}(?=[\w.$-]+\\\\[\w$]))"
"""How a network path begins, its backslashes plain or doubled; one backslash alone is an escape, as of a NUL byte."""
_QUOTED: Final = re.compile(rf"""(?P<mark>['"])(?P<path>(?:file://)?(?:{_DRIVE}|/|~[\\/]|{_SHARE})[^'"\n]*)(?P=mark)""")
_BARE: Final = re.compile(
    rf"(?<![\w./\\…~<])(?:file://(?:localhost)?(?=/))?(?:~[\\/]|{_DRIVE}|(?!//)/|{_SHARE})(?=[\w.~$@])[^{_STOP}]*"
)


@dataclass(frozen=True)
class Redactor:
    """Takes absolute paths out of texts, also those of Windows, of the home directory and of file addresses.

    ``known`` are paths that are replaced wherever they stand, so that a space inside one cannot hide its rest.
    ``include_paths=True`` leaves every text as it is.

    Example:
        >>> Redactor()("cannot read '/data/Jane Doe/a.png'"), Redactor(("/data/Jane Doe",))("no /data/Jane Doe/a.png")
        ("cannot read '…/a.png'", 'no …/a.png')
    """

    known: tuple[str, ...] = ()
    include_paths: bool = False

    def __call__(self, text: str) -> str:
        """The text with each absolute path cut down to its last part."""
        if self.include_paths or ("/" not in text and "\\" not in text):
            return text
        if self._known is not None:
            text = self._known.sub(lambda found: _cut(found[0]), text)
        text = _QUOTED.sub(lambda found: f"{found['mark']}{_cut(found['path'])}{found['mark']}", text)
        return _BARE.sub(lambda found: _cut(found[0]), text)

    def name(self, text: str) -> str:
        """A name, such as a record's id: cut only where it is an absolute path as a whole."""
        return _cut(text) if is_absolute(text) and not self.include_paths else text

    def word(self, word: str) -> str:
        """A word of a command, whose value after ``=`` is one path whatever it holds."""
        if self.include_paths:
            return word
        if is_absolute(word):
            return _cut(word)
        head, mark, value = word.partition("=")  # the first one: Lightning's files have further ones in their names
        return f"{self(head)}{mark}{_cut(value) if is_absolute(value) else self(value)}"

    def json(self, value: Json) -> Json:
        """Every text of a plain value, keys too."""
        if isinstance(value, str):
            return self(self.name(value))
        if isinstance(value, Mapping):
            return {self(str(key)): self.json(cell) for key, cell in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(cell) for cell in value]
        return value

    @cached_property
    def _known(self) -> re.Pattern[str] | None:
        paths = {path.rstrip("/\\") for path in self.known if is_absolute(path)}
        longest_first = sorted(paths, key=lambda path: (-len(path), path))
        if not longest_first:
            return None
        return re.compile(rf"(?:{'|'.join(map(re.escape, longest_first))})(?:[\\/][^\s'\"]*|(?!\w))")


def is_absolute(text: str) -> bool:
    """Whether a text is an absolute path as a whole.

    >>> is_absolute("/data"), is_absolute("C:\\\\x"), is_absolute("~/x"), is_absolute("a/b"), is_absolute("/")
    (True, True, True, False, False)
    """
    return re.match(rf"(?:file://)?(?:{_DRIVE}|//?|{_SHARE}|~[^\\/\s]*[\\/])[\w.~$@]", text) is not None


def absolute_paths(value: Json) -> Iterator[str]:
    """Every text of a plain value, or part of it after ``=``, that is an absolute path.

    >>> sorted(absolute_paths({"root": "/data/a", "words": ["x=/data/b", "c"], "size": 3}))
    ['/data/a', '/data/b']
    """
    if isinstance(value, str):
        yield from (text for text in {value, value.partition("=")[2]} if is_absolute(text))
    elif isinstance(value, Mapping):
        yield from absolute_paths(list(value.values()))
    elif isinstance(value, Iterable):
        for cell in value:
            yield from absolute_paths(cell)


def _cut(path: str) -> str:
    last = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
    return f"…/{last}"
