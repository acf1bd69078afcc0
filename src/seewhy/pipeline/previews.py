"""A record's inputs made small, to be stored beside its answers."""

from __future__ import annotations

from collections.abc import Mapping

from seewhy.data.records import Slices, View
from seewhy.render.preview import picture_preview, signal_preview, slices_preview
from seewhy.values import Preview


def previews_of(views: Mapping[str, View]) -> tuple[Preview, ...]:
    """One preview per input, in the order of the model's inputs."""
    return tuple(_preview(name, view) for name, view in views.items())


def _preview(name: str, view: View) -> Preview:
    if isinstance(view, Slices):
        data, shown = slices_preview(view.pixels)
        return Preview(name, "slices" if view.called == "slice" else "frames", data, shown, len(view.pixels))
    if view.ndim == 2:
        return Preview(name, "signal", signal_preview(view))
    return Preview(name, "picture", picture_preview(view))
