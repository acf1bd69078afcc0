"""What a run draws of each record, as plain values: enough to draw the same pictures later, from stored answers alone.

They are kept in the run's ``about.json``. A drawing belongs to a record that has all the answers it shows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeAlias

from seewhy.pipeline.applicable import Applicable, layer_suffix
from seewhy.pipeline.attention_question import AttentionQuestion
from seewhy.pipeline.gradcam_question import GradcamQuestion
from seewhy.pipeline.questions import Question
from seewhy.store.names import safe_name
from seewhy.values import Answer, Json

Classes: TypeAlias = Mapping[str, Collection[int]]
"""The classes that the answers to some keys were made for; none where a key asks about no class."""


@dataclass(frozen=True)
class MapOf:
    """The map of one input: the key of its answer, and what its file's name carries of the layer."""

    input_name: str
    key: str
    suffix: str


@dataclass(frozen=True)
class MapsDrawing:
    """Maps by class: one picture per class; of ``several`` inputs one for each and a page with all of them."""

    maps: tuple[MapOf, ...]
    shares_key: str | None
    suffix: str
    several: bool
    kind = "gradcam"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the answers it shows."""
        return tuple(dict.fromkeys([one.key for one in self.maps] + ([self.shares_key] if self.shares_key else [])))

    def stem(self, file_name: str, chosen: int | None) -> str:
        """The path, without its ending, of what shows a class (None: the embedding's norm) of a record."""
        return f"{self.kind}/{file_name}/{_class_name(chosen)}{self.suffix}"

    def input_stem(self, one: MapOf, file_name: str, chosen: int | None) -> str:
        """The path, without its ending, of what shows a class on one of several inputs."""
        return f"{self.kind}/{file_name}/{safe_name(one.input_name)}_{_class_name(chosen)}{one.suffix}"

    def classes_in(self, asked: Classes) -> tuple[int | None, ...]:
        """The classes that all of its maps were made for; None stands for no class."""
        held: list[Collection[int | None]] = [asked[one.key] or (None,) for one in self.maps]
        return tuple(chosen for chosen in held[0] if all(chosen in classes for classes in held))

    def paths(self, file_name: str, asked: Classes) -> Iterator[str]:
        """The pictures there are of a record in any case; there may be more, such as volumes."""
        for chosen in self.classes_in(asked):
            stems = [self.input_stem(one, file_name, chosen) for one in self.maps] if self.several else []
            yield from (f"{stem}.png" for stem in stems or [self.stem(file_name, chosen)])

    def further(self, file_name: str, asked: Classes) -> Iterator[str]:
        """What there may be beside them: the page of several inputs, the map of a volume as a volume."""
        for chosen in self.classes_in(asked):
            yield f"{self.stem(file_name, chosen)}{'.png' if self.several else '.nii.gz'}"


@dataclass(frozen=True)
class SheetDrawing:
    """The sheet of an input's attention: heads of some ``layers`` and the rollout over all."""

    input_name: str
    key: str
    rollout_key: str
    layers: tuple[int, ...]
    class_token: bool
    suffix: str
    several: bool
    kind = "attention"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the answers it shows."""
        return (self.key, self.rollout_key)

    def paths(self, file_name: str, asked: Classes) -> Iterator[str]:
        """The one picture there is of a record."""
        del asked
        of_input = f"/{safe_name(self.input_name)}" if self.several else ""
        yield f"attention_maps/{file_name}{of_input}_attention{self.suffix}.png"

    def further(self, file_name: str, asked: Classes) -> Iterator[str]:
        """There is nothing beside it."""
        del file_name, asked
        yield from ()


Drawing: TypeAlias = MapsDrawing | SheetDrawing


def drawings_of(questions: Sequence[Question], found: Applicable) -> tuple[Drawing, ...]:
    """What is drawn of the answers to some questions."""
    drawings: list[Drawing] = []
    for question in questions:
        if isinstance(question, GradcamQuestion):
            drawings.append(_maps(question, found))
        elif isinstance(question, AttentionQuestion):
            drawings.append(_sheet(question))
    return tuple(drawings)


def drawable(drawings: Sequence[Drawing], asked: Classes) -> tuple[Drawing, ...]:
    """The drawings of which a record has all answers."""
    return tuple(drawing for drawing in drawings if all(key in asked for key in drawing.keys))


def classes_of(answers: Mapping[str, Answer]) -> dict[str, tuple[int, ...]]:
    """The classes of each answer, by its key."""
    return {key: answer.classes for key, answer in answers.items()}


def to_json(drawings: Sequence[Drawing]) -> list[Json]:
    """Plain values, each drawing once."""
    return [{"kind": drawing.kind, **asdict(drawing)} for drawing in dict.fromkeys(drawings)]


def from_json(said: Json) -> tuple[Drawing, ...]:
    """The inverse of :func:`to_json`. Raises ``ValueError`` for anything else."""
    if not isinstance(said, list):
        raise ValueError(f"drawings are a list, came {said!r}")
    return tuple(map(_drawing, said))


def _drawing(said: Json) -> Drawing:
    if not isinstance(said, Mapping):
        raise ValueError(f"no drawing: {said!r}")
    try:
        given = dict(said)
        kind = given.pop("kind")
        if kind == MapsDrawing.kind:
            maps = MapsDrawing(**given | {"maps": tuple(MapOf(**one) for one in given["maps"])})
            if maps.maps and all(map(_fits, maps.maps)) and _fits(maps):
                return maps
        elif kind == SheetDrawing.kind:
            sheet = SheetDrawing(**given | {"layers": tuple(given["layers"])})
            if _fits(sheet) and all(isinstance(layer, int) for layer in sheet.layers):
                return sheet
    except (KeyError, TypeError) as error:
        raise ValueError(f"no drawing: {said!r}") from error
    raise ValueError(f"no drawing: {said!r}")


def _fits(one: MapOf | MapsDrawing | SheetDrawing) -> bool:
    """Whether its fields are texts, truth values, and tuples where they should be."""
    kinds = {"maps": tuple, "layers": tuple, "several": bool, "class_token": bool, "shares_key": str | None}
    return all(isinstance(getattr(one, field.name), kinds.get(field.name, str)) for field in fields(one))


def _maps(question: GradcamQuestion, found: Applicable) -> MapsDrawing:
    default = found.default_layers.get(question.kind, "")
    return MapsDrawing(
        tuple(
            MapOf(name, question.key_of(layer), layer_suffix(layer, found.target_layers.get(name, "")))
            for name, layer in question.layers
        ),
        question.shares_key,
        layer_suffix(",".join(question.inputs_of), default),
        question.several,
    )


def _sheet(question: AttentionQuestion) -> SheetDrawing:
    return SheetDrawing(
        question.input_name,
        question.key,
        question.rollout_key,
        question.layers,
        question.attention.query == "class token",
        layer_suffix(question.key.partition("@")[2], str(question.attention.calls - 1)),
        question.several,
    )


def _class_name(chosen: int | None) -> str:
    return "embedding" if chosen is None else f"class_{chosen}"
