"""What ``gradcam`` does with its words: pick samples, load the model, explain, write, and tell what was found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from seewhy.cli.gradcam_source import Chosen, Source, choose
from seewhy.explain.class_choice import label_of
from seewhy.multi_input.methods import methods_called
from seewhy.multi_input.sample_files import write_summary
from seewhy.multi_input.sample_results import Finished, SampleResult, finished
from seewhy.multi_input.session import run_session
from seewhy.multi_input.session_statistics import SessionRow
from seewhy.multi_input.streaming import each_sample, in_threads, require_count
from seewhy.multi_input.visualizer import InputsVisualizer
from seewhy.values import Json

STAMP: Final = "%Y%m%d_%H%M%S"


def run(asked: argparse.Namespace) -> int:
    """Do what was asked; the exit code. Raises ``SeewhyError`` for what cannot be done, before any long work."""
    for name in ("num_samples", "n_samples"):
        require_count(name, getattr(asked, name))
    if asked.max_samples is not None:
        require_count("max_samples", asked.max_samples)
    source = Source(asked.config)
    chosen = choose(source, asked.dataset, asked.mode, asked.sample_idx, asked.num_samples)
    now = datetime.now()
    visualizer = _visualizer(source, asked)
    if chosen.whole:
        return _session(source, chosen, visualizer, asked, now)
    folder = (asked.save_dir or Path(f"gradcam_results_{now.strftime(STAMP)}")).expanduser()
    return _samples(source, chosen, visualizer, folder)


def _visualizer(source: Source, asked: argparse.Namespace) -> InputsVisualizer:
    model = source.model(asked.checkpoint)
    return InputsVisualizer(
        model,
        methods_called(asked.method),
        scaling=asked.scaling,
        class_names=source.class_names,
        normalisation=source.normalisation,
        n_samples=asked.n_samples,
        noise_level=asked.noise_level,
    )


def _samples(source: Source, chosen: Chosen, visualizer: InputsVisualizer, folder: Path) -> int:
    """One sample or several: figures and heat maps, for several also the summary."""
    ((_, positions),) = chosen.positions.items()
    samples = each_sample(visualizer.explainer, source.batches(positions))
    style = visualizer.style
    done: list[Finished] = []
    for one in in_threads(samples, lambda sample: finished(sample, style, folder)):
        done.append(one)
        _say(one.result, source.class_names)
    if chosen.summary:
        rows = [one.rows for one in done if one.rows]
        write_summary(folder, {m.name: [each[m.name] for each in rows] for m in style.methods}, style)
        for line in _tally([one.result for one in done], source.class_names):
            print(line)
    print(f"results: {folder.resolve()}")
    return int(any(one.result["error"] for one in done))


def _session(
    source: Source, chosen: Chosen, visualizer: InputsVisualizer, asked: argparse.Namespace, now: datetime
) -> int:
    folder = asked.save_dir or asked.output_dir / f"session_{now.strftime(STAMP)}"
    folder = folder.expanduser()
    positions = {split: few[: asked.max_samples] for split, few in chosen.positions.items()}
    told: dict[str, Json] = {
        "analysis_timestamp": now.isoformat(timespec="seconds"),
        "config_used": str(asked.config) if asked.config else "the packaged example",
        "checkpoint": str(source.checkpoint),
        "model_info": source.model_info,
    }
    loaders = {split: source.batches(few) for split, few in positions.items()}
    found = run_session(visualizer, loaders, folder, told, watch=_Watch({s: len(f) for s, f in positions.items()}))
    overall = found["overall"]
    accuracy = overall["overall_accuracy"]
    print(f"{overall['total_samples_processed']} samples explained, {overall['total_samples_failed']} failed")
    print("accuracy: " + ("not known" if accuracy is None else f"{accuracy:.1%}"))
    print(f"session: {folder.resolve()}")
    return int(overall["total_samples_failed"] > 0)


class _Watch:
    """Prints a line for every tenth of a split, one for each sample that failed, and each note once."""

    def __init__(self, totals: Mapping[str, int]) -> None:
        self._totals, self._done = totals, dict.fromkeys(totals, 0)
        self._notes: set[str] = set()

    def __call__(self, split: str, row: SessionRow) -> None:
        self._done[split] += 1
        done, total = self._done[split], self._totals[split]
        if row.error:
            print(f"failed: {split}/{row.sample_id}: {row.error}", file=sys.stderr)
        for note in row.notes:
            if note not in self._notes:
                self._notes.add(note)
                print(f"note: {note} (first seen: {split}/{row.sample_id})")
        if done == total or done % max(1, total // 10) == 0:
            print(f"{split}: {done}/{total} samples")


def _say(result: SampleResult, names: Sequence[str]) -> None:
    if result["error"]:
        print(f"failed: {result['sample_id']}: {result['error']}", file=sys.stderr)
        return
    predicted = label_of(result["pred_class"], names)
    true = "" if result["true_class"] is None else f", true {label_of(result['true_class'], names)}"
    print(f"{result['sample_id']}: predicted {predicted} ({result['confidence']:.1%}){true}")
    each = result["shares"]
    by_method = each if isinstance(next(iter(each.values()), None), Mapping) else {"evidence": each}
    for method, shares in by_method.items():
        if shares:  # else a note says why there are none
            print(f"  {method}: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()))
    for note in result["notes"]:
        print(f"  note: {note}")


def _tally(results: Sequence[SampleResult], names: Sequence[str]) -> Iterator[str]:
    """Accuracy, and how often each class was true and predicted."""
    done = [one for one in results if not one["error"]]
    labelled = [one for one in done if one["true_class"] is not None]
    if labelled:
        right = sum(one["true_class"] == one["pred_class"] for one in labelled)
        yield f"accuracy: {right} of {len(labelled)} ({right / len(labelled):.1%})"
        yield f"true: {_counts([one['true_class'] for one in labelled], names)}"
    yield f"predicted: {_counts([one['pred_class'] for one in done], names)}"


def _counts(classes: Sequence[Any], names: Sequence[str]) -> str:
    return ", ".join(f"{label_of(one, names)} {classes.count(one)}" for one in sorted(set(classes)))
