"""Pages written by hand, for texts that no run would let through and for many records."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seewhy.report.page import page_bytes, page_json

Text = Callable[[int], str]
"""The text number ``i`` of whatever a page shows."""

SPLITS = ("train", "test")


def inline_picture(shade: int) -> str:
    """A flat picture as a data URI."""
    sheet = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 90, 120)).save(sheet, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(sheet.getvalue()).decode()}"


def record(number: int, text: Text) -> dict[str, Any]:
    """A record, every second wrong and every tenth failed, with a text in every place that holds one."""
    failed = number % 10 == 9
    codes = base64.b64encode(np.int8([[0, 32], [64, 127]]).tobytes()).decode()
    one_map = {
        "question": text(number), "method": text(number), "layer": text(number), "input": text(number), "class": number,
        "variant": text(number), "scale": "positive", "unit": text(number), "height": 2, "width": 2, "tiles": 1,
        "peak": 4.0, "trough": 0.0, "codes": codes, "histogram": None,
        "statistics": {"mean": 1.75, "std": 1.5, "min": 0.0, "max": 4.0, "sparsity": 0.25, "near_zero": 0.25,
                       "nonfinite": 0},
    }  # fmt: skip
    grade = {"metric": text(number), "input": text(number), "reason": text(number), "better": "lower", "value": None}
    return {
        "id": text(number), "split": SPLITS[number % 2], "status": "failed" if failed else "ok",
        "stage": text(number) if failed else "", "error": text(number) if failed else "",
        "label": None if failed else number + number % 2, "predicted": None if failed else number,
        "confidence": None if failed else 0.5, "right": None if failed else number % 2 == 0,
        "top": [] if failed else [[number, 0.5], [number + 1, 0.25]], "notes": [text(number)], "geometry": None,
        "shares": [], "omitted": 0,
        "inputs": [{"name": text(number), "kind": "picture", "src": inline_picture(number % 200), "tiles": 1,
                    "shown": [0], "of": 1, "width": 8, "height": 8}],
        "maps": [] if failed else [one_map, {**one_map, "class": number + 1}],
        "grades": [] if failed else [{**grade, "who": text(number), "control": False}],
        "files": [{"kind": text(number), "href": text(number)}],
    }  # fmt: skip


def run(records: list[dict[str, Any]], text: Text) -> dict[str, Any]:
    """What the page says of the run as a whole, with a text in every place that holds one."""
    count = len(records)
    failures = [one for one in records if one["status"] == "failed"]
    interval = {"mean": 0.5, "low": 0.25, "high": 0.75, "n": 8, "of": 8}
    metric = {"family": "faithfulness", "better": "lower", "range": [0, 1], "all": {text(1): interval}, "by_class": {}}
    verdict = {
        "outcome": text(2), "use": text(3), "because": [text(4)], "tied": [text(5)], "avoid": {text(6): text(7)},
        "unproven": {text(8): text(9)}, "disagreements": [{"words": text(10)}], "notes": [text(11)],
        "ranking": [{"method": text(12), "standing": text(13), "cost": 2.0,
                     "sanity": [{"metric": text(14), "state": text(15)}]}],
    }  # fmt: skip
    return {
        "title": text(0), "status": "complete", "model": [[text(1), text(2)]], "data": [[text(3), text(4)]],
        "made": [[text(5), text(6)]], "commands": [text(7)], "class_names": [text(i) for i in range(count + 1)],
        "labels_match": True, "counts": {"records": count, "ok": count - len(failures), "failed": len(failures)},
        "splits": [{"name": name, "ok": 1, "failed": 0, "labelled": 1, "correct": 1, "accuracy": 1.0}
                   for name in SPLITS],
        "classes": [{"index": i, "name": text(i), "count": 1, "correct": 0, "predicted": 1, "mean_confidence": 0.5}
                    for i in range(min(count, 50))],
        "classes_by": "label",
        "confidence": {"edges": [i / 10 for i in range(11)], "right": [1] * 10, "wrong": [0] * 10,
                       "unlabelled": [0] * 10},
        "failures": [{key: one[key] for key in ("id", "split", "stage", "error")} for one in failures[:50]],
        "questions": [{"key": text(i), "kind": text(i), "method": text(i), "layer": text(i), "input": text(i)}
                      for i in range(20)],
        "not_applicable": {text(16): text(17)}, "choices": {text(18): text(19)}, "no_previews": None,
        "verdicts": [{"split": text(20), "input": text(21), "several": True, "verdict": verdict}],
        "grades": {"controls": [text(22)], "level": 0.95, "splits": {text(23): {text(24): {
            "records": 8, "passes": {text(1): 2.0}, "metrics": {text(25): metric}, "missing": {text(26): {text(27): 1}},
        }}}},
    }  # fmt: skip


def write_page(path: Path, count: int, text: Text) -> Path:
    """A report of ``count`` records with these texts."""
    records = [record(number, text) for number in range(count)]
    ok = [number for number in range(count) if records[number]["status"] == "ok"]
    points = [{
        "name": text(28), "axes": [text(29), text(30)], "record": ok,
        "x": [float(number % 20) for number in ok], "y": [float(number // 20) for number in ok],
    }]  # fmt: skip
    page = page_json(run(records, text), {"records": records}, points=points, notice=[text(31)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(page_bytes(page))
    return path
