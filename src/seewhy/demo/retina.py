"""Made eyes for one diagnosis from four pictures: which input holds the evidence, and where in it, is known exactly.

The pictures follow the roles of the four maps in grading age-related macular degeneration, not their looks: new vessels
(``mnv``), ``fluid``, atrophy (``ga``) and ``drusen``. Every one of them has a background, vessels and faint patches
that say nothing of the class; ``fluid`` has nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from seewhy.data.multi_input import side_by_side
from seewhy.data.records import Record, RecordRef
from seewhy.data.settings import SPLITS, check_class_names, check_counts, check_seed, check_size
from seewhy.pixels import Normalisation
from seewhy.values import Geometry, Json

RECIPE: Final = 1  # raised whenever the same seed would give other pixels
INPUTS: Final = ("mnv", "fluid", "ga", "drusen")
CLASSES: Final = ("Normal", "Early", "Intermediate", "Late")
COUNTS: Final[Mapping[str, int]] = {"train": 384, "val": 96, "test": 96}
SMALLEST: Final = 32
MACULA: Final = 0.3  # of the picture's side: how far from its centre evidence lies
SPOTS: Final[Mapping[str, tuple[int, int, float, float]]] = {  # fewest, most, radius and softness, in sides
    "Early": (8, 12, 0.03, 0.01),
    "Intermediate": (5, 8, 0.07, 0.06),
}

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Eye:
    """One record's pictures ``(H, W)`` in [0, 1], and per input where the evidence for its class is."""

    images: Mapping[str, Plane]
    evidence: Mapping[str, NDArray[np.bool_]]


class MadeRetina:
    """Gray pictures mnv, fluid, ga and drusen of ``size`` pixels, and one of four classes, as many records of each.

    ``Normal`` has no evidence; ``Early`` 8 to 12 small and ``Intermediate`` 5 to 8 large, soft spots in ``drusen``;
    ``Late`` a bright ring in ``mnv`` or a dark disc in ``ga``, with whatever drusen. All of it lies within 0.3 of the
    side around the centre. Pixels follow from ``(seed, split, index)`` alone. ``counts`` says how many records each
    split has.

    Raises ``DataError`` SW-D01 for a setting out of range and SW-D11 for other than four class names.

    >>> eyes = MadeRetina(counts={"val": 4})
    >>> {name: int(mask.any()) for name, mask in eyes.evidence(1).items()}
    {'mnv': 0, 'fluid': 0, 'ga': 0, 'drusen': 1}
    """

    input_names: Final = INPUTS

    def __init__(
        self,
        size: int = 64,
        counts: Mapping[str, int] | None = None,
        seed: int = 0,
        *,
        class_names: Sequence[str] | None = None,
    ) -> None:
        self.size = check_size(size, smallest=SMALLEST)
        self.counts = check_counts(COUNTS if counts is None else counts, SPLITS)
        self.seed = check_seed(seed)
        self.normalisation = Normalisation((0.5,), (0.5,))
        self.class_names: Sequence[str] | None = check_class_names(class_names or CLASSES, CLASSES)
        self._places = [(split, i) for split in SPLITS for i in range(self.counts.get(split, 0))]
        self._index = [RecordRef(f"{split}_{i:05d}", split, i % len(CLASSES)) for split, i in self._places]

    def index(self) -> Sequence[RecordRef]:
        """Every record, ``train_00000`` onwards; the classes take turns."""
        return self._index

    def read(self, position: int) -> Record:
        """Draw the record at a position of the index."""
        ref = self._index[position]
        return Record(
            record_id=ref.record_id,
            split=ref.split,
            inputs={
                name: self.normalisation.apply(torch.from_numpy(image)[None])
                for name, image in self.eye(position).images.items()
            },
            label=ref.label,
            geometry=Geometry.identity((self.size, self.size)),
            revision=self.revision(position),
        )

    def eye(self, position: int) -> Eye:
        """The pictures before normalisation, and the evidence."""
        split, i = self._places[position]
        key = hashlib.blake2b(f"{self.seed}/{split}/{i}".encode(), digest_size=8).digest()
        return draw_eye(self.size, i % len(CLASSES), np.random.default_rng(int.from_bytes(key, "big")))

    def evidence(self, position: int) -> Mapping[str, Bool[np.ndarray, "h w"]]:
        """Where, in each input, the evidence for the record's class is; nowhere for ``Normal``."""
        return self.eye(position).evidence

    def revision(self, position: int) -> str:
        """A digest of everything that decides the pixels."""
        split, i = self._places[position]
        text = f"made-retina/{RECIPE}/{self.size}/{self.seed}/{split}/{i}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def pictures(self, inputs: Mapping[str, Tensor]) -> Mapping[str, UInt8[np.ndarray, "h w 3"]]:
        """The drawn picture of each input."""
        return {name: self.normalisation.picture(inputs[name]) for name in INPUTS if name in inputs}

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """All inputs in a row."""
        return side_by_side(list(self.pictures(inputs).values()))

    def fingerprint(self) -> Mapping[str, Json]:
        """What decides pixel values."""
        return {"data": "made_retina", "recipe": RECIPE, "size": self.size, "seed": self.seed}


def write_retina(eyes: MadeRetina, root: str | os.PathLike[str]) -> Path:
    """Write every record as 8-bit PNG files, ``root/INPUT/SPLIT/CLASS/id.png``, which ``data=multi_input`` reads."""
    root = Path(root)
    for position, ref in enumerate(eyes.index()):
        for name, image in eyes.eye(position).images.items():
            folder = root / name / ref.split / CLASSES[ref.label or 0]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.rint(image * 255).astype(np.uint8)).save(folder / f"{ref.record_id}.png")
    return root


def draw_eye(size: int, label: int, rng: Generator) -> Eye:
    """The four pictures of an eye of a class, in 256 levels."""
    images = {name: _background(size, rng) for name in INPUTS}
    evidence = {name: np.zeros((size, size), np.bool_) for name in INPUTS}
    kind = CLASSES[label]
    spots = _drusen(images["drusen"], CLASSES[rng.integers(3)] if kind == "Late" else kind, rng)
    if kind == "Late":
        name = ("mnv", "ga")[rng.integers(2)]
        evidence[name] = _lesion(images[name], name, rng)
    else:
        evidence["drusen"] = spots
    rounded = {name: (np.rint(image.clip(0, 1) * 255) / 255).astype(np.float32) for name, image in images.items()}
    return Eye(rounded, evidence)


def _background(size: int, rng: Generator) -> Float32[np.ndarray, "h w"]:
    """Gray with vessels, faint patches and grain: what every input has, whatever the class."""
    image = np.full((size, size), rng.uniform(0.4, 0.5), np.float32)
    for _ in range(rng.integers(1, 3)):
        image += rng.uniform(0.06, 0.12) * _disc(
            size, rng.uniform(0, size, 2), rng.uniform(0.1, 0.2) * size, 0.1 * size
        )
    for _ in range(rng.integers(2, 4)):
        image -= rng.uniform(0.1, 0.2) * _vessel(size, rng)
    return image + rng.normal(0, 0.02, image.shape).astype(np.float32)


def _drusen(image: Plane, kind: str, rng: Generator) -> Bool[np.ndarray, "h w"]:
    """Paint bright spots into the picture; where they are."""
    size, where = len(image), np.zeros(image.shape, np.bool_)
    fewest, most, radius, softness = SPOTS.get(kind, (0, 0, 0.0, 1.0))
    for _ in range(rng.integers(fewest, most + 1)):
        length = radius * size * rng.uniform(0.9, 1.1)
        spot = _disc(size, _macular(size, length, rng), length, softness * size)
        image += (0.95 - image) * spot
        where |= spot > 0.5
    return where


def _lesion(image: Plane, name: str, rng: Generator) -> Bool[np.ndarray, "h w"]:
    """Paint a bright ring (``mnv``) or a dark disc (``ga``) into the picture; where it is."""
    size = len(image)
    radius = rng.uniform(0.13, 0.18) * size
    centre = _macular(size, radius, rng)
    whole = _disc(size, centre, radius, 1.0)
    ink = whole - _disc(size, centre, 0.5 * radius, 1.0) if name == "mnv" else whole
    image += ((0.95 if name == "mnv" else 0.05) - image) * ink
    return whole > 0.5


def _macular(size: int, radius: float, rng: Generator) -> NDArray[np.float64]:
    """The centre of something that lies within the macula as a whole."""
    angle, distance = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform()) * (MACULA * size - radius)
    centre: NDArray[np.float64] = size / 2 + distance * np.array([np.sin(angle), np.cos(angle)])
    return centre


def _disc(size: int, centre: NDArray[np.float64], radius: float, soft: float) -> Float32[np.ndarray, "h w"]:
    """1 inside, 0 outside, falling over ``soft`` pixels around the edge."""
    rows, columns = np.ogrid[:size, :size]
    distance = np.hypot(rows + 0.5 - centre[0], columns + 0.5 - centre[1])
    ink: NDArray[np.float32] = ((radius - distance) / soft + 0.5).clip(0, 1).astype(np.float32)
    return ink


def _vessel(size: int, rng: Generator) -> Float32[np.ndarray, "h w"]:
    """A thin, slightly bent line across the picture."""
    angle, shift, bend = rng.uniform(0, np.pi), rng.uniform(-0.4, 0.4) * size, rng.uniform(-0.3, 0.3) / size
    steps = np.arange(size, dtype=np.float32) - (size - 1) / 2
    along = steps[None, :] * np.cos(angle) + steps[:, None] * np.sin(angle)
    across = steps[None, :] * np.sin(angle) - steps[:, None] * np.cos(angle)
    ink: NDArray[np.float32] = (1.2 - np.abs(across - shift - bend * along**2)).clip(0, 1).astype(np.float32)
    return ink
