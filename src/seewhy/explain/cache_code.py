"""What code and values say of themselves in a text that is the same in every process: for the key of a cache."""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from seewhy.explain.cache_canonical import CannotBeKeyedError, content_of_array, content_of_tensor

DEEPEST: Final = 6
MOST: Final = 50_000
"""Values looked at in one model; with more, something else hangs on it, such as a trainer."""
PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size, range, slice)
ELSEWHERE: Final = ("site-packages", "dist-packages")


class Tokens:
    """Texts for values; ``modules`` are the names of a model's modules by ``id``, which are told by name."""

    def __init__(self, modules: Mapping[int, str]) -> None:
        self._modules = modules
        self._seen: set[int] = set()
        self._left = MOST

    def of(self, value: Any, deep: int = 0) -> str:
        """Differs where the value does; of objects, what they hold ``DEEPEST`` levels down.

        Raises ``CannotBeKeyedError`` for a module that is not part of the model, whose weights nobody would compare.

        >>> Tokens({}).of({"a": [1, 2.5]})
        "dict('a':[1,2.5])"
        """
        self._left -= 1
        if self._left < 0:
            raise CannotBeKeyedError("too much hangs on the model to be compared, such as a trainer")
        if isinstance(value, PLAIN) and not isinstance(value, enum.Enum):
            return repr(value)
        if isinstance(value, Tensor):
            return f"tensor{content_of_tensor(value)}"
        if isinstance(value, np.ndarray | np.generic):
            return f"array{content_of_array(np.asarray(value))}"
        if isinstance(value, nn.Module):
            return self._of_module(value)
        if deep >= DEEPEST or id(value) in self._seen:
            return type(value).__qualname__
        self._seen.add(id(value))
        try:
            return self._of_many(value, deep + 1)
        finally:
            self._seen.discard(id(value))

    def _of_module(self, module: nn.Module) -> str:
        if id(module) not in self._modules:
            raise CannotBeKeyedError(f"the model holds a {type(module).__name__} that is none of its parts")
        return f"module {self._modules[id(module)]!r}"

    def _of_many(self, value: Any, deep: int) -> str:
        if isinstance(value, list | tuple):
            ends = "[]" if isinstance(value, list) else "()"
            return f"{ends[0]}{','.join(self.of(one, deep) for one in value)}{ends[1]}"
        if isinstance(value, set | frozenset):
            return f"set({','.join(sorted(self.of(one, deep) for one in value))})"
        if isinstance(value, Mapping):
            return self._of_mapping(type(value).__qualname__, value, deep)
        if isinstance(value, functools.partial):
            return f"partial({self.of((value.func, value.args, dict(value.keywords)), deep)})"
        if isinstance(value, MethodType):
            return f"method({self.of(value.__func__, deep)},{self.of(value.__self__, deep)})"
        if isinstance(value, FunctionType):
            return function_token(value, self, deep)
        if isinstance(value, type | BuiltinFunctionType | enum.Enum | ModuleType):
            return getattr(value, "__qualname__", None) or str(value)
        return self._of_mapping(_named(type(value)), getattr(value, "__dict__", {}), deep)

    def _of_mapping(self, name: str, held: Mapping[Any, Any], deep: int) -> str:
        return f"{name}({','.join(f'{self.of(key, deep)}:{self.of(one, deep)}' for key, one in held.items())})"


def class_token(kind: type, tokens: Tokens) -> str:
    """A module's class: the version of an installed package's; of other classes all their functions and values."""
    parts = [_named(kind)]
    for base in kind.__mro__:
        if base in (nn.Module, object):
            continue
        version = installed(base.__module__)
        held = vars(base)
        shown = held if version is None else {"forward": held.get("forward")}
        parts.append(f"{_named(base)} {version}")
        parts += [f"{name}={_member(value, tokens)}" for name, value in shown.items() if name not in _OF_A_CLASS]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


_OF_A_CLASS: Final = frozenset({"__doc__", "__module__", "__dict__", "__weakref__", "__annotations__", "__qualname__"})


def _member(value: Any, tokens: Tokens) -> str:
    if isinstance(value, staticmethod | classmethod):
        return tokens.of(value.__func__)
    if isinstance(value, property):
        return tokens.of((value.fget, value.fset))
    return tokens.of(value)


def written_names(kind: type) -> set[str]:
    """The attributes that a class's methods, other than ``__init__``, assign."""
    functions = [value for base in kind.__mro__ if base not in (nn.Module, object) for value in vars(base).values()]
    codes = [one.__code__ for one in functions if isinstance(one, FunctionType) and one.__name__ != "__init__"]
    return {step.argval for code in codes for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"}


def function_token(function: FunctionType, tokens: Tokens, deep: int = 0) -> str:
    """A function's code, defaults, what it closes over, and what of its own package it calls or reads by name."""
    held = [function.__defaults__, function.__kwdefaults__, *_cells(function)]
    used = [(name, tokens.of(value, deep)) for name, value in _globals_of(function)]
    return f"{function.__qualname__}[{_of_code(function.__code__)}]{tokens.of(held, deep)}{used}"


def _cells(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet, as of a class that is being made
            yield None


def _globals_of(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Numbers, texts, tensors and functions of the same package that a function's code names."""
    if installed(function.__module__) is not None:
        return
    package = function.__module__.partition(".")[0]
    for name in sorted(_names_in(function.__code__)):
        value = function.__globals__.get(name)
        if isinstance(value, FunctionType):
            if value.__module__.partition(".")[0] == package:
                yield name, value
        elif isinstance(value, int | float | complex | str | tuple | list | Tensor | np.ndarray):
            yield name, value


def _names_in(code: CodeType) -> set[str]:
    inner = [_names_in(one) for one in code.co_consts if isinstance(one, CodeType)]
    return set(code.co_names).union(*inner)


@functools.lru_cache(maxsize=4096)
def _of_code(code: CodeType) -> str:
    consts = [_of_code(one) if isinstance(one, CodeType) else _constant(one) for one in code.co_consts]
    text = repr((code.co_code, consts, code.co_names, code.co_varnames, code.co_freevars))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _constant(value: object) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


@functools.lru_cache(maxsize=1024)
def installed(module: str) -> str | None:
    """The version of the installed package a module is from; None for the user's own code, which is read instead."""
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if file is None or not any(part in ELSEWHERE for part in Path(file).parts):
        return None
    top = sys.modules.get(module.partition(".")[0])
    return str(getattr(top, "__version__", "installed"))


def _named(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
