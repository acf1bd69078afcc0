"""The files that show a record: Grad-CAM of each input, all inputs on one page, and the attention sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from seewhy.data.records import Space, View
from seewhy.evidence import common_references
from seewhy.pipeline.applicable import Applicable, layer_suffix
from seewhy.pipeline.attention_question import AttentionQuestion
from seewhy.pipeline.gradcam_question import GradcamQuestion
from seewhy.pipeline.map_picture import Look, Words, as_plane, map_picture, plane_of
from seewhy.pipeline.map_volume import map_volume
from seewhy.pipeline.previews import previews_of
from seewhy.pipeline.questions import Question
from seewhy.render.encode import encode_png
from seewhy.render.heatmap import heatmap
from seewhy.render.inputs_figure import inputs_figure
from seewhy.render.panels import attention_sheet
from seewhy.store.names import safe_name
from seewhy.values import Answer, Artifact, Geometry, Preview


class WriteFile(Protocol):
    """Writes a file that can be made again into the run directory."""

    def __call__(self, relative: str, data: bytes, *, kind: str, record_id: str) -> Artifact: ...


Picture = UInt8[np.ndarray, "h w 3"]
File = tuple[str, bytes]
SEVERAL_INPUTS = Look("jet", 0.4)
"""How maps of several inputs are coloured, on their common page and each on its own."""


@dataclass(frozen=True)
class Shown:
    """What a picture shows and says of its record; ``label`` is None where the model tells other classes apart."""

    record_id: str
    file_name: str
    inputs: Mapping[str, Tensor]
    label: int | None
    predicted: int | None
    probabilities: np.ndarray | None
    geometry: Geometry | None = None
    space: Space | None = None


@dataclass(frozen=True)
class Drawn:
    """What was drawn of a record: the files written, and its inputs made small."""

    files: tuple[Artifact, ...] = ()
    previews: tuple[Preview, ...] = ()


@dataclass(frozen=True)
class _Class:
    """The maps of one class: raw, by input, with what files and pictures call the class."""

    maps: Mapping[str, np.ndarray]
    shares: Mapping[str, float]
    file_stem: str
    words: Words

    @property
    def references(self) -> dict[str, float | None]:
        return {name: value or None for name, value in common_references(self.maps).items()}


@dataclass(frozen=True)
class Painter:
    """Draws and writes every picture that a set of questions promises; safe to call from several threads.

    ``views_of`` makes a record's inputs visible. ``volumes`` says whether maps of volumes are also written as NIfTI.
    """

    found: Applicable
    views_of: Callable[[Mapping[str, Tensor]], Mapping[str, View]]
    class_names: Sequence[str] | None
    write_file: WriteFile
    volumes: bool = True

    def paint(self, shown: Shown, questions: Sequence[Question], answers: Mapping[str, Answer]) -> Drawn:
        """All pictures of one record, written in a fixed order; none is where one of them cannot be drawn."""
        views = self.views_of(shown.inputs)
        drawn: list[tuple[str, bytes, str]] = []
        for question in questions:
            if isinstance(question, GradcamQuestion):
                files = self._gradcam(views, shown, question, answers)
            elif isinstance(question, AttentionQuestion):
                files = self._attention(views[question.input_name], shown, question, answers)
            else:
                continue
            drawn += [(path, data, question.kind) for path, data in files]
        previews = previews_of(views)
        written = [self.write_file(path, data, kind=kind, record_id=shown.record_id) for path, data, kind in drawn]
        return Drawn(tuple(written), previews)

    def _gradcam(
        self, views: Mapping[str, View], shown: Shown, question: GradcamQuestion, answers: Mapping[str, Answer]
    ) -> Iterator[File]:
        folder = f"gradcam/{shown.file_name}"
        default = self.found.default_layers.get(question.kind, "")
        suffix = layer_suffix(",".join(question.inputs_of), default)
        for one in self._classes(shown, question, answers):
            if not question.several:
                (name, raw), *_ = one.maps.items()
                yield f"{folder}/{one.file_stem}{suffix}.png", encode_png(map_picture(views[name], raw, one.words))
                yield from self._volume(f"{folder}/{one.file_stem}{suffix}", raw, shown)
                continue
            for name, layer in question.layers:
                own = layer_suffix(layer, self.found.target_layers.get(name, ""))
                path = f"{folder}/{safe_name(name)}_{one.file_stem}{own}.png"
                yield path, encode_png(_of_input(name, views[name], one))
            pictures = {n: view for n, view in views.items() if isinstance(view, np.ndarray) and view.ndim == 3}
            if len(pictures) == len(views):
                yield f"{folder}/{one.file_stem}{suffix}.png", encode_png(_page(pictures, one))

    def _classes(self, shown: Shown, question: GradcamQuestion, answers: Mapping[str, Answer]) -> Iterator[_Class]:
        found = {name: answers[question.key_of(layer)] for name, layer in question.layers}
        shares = answers.get(question.shares_key or "")
        first = next(iter(found.values()))
        for index in range(len(first.values)):
            chosen = first.classes[index] if first.classes else None
            unit = "evidence for this class" if chosen is not None else "pull on the embedding's norm"
            yield _Class(
                {name: answer.values[index] for name, answer in found.items()},
                {} if shares is None else dict(zip(found, map(float, shares.values[index]), strict=True)),
                f"class_{chosen}" if chosen is not None else "embedding",
                Words(shown.record_id, self._caption(shown, chosen), unit),
            )

    def _volume(self, stem: str, raw: np.ndarray, shown: Shown) -> Iterator[File]:
        if raw.ndim != 3 or shown.space is None or shown.geometry is None:
            return
        if self.volumes:
            yield f"{stem}.nii.gz", map_volume(raw, shown.geometry, shown.space)
        else:
            self.found.choices["maps as volumes"] = "not written: pip install 'seewhy[medical]'"

    def _attention(
        self, view: View, shown: Shown, question: AttentionQuestion, answers: Mapping[str, Answer]
    ) -> Iterator[File]:
        heads = {
            f"layer {layer}": maps for layer, maps in zip(question.layers, answers[question.key].values, strict=True)
        }
        flow = answers[question.rollout_key].values
        whose = "paid by the class token" if question.attention.query == "class token" else "paid by all patches"
        over = ", mean over depth" if flow.ndim == 3 else ""
        page = attention_sheet(
            plane_of(view),
            {name: np.stack([as_plane(head) for head in maps]) for name, maps in heads.items()},
            as_plane(flow),
            title=shown.record_id,
            caption="" if shown.predicted is None else self._caption(shown, shown.predicted),
            unit=f"attention {whose}{over}",
        )
        suffix = layer_suffix(question.key.partition("@")[2], str(question.attention.calls - 1))
        of_input = f"/{safe_name(question.input_name)}" if question.several else ""
        yield f"attention_maps/{shown.file_name}{of_input}_attention{suffix}.png", encode_png(page)

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


def _of_input(name: str, view: View, one: _Class) -> Picture:
    """One of several inputs, on the scale that all of them share."""
    words = Words(one.words.title, f"{name} · {one.words.caption}", one.words.unit)
    return map_picture(view, one.maps[name], words, look=SEVERAL_INPUTS, reference=one.references[name])


def _page(views: Mapping[str, Picture], one: _Class) -> Picture:
    """All inputs side by side, their maps below on one scale, each with its share of the evidence."""
    heats = {
        name: heatmap(raw, views[name].shape[:2], reference=one.references[name]).values
        for name, raw in one.maps.items()
    }
    return inputs_figure(
        views,
        {"": heats},
        shares={"": one.shares} if one.shares else None,
        title=one.words.title,
        caption=one.words.caption,
        colormap=SEVERAL_INPUTS.colormap or "jet",
        alpha=SEVERAL_INPUTS.alpha,
        unit=one.words.unit,
    )
