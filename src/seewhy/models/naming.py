"""Names of places in a model: what a user writes, resolved to one call of one module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from seewhy.models.borrow import unwrapped
from seewhy.values import LayerError, nearest

_MOST_LISTED = 5
_WRAPPERS = ("backbone", "model", "module", "net", "network", "encoder")
Side = Literal["input", "output"]


@dataclass(frozen=True)
class Layer:
    """A place in a model: module ``name``, its ``call`` (for a module that runs several times), input or output."""

    name: str
    call: int = 0
    side: Side = "output"

    def __str__(self) -> str:
        return f"{self.name}{f'#{self.call}' if self.call else ''}{'.input' if self.side == 'input' else ''}"


def find_layer(model: nn.Module, name: str | nn.Module) -> Layer:
    """Resolve ``layer4``, ``layer4[-1]``, ``blocks.11.norm1``, ``relu#1``, ``fc.input``, or a module of the model.

    The end of a name will do where only one layer ends so (``layer4`` for ``backbone.layer4``), and a wrapper's name in
    front (``backbone.layer4``) may be too much for a model that has none. Raises ``LayerError``:
    SW-L01 with the nearest names, SW-L02 and SW-L03 for a wrong call or index, SW-L16 for a name that several layers
    end in, SW-L17 for a module that is not part of the model, SW-L20 for what is neither name nor module.
    """
    if isinstance(name, nn.Module):
        return Layer(_name_of(model, name))
    _require_name(name)
    modules = [known for known, _ in model.named_modules() if known]
    stem = name.removesuffix(".input")
    readings: list[tuple[str, Side]] = [(name, "output")] if stem == name else [(name, "output"), (stem, "input")]
    for text, side in readings:
        path, _, call = text.partition("#")
        path = _without_indices(modules, path)
        full = path if path in modules else _ending_in(modules, path)
        if full is not None and (call.isdigit() or not call):
            return Layer(full, int(call or 0), side)
    if "#" in stem and not stem.partition("#")[2].isdigit():
        raise LayerError("SW-L02", f"the call in {name!r} must be a number", fix="write layer#0, layer#1 ...")
    wrapper, dot, inner = name.partition(".")
    if dot and wrapper in _WRAPPERS and not any(known.split(".")[0] == wrapper for known in modules):
        return find_layer(model, inner)
    raise _unknown(stem, modules)


def _name_of(model: nn.Module, module: nn.Module) -> str:
    module = unwrapped(module)
    name: str | None = next((known for known, part in model.named_modules() if part is module), None)
    if name:
        return name
    what = "the whole model" if name == "" else "not a part of the model"
    raise LayerError(
        "SW-L17",
        f"the {type(module).__name__} given as a layer is {what}",
        fix="give a module inside the model that is explained, such as model.layer4, or its name",
    )


def _require_name(name: object) -> None:
    if isinstance(name, str):
        return
    several = isinstance(name, list | tuple | set | dict)
    raise LayerError(
        "SW-L20",
        f"a layer is a name or a module of the model, got {type(name).__name__} {name!r}",
        fix="use the method layer_fusion with layers=[...]"
        if several
        else "give a name such as 'layer4', or model.layer4",
    )


def _ending_in(modules: Sequence[str], path: str) -> str | None:
    """The only module whose name ends in ``.path``."""
    matches = [known for known in modules if path and known.endswith(f".{path}")]
    if len(matches) > 1:
        raise LayerError(
            "SW-L16",
            f"{len(matches)} layers have a name that ends in {path!r}",
            near=matches[:_MOST_LISTED],
            fix="write more of the name",
        )
    return matches[0] if matches else None


def _unknown(path: str, modules: Iterable[str]) -> LayerError:
    known = [name for name in modules if name]
    near = nearest(path, known) or known[-_MOST_LISTED:]
    fix = "use a name from model.named_modules()"
    return LayerError("SW-L01", f"the model has no layer {path!r}", near=near, fix=fix)


def _without_indices(modules: Sequence[str], path: str) -> str:
    """``layer4[-1].conv1`` as ``layer4.2.conv1``: indices count a container's children."""
    while match := re.search(r"\[(-?\d+)\]", path):
        container, index = path[: match.start()], int(match.group(1))
        children = _children(modules, container)
        if not -len(children) <= index < len(children):
            raise LayerError(
                "SW-L03", f"{container!r} has {len(children)} children, but child {index} was asked for",
                fix=f"use an index from {-len(children)} to {len(children) - 1}",
            )  # fmt: skip
        path = f"{children[index]}{path[match.end() :]}"
    return path


def _children(modules: Sequence[str], container: str) -> list[str]:
    full = container if not container or container in modules else _ending_in(modules, container)
    if full is None:
        raise _unknown(container, modules)
    return [known for known in modules if known.rpartition(".")[0] == full]
