"""A model cut into a few blocks in the order in which they run, so that every parameter tensor lies in one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from seewhy.models.adapter import Adapter

MOST: int = 14
"""Blocks a model is cut into at most, unless somebody says otherwise: the twelve of a ViT, its head and its stem."""
FEWEST: int = 6
"""Blocks below which the largest are opened, where they can be: the stages of a ResNet, its head and its stem."""


@dataclass(frozen=True)
class Block:
    """Parts of a model that lie beside each other: their names, and the tensors that are theirs alone.

    ``parts`` are modules, or parameters that belong to no part of their own module; ``tensors`` are names of
    parameters, each under the first of its names where several share it.
    """

    parts: tuple[str, ...]
    tensors: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its parts, from the input to the output."""
        return " + ".join(self.parts) if self.parts != ("",) else "the whole model"

    def holds(self, name: str) -> bool:
        """Whether a module lies in it."""
        return any(not part or name == part or name.startswith(f"{part}.") for part in self.parts)


@dataclass(frozen=True)
class _Piece:
    """A module that may still be opened, or several that were joined."""

    parts: tuple[str, ...]
    depth: int
    place: int

    @property
    def parent(self) -> str:
        """Where all its parts come from."""
        parents = {part.rpartition(".")[0] for part in self.parts}
        return parents.pop() if len(parents) == 1 else ""


def blocks_in_order(adapter: Adapter, most: int = MOST) -> tuple[Block, ...]:
    """The blocks of a traced model, that nearest the outputs first; at most ``most`` of them.

    Modules lie in the order in which the trace saw them finish, not that of their registration; those that did not run
    come first, where they change nothing. Large modules are opened until none holds more than half of the layers and
    there are :data:`FEWEST` or more, all of about the same size together: ``blocks.0 … blocks.11``, ``layer1 …
    layer4``. Norms lie with the layer before them, else with what follows. Parameters outside all parts (class token,
    position embedding) lie with the first part of their module to run. A shared tensor lies in the block nearest the
    outputs.

    Example:
        >>> import timm, torch
        >>> x = {"image": torch.zeros(2, 3, 64, 64)}
        >>> [block.name for block in blocks_in_order(Adapter(timm.create_model("resnet18"), x))]
        ['fc', 'layer4', 'layer3', 'layer2', 'layer1', 'conv1 + bn1']
    """
    cut = _Cut(adapter)
    pieces = cut.with_own_parameters(_at_most(cut.with_norms_joined(cut.opened()), most))
    names = {id(tensor): name for name, tensor in adapter.model.named_parameters()}
    taken: set[int] = set()
    blocks = []
    for piece in reversed(pieces):
        new = [tensor for tensor in cut.tensors_of(piece) if id(tensor) not in taken]
        taken.update(map(id, new))
        blocks.append(Block(piece.parts, tuple(dict.fromkeys(names[id(tensor)] for tensor in new))))
    return tuple(blocks)


class _Cut:
    """A model as pieces, each of which knows when it ran."""

    def __init__(self, adapter: Adapter) -> None:
        self.modules = dict(adapter.model.named_modules())
        self.parameters = dict(adapter.model.named_parameters(remove_duplicate=False))
        self.ran = {name: place for place, name in enumerate(adapter.trace.call_counts)}
        self.ran[""] = len(self.ran)
        self.never = len(self.ran)

    def opened(self) -> list[_Piece]:
        """Pieces in order of execution, none of which holds most of the model, as far as they can be opened."""
        pieces = [self._piece("")]
        while True:
            inside = {piece.parts: found for piece in pieces if len(found := self._inside(piece)) > 1}
            able = [piece for piece in pieces if piece.parts in inside]
            largest = max((piece.depth for piece in able), default=0)
            whole = sum(piece.depth for piece in pieces)
            if not able or (2 * largest <= whole and len(pieces) >= FEWEST):
                return sorted(pieces, key=lambda piece: piece.place)
            opening = {piece.parts for piece in able if 2 * piece.depth >= largest}
            pieces = [new for piece in pieces for new in (inside[piece.parts] if piece.parts in opening else [piece])]

    def _inside(self, piece: _Piece) -> list[_Piece]:
        """The parts of a piece that have weights; a part that is all there is stands for what is inside it."""
        (name,) = piece.parts
        found = [child for child, _ in self.modules[name].named_children()]
        inside = [_joined_name(name, child) for child in found]
        known = [self._piece(child) for child in inside if child in self.modules and _has_weights(self.modules[child])]
        if len(self.ran) > 1 and not any(one.place < self.never for one in known):
            return []  # used without being called, as the projection inside torch's own attention
        return self._inside(known[0]) if len(known) == 1 and not self._bare(name) else known

    def _piece(self, name: str) -> _Piece:
        module = self.modules[name]
        depth = sum(any(True for _ in inner.parameters(recurse=False)) for inner in module.modules())
        return _Piece((name,), max(depth, 1), self._place(name))

    def _place(self, name: str) -> int:
        """When a module had run; a list of modules, or one that hooks do not see, when the last inside it had."""
        if name in self.ran:
            return self.ran[name]
        places = [place for other, place in self.ran.items() if other.startswith(f"{name}.")]
        return max(places, default=self.never)

    def _bare(self, name: str) -> list[str]:
        return [_joined_name(name, own) for own, _ in self.modules[name].named_parameters(recurse=False)]

    def with_norms_joined(self, pieces: Sequence[_Piece]) -> list[_Piece]:
        """Norms with the single layer before them beside which they lie, else with what follows."""
        found: list[_Piece] = []
        waiting: _Piece | None = None
        for piece in pieces:
            before = found[-1] if found else None
            if not self._is_norm(piece):
                found.append(_join(waiting, piece) if waiting else piece)
                waiting = None
            elif before and not waiting and self._is_layer(before) and before.parent == piece.parent:
                found[-1] = _join(before, piece)
            else:
                waiting = _join(waiting, piece) if waiting else piece
        return [*found, waiting] if waiting else found

    def _is_norm(self, piece: _Piece) -> bool:
        """Whether it has a scale and a shift of channels, at most, and no layer with weights."""
        return all(tensor.ndim <= 1 for tensor in self.tensors_of(piece))

    def _is_layer(self, piece: _Piece) -> bool:
        return not any(True for _ in self.modules[piece.parts[0]].children())

    def with_own_parameters(self, pieces: Sequence[_Piece]) -> list[_Piece]:
        """With the parameters of opened modules beside the first of their parts to run."""
        found = list(pieces)
        covered = {name for piece in pieces for name in self._names_in(piece)}
        for name in reversed(self.parameters):
            if name not in covered:
                owner = name.rpartition(".")[0]
                inside = (row for row, one in enumerate(found) if any(_under(part, owner) for part in one.parts))
                row = next(inside, 0)
                found[row] = _Piece((name, *found[row].parts), found[row].depth, found[row].place)
        return found

    def tensors_of(self, piece: _Piece) -> list[Tensor]:
        """Its parameters, shared or not."""
        return [self.parameters[name] for name in self._names_in(piece)]

    def _names_in(self, piece: _Piece) -> Iterator[str]:
        return (name for name in self.parameters if any(_under(name, part) or name == part for part in piece.parts))


def _at_most(pieces: Sequence[_Piece], most: int) -> list[_Piece]:
    """Neighbours joined until there are no more than that: brothers before strangers, small ones first."""
    found = list(pieces)
    while len(found) > max(most, 1):
        pairs = list(pairwise(found))
        costs = [(a.parent != b.parent or not a.parent, a.depth + b.depth) for a, b in pairs]
        row = costs.index(min(costs))
        found[row : row + 2] = [_join(*pairs[row])]
    return found


def _join(first: _Piece, second: _Piece) -> _Piece:
    return _Piece((*first.parts, *second.parts), first.depth + second.depth, max(first.place, second.place))


def _joined_name(owner: str, name: str) -> str:
    return f"{owner}.{name}" if owner else name


def _under(name: str, owner: str) -> bool:
    return not owner or name.startswith(f"{owner}.")


def _has_weights(module: nn.Module) -> bool:
    """Whether it has parameters, or the running statistics of a norm without."""
    kept = (name.rpartition(".")[2] for name, _ in module.named_buffers())
    return any(True for _ in module.parameters()) or "running_var" in kept
