"""Integrated Gradients: the gradient averaged along the straight path from a baseline to the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs, Wants
from seewhy.methods.baselines import Baseline, baselines
from seewhy.methods.passes import Pass, grouped, over_records, real, whole
from seewhy.methods.quadrature import Level, nested_levels, rule
from seewhy.registry import method
from seewhy.values import ConfigError

Scores = Float[Tensor, "k b"]
Answers = dict[str, Float[Tensor, "k b c *s"]]
FIRST = 7
"""The nodes that ``steps="auto"`` starts with."""
ROUNDING = 10
"""So many units in the last place of the larger score are rounding, whatever the difference of the scores."""


@method(
    "integrated_gradients",
    asks=True,
    signed=True,
    linear=True,
    share_by="sum",
    cite="Sundararajan et al. 2017, arXiv:1703.01365, eq. 1; completeness is proposition 1",
    also=("ig", "integratedgradients"),
)
def integrated_gradients(
    probe: Probe,
    inputs: Inputs,
    *,
    steps: int | Literal["auto"] = 50,
    baseline: Baseline = "black",
    quadrature: str = "gauss_legendre",
    tolerance: float = 0.01,
    max_steps: int = 400,
    chunk_size: int = 16,
    blur_sigma: float = 0.1,
    seed: int = 0,
) -> Explanation:
    """Each value's share of the difference between the score here and at a baseline: ``(x - x') · ∫₀¹ ∇F dα``.

    ``steps`` nodes of ``quadrature`` (``gauss_legendre``, ``trapezoid``, ``riemann_left``, ``riemann_middle``,
    ``riemann_right``); ``"auto"`` doubles the nodes of a nested rule, keeping what was computed, until the residual of
    each record is at most ``tolerance`` of the difference of its scores, or the next doubling would exceed
    ``max_steps``. ``baseline`` is a name, a tensor or a dict: see :func:`seewhy.methods.baselines.baselines`, which
    ``blur_sigma`` and ``seed`` are for. ``chunk_size`` rows go through the model at once.

    ``measured`` tells per record: ``completeness_residual`` (the sum of the shares minus the difference of the
    scores), ``relative_residual`` (its magnitude, of that difference), ``score_at_baseline``, ``steps``, and
    ``converged`` (1 where the residual is within ``tolerance``).

    Raises ``ConfigError`` SW-F40 to SW-F42 for the baseline, SW-F41 for an unknown quadrature, SW-F43 for a number out
    of range, SW-F45 for a quadrature given with ``"auto"``.

    Example:
        >>> from seewhy.methods.ask import Asked
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"signal": torch.tensor([[[1.0, 2.0, 4.0]]])}
        >>> model = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 3, bias=False), torch.nn.Flatten())
        >>> _ = torch.nn.init.constant_(model[0].weight, 3.0)
        >>> ask = Asked("integrated_gradients", settings={"baseline": torch.zeros(1, 1, 1), "steps": 2})
        >>> ask(Probe(Adapter(model, x), [Logit(0)]), x).maps["signal"].round(decimals=4)
        tensor([[[ 3.,  6., 12.]]])
    """
    real("tolerance", tolerance, above=0.0)
    whole("chunk_size", chunk_size, 1)
    levels = _levels(steps, quadrature, max_steps)
    start = baselines(probe, inputs, baseline, blur_sigma=real("blur_sigma", blur_sigma), seed=seed)
    settled, scores = probe.settled(inputs)
    at_baseline = settled.score({**inputs, **start})
    path = Path(settled, inputs, start, chunk_size)
    per_channel, measured = _refined(path, levels, scores, at_baseline, tolerance)
    maps = {name: answer.sum(dim=2) for name, answer in per_channel.items()}
    return Explanation(maps, scores, per_channel=per_channel, measured=measured)


@dataclass(frozen=True)
class Path:
    """The straight path from the baselines ``start`` to the inputs; inputs without a baseline stay where they are."""

    probe: Probe
    inputs: Inputs
    start: Inputs
    chunk_size: int

    def weighted_gradients(
        self, records: list[int], nodes: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> dict[str, Float[Tensor, "l k b c *s"]]:
        """``Σ_i w_i ∇F(x' + α_i (x - x'))`` of these records, for each row of weights, one pass after another."""
        groups = []
        for group in grouped(records, len(nodes), self.chunk_size):
            total: dict[str, Tensor] = {}
            for one in group:
                at = list(one.samples)
                for name, gradients in self._gradients(one, nodes[at]).items():
                    part = torch.tensordot(torch.from_numpy(weights[:, at]).to(gradients), gradients, dims=([1], [1]))
                    total[name] = part if name not in total else total[name].add_(part)
            groups.append(total)
        return {name: torch.cat([group[name] for group in groups], dim=2) for name in self.start}

    def shares(self, mean_gradients: dict[str, Tensor], records: list[int]) -> Answers:
        """Each mean gradient times the way the value went."""
        return {
            name: (self.inputs[name][records] - self.start[name][records]).to(mean) * mean
            for name, mean in mean_gradients.items()
        }

    def _gradients(self, one: Pass, nodes: NDArray[np.float64]) -> dict[str, Float[Tensor, "k s r c *s"]]:
        records, moved = list(one.records), {}
        for name, start in self.start.items():
            ends = self.inputs[name][records]
            alphas = torch.from_numpy(nodes).to(ends).reshape(-1, *[1] * ends.ndim)
            moved[name] = torch.lerp(start[records], ends, alphas)
        found = one.asked(self.probe).capture(one.inputs(self.inputs, moved), Wants(input_gradients=True))
        return {name: one.unfold(found.input_gradients[name]) for name in self.start}


def _levels(steps: int | str, quadrature: str, max_steps: int) -> list[Level]:
    if steps != "auto":
        chosen = rule(quadrature, whole("steps", steps, 1))
        return [Level(chosen.nodes, chosen.weights[None], len(chosen.nodes))]
    if quadrature != "gauss_legendre":
        raise ConfigError(
            "SW-F45",
            f"steps='auto' has a nested rule of its own, but quadrature={quadrature!r} was given",
            fix="leave quadrature out, or give a number of steps",
        )
    return nested_levels(whole("max_steps", max_steps, FIRST), FIRST)


def _refined(
    path: Path, levels: Sequence[Level], scores: Scores, at_baseline: Scores, tolerance: float
) -> tuple[Answers, dict[str, Scores]]:
    """Level after level, each for the records that the one before left unsettled for any of their questions."""
    gap = scores - at_baseline
    rounding = ROUNDING * torch.finfo(gap.dtype).eps
    allowed = tolerance * gap.abs() + rounding * torch.maximum(scores.abs(), at_baseline.abs())
    settled: list[tuple[list[int], Answers]] = []
    residual, steps = torch.zeros_like(gap), torch.zeros_like(gap)
    active = list(range(gap.shape[1]))
    sums: dict[str, Tensor] = {}
    for level in levels:
        new = path.weighted_gradients(active, level.nodes, level.weights)
        sums = {name: part if name not in sums else sums[name] + part for name, part in new.items()}
        shares = path.shares({name: total[0] for name, total in sums.items()}, active)
        residual[:, active] = _total(shares) - gap[:, active]
        steps[:, active] = float(level.total)
        is_done = (residual[:, active].abs() <= allowed[:, active]).all(dim=0).tolist()
        done = [place for place, over in enumerate(is_done) if over or level is levels[-1]]
        settled.append(([active[place] for place in done], {name: share[:, done] for name, share in shares.items()}))
        unsettled = [place for place in range(len(active)) if place not in done]
        if not unsettled:
            break
        active = [active[place] for place in unsettled]
        sums = {name: total[1:, :, unsettled] for name, total in sums.items()}
    measured = {
        "completeness_residual": residual,
        "relative_residual": relative(residual, gap),
        "score_at_baseline": at_baseline,
        "steps": steps,
        "converged": (residual.abs() <= allowed).to(gap),
    }
    return _in_order(settled), measured


def relative(residual: Scores, gap: Scores) -> Scores:
    """The residual's magnitude as a share of the difference; 0 of 0 is 0."""
    return torch.where(residual == 0, 0.0, residual.abs() / gap.abs())


def _total(shares: Answers) -> Scores:
    return torch.stack([over_records(share) for share in shares.values()]).sum(dim=0)


def _in_order(settled: Sequence[tuple[list[int], Answers]]) -> Answers:
    """The answers of all records, in the records' order."""
    order = torch.tensor([record for records, _ in settled for record in records]).argsort()
    return {name: torch.cat([answers[name] for _, answers in settled], dim=1)[:, order] for name in settled[0][1]}
