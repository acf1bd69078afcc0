"""``seewhy probe``: what the embeddings of a run know of the labels."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from seewhy.cli.embedding_options import (
    about,
    add_metric,
    add_source,
    keeps,
    names,
    open_embeddings,
    print_json,
    refuse_unused,
)
from seewhy.cli.layers import aligned
from seewhy.cli.printable import printable
from seewhy.features.embeddings.choices import PROBES, ROUNDS

if TYPE_CHECKING:
    from seewhy.features.embeddings.probes import Probed
    from seewhy.inspection.embeddings import Embeddings

KEY = "majority always says the commonest training class; shuffled is the same probe trained on shuffled labels"


def add_probe(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("probe", help="train a linear and a k-NN probe on the embeddings of a run")
    add_source(parser, writes="probe.json")
    add_metric(parser, of=" of the k-NN probe")
    parser.add_argument("--kind", choices=PROBES, help="only this probe (default: both)")
    parser.add_argument(
        "--train", metavar="SPLIT", help="train on this split (default: train, or half of a single one)"
    )
    parser.add_argument("--test", metavar="SPLIT,SPLIT", help="score on these (default: all others)")
    parser.add_argument(
        "--strength", type=float, metavar="C", help="of the linear probe: inverse of the penalty (default: 1)"
    )
    parser.add_argument("-k", type=int, metavar="N", help="neighbours of the k-NN probe (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the control and of a held-out half (default: 0)")


def run_probe(asked: argparse.Namespace) -> int:
    """Print the scores of the probes beside their controls; keep them; 0."""
    from seewhy.inspection.embedding_results import probed_json, save_probes

    own = _settings(asked)
    found = open_embeddings(asked)
    test = names(asked.test)
    probes: dict[str, dict[str, Probed]] = {}
    for kind in PROBES if asked.kind is None else (asked.kind,):
        probes[kind] = found.probe(kind, asked.train, test, seed=asked.seed, **own[kind])
    path = save_probes(found, probes, asked.output) if keeps(asked, found) else None
    if asked.json:
        told = {kind: {name: probed_json(found, one) for name, one in each.items()} for kind, each in probes.items()}
        print_json({"probes": told, "file": None if path is None else str(path)})
        return 0
    print(f"probes of {about(found)}")
    print("\n".join([*as_table(probes), KEY]))
    print("\n".join(["", *by_class(found, probes)]))
    for line in remarks(probes):
        print(printable(line))
    if path is not None:
        print(path)
    return 0


def _settings(asked: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What each probe is told; none of what only the other would use is given."""
    own = {"linear": {"strength": asked.strength}, "knn": {"k": asked.k, "metric": asked.metric}}
    if asked.kind is not None:
        other = next(kind for kind in PROBES if kind != asked.kind)
        refuse_unused(f"the {asked.kind} probe has none", **own[other])
    return {kind: {name: value for name, value in each.items() if value is not None} for kind, each in own.items()}


def as_table(probes: dict[str, dict[str, Probed]]) -> list[str]:
    """A line for each probe and split: accuracy and its mean over classes, of the probe and of the controls."""
    rows: list[tuple[str, ...]] = [
        ("probe", "tested on", "records", "accuracy", "balanced", "majority", "shuffled", "shuffled balanced")
    ]
    for kind, each in probes.items():
        for split, one in each.items():
            scores = one.score.accuracy, one.score.balanced, one.majority.accuracy, one.shuffled.accuracy
            rows.append((kind, split, str(one.tested_on), *(f"{s:.3f}" for s in (*scores, one.shuffled.balanced))))
    return aligned(rows)


def by_class(found: Embeddings, probes: dict[str, dict[str, Probed]]) -> list[str]:
    """How many of each class each probe got right."""
    columns = [(f"{kind} on {split}", one) for kind, each in probes.items() for split, one in each.items()]
    classes = sorted({number for _, one in columns for number in one.score.by_class})
    rows: list[tuple[str, ...]] = [("class", *(title for title, _ in columns))]
    for number in classes:
        cells = ("/".join(map(str, one.score.by_class.get(number, ()))) or "-" for _, one in columns)
        rows.append((found.label_name(number), *cells))
    return aligned(rows)


def remarks(probes: dict[str, dict[str, Probed]]) -> list[str]:
    """What is to be known of the scores, each once."""
    told: dict[str, None] = {}
    for kind, each in probes.items():
        for split, one in each.items():
            if one.unseen:
                told[
                    f"{one.unseen} records of {split} are of classes that no training record has: counted as wrong"
                ] = None
            if one.left_out:
                told[f"{one.left_out} records without a label or a finite embedding were left out"] = None
            if not one.settled:
                told[f"the {kind} probe had not settled after {ROUNDS} rounds"] = None
    return list(told)
