"""``seewhy similar RECORD`` and ``seewhy neighbours``: the records whose embeddings are nearest."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy.cli.embedding_options import (
    about,
    add_metric,
    add_source,
    names,
    number,
    open_embeddings,
    print_json,
    refuse_unused,
)
from seewhy.cli.layers import aligned
from seewhy.cli.models import add_model_options
from seewhy.cli.printable import printable
from seewhy.features.embeddings.choices import INDEXES

if TYPE_CHECKING:
    from seewhy.inspection.embeddings import Embeddings, Similar
    from seewhy.values import Json

RECALL_QUERIES = 200


def add_similar(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of both commands."""
    parser = commands.add_parser(
        "similar", help="the records of a run that are most like one of them, or a new picture"
    )
    parser.add_argument("record", metavar="RECORD", help="a record's id; with --model the file of a new picture")
    add_source(parser)
    _add_search(parser)
    parser.add_argument("--split", metavar="NAME", help="where the record is, if several splits have that id")
    parser.add_argument("--among", metavar="NAME,NAME", help="look only among these splits")
    parser.add_argument(
        "--model", help="RECORD is a picture: embed it with this model, such as timm:resnet18 or demo:cnn"
    )
    add_model_options(parser)
    every = commands.add_parser("neighbours", help="the nearest others of every record of a run")
    add_source(every, writes="neighbours.parquet")
    _add_search(every)


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-k", type=int, default=10, metavar="N", help="how many (default: 10)")
    add_metric(parser)
    parser.add_argument(
        "--index", choices=INDEXES, default="exact", help="compare with all (default), or through faiss"
    )


def run_similar(asked: argparse.Namespace) -> int:
    """Print the nearest records; 0."""
    _require_needed(asked)
    found = open_embeddings(asked)
    record: Any = asked.record if asked.model is None else _embedded(asked, found)
    near = found.similar(record, asked.k, asked.metric, split=asked.split, among=names(asked.among), index=asked.index)
    value = as_json(asked, found, near)
    if asked.json:
        print_json(value)
    else:
        print(f"{printable(asked.record)}: nearest by {asked.metric} among {about(found)}")
        print("\n".join(as_table(found, near)))
    if asked.output is not None:
        _write(asked.output, value)
    return 0


def run_neighbours(asked: argparse.Namespace) -> int:
    """Write the table of all neighbours; 0."""
    from seewhy.inspection.embedding_results import save_neighbours

    found = open_embeddings(asked)
    near = found.neighbours(asked.k, asked.metric, index=asked.index)
    recall = _recall(found, asked) if asked.index == "hnsw" else None
    path = save_neighbours(found, near, asked.index, asked.output)
    told = {
        "records": len(found), "k": asked.k, "metric": asked.metric, "index": asked.index, "recall": recall,
        "without_distance": near.left_out, "file": str(path),
    }  # fmt: skip
    if asked.json:
        print_json(told)
        return 0
    print(f"the {asked.k} nearest by {asked.metric} of each of {about(found)}: {path}")
    if near.left_out:
        print(f"{near.left_out} records have no distance to others: not finite, or all zero")
    if recall is not None:
        print(f"hnsw found {recall:.1%} of the exact neighbours of {min(RECALL_QUERIES, len(found))} records")
    return 0


def as_json(asked: argparse.Namespace, found: Embeddings, near: list[Similar]) -> dict[str, Json]:
    """The nearest records as plain values."""
    return {
        "record": asked.record,
        "metric": asked.metric,
        "layer": found.layer,
        "index": asked.index,
        "similar": [dataclasses.asdict(one) for one in near],
    }


def as_table(found: Embeddings, near: list[Similar]) -> list[str]:
    """The nearest records in aligned lines."""
    rows = [("record", "split", "distance", "label", "predicted")]
    rows += [
        (
            one.record_id, one.split, number(one.distance),
            "-" if one.label is None else found.label_name(one.label),
            "-" if one.predicted is None else found.class_name(one.predicted),
        )
        for one in near
    ]  # fmt: skip
    return aligned(rows)


def _require_needed(asked: argparse.Namespace) -> None:
    if asked.model is not None:
        refuse_unused("with --model RECORD is a picture, of no split", split=asked.split)
        return
    refuse_unused(
        "they say what --model is, and there is none", checkpoint=asked.checkpoint, num_classes=asked.num_classes,
        size=asked.size, channels=asked.channels, model_arg=asked.model_arg,
        device=None if asked.device == "auto" else asked.device,
    )  # fmt: skip


def _embedded(asked: argparse.Namespace, found: Embeddings) -> Any:
    from seewhy.cli.explain import with_weights
    from seewhy.cli.models import model_request, open_model
    from seewhy.explain.recipe import find_recipe
    from seewhy.inspection.embed_image import embed_image

    opened = open_model(with_weights(model_request(asked.model, asked), asked.model))
    recipe = find_recipe(opened.module, None if opened.asked_size is None else {"size": opened.asked_size})
    print(f"preprocessing: {recipe}", file=sys.stderr)
    return embed_image(opened.module, Path(asked.record), found.layer or None, preprocessing=recipe)


def _recall(found: Embeddings, asked: argparse.Namespace) -> float:
    step = max(1, len(found) // RECALL_QUERIES)
    return found.index("hnsw", asked.metric).recall(found.vectors[::step][:RECALL_QUERIES], asked.k).share


def _write(path: Path, value: Json) -> None:
    from seewhy.store.files import write_atomic

    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))
