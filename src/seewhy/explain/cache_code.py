"""What functions and classes do, in a text that is the same in every process: for the key of a cache."""

from __future__ import annotations

import builtins
import hashlib
import sys
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from seewhy.explain.cache_bytecode import code_digest, globals_read, imported, installed
from seewhy.explain.cache_canonical import CannotBeKeyedError

if TYPE_CHECKING:
    from seewhy.explain.cache_values import Tokens

PLAIN_MEMBERS: Final = (bool, int, float, complex, str, bytes, type(None))
OF_A_CLASS: Final = frozenset({
    "__doc__", "__module__", "__dict__", "__weakref__", "__qualname__", "__slots__", "__abstractmethods__", "_abc_impl",
    "__annotations__", "__annotations_cache__", "__annotate__", "__annotate_func__", "__firstlineno__",
    "__static_attributes__", "__orig_bases__", "__parameters__", "__type_params__", "__dataclass_fields__",
    "__dataclass_params__", "__match_args__",
})  # fmt: skip
"""What Python keeps in a class beside what the class does."""
OF_MODULES: Final = ("__call__", "_call_impl", "_wrapped_call_impl", "__getattr__")
"""What of ``nn.Module`` itself runs between a call and ``forward``."""
OPERATORS: Final = frozenset({"aten", "prim", "prims", "quantized", "mkldnn", "torchvision", "torchaudio"})
"""What operators of torch and of its own packages are registered under."""
MISSING: Final = object()


def class_token(kind: type, tokens: Tokens) -> str:
    """A class with its bases: of installed packages their version, functions and plain values, so that one that was
    patched is seen; of other classes everything they hold."""
    parts = [named(kind)]
    if installed(type(kind).__module__) is None:
        parts.append(f"made by {tokens.class_of(type(kind))}")
    for base in kind.__mro__:
        if base is object:
            continue
        version = installed(base.__module__)
        held: Mapping[str, Any] = vars(base)
        if base is nn.Module:
            held = {name: held[name] for name in OF_MODULES if name in held}
        parts.append(f"{named(base)} {version}")
        tell = tokens.of if version is None else tokens.of_installed
        parts += [f"{name}={tell(value)}" for name, value in held.items() if name not in OF_A_CLASS]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def member_token(function: FunctionType, tokens: Tokens) -> str:
    """A function as an installed package made it: its code, and the code and plain values that it holds."""
    return f"{_code_of(function)}{[tokens.of_installed(one) for one in _held_by(function)]}"


def function_token(function: FunctionType, tokens: Tokens, deep: int = 0) -> str:
    """A function's code and all that it holds: defaults, what it closes over, attributes.

    Of your own code also all that it reads by global names. A function of an installed package may have been made for
    you around something of yours, as ``torch.func.vmap`` does.

    Raises ``CannotBeKeyedError`` for what cannot be looked into.
    """
    code = _code_of(function)
    if installed(function.__globals__.get("__name__")) is not None:  # not __module__, which a wrapper copies
        return f"{code}{[tokens.of_wrapped(one, deep) for one in _held_by(function)]}"
    _require_no_own_imports(function)
    read = [(chain, _read(function, chain, tokens, deep)) for chain in globals_read(function.__code__)]
    return f"{code}{tokens.of(_held_by(function), deep)}{read}"


def _code_of(function: FunctionType) -> str:
    return f"{function.__qualname__}[{code_digest(function.__code__)}]"


def _held_by(function: FunctionType) -> list[Any]:
    return [function.__defaults__, function.__kwdefaults__, *_cells(function), *vars(function).items()]


def _cells(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet, as of a class that is being made
            yield None


def _read(function: FunctionType, chain: tuple[str, ...], tokens: Tokens, deep: int) -> str:
    """What a global name stands for; through modules, what the attributes taken of them stand for."""
    name, *attributes = chain
    value = function.__globals__.get(name, MISSING)
    if value is MISSING:
        return "of Python" if hasattr(builtins, name) else "absent"
    version = None
    while isinstance(value, ModuleType):
        _require_known_operators(function, value.__name__)
        version = installed(value.__name__)
        if not attributes:
            if version is None:
                raise CannotBeKeyedError(f"{function.__qualname__} reads the whole module {value.__name__}")
            return f"{value.__name__} {version}"
        value = vars(value).get(attributes.pop(0), MISSING)
    if value is MISSING:
        return "absent"
    return tokens.of(value, deep) if version is None else tokens.of_installed(value)


def _require_known_operators(function: FunctionType, module: str) -> None:
    """Operators registered with torch may be of anybody's code, which is not to be seen from where they are called."""
    if module.startswith("torch.ops.") and module.removeprefix("torch.ops.") not in OPERATORS:
        raise CannotBeKeyedError(f"{function.__qualname__} calls operators of {module}, whose code is not to be seen")


def _require_no_own_imports(function: FunctionType) -> None:
    for name in imported(function.__code__):
        if name.startswith(".") or (name in sys.modules and installed(name) is None):
            raise CannotBeKeyedError(f"{function.__qualname__} imports {name} while it runs")


def named(kind: type) -> str:
    """A class's module and name."""
    return f"{kind.__module__}.{kind.__qualname__}"
