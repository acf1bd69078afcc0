"""The files that show a record: Grad-CAM of each input, all inputs on one page, and the attention sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from seewhy.data.records import Space, View
from seewhy.evidence import common_references
from seewhy.pipeline.applicable import Applicable
from seewhy.pipeline.attention_question import AttentionQuestion
from seewhy.pipeline.drawings import Drawing, MapsDrawing, SheetDrawing, classes_of, drawings_of
from seewhy.pipeline.gradcam_question import GradcamQuestion
from seewhy.pipeline.map_picture import Look, Words, as_plane, map_picture, plane_of
from seewhy.pipeline.map_volume import map_volume
from seewhy.pipeline.previews import previews_of
from seewhy.pipeline.questions import Question
from seewhy.render.encode import encode_png
from seewhy.render.heatmap import heatmap
from seewhy.render.inputs_figure import inputs_figure
from seewhy.render.panels import attention_sheet
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
    """What a picture shows and says of its record; ``label`` is None where the model tells other classes apart.

    ``remark`` is said in every caption.
    """

    record_id: str
    file_name: str
    inputs: Mapping[str, Tensor]
    label: int | None
    predicted: int | None
    probabilities: np.ndarray | None
    geometry: Geometry | None = None
    space: Space | None = None
    remark: str = ""


@dataclass(frozen=True)
class Drawn:
    """What was drawn of a record: the files written, and its inputs made small."""

    files: tuple[Artifact, ...] = ()
    previews: tuple[Preview, ...] = ()


@dataclass(frozen=True)
class _Class:
    """The maps of one class: raw, by input, with what pictures say of the class."""

    maps: Mapping[str, np.ndarray]
    shares: Mapping[str, float]
    words: Words

    @property
    def references(self) -> dict[str, float | None]:
        return {name: value or None for name, value in common_references(self.maps).items()}


@dataclass(frozen=True)
class Painter:
    """Draws and writes every picture that a set of questions promises; safe to call from several threads.

    ``views_of`` makes a record's inputs visible. ``volumes`` says whether maps of volumes are also written as NIfTI.
    ``draws`` tells of a record's id whether its pictures are drawn; its inputs are made small in any case.
    """

    found: Applicable
    views_of: Callable[[Mapping[str, Tensor]], Mapping[str, View]]
    class_names: Sequence[str] | None
    write_file: WriteFile
    volumes: bool = True
    draws: Callable[[str], bool] = lambda _: True

    def paint(self, shown: Shown, questions: Sequence[Question], answers: Mapping[str, Answer]) -> Drawn:
        """All pictures of one record, written in a fixed order; none is where one of them cannot be drawn."""
        views = self.views_of(shown.inputs)
        drawings = drawings_of(questions, self.found) if self.draws(shown.record_id) else ()
        drawn = Brush(self.class_names, self.volumes).draw(views, shown, drawings, answers)
        if not self.volumes and has_volume(shown, drawings, answers):
            self.found.choices["maps as volumes"] = "not written: pip install 'seewhy[medical]'"
        previews = previews_of(views)
        written = [self.write_file(path, data, kind=kind, record_id=shown.record_id) for path, data, kind in drawn]
        return Drawn(tuple(written), previews)


@dataclass(frozen=True)
class Brush:
    """Draws the pictures of one record, as ``(path, bytes, kind)``."""

    class_names: Sequence[str] | None
    volumes: bool = True

    def draw(
        self, views: Mapping[str, View], shown: Shown, drawings: Sequence[Drawing], answers: Mapping[str, Answer]
    ) -> list[tuple[str, bytes, str]]:
        """The pictures that some drawings promise, in their order."""
        drawn: list[tuple[str, bytes, str]] = []
        for drawing in drawings:
            if isinstance(drawing, MapsDrawing):
                files = self._maps(views, shown, drawing, answers)
            else:
                files = self._sheet(views[drawing.input_name], shown, drawing, answers)
            drawn += [(path, data, drawing.kind) for path, data in files]
        return drawn

    def _maps(
        self, views: Mapping[str, View], shown: Shown, drawing: MapsDrawing, answers: Mapping[str, Answer]
    ) -> Iterator[File]:
        for chosen in drawing.classes_in(classes_of(answers)):
            one = self._class(shown, drawing, answers, chosen)
            stem = drawing.stem(shown.file_name, chosen)
            if not drawing.several:
                (name, raw), *_ = one.maps.items()
                yield f"{stem}.png", encode_png(map_picture(views[name], raw, one.words))
                yield from self._volume(stem, raw, shown)
                continue
            for each in drawing.maps:
                own = drawing.input_stem(each, shown.file_name, chosen)
                yield f"{own}.png", encode_png(_of_input(each.input_name, views[each.input_name], one))
            pictures = {n: view for n, view in views.items() if isinstance(view, np.ndarray) and view.ndim == 3}
            if len(pictures) == len(views):
                yield f"{stem}.png", encode_png(_page(pictures, one))

    def _class(self, shown: Shown, drawing: MapsDrawing, answers: Mapping[str, Answer], chosen: int | None) -> _Class:
        maps = {one.input_name: _values_of(answers[one.key], chosen) for one in drawing.maps}
        shares = None if drawing.shares_key is None else answers.get(drawing.shares_key)
        told: Iterable[float] = () if shares is None else _values_of(shares, chosen)
        unit = "evidence for this class" if chosen is not None else "pull on the embedding's norm"
        return _Class(
            maps,
            {} if shares is None else dict(zip(maps, map(float, told), strict=True)),
            Words(shown.record_id, self._caption(shown, chosen), unit),
        )

    def _volume(self, stem: str, raw: np.ndarray, shown: Shown) -> Iterator[File]:
        if self.volumes and raw.ndim == 3 and shown.space is not None and shown.geometry is not None:
            yield f"{stem}.nii.gz", map_volume(raw, shown.geometry, shown.space)

    def _sheet(self, view: View, shown: Shown, drawing: SheetDrawing, answers: Mapping[str, Answer]) -> Iterator[File]:
        heads = {
            f"layer {layer}": maps for layer, maps in zip(drawing.layers, answers[drawing.key].values, strict=True)
        }
        flow = answers[drawing.rollout_key].values
        whose = "paid by the class token" if drawing.class_token else "paid by all patches"
        over = ", mean over depth" if flow.ndim == 3 else ""
        page = attention_sheet(
            plane_of(view),
            {name: np.stack([as_plane(head) for head in maps]) for name, maps in heads.items()},
            as_plane(flow),
            title=shown.record_id,
            caption=shown.remark if shown.predicted is None else self._caption(shown, shown.predicted),
            unit=f"attention {whose}{over}",
        )
        for path in drawing.paths(shown.file_name, classes_of(answers)):
            yield path, encode_png(page)

    def _caption(self, shown: Shown, chosen: int | None) -> str:
        parts = ["norm of the embedding" if chosen is None else self._name(chosen)]
        if shown.probabilities is not None and chosen is not None:
            parts.append(f"{shown.probabilities[chosen]:.1%}")
        if chosen is not None and chosen == shown.predicted:
            parts.append("predicted")
        if chosen is not None and chosen == shown.label:
            parts.append("true class")
        if shown.remark:
            parts.append(shown.remark)
        return " · ".join(parts)

    def _name(self, index: int) -> str:
        if self.class_names is not None and index < len(self.class_names):
            return self.class_names[index]
        return f"class {index}"


def _values_of(answer: Answer, chosen: int | None) -> np.ndarray:
    """What an answer says of one class; of no class where it asked about none."""
    values: np.ndarray = answer.values[0 if chosen is None else answer.classes.index(chosen)]
    return values


def has_volume(shown: Shown, drawings: Sequence[Drawing], answers: Mapping[str, Answer]) -> bool:
    """Whether a map among the drawings is one of a volume whose voxels lie in a file."""
    return (shown.space is not None and shown.geometry is not None) and any(
        isinstance(drawing, MapsDrawing) and not drawing.several and answers[drawing.maps[0].key].values.ndim == 4
        for drawing in drawings
    )


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
