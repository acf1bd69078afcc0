"""What every explanation must satisfy on any model: each axiom is one check of one method, with a verdict in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import NoAttention, attention_of
from seewhy.core import Explanation, Inputs, Target, Wants
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.registry import METHODS, Method

Verdict = Literal["ok", "FAILED", "not applicable"]
SAME = 1e-4
"""Relative distance up to which two answers are the same: what rounding in another order leaves in float32."""

SMALL_CHUNK = 3
SAME_CHUNKED = 1e-2
"""For answers made of differences of nearly equal scores, which magnify rounding; other draws differ far more."""


@dataclass(frozen=True)
class Outcome:
    """``ok``, ``FAILED`` or ``not applicable``, and why."""

    verdict: Verdict
    detail: str = ""


OK = Outcome("ok")


@dataclass(frozen=True)
class Trial:
    """A method that was asked about two records, and what it said."""

    asked: Asked
    probe: Probe
    inputs: Inputs
    first: Explanation

    @property
    def method(self) -> Method:
        """The method on trial."""
        return self.asked.method

    @property
    def adapter(self) -> Adapter:
        """The model it is tried on."""
        return self.probe.adapter

    def again(self, inputs: Inputs | None = None, targets: Sequence[Target] = (), **settings: Any) -> Explanation:
        """The method asked once more, about other records, of other targets or with other settings."""
        asked = replace(self.asked, settings={**self.asked.settings, **settings})
        return asked(self.probe.asking(targets) if targets else self.probe, inputs or self.inputs)


@dataclass(frozen=True)
class Combined:
    """A weighted sum of outputs, the question with which linearity is tried."""

    weights: tuple[tuple[int, float], ...]

    def bind(self, outputs: Float[Tensor, "b c"]) -> Target:
        """Nothing depends on the outputs."""
        del outputs
        return self

    def take(self, rows: Sequence[int]) -> Target:
        """Nothing depends on the record."""
        del rows
        return self

    def __call__(self, outputs: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        return sum((weight * outputs[:, index] for index, weight in self.weights), start=outputs.new_zeros(()))


def finite(trial: Trial) -> Outcome:
    """Every number of the answer is finite."""
    bad = [name for name, maps in trial.first.maps.items() if not bool(torch.isfinite(maps).all())]
    return _judged(not bad, f"the map of {', '.join(bad)} holds NaN or infinity")


def not_all_zero(trial: Trial) -> Outcome:
    """The maps hold evidence."""
    return _judged(any(bool(maps.any()) for maps in trial.first.maps.values()), "every map is zero everywhere")


def asks_what_it_says(trial: Trial) -> Outcome:
    """The scores that come with the maps are the model's."""
    return _same(trial.first.scores, trial.probe.score(trial.inputs), "the scores differ from the model's")


def deterministic(trial: Trial) -> Outcome:
    """The same question, asked after other random numbers were drawn, has the same answer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return _same_maps(trial.again().maps, trial.first.maps, "a second answer differs")


def batch_blind(trial: Trial) -> Outcome:
    """A record alone has the answer that it has in a batch."""
    for record in range(trial.first.scores.shape[1]):
        alone = trial.again({name: tensor[record : record + 1] for name, tensor in trial.inputs.items()})
        among = {name: maps[:, record : record + 1] for name, maps in trial.first.maps.items()}
        if (outcome := _same_maps(alone.maps, among, f"record {record} alone differs")) != OK:
            return outcome
    return OK


def chunk_blind(trial: Trial) -> Outcome:
    """Working in smaller chunks changes nothing."""
    if "chunk_size" not in trial.method.settings:
        return Outcome("not applicable", "it does not work in chunks")
    again = trial.again(chunk_size=SMALL_CHUNK).maps
    return _same_maps(again, trial.first.maps, f"chunks of {SMALL_CHUNK} differ", SAME_CHUNKED)


def linear(trial: Trial) -> Outcome:
    """The map of a weighted sum of outputs is the weighted sum of their maps."""
    if not trial.method.linear:
        return Outcome("not applicable", "it is not linear in the target")
    last = min(1, trial.adapter.trace.outputs - 1)
    questions = (Combined(((0, 1.0),)), Combined(((last, 1.0),)), Combined(((0, 3.0), (last, -0.5))))
    for name, (one, other, both) in trial.again(targets=questions).maps.items():
        if (outcome := _same(3.0 * one - 0.5 * other, both, f"{name}: the map of a sum is not the sum")) != OK:
            return outcome
    return OK


def sign(trial: Trial) -> Outcome:
    """A method without negative evidence shows none; a linear signed one answers the opposite question oppositely."""
    if not trial.first.signed:
        lowest = min(float(maps.min()) for maps in trial.first.maps.values())
        return _judged(lowest >= 0, f"it claims to have no sign, but goes down to {lowest:.3g}")
    if not trial.method.linear:
        return Outcome("not applicable", "it is signed, but not linear")
    for name, (one, other) in trial.again(targets=(Combined(((0, 1.0),)), Combined(((0, -1.0),)))).maps.items():
        if (outcome := _same(-other, one, f"{name}: the opposite question has no opposite answer")) != OK:
            return outcome
    return OK


def attention_sums_to_one(trial: Trial) -> Outcome:
    """Each row of attention is a distribution, and so is what rollout makes of them."""
    if not trial.method.needs_attention:
        return Outcome("not applicable", "it reads no attention")
    found = attention_of(trial.adapter)
    if isinstance(found, NoAttention):
        return Outcome("not applicable", found.reason)
    attention = trial.probe.over(found.tokens).asking(()).capture(trial.inputs, Wants(attention=True)).attention
    rows = [weights.sum(dim=-1) for weights in attention]
    if trial.method is METHODS["rollout"]:
        rows.append(trial.method.function(attention, query=found.query, prefix=found.grid.prefix).sum(dim=-1))
    worst = max(float((row - 1).abs().max()) for row in rows)
    return _judged(worst <= SAME, f"a row differs from 1 by {worst:.1e}")


def distance(found: Tensor, expected: Tensor) -> float:
    """Length of the difference as a share of the expected length; 0 where both are zero, infinite for NaN."""
    if found.shape != expected.shape:
        return float("inf")
    difference, length = float((found - expected).double().norm()), float(expected.double().norm())
    share = 0.0 if difference == 0 else difference / length if length > 0 else float("inf")
    return share if share == share else float("inf")


def _same(found: Tensor, expected: Tensor, otherwise: str, tolerance: float = SAME) -> Outcome:
    apart = distance(found, expected)
    return _judged(apart <= tolerance, f"{otherwise} by {apart:.1e} of its size")


def _same_maps(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], otherwise: str, tolerance: float = SAME
) -> Outcome:
    for name, maps in expected.items():
        if (outcome := _same(found[name], maps, f"{name}: {otherwise}", tolerance)) != OK:
            return outcome
    return OK


def _judged(holds: bool, otherwise: str) -> Outcome:
    return OK if holds else Outcome("FAILED", otherwise)


Check = Callable[[Trial], Outcome]
