"""A model read as an encoder: its outputs are the features at a layer, with the graph that leads to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.models.layers import OUTPUTS
from seewhy.models.naming import find_layer
from seewhy.models.outputs import FEATURE_KEYS, LOGIT_KEYS, Selector, pooled, selected, sole_tensor
from seewhy.values import ModelError


@dataclass(frozen=True)
class EmbeddingReader:
    """Reads one vector ``(B, D)`` per record at ``layer``, such as ``fc.input``, or what the model puts out.

    Tokens ``(B, N, D)`` and maps ``(B, C, *S)`` are averaged over tokens and space. ``selector`` says where the
    features are in what a model without a head returns.

    Example:
        >>> EmbeddingReader().read(torch.ones(2, 5, 3, 3), [], batch=2).shape
        torch.Size([2, 5])
    """

    layer: str = OUTPUTS
    selector: Selector | None = None

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[list[Tensor | None]]:
        """Yields a list with what each call of the layer took or put out, as the model computed it."""
        seen: list[Tensor | None] = []
        if self.layer == OUTPUTS:
            yield seen
            return
        place = find_layer(model, self.layer)

        def note_input(module: nn.Module, args: Any) -> None:
            del module
            seen.append(_kept(sole_tensor(args[:1])))

        def note_output(module: nn.Module, args: Any, output: Any) -> None:
            del module, args
            seen.append(_kept(sole_tensor(output)))

        module = model.get_submodule(place.name)
        handle = (
            module.register_forward_pre_hook(note_input)
            if place.side == "input"
            else module.register_forward_hook(note_output)
        )
        try:
            yield seen
        finally:
            handle.remove()

    def read(self, answer: Any, seen: Any, *, batch: int | None) -> Float[Tensor, "b d"]:
        """The features of each record.

        Raises ``ModelError``: SW-M83 where the layer did not run or holds no single tensor, SW-M84 where rows are not
        records.
        """
        found = self._features(answer, seen)
        features = pooled(found) if found.ndim > 2 else found.reshape(1, -1) if found.ndim < 2 else found
        if batch is not None and features.shape[0] != batch:
            raise ModelError(
                "SW-M84",
                f"the features at {self.layer!r} are of {features.shape[0]} records, {batch} were asked about",
                fix="name a layer with one row for each record",
            )
        return features.float() if features.itemsize < 4 else features

    def traced_score(self, outputs: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """The length of the vector."""
        length: Tensor = outputs.norm(dim=1)
        return length

    def _features(self, answer: Any, seen: Any) -> Tensor:
        if self.layer == OUTPUTS:
            return selected(answer, self.selector, keys=(*FEATURE_KEYS, *LOGIT_KEYS))
        number = int(self.layer.removesuffix(".input").partition("#")[2] or 0)
        found: Tensor | None = seen[number] if number < len(seen) else None
        if found is None:
            raise ModelError(
                "SW-M83",
                f"layer {self.layer!r} was called {len(seen)} times in the forward pass and held no single tensor of "
                f"features in call {number}",
                fix="name a layer that runs and puts out one tensor, such as the head's input",
            )
        return found


def _kept(tensor: Tensor | None) -> Tensor | None:
    """A copy with the same graph, which an in-place operation behind it cannot overwrite."""
    return None if tensor is None else torch.clone(tensor)
