"""``seewhy evaluate``: which explanation of a model can be trusted, on pictures or on a data set."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy.cli.models import add_model_options
from seewhy.values import ConfigError

if TYPE_CHECKING:
    from seewhy.cli.models import OpenedModel
    from seewhy.data.records import Dataset
    from seewhy.pipeline.settings import Settings
    from seewhy.pipeline.summary import Summary

EXIT_REFUSED = 2
DEMONSTRATION = "cluttered_digits"
"""The data set of the models of the demonstration."""


def add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("evaluate", help="grade explanations of a model, and say which one to trust")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="files, folders, or patterns; or name a data set")
    parser.add_argument("--model", required=True, help="timm:resnet18, torchvision:resnet50, demo:cnn or package.Class")
    add_model_options(parser)
    parser.add_argument("--data", metavar="NAME", help="a data set of configs/data or of the package, by its name")
    parser.add_argument("--data-root", metavar="DIR", help="its folder or address, in place of the configuration's")
    parser.add_argument(
        "--data-arg", action="append", default=[], metavar="KEY=VALUE", help="a setting of the data set"
    )
    parser.add_argument("--config-dir", metavar="DIR", help="your configurations (default: configs)")
    parser.add_argument("--splits", metavar="NAME,NAME", help="only these splits (default: all)")
    parser.add_argument("--max-records", type=int, metavar="N", help="the first so many records (default: all)")
    parser.add_argument("--methods", metavar="NAME,NAME", help="default: gradcam, and rollout where there is attention")
    parser.add_argument("--metrics", metavar="NAME,NAME", help="see `seewhy metrics` (default: some of every family)")
    parser.add_argument("--target", choices=("predicted", "label"), default="predicted", help="default: predicted")
    parser.add_argument("--layer", "--target-layer", help="the layer to explain through (default: traced)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME.KEY=VALUE", help="such as deletion.steps=20"
    )
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="records at once (default: 32)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that read data (default: 0)")
    parser.add_argument("--retry-failed", action="store_true", help="ask records again that failed before")
    parser.add_argument("--output-dir", type=Path, default=Path("evaluation"), help="default: evaluation")
    parser.add_argument("--json", action="store_true", help="print the means and the verdict as one JSON object")


def run_evaluate(asked: argparse.Namespace) -> int:
    """Grade, print the table and the verdict.

    1 if a record failed, 2 if nothing could begin or be graded, 130 after Ctrl-C.
    """
    from seewhy.cli.explain import with_weights
    from seewhy.cli.models import model_request, open_model

    _require_data(asked)
    settings = _settings(asked)
    request = with_weights(model_request(asked.model, asked), asked.model)
    opened = open_model(request)
    dataset = _dataset(asked, opened)

    from rich.console import Console

    from seewhy.cli.progress import Watcher, show_summary
    from seewhy.cli.signals import Stop
    from seewhy.pipeline.run import run

    console = Console(stderr=True)
    with Stop() as stop, Watcher(console) as watcher:
        summary = run(
            opened.module, dataset, asked.output_dir, headless=opened.headless or None, class_names=opened.class_names,
            facts={"model": asked.model}, observer=watcher, stop=stop, settings=settings,
            command=["seewhy", *asked.words],
        )  # fmt: skip
    show_summary(console, summary)
    _print(asked, summary)
    if not summary.graded and not summary.interrupted:
        return EXIT_REFUSED
    return stop.exit_code if summary.interrupted else summary.exit_code


def _require_data(asked: argparse.Namespace) -> None:
    """Pictures or a data set, and not both; the models of the demonstration have a data set of their own."""
    if asked.images and (asked.data or asked.data_root or asked.data_arg):
        raise ConfigError(
            "SW-F287", "pictures and a data set were named", fix="name pictures, or a data set with --data"
        )
    if not asked.images and asked.data is None:
        if not asked.model.startswith("demo:"):
            raise ConfigError(
                "SW-F287", "there is nothing to explain", fix="name pictures, or a data set: --data image_folder "
                "--data-root photos",
            )  # fmt: skip
        asked.data = DEMONSTRATION


def _settings(asked: argparse.Namespace) -> Settings:
    from seewhy.cli.selftest import settings_by_method
    from seewhy.pipeline.settings import Settings

    return Settings.of(
        generate_embeddings=False,
        generate_gradcam=False,
        generate_attention=False,
        generate_metrics=True,
        metrics={
            "methods": words(asked.methods), "names": words(asked.metrics), "settings": settings_by_method(asked.set),
            "target": asked.target,
        },
        splits=words(asked.splits),
        max_records=asked.max_records,
        target_layer=asked.layer,
        batch_size=asked.batch_size,
        num_workers=asked.workers,
        retry_failed=asked.retry_failed,
    )  # fmt: skip


def words(text: str | None) -> list[str] | None:
    """The words of a list with commas; None for None.

    Example:
        >>> words("gradcam, ig"), words(None)
        (['gradcam', 'ig'], None)
    """
    return None if text is None else [word.strip() for word in text.split(",")]


def _dataset(asked: argparse.Namespace, opened: OpenedModel) -> Dataset:
    from seewhy.cli.build import dataset_of, following

    if asked.images:
        from seewhy.cli.explain_files import images_of
        from seewhy.data.picture_list import PictureList

        fed = {"size": list(opened.size)} | following(opened.preprocessing)
        return PictureList(
            images_of(asked.images), **(fed | ({"size": list(opened.size)} if opened.asked_size else {}))
        )
    from seewhy.cli.assignments import assignments
    from seewhy.cli.inspect_source import data_settings

    found = data_settings(asked.data, asked.config_dir)
    for name in ("batch_size", "num_workers"):
        found.pop(name, None)
    if asked.data_root is not None:
        found["root"] = asked.data_root
    if opened.asked_size is not None:
        found["size"] = list(opened.asked_size)
    return dataset_of(found | assignments(asked.data_arg, "--data-arg"), opened.preprocessing)


def _print(asked: argparse.Namespace, summary: Summary) -> None:
    from seewhy.cli.grade_table import grade_lines
    from seewhy.pipeline.grade_exports import summary_of

    if asked.json:
        print(json.dumps(as_json(summary, summary_of(summary.graded)), indent=2, ensure_ascii=False))
        return
    lines: Sequence[str] = list(grade_lines(summary.graded))
    none = "interrupted: no grades yet" if summary.interrupted else "no grades"
    print("\n".join(lines).strip() or none)
    if lines:
        print(f"grades: {asked.output_dir.resolve() / 'metrics'}", file=sys.stderr)


def as_json(summary: Summary, grades: dict[str, Any]) -> dict[str, Any]:
    """What became of the records, the means, and the verdicts by split and input."""
    verdicts: dict[str, dict[str, Any]] = {}
    for one in summary.graded:
        if one.verdict is not None:
            verdicts.setdefault(one.split, {})[one.input_name] = one.verdict.to_json()
    return {
        "output_dir": str(summary.output_dir), "selected": summary.selected, "computed": summary.computed,
        "reused": summary.reused, "interrupted": summary.interrupted, "failed": len(summary.failures),
        "not_applicable": dict(summary.not_applicable), "grades": grades, "verdict": verdicts,
    }  # fmt: skip
