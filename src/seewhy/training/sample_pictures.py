"""The pictures that are explained again and again while a network learns: prepared once, with what they truly are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from torch import Tensor

from seewhy.explain.class_choice import class_list, label_of
from seewhy.explain.drawing import Look, as_sheet, overlay_on
from seewhy.explain.explainer import Explainer
from seewhy.explain.prepared import each_image, prepare
from seewhy.explain.result import result_of
from seewhy.training.logging_pictures import LoggedPicture
from seewhy.values import ConfigError

SCALE: Final = 100.0
"""From a share to per cent."""


@dataclass(frozen=True)
class Sample:
    """The network's input, the true class where it is known, and which of the given images it is."""

    pixels: Float[Tensor, "c h w"]
    label: int | None
    image: int


@dataclass(frozen=True)
class Given:
    """Pictures and their labels as a person gave them, ``count`` of them chosen by ``seed`` where there are more."""

    images: Sequence[Any]
    labels: Sequence[Any] | None
    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.labels is not None and len(self.labels) != len(self.images):
            raise ConfigError(
                "SW-F182",
                f"each sample image has one label: got {len(self.images)} images and {len(self.labels)} labels",
                fix="give one label for each image, or none at all",
            )

    @classmethod
    def of(cls, images: Any, labels: Any, count: int, seed: int = 0) -> Given:
        """Images in a list or a batch, labels in a list, a tensor or an array."""
        if isinstance(labels, Tensor | np.ndarray):
            labels = labels.reshape(-1).tolist()
        return cls(each_image(images), None if labels is None else list(labels), count, seed)

    @property
    def chosen(self) -> list[int]:
        """Which are explained, in their order; all of them where there are no more than ``count``.

        Example:
            >>> Given(range(3), None, 8).chosen, len(Given(range(100), None, 8).chosen)
            ([0, 1, 2], 8)
        """
        every = range(len(self.images))
        if len(every) <= self.count:
            return list(every)
        return sorted(random.Random(self.seed).sample(every, self.count))

    def prepared(self, explainer: Explainer) -> list[Sample]:
        """The chosen pictures as the network takes them; nothing of the originals is kept.

        Raises:
            DataError: a picture that cannot be used.
            TargetError: ``SW-T30``, ``SW-T04``, a label by a name that is not known.
        """
        chosen = self.chosen
        given = [None] * len(chosen) if self.labels is None else [_plain(self.labels[place]) for place in chosen]
        labels = [class_list(one, 1, explainer.class_names)[0] for one in given]
        dtype = explainer.study.dtype
        found = []
        for place, label in zip(chosen, labels, strict=True):
            image = prepare(self.images[place], explainer.recipe, dtype)
            found.append(Sample(image.pixels.clone(), label, place))
        return found


def explained_pictures(
    explainer: Explainer, samples: Sequence[Sample], classes: Sequence[Any], look: Look, batch_size: int
) -> tuple[list[LoggedPicture], str | None]:
    """Each sample beside its heat map, titled with what it is and what the network takes it for; the layer asked."""
    pictures, layer = [], None
    answers = explainer.explain_each([sample.pixels for sample in samples], list(classes), batch_size)
    for number, (sample, found) in enumerate(zip(samples, answers, strict=True)):
        result = result_of(found, explainer, look, return_heatmap=False)
        true = None if sample.label is None else label_of(sample.label, explainer.class_names)
        said = _said(result)
        of_class = result["target_label"]
        asked = f"{result['method']}: {of_class}" if of_class else result["method"]
        picture = found.prepared.draw()
        left = f"true {true}" if true is not None else "sample"
        panels = {
            f"{left} | predicted {said}" if said else left: picture,
            found.titled(asked): overlay_on(picture, found.drawn, look),
        }
        told = [f"image {sample.image}", *([f"true {true}"] if true is not None else [])]
        told += [f"predicted {said}"] if said else []
        caption = ", ".join([*told, found.titled(asked)])
        pictures.append(LoggedPicture(number, as_sheet(panels, look), caption))
        layer = result["target_layer"]
    return pictures, layer


def _said(result: Any) -> str | None:
    if result["label"] is None:
        return None
    return f"{result['label']} {SCALE * result['confidence']:.1f} %"


def _plain(label: Any) -> Any:
    """A label as a plain number or name."""
    return label.item() if isinstance(label, Tensor | np.generic | np.ndarray) else label
