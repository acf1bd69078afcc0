"""A result that is drawn as titled pictures side by side: a dictionary that can be saved and written as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.explain.drawing import Destination, Look, Picture, png_of, save_panels
from seewhy.explain.result import plain
from seewhy.values import Json


class SheetResult(dict[str, Any]):
    """Values by name, and the titled pictures that show them; in a notebook it shows them."""

    def __init__(self, values: Mapping[str, Any], look: Look) -> None:
        super().__init__(values)
        self.look = look

    def panels(self) -> dict[str, Picture]:
        """The pictures by title."""
        return {}

    def save(self, path: Destination) -> Path:
        """Write the pictures side by side and note where; the file's folder is created."""
        written = save_panels(self.panels(), path, self.look)
        self["save_path"] = str(written)
        return written

    def to_json(self) -> dict[str, Json]:
        """Everything but pictures and maps, as plain values."""
        return {name: plain(value) for name, value in self.items() if not _is_of_pixels(value)}

    def _repr_png_(self) -> bytes:
        return png_of(self.panels(), self.look)

    def __repr__(self) -> str:
        told = ((name, value) for name, value in self.items() if not _is_of_pixels(value))
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in told)})"


def _is_of_pixels(value: Any) -> bool:
    held = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(one, np.ndarray) and one.ndim > 1 for one in held)
