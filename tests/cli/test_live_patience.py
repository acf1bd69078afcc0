"""A live question's time, what its maps are about, and what is said beforehand of methods that would refuse."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from seewhy.cli.generate import generate_artifacts
from seewhy.cli.live import LiveModel, LiveOptions, open_live
from seewhy.cli.live_offers import methods_of
from seewhy.demo.models import build
from seewhy.models.adapter import Adapter
from seewhy.report.live import Question
from seewhy.report.map_units import EFFECT, EVIDENCE, UNSIGNED
from seewhy.report.patience import Patience
from seewhy.report.record_maps import maps_of
from seewhy.report.run_facts import Facts
from seewhy.store.run_reader import RunReader
from seewhy.values import SeewhyError

DIGITS = "experiment=embeddings/demo splits=[test] data.counts={test:1}"
FIRST = ("test", "test_00000")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> LiveModel:
    folder = tmp_path_factory.mktemp("asked") / "digits"
    assert generate_artifacts([*DIGITS.split(), "generate_attention=false", f"output_dir={folder}"]) == 0
    return open_live(folder, LiveOptions("demo:cnn"))


def code_of(ask: Callable[[], Any]) -> str:
    with pytest.raises(SeewhyError) as caught:
        ask()
    return caught.value.code


def test_a_question_is_left_between_two_passes_and_the_next_is_answered(live: LiveModel) -> None:
    passes = count()
    patience = Patience(10, clock=lambda: float(next(passes)))
    patience.begin()
    asked = Question("rise", record=FIRST, settings={"num_masks": 9000}, patience=patience)
    assert code_of(lambda: live.ask(asked)) == "SW-W56"
    assert next(passes) == 12  # begun at 0, each pass a second, left after the eleventh
    graded = Question("gradcam", record=FIRST, metrics=("deletion", "gini"), patience=Patience())
    graded.patience.end("nobody waits for the answer any more")
    assert code_of(lambda: live.ask(graded)) == "SW-W45"
    assert live.ask(Question("gradcam", record=FIRST)).row.status == "ok"


def test_a_map_that_asks_about_no_class_has_none(live: LiveModel) -> None:
    for method, settings, unit in (
        ("eigencam", {}, "strength of the layer's main pattern"),
        ("random", {}, "random number"),
        ("smoothgrad", {"of": "eigencam", "num_samples": 2}, "value of the method that is averaged"),
    ):
        found = live.ask(Question(method, record=FIRST, target=3, settings=settings))
        (spec,) = found.questions.values()
        assert (spec["unit"], found.told["target"]) == (unit, None), method
        assert [answer.classes for answer in found.row.answers.values()] == [()], method


@pytest.mark.parametrize(("method", "unit"), [("gradcam", EVIDENCE), ("saliency", UNSIGNED), ("gradient", EFFECT)])
def test_units_are_those_of_the_runs_own_maps(live: LiveModel, method: str, unit: str) -> None:
    found = live.ask(Question(method, record=FIRST, target=3))
    (spec,) = found.questions.values()
    assert spec["unit"] == unit
    assert [answer.classes for answer in found.row.answers.values()] == [(3,)]


def test_what_a_method_refuses_when_it_is_asked_is_said_before() -> None:
    adapter = Adapter(build("vit"), {"image": torch.rand(2, 3, 64, 64)})
    suits = {one["name"]: one["why_not"] for one in methods_of(adapter)}
    assert "no ReLU runs" in suits["guided_backprop"]
    assert "no ReLU runs" in suits["guided_gradcam"]
    assert "miss the change" in suits["deeplift"]
    attention = {one["name"]: one for one in methods_of(adapter) if one["name"] == "rollout"}
    assert attention["rollout"]["why_not"] == ""


def test_attention_has_the_unit_of_the_runs_own(tmp_path: Path) -> None:
    words = f"{DIGITS} model=demo_vit generate_gradcam=false output_dir={tmp_path / 'run'}"
    assert generate_artifacts(words.split()) == 0
    found = open_live(tmp_path / "run", LiveOptions("demo:vit")).ask(Question("rollout", record=FIRST))
    (key,) = found.questions
    facts = Facts.of(RunReader(tmp_path / "run"))
    (row,) = RunReader(tmp_path / "run").rows("test")
    (own,) = [one for one in maps_of(row, facts) if one.method == "rollout"]
    assert (found.questions[key]["unit"], found.row.answers[key].classes) == (own.unit, ())
