"""The report of a session in words: what was computed, and nothing that was not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seewhy.values import Json

RULE = "=" * 72


def report_text(statistics: Mapping[str, Json]) -> str:
    """``detailed_analysis_report.txt`` from what is in ``overall_statistics.json``."""
    return "\n".join(_lines(statistics)) + "\n"


def _lines(statistics: Mapping[str, Json]) -> Iterator[str]:
    model, overall = statistics["model_info"], statistics["overall"]
    yield from (RULE, "DETAILED ANALYSIS REPORT", RULE, "")
    yield f"Analysed:       {statistics['analysis_timestamp']}"
    yield f"Configuration:  {statistics['config_used']}"
    yield f"Methods:        {', '.join(statistics['methods'])}"
    yield f"Backbone:       {model['backbone']}"
    yield f"Classes ({model['n_classes']}):    {', '.join(map(str, model['class_names']))}"
    yield ""
    yield f"Samples:        {overall['total_samples_processed']} explained, {overall['total_samples_failed']} failed"
    yield f"Accuracy:       {per_cent(overall['overall_accuracy'])}"
    for split, found in statistics["splits"].items():
        yield from ("", f"SPLIT {split}", "-" * 72)
        yield from _split_lines(found)
    yield from ("", "RECOMMENDATIONS & INSIGHTS", "-" * 72)
    yield from insights(statistics)


def _split_lines(found: Mapping[str, Json]) -> Iterator[str]:
    yield f"{found['samples_processed']} samples explained, {found['samples_failed']} failed"
    yield f"accuracy {per_cent(found['accuracy'])}, mean confidence {per_cent(found['avg_confidence'])}"
    if found["avg_processing_time"] is not None:
        yield f"{found['avg_processing_time']:.3f} s per sample"
    total = found["samples_processed"]
    for name, count in found["class_distribution"].items():
        right = found["class_accuracy"].get(name)
        told = "" if right is None else f", {per_cent(right)} of them predicted right"
        yield f"  {name}: {count} samples ({per_cent(count / total)}){told}"
    for method, summary in found["method_summaries"].items():
        for name, one in summary.items():
            yield (
                f"  {method}, {name}: peak of the raw map {one['avg_max_activation']:.4g} ± "
                f"{one['std_max_activation']:.2g}, {per_cent(one['avg_share'])} of the evidence"
            )
    for failure in found["failures"]:
        yield f"  failed: {failure['sample_id']}: {failure['error']}"


def insights(statistics: Mapping[str, Json]) -> Iterator[str]:
    """What stands out in the numbers, split by split."""
    for split, found in statistics["splits"].items():
        known = {name: value for name, value in found["class_accuracy"].items() if value is not None}
        if known and min(known.values()) < max(known.values()):
            worst = min(known, key=lambda name: known[name])
            yield f"- {split}: {worst} is predicted right least often ({per_cent(known[worst])} of its samples)."
        for method, summary in found["method_summaries"].items():
            if len(summary) > 1 and all(one["avg_share"] is not None for one in summary.values()):
                first = max(summary, key=lambda name: summary[name]["avg_share"])
                share = per_cent(summary[first]["avg_share"])
                yield f"- {split}: by {method}, {first} holds the largest share of the evidence ({share} on average)."
        if found["failures"]:
            yield f"- {split}: {len(found['failures'])} samples failed; look at them before using these numbers."
    yield "- Maps show what the model used, not what is clinically right: check them against what an expert knows."


def per_cent(share: float | None) -> str:
    """A share as a person reads it.

    Example:
        >>> per_cent(0.9375), per_cent(None)
        ('93.8 %', 'not known')
    """
    return "not known" if share is None else f"{100 * share:.1f} %"
