"""The user's own model by its dotted name: code that is imported is trusted, but only a model may come of it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from seewhy.models.built import Built, parameter_count
from seewhy.values import ModelError, nearest

Factory = Callable[..., Any]
_LOADERS = {"torch", "numpy", "pickle", "joblib"}


def build_custom(target: str, **arguments: Any) -> Built:
    """A model of the user's own: ``target`` is a class (LightningModules included) or a function that returns one.

    Modules are also found in the current directory. The weights are whatever the class initialises.

    Raises:
        ModelError: ``SW-M58`` not found, ``SW-M59`` not a model, ``SW-M61`` arguments that do not fit.
    """
    with current_directory_importable():
        factory = import_model_factory(target)
        _check_arguments(target, factory, arguments)
        module = factory(**arguments)
    if not isinstance(module, nn.Module):
        raise ModelError(
            "SW-M59",
            f"{target} returned a {type(module).__name__}, not a torch.nn.Module",
            fix="name a class derived from nn.Module or LightningModule, or a function that returns such a model",
        )
    return Built(
        module=module,
        facts={
            "kind": "custom",
            "target": target,
            "kwargs": {key: _plain(value) for key, value in arguments.items()},
            "parameters": parameter_count(module),
        },
        headless=getattr(module, "num_classes", None) == 0,
    )


@contextmanager
def current_directory_importable() -> Iterator[None]:
    """Let modules beside the user be imported, as ``python script.py`` would; the path is put back afterwards."""
    here = str(Path.cwd())
    if here in sys.path or "" in sys.path:
        yield
        return
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def import_model_factory(target: str) -> Factory:
    """The class or function behind a dotted name, refused unless it can only be a model or a maker of models.

    Raises:
        ModelError: ``SW-M58`` not found, ``SW-M59`` not a model.
    """
    parts = target.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ModelError("SW-M58", f"_target_ {target!r} is no dotted name", fix="write it as package.module.ClassName")
    if _is_standard_library(parts[0]):
        raise _not_a_model(target, "it belongs to Python's standard library")
    module, attributes = _import_longest(parts)
    found: Any = module
    for attribute in attributes:
        found = _member(target, found, attribute)
    _check_makes_models(target, found)
    factory: Factory = found
    return factory


def _import_longest(parts: list[str]) -> tuple[ModuleType, list[str]]:
    """The deepest importable module of a dotted name, and the attributes that remain."""
    for depth in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:depth])
        try:
            return importlib.import_module(name), parts[depth:]
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise ModelError(
                    "SW-M58",
                    f"importing {name} failed: it needs the module {error.name!r}, which is not installed",
                    fix="install it, or correct the import",
                ) from error
    raise ModelError(
        "SW-M58",
        f"no module {parts[0]!r} for _target_ {'.'.join(parts)!r}",
        fix=f"run from the folder that holds {parts[0]}.py or {parts[0]}/, or install the package",
        near=nearest(parts[0], (module.name for module in pkgutil.iter_modules())),
    )


def _member(target: str, owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        where = getattr(owner, "__name__", repr(owner))
        raise ModelError(
            "SW-M58",
            f"{where} has no {name!r}, which _target_ {target!r} names",
            fix="correct the name",
            near=nearest(name, (known for known in vars(owner) if not known.startswith("_"))),
        ) from None


def _check_makes_models(target: str, found: Any) -> None:
    if inspect.isclass(found):
        if not issubclass(found, nn.Module):
            raise _not_a_model(target, "the class is not derived from torch.nn.Module")
        return
    if not inspect.isfunction(found) and not inspect.ismethod(found):
        raise _not_a_model(target, f"it is a {type(found).__name__}")
    origin = found.__module__.partition(".")[0]
    if _is_standard_library(origin) or origin in _LOADERS:
        raise _not_a_model(target, f"it is a function of {origin}")


def _is_standard_library(root: str) -> bool:
    return root in sys.stdlib_module_names or root in sys.builtin_module_names


def _not_a_model(target: str, reason: str) -> ModelError:
    return ModelError(
        "SW-M59",
        f"_target_ {target!r} is not a model: {reason}",
        fix="name a class derived from nn.Module or LightningModule, or a function of your own that returns one",
    )


def _check_arguments(target: str, factory: Factory, arguments: Mapping[str, Any]) -> None:
    signature = inspect.signature(factory)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        unknown = [name for name in arguments if name not in signature.parameters]
        raise ModelError(
            "SW-M61",
            f"{target} does not take these settings: {error}",
            fix=f"its signature is {target.rpartition('.')[2]}{signature}",
            near=nearest(unknown[0], signature.parameters) if unknown else (),
        ) from error


def _plain(value: Any) -> Any:
    """A setting as JSON: objects of other types by their name."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else type(value).__qualname__
