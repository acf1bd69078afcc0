"""Which layers are looked into: those named, by name, pattern or type; else the model's stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from torch import nn
from torch.nn.modules.conv import _ConvNd

from seewhy.models.borrow import unwrapped
from seewhy.models.layers import NO_FEATURES, Layer, find_layer
from seewhy.values import LayerError, nearest

FEWEST: Final = 4
"""A model with fewer stages than this has its largest stage opened."""
NEARLY_ALL: Final = 0.9
"""The share of the weights from which a part is opened however many there are."""
LARGEST_HEAD: Final = 3
SMALLEST_NETWORK: Final = 18
"""Weighted layers: a block of parallel branches has fewer, the smallest of networks more."""
CONTAINERS: Final = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
WITHOUT: Final = (nn.Linear, nn.Flatten, nn.Softmax, nn.LogSoftmax, nn.Sigmoid)
_WILD: Final = frozenset("*?[")


def chosen_layers(model: nn.Module, layers: Any = None) -> dict[str, Layer]:
    """The layers to look into by a short name each, in the model's order where a pattern or type chose them.

    Args:
        model: any model; nothing is run.
        layers: None for :func:`stages`; one or several of: a name (``layer2``, the end of a name, ``relu#1``), a
            pattern (``layer*.0.conv?``), a type (``nn.Conv2d``), a type's name (``"Conv2d"``) or a module of the model.

    Raises:
        LayerError: ``SW-L30`` nothing was chosen, and what :func:`seewhy.models.layers.find_layer` raises.
    """
    model = unwrapped(model)
    if layers is None:
        found = stages(model)
    else:
        several = isinstance(layers, Iterable) and not isinstance(layers, str | nn.Module)
        by_stage = stages(model)
        found = {}
        for one in layers if several else [layers]:
            found |= _chosen(model, one, by_stage)
    if not found:
        raise LayerError(
            "SW-L30",
            f"no layer was chosen by {layers!r}" if layers is not None else "the model has no layers to look into",
            near=[name for name, _ in model.named_modules() if name][:5],
            fix="name layers, patterns such as 'layer*' or types such as 'Conv2d'",
        )
    return found


def _chosen(model: nn.Module, one: Any, by_stage: dict[str, Layer]) -> dict[str, Layer]:
    names = [name for name, _ in model.named_modules() if name]
    if isinstance(one, str) and one not in names:
        if one in by_stage:
            return {one: by_stage[one]}
        if _WILD & set(one) and not _is_index(one):
            matching = [name for name in names if fnmatchcase(name, one) or fnmatchcase(name, f"*.{one}")]
            return _by_short_name(matching, names) if matching else _none_like(one, names)
        of_kind = [name for name, module in model.named_modules() if name and type(module).__name__ == one]
        if of_kind:
            return _by_short_name(of_kind, names)
    if isinstance(one, type) and issubclass(one, nn.Module):
        of_type = [name for name, module in model.named_modules() if name and isinstance(module, one)]
        return _by_short_name(of_type, names) if of_type else _none_like(one.__name__, _kinds(model))
    layer = find_layer(model, one)
    if layer.side == "input":
        raise LayerError(
            "SW-L14", f"{layer} is an input; what a layer puts out is read", fix="name the layer before it"
        )
    return {one if isinstance(one, str) else str(layer): layer}


def _is_index(text: str) -> bool:
    """Whether brackets are those of ``layer4[-1]`` rather than of a pattern's characters."""
    return not {"*", "?"} & set(text) and text.rpartition("[")[2].rstrip("]").lstrip("-").isdigit()


def _none_like(text: str, known: Sequence[str]) -> dict[str, Layer]:
    raise LayerError(
        "SW-L30",
        f"no layer was chosen by {text!r}",
        near=nearest(text.strip("*?."), known) or list(known)[:5],
        fix="model.named_modules() lists every name; `seewhy layers MODEL` those with a grid",
    )


def _kinds(model: nn.Module) -> list[str]:
    return list(dict.fromkeys(type(module).__name__ for module in model.modules()))


def stages(model: nn.Module) -> dict[str, Layer]:
    """The stages a model is written in, without its pooling and head, found by structure alone.

    Networks inside the model are opened (``backbone.rnet.layer1``), and so is the largest part while there are fewer
    than :data:`FEWEST` or it holds nearly all the weights: a ResNet gives ``conv1 bn1 relu maxpool layer1 … layer4``, a
    vision transformer its embedding, every block and the last norm.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
        >>> list(stages(net))
        ['0', '1']
    """
    model = unwrapped(model)
    found = list(_opened("", model))
    while (place := _worth_opening([part for _, part in found])) is not None:
        name, part = found[place]
        found[place : place + 1] = [(f"{name}.{inner}", child) for inner, child in _parts(part)]
    return _by_short_name([name for name, _ in found])


def _worth_opening(parts: Sequence[nn.Module]) -> int | None:
    """Which part to look into, a container rather than another, the largest of several; None where it is enough."""
    weights = [_weights(part) for part in parts]
    possible = [place for place, part in enumerate(parts) if weights[place] and _parts(part)]
    containers = [place for place in possible if isinstance(parts[place], CONTAINERS)]
    largest = max(containers or possible, key=weights.__getitem__, default=None)
    few = len(parts) < FEWEST
    return largest if largest is not None and (few or weights[largest] > NEARLY_ALL * sum(weights)) else None


def _opened(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The parts of a network in their order, networks and containers of containers among them opened in turn."""
    for inner, part in _parts(module):
        full = f"{name}.{inner}" if name else inner
        if _is_network(part) or _holds_containers(part):
            yield from _opened(full, part)
        else:
            yield full, part


def _parts(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The children that put out features of their own: neither pooling nor a head."""
    return [(name, child) for name, child in module.named_children() if _has_features(child)]


def _has_features(module: nn.Module) -> bool:
    leaves = _leaves(module)
    if isinstance(module, nn.MultiheadAttention):
        return True
    if isinstance(module, CONTAINERS) and not len(module):
        return False
    return not all(_is_featureless(leaf) for leaf in leaves) and not _is_head(module, leaves)


def _is_featureless(leaf: nn.Module) -> bool:
    kind = type(leaf).__name__
    return (
        kind in {*NO_FEATURES, "Permute"}
        or isinstance(leaf, WITHOUT)
        or "AdaptivePool" in kind
        or "AdaptiveAvg" in kind
    )


def _is_head(module: nn.Module, leaves: Sequence[nn.Module]) -> bool:
    """A few weighted layers, none a convolution, of which the last is linear."""
    weighted = [leaf for leaf in leaves if next(leaf.parameters(recurse=False), None) is not None]
    own = next(module.parameters(recurse=False), None)
    if not weighted or len(weighted) > LARGEST_HEAD or (own is not None and list(module.children())):
        return False
    return isinstance(weighted[-1], nn.Linear) and not any(isinstance(leaf, _ConvNd) for leaf in weighted)


def _is_network(module: nn.Module) -> bool:
    """Whether a part is a model of its own: no plain container, but of many layers, in containers of several blocks."""
    if isinstance(module, CONTAINERS):
        return False
    weighted = sum(next(leaf.parameters(recurse=False), None) is not None for leaf in _leaves(module))
    return weighted >= SMALLEST_NETWORK and any(_holds_blocks(part) or _is_network(part) for part in module.children())


def _holds_blocks(module: nn.Module) -> bool:
    """A container of two or more parts that have parts themselves."""
    return isinstance(module, CONTAINERS) and sum(bool(list(part.children())) for part in module.children()) > 1


def _holds_containers(module: nn.Module) -> bool:
    """A container of containers of blocks, each of which is a stage."""
    parts = list(module.children())
    return isinstance(module, CONTAINERS) and len(parts) > 1 and all(map(_is_stage, parts))


def _is_stage(module: nn.Module) -> bool:
    return isinstance(module, CONTAINERS) and any(list(part.children()) for part in module.children())


def _leaves(module: nn.Module) -> list[nn.Module]:
    return [leaf for leaf in module.modules() if not list(leaf.children())]


def _weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _by_short_name(names: Sequence[str], among: Sequence[str] | None = None) -> dict[str, Layer]:
    """Each full name by its shortest ending that begins with no number and that no other of ``among`` ends in."""
    every = names if among is None else among
    return {_shortest(name, every): Layer(name) for name in names}


def _shortest(name: str, among: Sequence[str]) -> str:
    parts = name.split(".")
    for start in range(len(parts) - 1, 0, -1):
        ending = ".".join(parts[start:])
        taken = sum(other == ending or other.endswith(f".{ending}") for other in among)
        if taken == 1 and not parts[start][0].isdigit():
            return ending
    return name
