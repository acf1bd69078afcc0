"""RECORD of the pages: the maps in their order, several inputs, volumes, grades with reasons, runs of before."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_small_runs import ABOUT, GRADCAM, failed, mapped, picture, row, seen, write_small_run

from seewhy.report.errors import ReportError
from seewhy.report.record import record_json
from seewhy.report.run_facts import Facts
from seewhy.store.run_reader import RunReader
from seewhy.values import Answer, Geometry, Preview, RecordRow

HEADS = {"kind": "attention", "method": "attention_heads", "layers": [3], "of": 4, "query": "class token"}
ROLLOUT = {"kind": "attention", "method": "rollout", "of": 4, "query": "class token"}


def told(root: Path, one: RecordRow, questions: dict | None = None, about: dict | None = None, **files: bytes) -> dict:
    named = {name.replace("__", "/") + ".json": data for name, data in files.items()}
    reader = RunReader(write_small_run(root, [one], questions, about=about or ABOUT, files=named))
    facts = Facts.of(reader)
    (read,) = reader.rows(one.split, questions=facts.told_of_records, previews=True)
    return record_json(read, facts, source=lambda row, preview: f"at:{row.record_id}:{preview.input_name}")


def test_what_the_model_said(tmp_path: Path) -> None:
    geometry = Geometry((20, 30), (8, 8), (0.4, 0.4), (0.0, 2.0))
    one = row("a", label=1, predicted=2, confidence=0.5, geometry=geometry, notes=("read from /srv/x/a.png",))
    found = told(tmp_path / "run", one)
    assert (found["label"], found["predicted"], found["confidence"], found["right"]) == (1, 2, 0.5, False)
    assert found["top"] == [[2, 0.5], [0, 0.25], [1, 0.25]]
    assert found["notes"] == ["read from …/a.png"]
    assert found["geometry"] == {"original": [20, 30], "input": [8, 8], "scale": [0.4, 0.4], "offset": [0.0, 2.0]}


def test_a_confidence_that_is_not_finite_is_none(tmp_path: Path) -> None:
    one = row("a", confidence=0.5)
    one = replace(one, confidence=float("nan"), probabilities=np.float32([np.nan, 0.2, 0.3]))
    found = told(tmp_path / "run", one)
    assert found["confidence"] is None
    assert found["top"] == [[2, pytest.approx(0.3)], [1, pytest.approx(0.2)], [0, None]]


def test_a_failed_record_says_why(tmp_path: Path) -> None:
    found = told(tmp_path / "run", failed("a", error="cannot open '/srv/jane doe/scans/a 1.png'"))
    assert (found["status"], found["stage"], found["error"]) == ("failed", "data", "cannot open '…/a 1.png'")
    assert found["maps"] == found["inputs"] == found["top"] == []
    assert found["right"] is None


def test_maps_come_in_the_order_of_what_they_say(tmp_path: Path) -> None:
    """Predicted, true, rollout, other classes by their probability, heads."""
    probabilities = np.float32([0.1, 0.05, 0.25, 0.6])
    answers = {
        "gradcam@layer4": Answer(np.arange(4.0, dtype=np.float32).repeat(4).reshape(4, 2, 2), (0, 1, 2, 3)),
        "attention@3": Answer(np.ones((1, 2, 3, 3), np.float32)),
        "rollout": Answer(np.ones((3, 3), np.float32)),
    }  # fmt: skip
    one = RecordRow(
        "a", "test", 0, label=1, predicted=3, confidence=0.6, probabilities=probabilities, answers=answers,
        previews=seen(),
    )  # fmt: skip
    found = told(tmp_path / "run", one, {"gradcam@layer4": GRADCAM, "attention@3": HEADS, "rollout": ROLLOUT})
    order = [(each["method"], each["class"], each["variant"]) for each in found["maps"]]
    assert order == [
        ("gradcam", 3, ""), ("gradcam", 1, ""), ("rollout", None, ""), ("gradcam", 2, ""), ("gradcam", 0, ""),
        ("attention_heads", None, "layer 3, head 0"), ("attention_heads", None, "layer 3, head 1"),
    ]  # fmt: skip
    assert [each["peak"] for each in found["maps"] if each["method"] == "gradcam"] == [3.0, 1.0, 2.0, 0.0]
    assert {each["input"] for each in found["maps"]} == {"image"}
    assert found["maps"][2]["unit"] == "attention paid by the class token"


def test_a_class_that_two_questions_answered_is_there_once(tmp_path: Path) -> None:
    answers = mapped(np.ones((3, 2, 2))) | {"gradcambest1@layer4": Answer(np.ones((1, 2, 2), np.float32), (0,))}
    best = {**GRADCAM, "question": "1 best classes"}
    found = told(tmp_path / "run", row("a", answers=answers), {"gradcam@layer4": GRADCAM, "gradcambest1@layer4": best})
    assert [each["class"] for each in found["maps"]] == [0, 1, 2]


def test_a_model_without_a_head_is_asked_about_no_class(tmp_path: Path) -> None:
    one = row("a", answers={"gradcam@layer4": Answer(np.ones((1, 2, 2), np.float32))})
    found = told(tmp_path / "run", one)
    assert [(each["class"], each["unit"]) for each in found["maps"]] == [(None, "pull on the embedding's norm")]


def test_several_inputs_have_their_own_maps_and_shares(tmp_path: Path) -> None:
    questions = {
        "gradcam@one": {**GRADCAM, "layer": "one", "inputs": ["left"]},
        "gradcam@two": {**GRADCAM, "layer": "two", "inputs": ["right"]},
        "shares@one,two": {"kind": "shares", "method": "gradcam", "layers": {"left": "one", "right": "two"}},
    }
    answers = {
        "gradcam@one": Answer(np.full((1, 2, 2), 3.0, np.float32), (0,)),
        "gradcam@two": Answer(np.full((1, 4, 4), 1.0, np.float32), (0,)),
        "shares@one,two": Answer(np.float32([[0.25, np.nan]]), (0,)),
    }
    previews = (Preview("left", "picture", picture(8, 8)), Preview("right", "picture", picture(6, 4)))
    found = told(tmp_path / "run", row("a", answers=answers, previews=previews), questions)
    assert [(each["name"], each["width"], each["height"], each["src"]) for each in found["inputs"]] == [
        ("left", 8, 8, "at:a:left"), ("right", 6, 4, "at:a:right"),
    ]  # fmt: skip
    assert [(each["input"], each["layer"], each["peak"]) for each in found["maps"]] == [
        ("left", "one", 3.0), ("right", "two", 1.0),
    ]  # fmt: skip
    assert found["shares"] == [
        {
            "question": "shares@one,two", "class": 0, "layers": {"left": "one", "right": "two"},
            "shares": {"left": 0.25, "right": None},
        }
    ]  # fmt: skip


def test_shares_without_an_order_are_not_shown_and_that_is_said(tmp_path: Path) -> None:
    key = "shares@a,b,c"  # layers "a,b" and "c", or "a" and "b,c": nobody can tell
    questions = {key: {**GRADCAM, "kind": "shares", "layers": {"x": "b,c", "y": "a"}}}
    one = row("a", answers={key: Answer(np.float32([[0.25, 0.75]]), (0,))})
    found = told(tmp_path / "run", one, questions)
    assert found["shares"] == []
    assert found["notes"] == [
        "The inputs' shares of the evidence are not shown: shares@a,b,c does not say which value is of which input."
    ]


def test_a_layer_that_sees_two_inputs_has_a_map_for_each(tmp_path: Path) -> None:
    questions = {"gradcam@both": {**GRADCAM, "layer": "both", "inputs": ["left", "right"]}}
    one = row("a", answers={"gradcam@both": Answer(np.ones((1, 2, 2), np.float32), (0,))})
    assert [each["input"] for each in told(tmp_path / "run", one, questions)["maps"]] == ["left", "right"]


def test_a_volume_is_read_at_the_slices_its_picture_shows(tmp_path: Path) -> None:
    raw = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((5, 2, 2), np.float32)
    previews = (Preview("volume", "slices", picture(6, 4, tiles=3), shown=(0, 2, 4), of=5),)
    one = row("a", answers={"gradcam@layer4": Answer(raw[None], (0,))}, previews=previews)
    found = told(tmp_path / "run", one)
    (shown,) = found["inputs"]
    assert (shown["tiles"], shown["shown"], shown["of"], shown["width"], shown["height"]) == (3, [0, 2, 4], 5, 6, 4)
    (only,) = found["maps"]
    assert (only["tiles"], only["height"], only["width"], only["input"]) == (3, 2, 2, "volume")
    assert np.frombuffer(base64.b64decode(only["codes"]), np.int8).reshape(3, 4)[:, 0].tolist() == [0, 64, 127]


def test_a_run_of_before_has_maps_but_no_pictures(tmp_path: Path) -> None:
    raw = np.ones((1, 12, 2, 2), np.float32)
    found = told(tmp_path / "run", row("a", answers={"gradcam@layer4": Answer(raw, (0,))}))
    (only,) = found["inputs"]
    assert (only["src"], only["kind"], only["width"], only["tiles"], only["of"]) == (None, "missing", None, 8, 12)
    assert found["maps"][0]["input"] == only["name"]
    assert found["maps"][0]["tiles"] == 8


def test_grades_stand_with_their_reasons_and_controls(tmp_path: Path) -> None:
    about = {"kind": "grades", "about": "predicted", "input": "image"}
    questions = {
        "deletion(gradcam@layer4)": {**about, "method": "gradcam", "layer": "layer4", "metric": "deletion"},
        "deletion(gradcam@layer3)": {**about, "method": "gradcam", "layer": "layer3", "metric": "deletion"},
        "deletion(random)": {**about, "control": "random", "layer": None, "metric": "deletion"},
    }
    answers = {
        "deletion(gradcam@layer4)": Answer(np.float32([0.25]), (0,)),
        "deletion(gradcam@layer3)": Answer(np.float32([np.nan]), (0,)),
        "deletion(random)": Answer(np.float32([0.0]), (0,)),
    }
    facts = {"undefined deletion(gradcam@layer3)": "no evidence, see /tmp/x/log.txt"}
    summary = b'{"splits": {"test": {"image": {"metrics": {"deletion": {"better": "lower"}}}}}}'
    one = row("a", answers=answers, facts=facts)
    found = told(tmp_path / "run", one, questions, metrics__summary=summary)["grades"]
    assert [(each["who"], each["control"], each["value"], each["reason"]) for each in found] == [
        ("gradcam", False, 0.25, None), ("gradcam@layer3", False, None, "no evidence, see …/log.txt"),
        ("random", True, 0.0, None),
    ]  # fmt: skip
    assert {each["better"] for each in found} == {"lower"}


def test_a_preview_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError) as caught:
        told(tmp_path / "run", row("a", previews=(Preview("image", "picture", b"GIF89a broken"),)))
    assert caught.value.code == "SW-P03"
    assert "'a'" in caught.value.message


def test_a_preview_of_uneven_tiles_is_refused(tmp_path: Path) -> None:
    previews = (Preview("volume", "slices", picture(7, 4), shown=(0, 1), of=2),)
    with pytest.raises(ReportError) as caught:
        told(tmp_path / "run", row("a", previews=previews))
    assert caught.value.code == "SW-P03"
