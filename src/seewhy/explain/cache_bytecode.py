"""What compiled code says of itself: a digest, the global names it reads, what it assigns, and whose it is."""

from __future__ import annotations

import dis
import functools
import hashlib
import platform
import sys
from pathlib import Path
from types import CodeType, FunctionType
from typing import Final

from torch import nn

ELSEWHERE: Final = ("site-packages", "dist-packages")
GLOBAL: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
ATTRIBUTE: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})


@functools.lru_cache(maxsize=8192)
def code_digest(code: CodeType) -> str:
    """A digest of what code does, the same in every process of one Python."""
    consts = [code_digest(one) if isinstance(one, CodeType) else _constant(one) for one in code.co_consts]
    takes = code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    text = repr((code.co_code, code.co_exceptiontable, consts, takes, names))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _constant(value: object) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


@functools.lru_cache(maxsize=8192)
def globals_read(code: CodeType) -> tuple[tuple[str, ...], ...]:
    """The global names that code reads, each with the attributes it takes of it one after the other.

    >>> globals_read((lambda self, x: torch.nn.functional.relu(self.features(x) * SCALE)).__code__)
    (('SCALE',), ('torch', 'nn', 'functional', 'relu'))
    """
    chains: list[list[str]] = []
    running = False
    for step in dis.get_instructions(code):
        if step.opname in GLOBAL:
            chains.append([step.argval])
            running = True
        elif running and step.opname in ATTRIBUTE:
            chains[-1].append(step.argval)
        else:
            running = False
    inner = [chain for one in code.co_consts if isinstance(one, CodeType) for chain in globals_read(one)]
    return tuple(sorted({*map(tuple, chains), *inner}))


@functools.lru_cache(maxsize=8192)
def imported(code: CodeType) -> tuple[str, ...]:
    """The modules that code imports while it runs; relative ones begin with a dot."""
    steps = list(dis.get_instructions(code))
    found = {
        "." * int(steps[number - 2].argval or 0) + str(step.argval)
        for number, step in enumerate(steps)
        if step.opname == "IMPORT_NAME"
    }
    inner = [name for one in code.co_consts if isinstance(one, CodeType) for name in imported(one)]
    return tuple(sorted({*found, *inner}))


def written_names(kind: type) -> set[str]:
    """The attributes that a class's methods, other than ``__init__``, assign."""
    functions = [value for base in kind.__mro__ if base not in (nn.Module, object) for value in vars(base).values()]
    codes = [one.__code__ for one in functions if isinstance(one, FunctionType) and one.__name__ != "__init__"]
    return {step.argval for code in codes for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"}


@functools.lru_cache(maxsize=4096)
def installed(module: str | None) -> str | None:
    """The version of the installed package, or of Python, that a module is from; None for the user's own code, which is
    read instead.

    >>> installed("math") is None, installed("torch.nn") is None, installed("code_of_your_own") is None
    (False, False, True)
    """
    if not module:
        return None
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "builtins":
        return platform.python_version()
    file = getattr(sys.modules.get(module), "__file__", None) or getattr(sys.modules.get(top), "__file__", None)
    if file is None or not any(part in ELSEWHERE for part in Path(file).parts):
        return None
    return str(getattr(sys.modules.get(top), "__version__", "installed"))
