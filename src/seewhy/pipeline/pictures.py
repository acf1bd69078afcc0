"""The pictures of a record: Grad-CAM overlays and the attention sheet, drawn in worker threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from seewhy.pipeline.applicable import Applicable, layer_suffix
from seewhy.pipeline.questions import ROLLOUT, AttentionQuestion, GradcamQuestion, Question
from seewhy.render.encode import encode_png
from seewhy.render.panels import attention_sheet
from seewhy.render.picture import overlay_picture
from seewhy.values import Answer, Artifact


class WriteFile(Protocol):
    """Writes a file that can be made again into the run directory."""

    def __call__(self, relative: str, data: bytes, *, kind: str, record_id: str) -> Artifact: ...


Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Shown:
    """What a picture shows and says of its record; ``label`` is None where the model tells other classes apart."""

    record_id: str
    file_name: str
    inputs: Mapping[str, Tensor]
    label: int | None
    predicted: int | None
    probabilities: np.ndarray | None


@dataclass(frozen=True)
class Painter:
    """Draws and writes every picture that a set of questions promises; safe to call from several threads."""

    found: Applicable
    picture_of: Callable[[Mapping[str, Tensor]], Picture]
    class_names: Sequence[str] | None
    write_file: WriteFile

    def paint(self, shown: Shown, questions: Sequence[Question], answers: Mapping[str, Answer]) -> tuple[Artifact, ...]:
        """All pictures of one record, written in a fixed order; none is where one of them cannot be drawn."""
        picture = self.picture_of(shown.inputs)
        drawn: list[tuple[str, bytes, str]] = []
        for question in questions:
            if isinstance(question, GradcamQuestion):
                pages = self._gradcam(picture, shown, question, answers[question.key])
            elif isinstance(question, AttentionQuestion):
                pages = self._attention(picture, shown, question, answers)
            else:
                continue
            drawn += [(path, encode_png(page), question.kind) for path, page in pages]
        return tuple(self.write_file(path, png, kind=kind, record_id=shown.record_id) for path, png, kind in drawn)

    def _gradcam(
        self, picture: Picture, shown: Shown, question: GradcamQuestion, answer: Answer
    ) -> Iterator[tuple[str, Picture]]:
        suffix = layer_suffix(question.key, question.kind, self.found)
        for index, raw_map in enumerate(answer.values):
            chosen = answer.classes[index] if answer.classes else None
            stem = f"class_{chosen}" if chosen is not None else "embedding"
            unit = "evidence for this class" if chosen is not None else "pull on the embedding's norm"
            page = overlay_picture(
                picture,
                _as_plane(raw_map),
                title=shown.record_id,
                caption=self._caption(shown, chosen),
                unit=unit,
            )
            yield f"gradcam/{shown.file_name}/{stem}{suffix}.png", page

    def _attention(
        self, picture: Picture, shown: Shown, question: AttentionQuestion, answers: Mapping[str, Answer]
    ) -> Iterator[tuple[str, Picture]]:
        heads = {
            f"layer {layer}": maps for layer, maps in zip(question.layers, answers[question.key].values, strict=True)
        }
        whose = "paid by the class token" if question.attention.query == "class token" else "paid by all patches"
        page = attention_sheet(
            picture,
            {name: np.stack([_as_plane(head) for head in maps]) for name, maps in heads.items()},
            _as_plane(answers[ROLLOUT].values),
            title=shown.record_id,
            caption="" if shown.predicted is None else self._caption(shown, shown.predicted),
            unit=f"attention {whose}",
        )
        yield (
            f"attention_maps/{shown.file_name}_attention{layer_suffix(question.key, question.kind, self.found)}.png",
            page,
        )

    def _caption(self, shown: Shown, chosen: int | None) -> str:
        if chosen is None:
            return "norm of the embedding"
        parts = [self._name(chosen)]
        if shown.probabilities is not None:
            parts.append(f"{shown.probabilities[chosen]:.1%}")
        if chosen == shown.predicted:
            parts.append("predicted")
        if chosen == shown.label:
            parts.append("true class")
        return " · ".join(parts)

    def _name(self, index: int) -> str:
        if self.class_names is not None and index < len(self.class_names):
            return self.class_names[index]
        return f"class {index}"


def draws(questions: Sequence[Question]) -> bool:
    """Whether any of the questions promises a picture."""
    return any(isinstance(question, GradcamQuestion | AttentionQuestion) for question in questions)


def _as_plane(raw_map: np.ndarray) -> np.ndarray:
    """A map one can draw: a signal's ``(T,)`` as one row, a volume's ``(D, H, W)`` as its mean over depth."""
    if raw_map.ndim == 1:
        return raw_map[None]
    while raw_map.ndim > 2:
        raw_map = raw_map.mean(axis=0)
    return raw_map
