"""Stand-ins for the ordinary data types found in checkpoints, so that nothing of theirs is imported or run."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from typing import Any, ClassVar

from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals


class Inert:
    """Stands where a file asked for foreign data: takes any arguments and any state, and keeps none of it."""

    __slots__ = ()
    stands_for: ClassVar[str] = ""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Inert:
        return object.__new__(cls)

    def __setstate__(self, _state: Any) -> None:
        """Pickle's BUILD hands over the instance's attributes here; they are dropped."""


class InertMapping(Inert):
    """Stands for a dict subclass. Pickle may fill only exact dict types, so an ordered dict takes its place."""

    __slots__ = ()

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        return OrderedDict()


class InertSequence(Inert):
    """Stands for a list-like type. Pickle may append only to exact lists, so a list takes its place."""

    __slots__ = ()

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        return []


def _under(modules: str, names: str) -> tuple[str, ...]:
    return tuple(f"{module}.{name}" for module, name in product(modules.split(), names.split()))


_VALUES = (
    *_under("argparse", "Namespace"),
    *_under("types", "SimpleNamespace"),
    *_under("pathlib pathlib._local", "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"),
    *_under("numpy.core.multiarray numpy._core.multiarray", "scalar _reconstruct"),
    *_under("numpy.core.numeric numpy._core.numeric", "_frombuffer"),
    *_under("numpy", "ndarray dtype bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intc longlong"),
    *_under("numpy", "float16 float32 float64 longdouble complex64 complex128 str_ bytes_ datetime64 timedelta64"),
    *_under("numpy.dtypes", "BoolDType Int8DType Int16DType Int32DType Int64DType UInt8DType UInt16DType UInt32DType"),
    *_under("numpy.dtypes", "UInt64DType Float16DType Float32DType Float64DType StrDType ObjectDType"),
    *_under("omegaconf.dictconfig", "DictConfig"),
    *_under("omegaconf.listconfig", "ListConfig"),
    *_under("omegaconf.base", "Metadata ContainerMetadata Node Container"),
    *_under("omegaconf.nodes", "AnyNode StringNode IntegerNode FloatNode BooleanNode EnumNode BytesNode PathNode"),
    *_under("omegaconf.nodes", "InterpolationResultNode"),
    *_under("typing", "Any Union Optional List Dict Tuple"),
    *_under("_operator", "getitem"),
    *_under("builtins", "int float str bool bytes dict list tuple frozenset range slice object type"),
    *_under("datetime", "datetime date time timedelta timezone"),
    *_under("decimal", "Decimal"),
    *_under("fractions", "Fraction"),
    *_under("uuid", "UUID SafeUUID"),
    *_under("torch.torch_version", "TorchVersion"),
    # Lightning before 1.5 used callback classes as the keys of the callbacks' states.
    *_under("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
    *_under("pytorch_lightning.callbacks.early_stopping", "EarlyStopping"),
)
_MAPPINGS = (
    *_under("collections", "defaultdict"),
    *_under("pytorch_lightning.utilities.parsing lightning.pytorch.utilities.parsing", "AttributeDict"),
    *_under("lightning_fabric.utilities.data lightning.fabric.utilities.data", "AttributeDict"),
    *_under("yacs.config", "CfgNode"),
    *_under("easydict", "EasyDict"),
    *_under("addict.addict", "Dict"),
)
_SEQUENCES = (*_under("collections", "deque"),)
_DISPLAY = {"scalar": "numpy.generic", "_reconstruct": "numpy.ndarray", "_frombuffer": "numpy.ndarray"}


@lru_cache(maxsize=1)
def placeholders() -> dict[str, type[Inert]]:
    """The stand-in of every type that an ordinary checkpoint may mention, by dotted name."""
    kinds = ((_VALUES, Inert), (_MAPPINGS, InertMapping), (_SEQUENCES, InertSequence))
    return {name: _placeholder(name, kind) for names, kind in kinds for name in names}


def _placeholder(name: str, kind: type[Inert]) -> type[Inert]:
    shown = _DISPLAY.get(name.rpartition(".")[2], name)
    return type("Inert", (kind,), {"__slots__": (), "stands_for": shown})


_one_reader = threading.RLock()


@contextmanager
def only_placeholders_allowed() -> Iterator[None]:
    """Let ``torch.load(weights_only=True)`` meet our stand-ins and nothing else beyond torch's own types.

    What other libraries or the caller registered is set aside meanwhile and put back after, so a file is judged alike
    in every process. torch keeps this list per process, hence one reader at a time.
    """
    with _one_reader:
        registered = get_safe_globals()
        clear_safe_globals()
        try:
            with safe_globals([(stand_in, name) for name, stand_in in placeholders().items()]):
                yield
        finally:
            add_safe_globals(registered)
