"""Perturbed copies of each record, asked about in passes of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.core import Inputs
from seewhy.values import ConfigError


@dataclass(frozen=True)
class Pass:
    """Some samples of some records, which go through the model as one batch, the first sample of all records first."""

    records: tuple[int, ...]
    samples: range

    @property
    def rows(self) -> list[int]:
        """The record of each row."""
        return list(self.records) * len(self.samples)

    def asked(self, probe: Probe) -> Probe:
        """The settled questions, row by row."""
        return probe.take(self.rows)

    def inputs(self, inputs: Inputs, perturbed: dict[str, Float[Tensor, "s r ..."]]) -> Inputs:
        """The perturbed inputs as rows; inputs that are not perturbed are repeated."""
        rows = {name: values.flatten(0, 1) for name, values in perturbed.items()}
        return {name: rows[name] if name in rows else values[self.rows] for name, values in inputs.items()}

    def unfold(self, answers: Float[Tensor, "k sr *s"]) -> Float[Tensor, "k s r *s"]:
        """Rows back by sample and record."""
        return answers.reshape(answers.shape[0], len(self.samples), len(self.records), *answers.shape[2:])


def grouped(records: Sequence[int], samples: int, chunk_size: int) -> Iterator[list[Pass]]:
    """Every sample of every record, in passes of at most ``chunk_size`` rows; those of one group of records together.

    >>> [[(one.records, list(one.samples)) for one in group] for group in grouped([4, 7, 9], 2, 2)]
    [[((4, 7), [0]), ((4, 7), [1])], [((9,), [0, 1])]]
    """
    for group in ops.chunks(len(records), chunk_size):
        chosen = tuple(records[index] for index in group)
        at_once = max(1, chunk_size // len(chosen))
        yield [Pass(chosen, samples_now) for samples_now in ops.chunks(samples, at_once)]


def floating_spatial_inputs(probe: Probe, inputs: Inputs) -> tuple[str, ...]:
    """The inputs that maps are made for and that can be changed a little."""
    return tuple(name for name in probe.adapter.spatial_inputs if inputs[name].is_floating_point())


def over_records(tensor: Tensor, dims: int = 2) -> Tensor:
    """Everything behind the first axes added up: one number for each target and record."""
    return tensor.flatten(dims).sum(dim=dims) if tensor.ndim > dims else tensor


def whole(name: str, value: object, at_least: int) -> int:
    """The value, or ``ConfigError`` SW-F43 where it is no whole number of at least that much."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < at_least:
        raise ConfigError(
            "SW-F43",
            f"{name} must be a whole number of at least {at_least}, got {value!r}",
            fix=f"give {name}={max(at_least, 50)}, or leave it out",
        )
    return int(value)


def real(name: str, value: object, *, above: float | None = None) -> float:
    """The value, or ``ConfigError`` SW-F43 where it is no finite number of at least 0 (or above ``above``)."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    finite = number and bool(torch.isfinite(torch.tensor(float(value))))  # type: ignore[arg-type]
    if not finite or value < 0 or (above is not None and value <= above):  # type: ignore[operator]
        bound = "of at least 0" if above is None else f"above {above:g}"
        raise ConfigError(
            "SW-F43", f"{name} must be a finite number {bound}, got {value!r}", fix=f"leave {name} out for its default"
        )
    return float(value)  # type: ignore[arg-type]
