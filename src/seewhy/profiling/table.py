"""Stages as a table of plain text."""

from __future__ import annotations

from collections.abc import Mapping

Stats = Mapping[str, Mapping[str, float]]
HEADS = ("stage", "calls", "total s", "own s", "mean ms", "std ms", "min ms", "max ms")
MEMORIES = {"memory": "peak MB", "gpu_memory": "GPU peak MB"}


def table_of(stats: Stats) -> str:
    """One line for each stage, the one with the most time of its own first.

    A peak written ``100–900`` is known to lie between: the process had its highest before.

    Example:
        >>> one = {"count": 2, "total": 3.0, "own": 3.0, "mean": 1.5, "std": 0.5, "min": 1.0, "max": 2.0}
        >>> print(table_of({"read": one}))
        stage  calls  total s  own s  mean ms  std ms   min ms   max ms
        read       2    3.000  3.000  1500.00  500.00  1000.00  2000.00
    """
    if not stats:
        return "nothing was recorded"
    shown = [name for name in MEMORIES if any(f"peak_{name}_mb" in facts for facts in stats.values())]
    rows = [[*HEADS, *(MEMORIES[name] for name in shown)]]
    for stage, facts in sorted(stats.items(), key=lambda item: -item[1]["own"]):
        times = [f"{1000 * facts[name]:.2f}" for name in ("mean", "std", "min", "max")]
        totals = [f"{facts['count']:.0f}", f"{facts['total']:.3f}", f"{facts['own']:.3f}"]
        rows.append([stage, *totals, *times, *(_peak(facts, name) for name in shown)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: list[str], widths: list[int]) -> str:
    first, *rest = row
    return "  ".join(
        [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
    )


def _peak(facts: Mapping[str, float], name: str) -> str:
    if f"peak_{name}_mb" not in facts:
        return "–"
    low, high = f"{facts[f'peak_{name}_mb']:.0f}", f"{facts[f'peak_{name}_at_most_mb']:.0f}"
    return low if low == high else f"{low}–{high}"
