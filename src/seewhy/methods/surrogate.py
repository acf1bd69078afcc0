"""A linear surrogate of the score over superpixels: sampled by captum, fitted for all targets at once in closed form.

captum hides superpixels and calls the model; the coalitions come from a private generator, so that no global random
state, no other record and no chunk size enters the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.core import Inputs
from seewhy.methods.variants import scores_of_rows
from seewhy.values import MissingExtraError

Coalitions = Callable[[int], Iterator[Tensor]]
"""From the number of superpixels to ``(1, D)`` rows of ones (shown) and zeros (hidden), as many as are taken."""
Weighting = Callable[[Tensor], float]
"""From such a row to what the sample weighs in the fit."""


@dataclass
class _Regression:
    """Weighted least squares for every target at once, in the shape captum hands samples to.

    captum knows one score per sample; ``scores`` are those of all targets, noted by whoever called the model.
    """

    ridge: float
    scores: list[Float[Tensor, "k n"]] = field(default_factory=list)
    coefficients: Float[Tensor, "k d"] = field(default_factory=lambda: torch.zeros(0, 0))
    explained: Float[Tensor, " k"] = field(default_factory=lambda: torch.zeros(0))

    def fit(self, train_data: Any) -> None:
        """Fit to a loader over (coalitions ``(N, D)``, one target's scores, weights ``(N,)``)."""
        shown, _, weights = (tensor.cpu().double() for tensor in train_data.dataset.tensors)
        self.coefficients, self.explained = weighted_fit(
            shown, torch.cat(self.scores, dim=1).cpu().double(), weights, self.ridge
        )

    def representation(self) -> Float[Tensor, "1 d"]:
        """The first target's coefficients."""
        return self.coefficients[:1].float()


def weighted_fit(
    shown: Float[Tensor, "n d"], scores: Float[Tensor, "k n"], weights: Float[Tensor, " n"], ridge: float
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """Coefficients of weighted ridge regression with a free intercept, and the share of the variance explained.

    For that share no sample weighs more than 1: the two that must be met would make it 1.

    Example:
        >>> shown = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
        >>> weighted_fit(shown, torch.tensor([[6.0, 4.0, 3.0, 1.0]]), torch.ones(4), ridge=0.0)
        (tensor([[3.0000, 2.0000]]), tensor([1.]))
    """
    total = weights.sum()
    x = shown - weights @ shown / total
    y = scores - (scores @ weights / total).unsqueeze(1)
    root = weights.sqrt()
    rows, values = x * root.unsqueeze(1), (y * root).T
    if ridge:
        rows = torch.cat([rows, ridge**0.5 * torch.eye(x.shape[1], dtype=x.dtype)])
        values = torch.cat([values, values.new_zeros(x.shape[1], values.shape[1])])
    coefficients = torch.linalg.lstsq(rows, values, driver="gelsd").solution.T
    return coefficients, _explained_share(shown, scores, coefficients, weights.clamp(max=1.0))


def _explained_share(
    shown: Float[Tensor, "n d"],
    scores: Float[Tensor, "k n"],
    coefficients: Float[Tensor, "k d"],
    weights: Float[Tensor, " n"],
) -> Float[Tensor, " k"]:
    """One less the weighted variance left over, as a share of all of it; 1 where there is none."""

    def variance(values: Float[Tensor, "k n"]) -> Float[Tensor, " k"]:
        centred = values - (values @ weights / weights.sum()).unsqueeze(1)
        return centred.square() @ weights

    left, spread = variance(scores - coefficients @ shown.T), variance(scores)
    return torch.where(spread > 0, 1 - left / spread.where(spread > 0, 1.0), 1.0)


@dataclass(frozen=True)
class Surrogate:
    """How samples are drawn and weighed, and how many."""

    coalitions: Coalitions
    weight: Weighting
    num_samples: int
    ridge: float
    chunk_size: int

    def fit(
        self, probe: Probe, inputs: Inputs, name: str, hidden: Float[Tensor, "1 c h w"], segments: Int[Tensor, "h w"]
    ) -> tuple[Float[Tensor, "k h w"], Float[Tensor, " k"]]:
        """The coefficient at each place of the one record in ``inputs``, and the share of the variance explained."""
        attr = optional("captum.attr", "captum")
        regression = _Regression(self.ridge)
        draws = self.coalitions(int(segments.max()) + 1)

        def ask(variants: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
            scores = scores_of_rows(probe, inputs, {name: variants}, [0] * len(variants))
            regression.scores.append(scores)
            return scores[0]

        surrogate = attr.Lime(
            ask,
            interpretable_model=regression,
            similarity_func=lambda *given, **_: self.weight(given[2]),
            perturb_func=lambda original, **_: next(draws).to(original.device),
        )
        picture = inputs[name].to(probe.adapter.device)
        surrogate.attribute(
            picture,
            baselines=hidden.to(picture),
            feature_mask=segments.to(picture.device)[None, None],
            n_samples=self.num_samples,
            perturbations_per_eval=self.chunk_size,
            return_input_shape=False,
        )
        return regression.coefficients[:, segments].to(picture), regression.explained.to(picture)


def optional(module: str, package: str) -> Any:
    """A module of an optional package; raises ``MissingExtraError`` where it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(package, "captum") from error
