"""The size of the picture a model was given, seen at its door: boxes relative to it become pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from seewhy.values import ModelError


@dataclass
class SeenPicture:
    """``(height, width)`` of the first batch of pictures ``(B, C, H, W)`` the model was given, once it was called."""

    size: tuple[int, int] | None = None

    @property
    def height_and_width(self) -> tuple[int, int]:
        """The size; raises ``ModelError`` SW-M74 where the model was given no pictures."""
        if self.size is None:
            raise ModelError(
                "SW-M74",
                "the model was given no batch of pictures (B, C, H, W), so relative boxes have no size in pixels",
                fix="pass the pictures as one tensor",
            )
        return self.size


@contextmanager
def watching_size(model: nn.Module) -> Iterator[SeenPicture]:
    """Notes the size of the first batch of pictures among the model's arguments."""
    seen = SeenPicture()

    def note(module: nn.Module, args: Any, kwargs: Any) -> None:
        del module
        for given in (*args, *kwargs.values()):
            if seen.size is None and isinstance(given, Tensor) and given.ndim == 4:
                seen.size = (given.shape[2], given.shape[3])

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()
