"""The numbers of a session: of one sample, of a split and of all. They come from raw maps, never from pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from seewhy.explain.class_choice import label_of
from seewhy.multi_input.analysis import notes_of, raw_statistics
from seewhy.multi_input.methods import InputsMethod
from seewhy.multi_input.streaming import Sample
from seewhy.values import Json

Names = Sequence[str] | None
ByInput = Mapping[str, Mapping[str, Json]]
NOT_LABELLED = "not labelled"


@dataclass(frozen=True)
class SessionRow:
    """What a session keeps of a sample: ``statistics`` by method and input, or the ``error`` there is instead."""

    sample_id: str
    label: int | None
    predicted: int | None = None
    confidence: float | None = None
    statistics: Mapping[str, ByInput] = field(default_factory=dict)
    seconds: float = 0.0
    notes: Sequence[str] = ()
    error: str = ""


def statistics_of(sample: Sample) -> dict[str, dict[str, dict[str, Json]]]:
    """Method to input to the numbers of :func:`seewhy.multi_input.analysis.raw_statistics`; ``share`` is the one that
    the answer tells, None where its inputs cannot be compared."""
    return {
        method: {
            name: {**numbers, "share": found.shares.get(name)}
            for name, numbers in raw_statistics(found.raw, found.scale).items()
        }
        for method, found in sample.answers.items()
    }


def metadata(sample: Sample, methods: Sequence[InputsMethod], names: Names) -> dict[str, Json]:
    """What ``metadata.json`` says of a sample; numbers are those of the evidence in raw maps."""
    first = next(iter(sample.answers.values()))
    said = first.says(names)
    label, predicted = sample.label, said["predicted_class"]
    probabilities = said["probabilities"]
    told: dict[str, Json] = {
        "sample_id": sample.sample_id,
        "true_class": label,
        "true_class_name": None if label is None else label_of(label, names),
        "predicted_class": predicted,
        "predicted_class_name": said["label"],
        "confidence": said["confidence"],
        "probabilities": None if probabilities is None else [float(value) for value in probabilities],
        "correct_prediction": None if label is None else label == predicted,
        "layers": {method: found.attribution.facts.get("layer") for method, found in sample.answers.items()},
        "notes": notes_of([sample.answers]),
    }
    found = statistics_of(sample)
    if len(methods) == 1:
        return {**told, "method": methods[0].name, "heatmap_statistics": found[methods[0].name]}
    if len(methods) == 2:
        return {**told, **{f"{method.folder}_statistics": found[method.name] for method in methods}}
    return {**told, "method_statistics": found}


def split_statistics(rows: Sequence[SessionRow], methods: Sequence[str], names: Names) -> dict[str, Json]:
    """A split's part of ``overall_statistics.json``; ``heatmap_summary`` is of the first method.

    ``accuracy`` is None where no label is known; samples that failed are in ``failures`` and count nowhere else.
    """
    done = [row for row in rows if not row.error]
    summaries = {method: _summary([row.statistics[method] for row in done]) for method in methods}
    counts = Counter(row.label for row in done)
    labels = sorted(label for label in counts if label is not None)
    classes = {label_of(label, names): counts[label] for label in labels}
    confidences = [row.confidence for row in done if row.confidence is not None]
    return {
        "samples_processed": len(done),
        "samples_failed": len(rows) - len(done),
        "accuracy": accuracy(done),
        "class_distribution": classes | ({NOT_LABELLED: counts[None]} if counts[None] else {}),
        "class_accuracy": {
            label_of(label, names): accuracy([row for row in done if row.label == label]) for label in labels
        },
        "avg_processing_time": _mean([row.seconds for row in done]),
        "avg_confidence": _mean(confidences),
        "heatmap_summary": summaries[methods[0]],
        "method_summaries": summaries,
        "failures": [{"sample_id": row.sample_id, "error": row.error} for row in rows if row.error],
    }


def overall_statistics(
    splits: Mapping[str, Sequence[SessionRow]], methods: Sequence[str], names: Names, told: Mapping[str, Json]
) -> dict[str, Json]:
    """All of ``overall_statistics.json``; ``told`` comes first: the time stamp, the configuration, the model."""
    everything = [row for rows in splits.values() for row in rows]
    done = [row for row in everything if not row.error]
    return {
        **told,
        "methods": list(methods),
        "splits": {split: split_statistics(rows, methods, names) for split, rows in splits.items()},
        "overall": {
            "total_samples_processed": len(done),
            "total_samples_failed": len(everything) - len(done),
            "overall_accuracy": accuracy(done),
        },
    }


def accuracy(rows: Sequence[SessionRow]) -> float | None:
    """The share of labelled rows that are predicted right, None without any.

    Example:
        >>> accuracy([SessionRow("a", 1, 1), SessionRow("b", 0, 1), SessionRow("c", None, 1)])
        0.5
    """
    labelled = [row for row in rows if row.label is not None and row.predicted is not None]
    return sum(row.label == row.predicted for row in labelled) / len(labelled) if labelled else None


def activations(rows: Sequence[SessionRow], method: str) -> dict[str, dict[str, list[float]]]:
    """Input to each sample's ``max_activation`` and ``mean_activation``."""
    done = [row.statistics[method] for row in rows if not row.error]
    return {
        name: {key: [one[name][key] for one in done] for key in ("max_activation", "mean_activation")}
        for name in (done[0] if done else ())
    }


def _summary(found: Sequence[ByInput]) -> dict[str, dict[str, Json]]:
    summary: dict[str, dict[str, Json]] = {}
    for name in found[0] if found else ():
        each = {key: np.array([one[name][key] for one in found], np.float64) for key in found[0][name]}
        shares = [share for one in found if (share := one[name]["share"]) is not None]
        summary[name] = {
            "avg_max_activation": float(each["max_activation"].mean()),
            "std_max_activation": float(each["max_activation"].std()),
            "avg_mean_activation": float(each["mean_activation"].mean()),
            "std_mean_activation": float(each["mean_activation"].std()),
            "avg_share": _mean(shares),
        }
    return summary


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
