"""Real handwritten digits at random places among clutter: a data set whose answer to "where?" is known exactly.

The 1 797 digits are scikit-learn's ``load_digits`` (8 × 8, 17 gray levels; UCI "Optical Recognition of Handwritten
Digits", Alpaydin & Kaynak 1998), shipped as ``digits.npz``. The arrangement follows the cluttered MNIST of Mnih et al.
2014: one whole digit, and fragments of other digits that a model must learn to ignore.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from seewhy.data.masks import box_of
from seewhy.data.records import Record, RecordRef
from seewhy.data.settings import check_class_names, check_counts, check_seed, check_size
from seewhy.pixels import Normalisation
from seewhy.values import Geometry, Json

RECIPE: Final = 1  # raised whenever the same seed would give other pixels
SPLITS: Final = ("train", "val", "test")
COUNTS: Final[Mapping[str, int]] = {"train": 6000, "val": 1000, "test": 1000}
SMALLEST: Final = 32
HALF: Final = (0.5, 0.5, 0.5)

Pixels = Float32[np.ndarray, "h w 3"]
Ink = Float32[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class Scene:
    """One drawn picture: values in [0, 1], the digit's ink as a mask, and the label."""

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    label: int


class ClutteredDigits:
    """A ``size`` × ``size`` RGB picture per record: one digit (the label) in clutter, with its box and mask.

    Pixels follow from ``(seed, split, index)`` alone. No glyph appears in two splits, whatever the seed, so that a
    model trained with one seed is honestly tested with another. ``counts`` says how many records each split has.

    Raises ``DataError`` SW-D01 for a setting out of range and SW-D11 for other than ten class names.

    >>> digits = ClutteredDigits(counts={"test": 5})
    >>> digits.index()[4].record_id
    'test_00004'
    """

    def __init__(
        self,
        size: int = 64,
        counts: Mapping[str, int] | None = None,
        seed: int = 0,
        *,
        mean: Sequence[float] = HALF,
        std: Sequence[float] = HALF,
        class_names: Sequence[str] | None = None,
    ) -> None:
        self.size = check_size(size, smallest=SMALLEST)
        self.counts = check_counts(COUNTS if counts is None else counts, SPLITS)
        self.seed = check_seed(seed)
        self.normalisation = Normalisation(tuple(mean), tuple(std))
        digits = [str(digit) for digit in range(10)]
        self.class_names: Sequence[str] | None = check_class_names(class_names, digits) if class_names else digits
        self._places = [(split, i) for split in SPLITS for i in range(self.counts.get(split, 0))]
        labels = load_glyphs()[1]
        self._index = [
            RecordRef(f"{split}_{i:05d}", split, int(labels[self._glyph(split, i)])) for split, i in self._places
        ]

    def index(self) -> Sequence[RecordRef]:
        """Every record, ``train_00000`` onwards; the label is the digit."""
        return self._index

    def read(self, position: int) -> Record:
        """Draw the record at a position of the index."""
        split, i = self._places[position]
        scene = draw_scene(self.size, split, self._glyph(split, i), self._generator(split, i))
        image = torch.from_numpy(np.ascontiguousarray(scene.image.transpose(2, 0, 1)))
        return Record(
            record_id=self._index[position].record_id,
            split=split,
            inputs={"image": self.normalisation.apply(image)},
            label=scene.label,
            geometry=Geometry.identity((self.size, self.size)),
            box=box_of(scene.mask),
            mask=scene.mask,
            revision=self.revision(position),
        )

    def revision(self, position: int) -> str:
        """A digest of everything that decides the pixels."""
        split, i = self._places[position]
        text = f"cluttered-digits/{RECIPE}/{self.size}/{self.seed}/{split}/{i}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """The drawn picture."""
        return self.normalisation.picture(inputs["image"])

    def fingerprint(self) -> Mapping[str, Json]:
        """What decides pixel values."""
        return {
            "data": "cluttered_digits",
            "recipe": RECIPE,
            "size": self.size,
            "seed": self.seed,
            "mean": list(self.normalisation.mean),
            "std": list(self.normalisation.std),
        }

    def _glyph(self, split: str, i: int) -> int:
        pool = glyphs_of(split)
        return int(pool[_digest_number(f"glyph/{self.seed}/{split}/{i}") % len(pool)])

    def _generator(self, split: str, i: int) -> Generator:
        return np.random.default_rng(_digest_number(f"scene/{RECIPE}/{self.seed}/{split}/{i}"))


@lru_cache(maxsize=1)
def load_glyphs() -> tuple[Float32[np.ndarray, "n 8 8"], UInt8[np.ndarray, " n"]]:
    """The bundled digits, ink in [0, 1], and their labels."""
    with files("seewhy.data").joinpath("digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as bundle:
        images = (bundle["images"] / 16).astype(np.float32)
        return images, bundle["labels"]


@lru_cache(maxsize=len(SPLITS))
def glyphs_of(split: str) -> NDArray[np.intp]:
    """Which glyphs a split may draw: about 70, 10 and 20 % of them, decided by each glyph's own bytes."""
    images, _ = load_glyphs()
    tenths = np.array([hashlib.blake2b(image.tobytes(), digest_size=2).digest()[0] % 10 for image in images])
    lowest, end = {"train": (0, 7), "val": (7, 8), "test": (8, 10)}[split]
    return np.flatnonzero((tenths >= lowest) & (tenths < end))


def draw_scene(size: int, split: str, glyph: int, rng: Generator) -> Scene:
    """Background, lines, fragments of other digits, then the digit on top, then a little sensor noise."""
    images, labels = load_glyphs()
    canvas = np.broadcast_to(rng.uniform(0.05, 0.25, 3).astype(np.float32), (size, size, 3)).copy()
    for _ in range(2):
        _blend(canvas, _line(size, rng), _tint(rng, 0.35, 0.7), (0, 0))
    others = glyphs_of(split)[labels[glyphs_of(split)] != labels[glyph]]
    for _ in range(6):
        fragment = _fragment(images[rng.choice(others)], size, rng)
        _blend(canvas, fragment, _tint(rng, 0.45, 0.9), _place(fragment, size, rng))
    ink = enlarge(images[glyph], _digit_length(size, rng))
    top, left = _place(ink, size, rng)
    _blend(canvas, ink, _tint(rng, 0.7, 1.0), (top, left))
    canvas += rng.normal(0, 0.03, canvas.shape).astype(np.float32)
    mask = np.zeros((size, size), dtype=np.bool_)
    mask[top : top + len(ink), left : left + len(ink)] = ink > 0.5
    return Scene(canvas.clip(0, 1), mask, int(labels[glyph]))


def enlarge(glyph: Float32[np.ndarray, "8 8"], length: int) -> Float32[np.ndarray, "n n"]:
    """A glyph at ``length`` × ``length`` pixels by separable cubic interpolation, ink clipped to [0, 1]."""
    weights = cubic_weights(len(glyph), length)
    ink: NDArray[np.float32] = (weights @ glyph @ weights.T).clip(0, 1)
    return ink


@lru_cache(maxsize=64)
def cubic_weights(source: int, target: int) -> Float32[np.ndarray, "t s"]:
    """The matrix that resamples ``source`` samples to ``target`` (Keys 1981, a = -1/2; each row sums to 1)."""
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    x = np.abs(centres[:, None] - np.arange(-2, source + 2)[None, :])
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    kernel = np.where(x <= 1, near, np.where(x < 2, far, 0))
    kernel[:, 2] += kernel[:, :2].sum(axis=1)  # samples beyond an edge repeat the edge
    kernel[:, -3] += kernel[:, -2:].sum(axis=1)
    return kernel[:, 2:-2].astype(np.float32)


def _digest_number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _digit_length(size: int, rng: Generator) -> int:
    return int(rng.integers(round(size * 20 / 64), round(size * 28 / 64) + 1))


def _tint(rng: Generator, low: float, high: float) -> NDArray[np.float32]:
    """A mildly coloured light gray: one brightness, each channel up to 15 % darker."""
    return (rng.uniform(low, high) * rng.uniform(0.85, 1.0, 3)).astype(np.float32)


def _place(ink: Ink, size: int, rng: Generator) -> tuple[int, int]:
    top, left = rng.integers(0, (size - ink.shape[0] + 1, size - ink.shape[1] + 1))
    return int(top), int(left)


def _fragment(glyph: Float32[np.ndarray, "8 8"], size: int, rng: Generator) -> Ink:
    """A random window, about a seventh of the canvas wide, out of an enlarged digit."""
    ink, length = enlarge(glyph, _digit_length(size, rng)), round(size * 9 / 64)
    top, left = rng.integers(0, len(ink) - length + 1, 2)
    return ink[top : top + length, left : left + length]


def _line(size: int, rng: Generator) -> Ink:
    """A thin straight line across the canvas."""
    angle, shift = rng.uniform(0, np.pi), rng.uniform(-0.4, 0.4) * size
    steps = np.arange(size, dtype=np.float32) - (size - 1) / 2
    distance = np.abs(steps[None, :] * np.sin(angle) - steps[:, None] * np.cos(angle) - shift)
    ink: NDArray[np.float32] = (1.2 - distance).clip(0, 1).astype(np.float32)
    return ink


def _blend(canvas: Pixels, ink: Ink, tint: NDArray[np.float32], corner: tuple[int, int]) -> None:
    """Paint ``tint`` onto the canvas in place, as opaque as the ink."""
    top, left = corner
    window = canvas[top : top + ink.shape[0], left : left + ink.shape[1]]
    window += ink[..., None] * (tint - window)
