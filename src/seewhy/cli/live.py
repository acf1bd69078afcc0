"""The model behind a dashboard: opened once from a run and a checkpoint, then asked one question at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from seewhy.cli.live_adapter import Watch, WatchedAdapter
from seewhy.cli.live_asking import Asking, Found, same_inputs
from seewhy.cli.live_data import NO_DATA, live_dataset, picture_recipe
from seewhy.cli.live_model import LoadedModel, load_live_model
from seewhy.cli.live_offers import layers_of, methods_of, metrics_of
from seewhy.cli.live_subject import LiveSubject, Subjects, splits_of
from seewhy.cli.models import ModelRequest
from seewhy.core import Inputs
from seewhy.data.images import Preprocessing
from seewhy.data.normalisations import normalisation_of
from seewhy.data.records import Dataset
from seewhy.models.adapter import Adapter
from seewhy.models.fingerprint import weights_fingerprint
from seewhy.report.live import Answered, LiveError, Question
from seewhy.store.keys import difference
from seewhy.store.run_reader import RunReader
from seewhy.values import Json, RecordRow, StoreError

KEPT = 4
"""How many shapes of inputs a model stays traced for."""


@dataclass(frozen=True)
class LiveOptions:
    """How the model and the data set of a run are opened; what is None is as the run says."""

    checkpoint: str
    model: ModelRequest | None = None
    data_root: str | Path | None = None
    data: Mapping[str, Any] | None = None
    experiment: str | None = None
    config_dir: str | None = None
    device: str = "auto"


@dataclass(frozen=True)
class RunTold:
    """What a run says of itself, as far as asking its model again takes it."""

    title: str
    fingerprint: Mapping[str, Json]
    questions: Mapping[str, Json]
    about: Mapping[str, Json]

    @property
    def headless(self) -> bool | None:
        """True where the run explained features; None where it does not say."""
        asked = [spec.get("question") for spec in self.questions.values() if isinstance(spec, Mapping)]
        return True if "norm of outputs" in asked else None


def open_live(directory: Path, options: LiveOptions) -> LiveModel:
    """The model of a run, with weights and, where it can be opened, the data set.

    Raises:
        StoreError: ``SW-S17``, no run. LiveError: ``SW-W50`` to ``SW-W52``, what the run does not say.
        CheckpointError, ModelError, DataError: what cannot be read or built.
    """
    told = _run_told(directory)
    data = told.fingerprint.get("data")
    known: Mapping[str, Json] = data if isinstance(data, Mapping) else {}
    if options.experiment is not None:
        from seewhy.cli.live_experiment import of_experiment

        loaded, records = of_experiment(options.experiment, options)
        return LiveModel(told, loaded, records, picture_recipe(known, records, loaded.preprocessing))
    loaded = load_live_model(options.checkpoint, told.fingerprint, options.model, options.device)
    dataset = live_dataset(known, options.data_root, options.data or {}, loaded.preprocessing)
    return LiveModel(told, loaded, dataset, picture_recipe(known, dataset, loaded.preprocessing))


class LiveModel:
    """Answers questions about records and pictures with one model, which comes back as it was from each of them.

    It is meant to be asked from one thread at a time, as :class:`seewhy.report.live_worker.Worker` does.
    """

    def __init__(
        self, told: RunTold, loaded: LoadedModel, dataset: Dataset | None, recipe: Preprocessing | str
    ) -> None:
        self.told, self.module = told, loaded.module
        self._loaded, self._dataset = loaded, dataset
        self._subjects = Subjects(dataset, NO_DATA, recipe)
        self._watch = Watch()
        self._adapters: dict[tuple[object, ...], Adapter] = {}
        self.same_weights = weights_fingerprint(self.module) == told.fingerprint.get("weights")
        self._example = self._first_adapter()
        self.class_names = self._names()

    def offers(self) -> Mapping[str, Json]:
        """What may be asked."""
        adapter, recipe = self._example, self._subjects.recipe
        return {
            "title": self.told.title,
            "class_names": self.class_names and list(self.class_names),
            "classes": adapter.classes,
            "inputs": list(adapter.spatial_inputs),
            "methods": methods_of(adapter),
            "layers": layers_of(adapter),
            "metrics": metrics_of(adapter),
            "records": {"splits": splits_of(self._dataset), "why_not": "" if self._dataset is not None else NO_DATA},
            "images": {"why_not": recipe if isinstance(recipe, str) else "", "prepared": _prepared(recipe)},
            "weights": self._weights(),
            "data": self._data(),
            "notes": list(adapter.notes),
        }

    def find(self, text: str, most: int) -> Sequence[tuple[str, str]]:
        """Split and id of the first records whose id holds ``text``."""
        return self._subjects.find(text, most)

    def look(self, image: bytes) -> Mapping[str, Json]:
        """The size of a dropped picture and what was changed on the way in; raises ``SeewhyError`` for what is none."""
        loaded = self._subjects.loaded(image)
        height, width = loaded.geometry.original
        return {"width": width, "height": height, "notes": list(loaded.notes)}

    def ask(self, question: Question) -> Answered:
        """The answer to one question.

        Raises ``SeewhyError`` for what cannot be asked, ``LiveError`` SW-W45 or SW-W56 at the first pass after the end
        of its patience.
        """
        with self._watch.over(question.patience):
            return self._answered(question)

    def _answered(self, question: Question) -> Answered:
        if question.image is not None:
            subject = self._subjects.image(question.image)
        elif question.record is not None:
            subject = self._subjects.record(*question.record)
        else:
            raise LiveError("SW-W42", "a question is about one record or one picture", fix="choose one of them")
        adapter = self._adapter(same_inputs(subject.record.inputs))
        found = Asking(adapter, question, subject, self.class_names).found()
        return Answered(_row(subject, found), found.questions, self._told_of(question, found, adapter))

    def _told_of(self, question: Question, found: Found, adapter: Adapter) -> dict[str, Json]:
        return {
            "title": self.told.title,
            "weights": self._weights(),
            "layers": found.layers,
            "target": found.target if found.about_class else None,
            "notes": [*adapter.notes, *self._data()["differs"]],
            "metrics": list(question.metrics),
        }

    def _weights(self) -> dict[str, Json]:
        words = "the run's weights" if self.same_weights else "other weights than the run's"
        return {"same": self.same_weights, "text": words, "loaded": self._loaded.words}

    def _data(self) -> dict[str, Json]:
        """How the data set that is open differs from the run's."""
        known = self.told.fingerprint.get("data")
        if self._dataset is None or not isinstance(known, Mapping):
            return {"differs": []}
        found = difference(known, self._dataset.fingerprint())
        return {"differs": [f"the data are prepared otherwise than the run's: {line}" for line in found]}

    def _names(self) -> tuple[str, ...] | None:
        """The classes' names, of the first that tells one for each: the run, the data set, the model's library."""
        candidates = (
            self.told.about.get("class_names"), getattr(self._dataset, "class_names", None), self._loaded.class_names,
        )  # fmt: skip
        fitting = (tuple(map(str, names)) for names in candidates if names and len(names) == self._example.classes)
        return next(fitting, None)

    def _first_adapter(self) -> Adapter:
        """The model traced on the first record, or on an empty picture where there is no data set."""
        if self._dataset is not None:
            return self._adapter(same_inputs(self._dataset.read(0).inputs))
        recipe = self._subjects.recipe
        if isinstance(recipe, str):
            raise LiveError("SW-W50", f"nothing can be asked: {NO_DATA}; and {recipe}", fix="add --data-root DIR")
        height, width = recipe.size
        import torch

        return self._adapter({"image": torch.zeros(2, len(recipe.normalisation.mean), height, width)})

    def _adapter(self, example: Inputs) -> Adapter:
        """The model traced on inputs of this shape, as a run would."""
        key = tuple((name, *tensor.shape) for name, tensor in example.items())
        if key not in self._adapters:
            known = self.told.fingerprint
            adapter = WatchedAdapter(
                self._watch, self.module, example,
                headless=self._loaded.headless or self.told.headless,
                precision=known.get("precision", "32"),
                frames_first=tuple(known.get("frames_first", ())),
            )  # fmt: skip
            adapter.normalisation = self._normalisation()
            while len(self._adapters) >= KEPT:
                self._adapters.pop(next(iter(self._adapters)))
            self._adapters[key] = adapter
        return self._adapters[key]

    def _normalisation(self) -> Any:
        if self._dataset is not None:
            return normalisation_of(self._dataset)
        recipe = self._subjects.recipe
        return None if isinstance(recipe, str) else recipe.normalisation


def _run_told(directory: Path) -> RunTold:
    manifest = RunReader(directory).manifest
    if manifest is None:
        raise StoreError("SW-S17", f"{directory} holds no manifest", fix="open the run for writing once to rebuild it")
    try:
        about = json.loads((directory / "about.json").read_text("utf-8"))
    except (OSError, ValueError):
        about = {}
    return RunTold(
        directory.resolve().name, manifest.fingerprint, manifest.questions, about if isinstance(about, dict) else {}
    )


def _row(subject: LiveSubject, found: Found) -> RecordRow:
    record, probabilities = subject.record, found.probabilities
    row = RecordRow(
        record_id=record.record_id, split=record.split, position=subject.position, revision=record.revision,
        label=record.label, predicted=found.predicted, probabilities=probabilities, geometry=record.geometry,
        notes=record.notes, facts=found.facts, answers=found.answers, previews=subject.previews,
    )  # fmt: skip
    return row if probabilities is None else replace(row, confidence=float(probabilities.max()))


def _prepared(recipe: Preprocessing | str) -> str:
    """How dropped pictures are prepared, in words."""
    if isinstance(recipe, str):
        return ""
    height, width = recipe.size
    if recipe.crop == "none":
        return f"stretched to {height} × {width} pixels"
    return f"the middle, {recipe.crop_ratio:.0%} of the shorter side, at {height} × {width} pixels"
