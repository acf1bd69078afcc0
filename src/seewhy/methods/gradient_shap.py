"""GradientSHAP, or expected gradients: Integrated Gradients averaged over a distribution of baselines, by sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.baselines import check_name, named
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs, Wants
from seewhy.methods.baselines import Baseline, baselines
from seewhy.methods.passes import Pass, floating_spatial_inputs, grouped, over_records, whole
from seewhy.methods.smooth import Moments
from seewhy.registry import method
from seewhy.values import ConfigError


@method(
    "gradient_shap",
    asks=True,
    signed=True,
    linear=True,
    share_by="sum",
    cite="Erion et al. 2019, arXiv:1906.10670, eq. 3; Lundberg and Lee 2017, arXiv:1705.07874",
    also=("expected_gradients", "gradientshap"),
)
def gradient_shap(
    probe: Probe,
    inputs: Inputs,
    *,
    baseline: Baseline = "random",
    num_samples: int = 50,
    seed: int = 0,
    chunk_size: int = 16,
) -> Explanation:
    """The mean of ``(x - x') · ∇F(x' + α (x - x'))`` over baselines ``x'`` of a distribution and ``α`` uniform.

    ``baseline`` is a distribution: a tensor ``(N, C, *S)`` in the space of the model's inputs (or a dict of them, whose
    rows belong together), from which each sample draws a row; ``"random"``, a picture of uniform pixels drawn anew for
    each sample; or a single picture by another name. All records see the same draws.

    The mean adds up to the score minus the distribution's mean score in expectation only. ``measured`` tells how far it
    is off for the baselines that were drawn (``completeness_residual``) and the standard error of that number
    (``standard_error``), for which each baseline's score is asked too.

    Raises ``ConfigError`` SW-F40 to SW-F42 for the baseline, SW-F43 for a number out of range.

    Example:
        >>> from seewhy.methods.ask import Asked
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"signal": torch.tensor([[[1.0, 2.0, 4.0]]])}
        >>> model = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 3, bias=False), torch.nn.Flatten())
        >>> _ = torch.nn.init.constant_(model[0].weight, 3.0)
        >>> ask = Asked("gradient_shap", settings={"baseline": torch.ones(2, 1, 3), "num_samples": 4})
        >>> ask(Probe(Adapter(model, x), [Logit(0)]), x).maps["signal"]
        tensor([[[0., 3., 9.]]])
    """
    whole("num_samples", num_samples, 2)
    whole("chunk_size", chunk_size, 1)
    drawn = Draws.of(probe, inputs, baseline, seed)
    settled, scores = probe.settled(inputs)
    shares: list[dict[str, Moments]] = []
    errors: list[Moments] = []
    for group in grouped(range(scores.shape[1]), num_samples, chunk_size):
        moments, error = {name: Moments() for name in drawn.names}, Moments()
        for one in group:
            samples, residual = _samples(settled, inputs, scores, one, drawn)
            for name, values in samples.items():
                moments[name].add(values)
            error.add(residual)
        shares.append(moments)
        errors.append(error)
    per_channel = {name: torch.cat([part[name].mean for part in shares], dim=1) for name in drawn.names}
    measured = {
        "completeness_residual": torch.cat([error.mean for error in errors], dim=1),
        "standard_error": torch.cat([(error.variance / error.count).sqrt() for error in errors], dim=1),
    }
    maps = {name: answer.sum(dim=2) for name, answer in per_channel.items()}
    return Explanation(maps, scores, per_channel=per_channel, measured=measured)


@dataclass(frozen=True)
class Draws:
    """Which baseline and which place on the way each sample draws: by the seed and the sample's number alone."""

    probe: Probe
    table: Inputs
    colour: str | None
    names: tuple[str, ...]
    seed: int

    @classmethod
    def of(cls, probe: Probe, inputs: Inputs, baseline: Baseline, seed: int) -> Draws:
        """The distribution that a setting means; raises SW-F40 to SW-F42 where it fits no input."""
        names = floating_spatial_inputs(probe, inputs)
        if isinstance(baseline, str):
            check_name(baseline)
            baselines(probe, inputs, baseline)
            return cls(probe, {}, baseline, names, seed)
        table = dict(baseline) if isinstance(baseline, Mapping) else dict.fromkeys(names, baseline)
        if not isinstance(baseline, Mapping) and len(names) != 1:
            raise _unfit(f"one tensor was given for the inputs {', '.join(names)}")
        for name, rows in table.items():
            if name not in inputs or rows.ndim != inputs[name].ndim or rows.shape[1:] != inputs[name].shape[1:]:
                raise _unfit(f"{tuple(rows.shape)} was given for {name!r} of {tuple(inputs[name].shape[1:])}"
                             if name in inputs else f"there is no input {name!r}")  # fmt: skip
        if len({len(rows) for rows in table.values()}) != 1:
            raise _unfit("the inputs' distributions have different numbers of rows")
        return cls(probe, table, None, tuple(table), seed)

    def baseline(self, name: str, values: Float[Tensor, "r c *s"], sample: int) -> Float[Tensor, "r c *s"]:
        """The baseline of one sample, the same for all records unless it is made of them."""
        if self.colour is not None:
            known = self.probe.adapter.normalisation_of(name)
            return named(self.colour, values, known, key=(self.seed, name, sample))
        rows = self.table[name]
        row = int(torch.randint(len(rows), (), generator=ops.generator(self.seed, "gradient_shap row", sample)))
        return rows[row].to(values).expand_as(values)

    def alpha(self, sample: int) -> float:
        """How far along the way from the baseline to the input."""
        drawn = torch.rand((), generator=ops.generator(self.seed, "gradient_shap alpha", sample), dtype=torch.float64)
        return float(drawn)


def _samples(
    settled: Probe, inputs: Inputs, scores: Float[Tensor, "k b"], one: Pass, drawn: Draws
) -> tuple[dict[str, Float[Tensor, "k s r c *s"]], Float[Tensor, "k s r"]]:
    """Each sample's shares, and how far they are from adding up to the difference of its scores."""
    records, probe = list(one.records), one.asked(settled)
    starts = {
        name: torch.stack([drawn.baseline(name, inputs[name][records], sample) for sample in one.samples])
        for name in drawn.names
    }
    alphas = [drawn.alpha(sample) for sample in one.samples]
    moved = {name: _between(start, inputs[name][records], alphas) for name, start in starts.items()}
    capture = probe.capture(one.inputs(inputs, moved), Wants(input_gradients=True))
    shares = {}
    for name, start in starts.items():
        gradients = one.unfold(capture.input_gradients[name])
        shares[name] = (inputs[name][records] - start).to(gradients) * gradients
    gap = scores[:, records].unsqueeze(1) - one.unfold(probe.score(one.inputs(inputs, starts)))
    return shares, torch.stack([over_records(share, 3) for share in shares.values()]).sum(dim=0) - gap


def _between(start: Float[Tensor, "s r ..."], end: Float[Tensor, "r ..."], alphas: list[float]) -> Tensor:
    return torch.lerp(start, end.expand_as(start), start.new_tensor(alphas).reshape(-1, *[1] * end.ndim))


def _unfit(what: str) -> ConfigError:
    return ConfigError(
        "SW-F42",
        f"a distribution of baselines is a tensor of rows, each of an input's shape; {what}",
        fix="give a tensor (N, C, *S), or a dict with one for each input and equal N",
    )
