"""What a run is about, settled before anything is computed: records selected, model understood, questions chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from torch import nn

from seewhy.core import Inputs
from seewhy.data.normalisations import normalisation_of
from seewhy.data.records import Assumes, Dataset, RecordRef, ShowsInputs, views_of
from seewhy.models.adapter import Adapter
from seewhy.pipeline.applicable import Applicable, applicable
from seewhy.pipeline.examples import examples, understand
from seewhy.pipeline.pictures import draws
from seewhy.pipeline.plan import falling_to, select
from seewhy.pipeline.settings import Settings
from seewhy.values import ConfigError, SeewhyError

ASSUMED: Final = "assumed"
"""How choices begin that stand for settings of the data set which nobody said."""


@dataclass(frozen=True)
class Job:
    """A run as its parts see it: the model understood, the data listed, the questions settled.

    ``visible``: the inputs of the records can be shown.
    """

    dataset: Dataset
    index: tuple[RecordRef, ...]
    selected: tuple[int, ...]
    adapter: Adapter
    found: Applicable
    settings: Settings
    class_names: tuple[str, ...] | None
    visible: bool = True

    @property
    def batch_size(self) -> int:
        """How many records go through the model together, once ``auto`` is settled (``with_batch_size``)."""
        if self.settings.batch_size == "auto":
            raise ValueError("the batch size is not settled")
        return self.settings.batch_size

    @property
    def labels_match(self) -> bool:
        """Whether the data set's classes are the model's."""
        names = self.dataset.class_names
        return self.adapter.classes > 1 and (names is None or len(names) == self.adapter.classes)

    @property
    def label_note(self) -> dict[str, str]:
        """Why no accuracy is given, where that is so."""
        names = self.dataset.class_names
        if names is None or self.labels_match or self.adapter.classes < 1:
            return {}
        return {
            "class names": f"not used: the data set names {len(names)} classes, the model has {self.adapter.classes} "
            "outputs; no accuracy is given"
        }


def prepare(
    model: nn.Module,
    dataset: Dataset,
    settings: Settings,
    *,
    headless: bool | None = None,
    class_names: Sequence[str] | None = None,
) -> Job:
    """Select the records and understand the model, on two of them."""
    index = tuple(dataset.index())
    whole = select(index, settings)
    adapter, example = understand(
        model,
        examples(dataset, whole),  # of the whole run: all of its parts understand the model alike
        headless=headless,
        precision=settings.precision,
        frames_first=settings.frames_first or (),
    )
    adapter.normalisation = normalisation_of(dataset)
    guessed = headless is None and settings.target_classes == "auto" and _looks_like_an_encoder(adapter, dataset)
    adapter.headless = adapter.headless or guessed
    known = next((tuple(x) for x in (dataset.class_names, class_names) if x and len(x) == adapter.classes), None)
    _check_labels(dataset, adapter, settings)
    found = applicable(adapter, settings, known)
    visible = _visible(dataset, example, found, drawn=settings.render != "none")
    if isinstance(dataset, Assumes):
        found.choices |= {f"{ASSUMED} {what}": how for what, how in dataset.assumptions().items()}
    if guessed:
        found.choices["head"] = "none found: the outputs are taken for features (headless=false if they are logits)"
    return Job(dataset, index, falling_to(settings.shard, index, whole), adapter, found, settings, known, visible)


def _check_labels(dataset: Dataset, adapter: Adapter, settings: Settings) -> None:
    """Refuse to ask about labels that are other classes than the model's."""
    names = dataset.class_names
    asked = settings.generate_metrics and settings.metrics.target == "label"
    if asked and names is not None and len(names) != adapter.classes:
        raise ConfigError(
            "SW-F286",
            f"metrics.target=label asks about the labels, but the data set names {len(names)} classes and the model "
            f"has {adapter.classes} outputs",
            fix="leave metrics.target at predicted",
        )


def _visible(dataset: Dataset, example: Inputs, found: Applicable, *, drawn: bool) -> bool:
    """Whether inputs can be shown; refuses early what would fail the pictures of every record, where any is drawn."""
    first = {name: tensor[0] for name, tensor in example.items()}
    if draws(found.questions) and drawn:
        if found.several and not isinstance(dataset, ShowsInputs):
            views_of(dataset, first)
        return True
    try:
        return bool(views_of(dataset, first))
    except SeewhyError as error:
        found.choices["pictures of the inputs"] = f"none: {error.message}"
        return False


def _looks_like_an_encoder(adapter: Adapter, dataset: Dataset) -> bool:
    """No layer puts out logits, and there are not as many outputs as the data has classes."""
    classes = len(dataset.class_names) if dataset.class_names else None
    return not adapter.headless and not adapter.has_head and adapter.trace.outputs not in (1, classes)
