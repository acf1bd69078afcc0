"""What values say of themselves, in a text that is the same in every process; what hides its value is refused."""

from __future__ import annotations

import enum
import functools
import logging
import os
import threading
import types
import weakref
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.explain.cache_bytecode import installed
from seewhy.explain.cache_canonical import CannotBeKeyedError, content_of_array, content_of_tensor
from seewhy.explain.cache_code import PLAIN_MEMBERS, class_token, function_token, member_token, named

DEEPEST: Final = 40
MOST: Final = 50_000
"""Values looked at in one model; with more, something else hangs on it, such as a trainer."""
PLAIN: Final = frozenset({
    bool, int, float, complex, str, bytes, type(None), type(...), type(NotImplemented), range, torch.dtype,
    torch.device, torch.Size, torch.layout, torch.memory_format, torch.finfo, torch.iinfo,
})  # fmt: skip
BASES: Final = (int, float, complex, str, bytes)
CONTAINERS: Final = (list, tuple, dict, set, frozenset)
DESCRIPTORS: Final = (
    types.MethodDescriptorType, types.WrapperDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType,
    types.ClassMethodDescriptorType,
)  # fmt: skip
NAMES_ALONE: Final = (type(threading.Lock()), type(threading.RLock()), logging.Logger, logging.LoggerAdapter)
"""What decides no answer."""


class Tokens:
    """Texts for values; ``modules`` are the names of a model's modules by ``id``, which are told by name."""

    def __init__(self, modules: Mapping[int, str]) -> None:
        self._modules = modules
        self._above: dict[int, int] = {}
        self._told: dict[tuple[int, str], tuple[Any, str]] = {}
        self._left = MOST

    def of(self, value: Any, deep: int = 0) -> str:
        """Differs where the value does, however deep.

        Raises ``CannotBeKeyedError`` for a module that is not part of the model, whose weights nobody would compare,
        and for what hides its value, as objects of compiled code do.

        >>> Tokens({}).of({"a": [1, 2.5]})
        "dict('a':[1,2.5])"
        """
        self._left -= 1
        if self._left < 0:
            raise CannotBeKeyedError("too much hangs on the model to be compared, such as a trainer")
        if type(value) in PLAIN:
            return repr(value)
        if isinstance(value, Tensor | np.ndarray | np.generic):
            return self._of_numbers(value, deep)
        if isinstance(value, nn.Module):
            return self._of_module(value)
        if id(value) in self._above:
            return f"{type(value).__qualname__} {deep - self._above[id(value)]} levels up"
        if deep >= DEEPEST:
            raise CannotBeKeyedError(f"what the model holds is more than {DEEPEST} levels deep")
        self._above[id(value)] = deep
        try:
            return self._of_code(value, deep + 1) or self._of_many(value, deep + 1)
        finally:
            del self._above[id(value)]

    def _of_numbers(self, value: Tensor | NDArray[Any] | np.generic, deep: int) -> str:
        """Tensors and arrays; of classes derived from them, and of those that more was hung on, that too."""
        if isinstance(value, Tensor):
            text = f"tensor{content_of_tensor(value)}"
        else:
            text = f"array{content_of_array(np.asarray(value))}"
        plain = type(value) in (Tensor, nn.Parameter, np.ndarray) or isinstance(value, np.generic)
        held = getattr(value, "__dict__", None)
        if plain and not held:
            return text
        return f"{'' if plain else self.class_of(type(value))} {text} {self.of(held, deep + 1)}"

    def of_installed(self, value: Any) -> str:
        """What an installed package holds: the code of its functions, plain values, of all else the kind."""
        if isinstance(value, staticmethod | classmethod):
            return self.of_installed(value.__func__)
        if isinstance(value, property):
            return f"{[self.of_installed(one) for one in (value.fget, value.fset)]}"
        if isinstance(value, FunctionType):
            if installed(value.__globals__.get("__name__")) is None:
                return self.of(value)
            return self._once(value, lambda: member_token(value, self), "member")
        if type(value) in PLAIN_MEMBERS:
            return self.of(value)
        if isinstance(value, MethodType):
            return self.of_installed(value.__func__)
        return named(value) if isinstance(value, type) else named(type(value))

    def of_wrapped(self, value: Any, deep: int) -> str:
        """What a function of an installed package was made around: of that package's own no more than its names."""
        own = (
            isinstance(value, type | ModuleType) and installed(getattr(value, "__module__", value.__name__)) is not None
        )
        return self.of_installed(value) if own else self.of(value, deep)

    def class_of(self, kind: type) -> str:
        """A class: its name and version where it is installed, else everything it holds."""
        version = installed(kind.__module__)
        if version is not None:
            return f"{named(kind)} {version}"
        return self._once(kind, lambda: class_token(kind, self))

    def _once(self, value: Any, tell: Callable[[], str], how: str = "") -> str:
        """The text for what is met again and again, such as a class; it is kept, so that its ``id`` stays its own."""
        key = (id(value), how)
        if key not in self._told:
            self._told[key] = (value, f"{value.__qualname__} again")
            self._told[key] = (value, tell())
        return self._told[key][1]

    def _of_module(self, module: nn.Module) -> str:
        if id(module) not in self._modules:
            raise CannotBeKeyedError(f"the model holds a {type(module).__name__} that is none of its parts")
        return f"module {self._modules[id(module)]!r}"

    def _of_code(self, value: Any, deep: int) -> str | None:
        """What does something; None for what holds values."""
        if isinstance(value, FunctionType):
            return self._once(value, lambda: function_token(value, self, deep))
        if isinstance(value, MethodType):
            return f"method({self.of(value.__func__, deep)},{self.of(value.__self__, deep)})"
        if type(value) is functools.partial:
            return f"partial({self.of((value.func, value.args, dict(value.keywords)), deep)})"
        if isinstance(value, staticmethod | classmethod):
            return f"{type(value).__name__} {self.of(value.__func__, deep)}"
        if type(value) is property:
            return f"property {self.of((value.fget, value.fset), deep)}"
        if isinstance(value, DESCRIPTORS):
            return f"{named(value.__objclass__)}.{value.__name__}"
        if isinstance(value, BuiltinFunctionType | types.MethodWrapperType):
            return self._of_builtin(value, deep)
        if isinstance(value, np.ufunc):
            name = getattr(value, "__name__", "")
            return f"numpy.{name}" if getattr(np, name, None) is value else None
        if isinstance(value, type):
            return f"class {self.class_of(value)}"
        if isinstance(value, ModuleType) and installed(value.__name__) is not None:
            return f"module of {value.__name__} {installed(value.__name__)}"
        return None

    def _of_builtin(self, value: Any, deep: int) -> str:
        """A compiled function, with the object it is bound to: ``table.get`` reads the table."""
        owner = value.__self__
        if owner is None or isinstance(owner, ModuleType | type):
            return f"{getattr(owner, '__name__', '')} {value.__module__}.{value.__qualname__}"
        return f"{value.__qualname__} of {self.of(owner, deep)}"

    def _of_many(self, value: Any, deep: int) -> str:
        kind = type(value)
        known = installed(kind.__module__) is not None
        if known and isinstance(value, NAMES_ALONE):
            return f"{named(kind)} {getattr(value, 'name', '')}"
        if isinstance(value, enum.Enum):
            return f"{self.class_of(kind)}.{value.name}={self.of(value.value, deep)}"
        if known and isinstance(value, os.PathLike):
            return f"{named(kind)} {os.fspath(value)!r}"
        if isinstance(value, types.GenericAlias | types.UnionType) or kind.__module__ in (
            "typing",
            "typing_extensions",
        ):
            return repr(value)
        if isinstance(value, types.MappingProxyType | weakref.ReferenceType):
            inner = value() if isinstance(value, weakref.ReferenceType) else dict(value)
            return f"{kind.__name__} {self.of(inner, deep)}"
        if isinstance(value, slice):
            return f"slice{self.of((value.start, value.stop, value.step), deep)}"
        if isinstance(value, (*CONTAINERS, *BASES)):
            return self._of_builtin_kind(value, deep)
        wrapped = getattr(value, "__wrapped__", None) if kind.__module__ == "functools" else None
        if isinstance(wrapped, FunctionType):
            return f"{named(kind)} {self.of((wrapped, _held(value)), deep)}"
        return self._of_object(value, deep)

    def _of_builtin_kind(self, value: Any, deep: int) -> str:
        """Containers, numbers and texts; of classes derived from them also what else they hold."""
        kind = type(value)
        if isinstance(value, list | tuple):
            ends = "[]" if isinstance(value, list) else "()"
            text = f"{ends[0]}{','.join(self.of(one, deep) for one in value)}{ends[1]}"
        elif isinstance(value, set | frozenset):
            text = f"set({','.join(sorted(self.of(one, deep) for one in value))})"
        elif isinstance(value, dict):
            text = self._of_mapping("dict", value, deep)
        else:
            text = next(base for base in BASES if isinstance(value, base)).__repr__(value)
        if kind in CONTAINERS:
            return text
        more = (_held(value), getattr(value, "default_factory", None))
        return f"{self.class_of(kind)} {text} {self.of(more, deep)}"

    def _of_object(self, value: Any, deep: int) -> str:
        kind = type(value)
        if not _hides(kind):
            return self._of_mapping(self.class_of(kind), _held(value), deep)
        if kind.__module__.partition(".")[0] in _PYTHON:
            try:
                _, *state = value.__reduce_ex__(4)
            except TypeError:
                pass
            else:
                told = [list(one) if hasattr(one, "__next__") else one for one in state]
                return f"{named(kind)} {self.of(told, deep)}"
        raise CannotBeKeyedError(f"the model holds or reads a {named(kind)}, which cannot be looked into")

    def _of_mapping(self, name: str, held: Mapping[Any, Any], deep: int) -> str:
        return f"{name}({','.join(f'{self.of(key, deep)}:{self.of(one, deep)}' for key, one in held.items())})"


_PYTHON: Final = frozenset({"builtins", "collections", "_collections", "array", "fractions", "decimal", "datetime",
                            "operator", "_operator", "itertools", "uuid"})  # fmt: skip
"""Modules of Python whose compiled classes tell their whole value."""


def _held(value: Any) -> dict[str, Any]:
    """What an object holds in its ``__dict__`` and in its slots."""
    held = {name: getattr(value, name) for name in _slots(type(value)) if hasattr(value, name)}
    return {**getattr(value, "__dict__", {}), **held}


def _slots(kind: type) -> list[str]:
    """Names of slots of classes written in Python; members of compiled classes are no more than a part of them."""
    members = [pair for base in kind.__mro__ if "__slots__" in vars(base) for pair in vars(base).items()]
    return [name for name, one in members if isinstance(one, MemberDescriptorType)]


def _hides(kind: type) -> bool:
    """Whether objects of a class have memory beyond ``__dict__`` and slots: what compiled code keeps is not seen."""
    tables = (kind.__dictoffset__ > 0) + (kind.__weakrefoffset__ > 0)
    pointers = (kind.__basicsize__ - object.__basicsize__) // 8
    return bool(kind.__itemsize__) or pointers != len(_slots(kind)) + tables
