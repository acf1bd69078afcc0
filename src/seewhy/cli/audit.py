"""``seewhy duplicates`` and ``seewhy outliers``: records that are there twice, lie alone, or have an odd label."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from seewhy.cli.embedding_options import (
    about,
    add_metric,
    add_source,
    keeps,
    number,
    open_embeddings,
    plain,
    print_json,
)
from seewhy.cli.layers import aligned
from seewhy.features.embeddings.choices import CLOSE, FAR

if TYPE_CHECKING:
    from seewhy.features.embeddings.duplicates import Duplicates
    from seewhy.features.embeddings.outliers import Outliers
    from seewhy.inspection.embeddings import Embeddings

SHOWN = 20


def add_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of both commands."""
    twice = commands.add_parser("duplicates", help="records of a run that are almost the same, also across splits")
    add_source(twice, writes="duplicates.json")
    add_metric(twice)
    twice.add_argument(
        "--threshold", type=float, default=CLOSE, metavar="X", help=f"the largest distance (default: {CLOSE:g})"
    )
    alone = commands.add_parser("outliers", help="records that lie alone, and those whose neighbours have other labels")
    add_source(alone, writes="outliers.parquet")
    add_metric(alone)
    alone.add_argument("-k", type=int, default=10, metavar="N", help="neighbours that are looked at (default: 10)")


def run_duplicates(asked: argparse.Namespace) -> int:
    """Print the groups; keep all pairs; 0."""
    from seewhy.inspection.embedding_results import duplicates_json, save_duplicates

    found = open_embeddings(asked)
    told = found.duplicates(asked.threshold, asked.metric)
    path = save_duplicates(found, told, asked.output) if keeps(asked, found) else None
    if asked.json:
        print_json({**duplicates_json(found, told), "file": None if path is None else str(path)})
        return 0
    print("\n".join(duplicate_lines(found, told)))
    if path is not None:
        print(path)
    return 0


def run_outliers(asked: argparse.Namespace) -> int:
    """Print the records furthest from others, and those with contested labels; keep the table; 0."""
    from seewhy.inspection.embedding_results import save_outliers

    found = open_embeddings(asked)
    told = found.outliers(asked.k, asked.metric)
    path = save_outliers(found, told, asked.output) if keeps(asked, found) else None
    if asked.json:
        alone = [_of(found, told, row) for row in _ranked(told, told.alone.nonzero()[:, 0].tolist())]
        contested = [_of(found, told, row) for row in told.contested.nonzero()[:, 0].tolist()]
        file = None if path is None else str(path)
        print_json({"k": told.k, "metric": told.metric, "alone": alone, "contested": contested, "file": file})
        return 0
    print("\n".join(outlier_lines(found, told)))
    if path is not None:
        print(path)
    return 0


def duplicate_lines(found: Embeddings, told: Duplicates) -> list[str]:
    """How many pairs, and the groups that they connect, those over several splits first."""
    lines = [
        f"{told.found} pairs no further apart than {told.threshold:g} ({told.metric}) among {about(found)}; "
        f"{told.across} of them in different splits"
    ]
    groups = sorted(told.groups, key=lambda group: (-len({found.splits[row] for row in group}), -len(group), group[0]))
    rows = [("records", "splits", "which")]
    for group in groups[:SHOWN]:
        shown = ", ".join(found.record_ids[row] for row in group[:5]) + (", …" if len(group) > 5 else "")
        rows.append((str(len(group)), ", ".join(dict.fromkeys(found.splits[row] for row in group)), shown))
    lines += aligned(rows) if groups else []
    return [*lines, *_more(len(groups), "groups")]


def outlier_lines(found: Embeddings, told: Outliers) -> list[str]:
    """The records that lie alone, then those none of whose neighbours have their label."""
    alone = _ranked(told, told.alone.nonzero()[:, 0].tolist())
    lines = [
        f"{len(alone)} of {about(found)} lie alone: the mean {told.metric} distance to their {told.k} nearest others "
        f"is more than {FAR:g} robust deviations above the median"
    ]
    lines += _table(found, told, alone) if alone else []
    contested = told.contested.nonzero()[:, 0].tolist()
    labelled = int((found.labels >= 0).sum())
    if labelled:
        lines += ["", f"{len(contested)} of {labelled} labelled records have a label that none of their neighbours has"]
        lines += _table(found, told, contested) if contested else []
    return lines


def _table(found: Embeddings, told: Outliers, rows: list[int]) -> list[str]:
    head = ("record", "split", "distance", "score", "label", "predicted", "same label")
    cells = [
        (
            found.record_ids[row], found.splits[row],
            number(float(told.distances[row])), number(float(told.scores[row]), ".1f"),
            found.label_name(int(found.labels[row])) or "-", found.class_name(int(found.predicted[row])) or "-",
            number(float(told.agreement[row]), ".0%"),
        )
        for row in rows[:SHOWN]
    ]  # fmt: skip
    return [*aligned([head, *cells]), *_more(len(rows), "records")]


def _ranked(told: Outliers, rows: list[int]) -> list[int]:
    return sorted(rows, key=lambda row: -float(told.scores[row]))


def _of(found: Embeddings, told: Outliers, row: int) -> dict[str, object]:
    return {
        "record_id": found.record_ids[row], "split": found.splits[row], "distance": plain(float(told.distances[row])),
        "score": plain(float(told.scores[row])), "agreement": plain(float(told.agreement[row])),
    }  # fmt: skip


def _more(count: int, what: str) -> list[str]:
    return [f"and {count - SHOWN} more {what}, in the file"] if count > SHOWN else []
