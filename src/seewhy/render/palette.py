"""Colours for things that have no order: detections, classes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Integer, UInt8

from seewhy.render.text import Colour

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Okabe and Ito, "Color Universal Design" (2008): told apart with every common form of colour blindness."""

CLASSES: tuple[Colour, ...] = (
    *PALETTE,
    (136, 34, 85),
    (51, 34, 136),
    (150, 220, 40),
    (255, 195, 205),
    (0, 225, 225),
    (193, 0, 32),
    (0, 80, 45),
    (140, 90, 40),
    (190, 160, 255),
    (150, 60, 220),
    (255, 125, 95),
    (110, 120, 130),
    (110, 110, 10),
    (225, 210, 165),
)
"""The first 21 class colours, as many as common data sets have classes: the palette, then colours far from it."""

GOLDEN_TURN = (5**0.5 - 1) / 2
SATURATIONS, BRIGHTNESSES = np.array([0.85, 0.5, 0.7]), np.array([0.95, 0.65, 0.8, 0.5])
BRIGHT = 0.179
"""Relative luminance at which black and white text have the same contrast to a ground (WCAG 2.2)."""


def class_colours(classes: Integer[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape 3"]:
    """The colour of each class index, whatever the number of classes: :data:`CLASSES`, then hues a golden turn apart.

    A class has the same colour in every picture. Up to 2000 classes no colour is given twice.

    Args:
        classes: class indices, 0 or more.

    Example:
        >>> class_colours(np.array([0, 1, 300])).tolist()[:2]
        [[230, 159, 0], [86, 180, 233]]
    """
    hue = np.mod(classes * GOLDEN_TURN, 1)
    saturation = SATURATIONS[classes % len(SATURATIONS)]
    brightness = BRIGHTNESSES[classes % len(BRIGHTNESSES)]
    beyond = np.rint(255 * _rgb_of(hue, saturation, brightness)).astype(np.uint8)
    listed = np.array(CLASSES, np.uint8)[classes % len(CLASSES)]
    colours: UInt8[np.ndarray, "*shape 3"] = np.where((classes < len(CLASSES))[..., None], listed, beyond)
    return colours


def is_light(colour: Colour) -> bool:
    """Whether black text stands out more than white on this colour (relative luminance, WCAG 2.2)."""
    share = np.array(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return bool(linear @ [0.2126, 0.7152, 0.0722] > BRIGHT)


def _rgb_of(
    hue: Float[np.ndarray, "*shape"], saturation: Float[np.ndarray, "*shape"], value: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape 3"]:
    """HSV to RGB, all in [0, 1]: each channel falls from ``value`` with its distance in hue from its own primary."""
    sixth = np.mod(6 * hue[..., None] + np.array([5.0, 3.0, 1.0]), 6)
    fall = np.minimum(sixth, 4 - sixth).clip(0, 1)
    rgb: Float[np.ndarray, "*shape 3"] = value[..., None] * (1 - saturation[..., None] * fall)
    return rgb
