"""What a pickle asks for, read from its opcodes; nothing is built, imported or called."""

from __future__ import annotations

import pickletools
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from dataclasses import dataclass
from typing import IO, Any

# The mark opens the reference by which older files name a pickled module's class and its source.
_BEFORE_THE_FIRST_OBJECT = {"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "MARK"}


@dataclass(frozen=True)
class PickleScan:
    """The globals a pickle names, and the class of its outermost object (empty for a plain container)."""

    globals: frozenset[str]
    root: str


def scan_pickle(file: IO[bytes]) -> PickleScan:
    """Scan one pickle and leave the file just behind it.

    Raises:
        ValueError: the bytes are not a pickle.
    """
    with warnings.catch_warnings():  # Python deprecates escapes that a damaged string may hold
        warnings.simplefilter("ignore", DeprecationWarning)
        return _scan(file)


def _scan(file: IO[bytes]) -> PickleScan:
    names: list[str] = []
    root: str | None = None
    strings: list[str] = []
    memo: dict[int, Any] = {}
    top: Any = None
    for opcode, argument, _ in pickletools.genops(file):
        name = opcode.name
        if name in {"GLOBAL", "INST"}:
            names.append(_dotted(*str(argument).split(" ", 1)))
        elif name == "STACK_GLOBAL":
            names.append(_dotted(*strings[-2:]) if len(strings) >= 2 else "an unreadable name")
        elif name in {"BINPUT", "LONG_BINPUT", "MEMOIZE"}:
            memo[len(memo) if argument is None else argument] = top
            continue
        top = memo.get(int(argument or 0)) if name in {"BINGET", "LONG_BINGET"} else argument
        if isinstance(top, str):
            strings.append(top)
        elif root is None and name not in _BEFORE_THE_FIRST_OBJECT:
            root = names[-1] if names else ""
    return PickleScan(frozenset(names), root or "")


def _dotted(module: str, name: str) -> str:
    """The name as Python 3 knows it; torch writes pickles that use Python 2's names."""
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return f"{module}.{name}"
