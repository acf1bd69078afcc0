"""What of Plotly is used: its figures, kept from its cloud, and colours and pictures as it takes them."""

from __future__ import annotations

import base64
from importlib import import_module
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from seewhy.render.colormap import colormap
from seewhy.render.encode import encode_jpeg, encode_png, thumbnail
from seewhy.render.overlay import RAMP_STEPS
from seewhy.values import MissingExtraError

CONFIG: Final = {"showSendToCloud": False, "displaylogo": False, "responsive": True, "scrollZoom": True}
"""Of every figure: nothing leaves the page."""
LONGEST_PICTURE: Final = 1024
LOSSLESS: Final = 128 * 128
"""Pixels up to which a picture is carried without loss."""


def require_plotly() -> Any:
    """Plotly's figures; raises ``MissingExtraError`` SW-X01, with the command that installs it."""
    try:
        return import_module("plotly.graph_objects")
    except ImportError:
        raise MissingExtraError("plotly", "report") from None


def plotly_script() -> str:
    """Plotly's own script, all of it."""
    require_plotly()
    return str(import_module("plotly.offline").get_plotlyjs())


def offline_figure() -> Any:
    """The class of figures that show and save themselves with :data:`CONFIG`."""
    base = require_plotly().Figure

    class OfflineFigure(base):  # type: ignore[misc, valid-type]
        """A figure that offers no upload and carries Plotly's script with it."""

        def show(self, *args: Any, **given: Any) -> Any:
            return super().show(*args, **_safe(given))

        def to_html(self, *args: Any, **given: Any) -> Any:
            return super().to_html(*args, **_safe(given))

        def write_html(self, *args: Any, **given: Any) -> Any:
            return super().write_html(*args, **_safe(given))

        def _repr_mimebundle_(self, *args: Any, **given: Any) -> Any:
            return super()._repr_mimebundle_(*args, **_safe(given))

    return OfflineFigure


def _safe(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "config": {**CONFIG, **(given.get("config") or {})}}


def picture_uri(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    """A picture as a data URI: small ones without loss, others as JPEG of at most ``LONGEST_PICTURE`` pixels a side."""
    if picture.shape[0] * picture.shape[1] <= LOSSLESS:
        kind, content = "png", encode_png(picture, level=6)
    else:
        kind, content = "jpeg", encode_jpeg(thumbnail(picture, LONGEST_PICTURE))
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def colour_stops(name: str) -> list[list[Any]]:
    """A colour map for Plotly: colours grow from transparent to full over its first quarter, as on saved pictures."""
    share = np.minimum(np.arange(256) / RAMP_STEPS, 1)
    return [
        [round(step / 255, 5), f"rgba({red},{green},{blue},{alpha:.3g})"]
        for step, ((red, green, blue), alpha) in enumerate(zip(colormap(name).tolist(), share.tolist(), strict=True))
    ]
