"""Draws: raw maps and pictures in, 8-bit pictures and files out. Imports neither torch nor a plotting library."""

from seewhy.render.colormap import colorize, colormap, colormap_names
from seewhy.render.encode import encode_jpeg, encode_png, thumbnail
from seewhy.render.errors import RenderError
from seewhy.render.heatmap import NEUTRAL, Heatmap, heatmap, place_on_original
from seewhy.render.overlay import overlay
from seewhy.render.panels import attention_sheet
from seewhy.render.picture import overlay_picture
from seewhy.render.resize import resize

__all__ = [
    "NEUTRAL",
    "Heatmap",
    "RenderError",
    "attention_sheet",
    "colorize",
    "colormap",
    "colormap_names",
    "encode_jpeg",
    "encode_png",
    "heatmap",
    "overlay",
    "overlay_picture",
    "place_on_original",
    "resize",
    "thumbnail",
]
