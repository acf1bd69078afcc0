"""A run whose maps can be worked out by hand: what a page must draw is known before it is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from browser_runs import ABOUT, QUESTIONS, preview, row, write_rows

from seewhy.values import Answer

KNOWN = np.float32([[0, 1], [2, 4]])
"""The map of class 0 of the record ``known``; 4 is drawn in the last colour, 1 in a quarter's, 0 not at all."""
SIGNED = np.float32([[-4, 0], [2, 4]])
PLANES = np.float32([[[1, 1]], [[9, 9]], [[2, 2]], [[4, 4]]])
"""A volume of four slices; its picture shows the slices 0, 2 and 3."""


def write_truth_run(root: Path) -> Path:
    """Records ``known``, ``signed``, ``zero``, ``nan`` and ``stack``, all of class 0 and predicted so."""
    maps = {
        "known": np.stack([KNOWN, KNOWN * 2, KNOWN / 4]),
        "signed": np.stack([SIGNED] * 3),
        "zero": np.stack([-KNOWN, KNOWN, KNOWN]),
        "nan": np.stack([np.where(KNOWN == 1, np.nan, KNOWN), KNOWN, KNOWN]).astype(np.float32),
    }
    rows = [row(0, "test", each, record_id=name) for name, each in maps.items()]
    stack = row(0, "test", record_id="stack", previews=(preview([(80, 80, 80)] * 3, shown=(0, 2, 3), of=4),))
    answers = {**stack.answers, "gradcam@layer4": Answer(np.stack([PLANES] * 3), (0, 1, 2))}
    answers.pop("rollout")
    rows.append(type(stack)(**{**stack.__dict__, "answers": answers}))
    rows = [type(one)(**{**one.__dict__, "position": place}) for place, one in enumerate(rows)]
    return write_rows(root, {"test": rows})


def write_pair_run(root: Path) -> Path:
    """A record ``pair`` with the inputs ``left`` and ``right``, each with a layer of its own, and their shares."""
    about = {"kind": "gradcam", "method": "gradcam", "question": "given classes"}
    layers = {"left": "one", "right": "two"}
    questions = {
        **{f"gradcam@{layer}": {**about, "layer": layer, "inputs": [name]} for name, layer in layers.items()},
        "shares@one,two": {**about, "kind": "shares", "of": "positive values of the raw maps", "layers": layers},
    }
    answers = {
        "gradcam@one": Answer(KNOWN[None], (0,)),
        "gradcam@two": Answer(KNOWN[None] * 2, (0,)),
        "shares@one,two": Answer(np.float32([[1 / 3, 2 / 3]]), (0,)),
    }
    pictures = tuple(preview([(80 + 60 * place,) * 3], name=name) for place, name in enumerate(layers))
    pair = row(0, "test", record_id="pair", answers=answers, previews=pictures)
    return write_rows(root, {"test": [pair]}, {**ABOUT, "default_layers": {"gradcam": "one,two"}}, questions)


def write_bare_run(root: Path) -> Path:
    """The record ``known`` as a run made before pictures were kept."""
    bare = row(0, "test", np.stack([KNOWN] * 3), record_id="known", previews=())
    return write_rows(root, {"test": [bare]}, questions=QUESTIONS)
