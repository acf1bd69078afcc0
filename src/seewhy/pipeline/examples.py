"""The few records a model is traced on before a run: the first ones that can be read and that the model takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

import torch
from torch import Tensor, nn

from seewhy.core import Inputs
from seewhy.data.batching import load_batches, reason_of
from seewhy.data.records import Dataset
from seewhy.memory import is_out_of_memory
from seewhy.models.adapter import Adapter, Precision
from seewhy.values import ConfigError, DataError

MOST_READ = 32
MOST_ALONE = 4


def examples(dataset: Dataset, positions: Sequence[int]) -> Iterator[Inputs]:
    """Batches of two, best first: two records of equal shape, then single records, each counted twice.

    Raises ``DataError`` SW-D92 when none of the first 32 records can be read.
    """
    readable = _readable(dataset, positions[:MOST_READ])
    first, seen = next(readable), []
    for inputs in readable:
        seen.append(inputs)
        if _shapes(first) == _shapes(inputs):
            yield _pair(first, inputs)
            break
    for inputs in islice(chain([first], seen, readable), MOST_ALONE):
        yield _pair(inputs, inputs)


def understand(
    model: nn.Module,
    candidates: Iterable[Inputs],
    *,
    headless: bool | None,
    precision: Precision,
    frames_first: Sequence[str] = (),
) -> tuple[Adapter, Inputs]:
    """The model traced on the first of the candidates that it can be run on, and that candidate.

    Raises what the first candidate met where all fail; ``ConfigError`` SW-F137 where that is a lack of memory.
    """
    errors: list[Exception] = []
    for example in candidates:
        try:
            adapter = Adapter(model, example, headless=headless, precision=precision, frames_first=frames_first)
        except Exception as error:  # noqa: BLE001  a record that breaks the model must not cost the others theirs
            errors.append(error)
            continue
        return adapter, example
    if is_out_of_memory(errors[0]):
        raise ConfigError(
            "SW-F137",
            f"memory does not suffice for two records, which the model is understood on: {reason_of(errors[0])}",
            fix="make the inputs smaller (data.size, data.frames), or choose accelerator=cpu or a larger machine",
        ) from errors[0]
    raise errors[0]


def _readable(dataset: Dataset, positions: Sequence[int]) -> Iterator[Mapping[str, Tensor]]:
    failures: list[str] = []
    any_read = False
    for batch in load_batches(dataset, [[position] for position in positions]):
        failures += [reason for _, reason in batch.failures]
        for record in batch.records:
            any_read = True
            yield record.inputs
    if not any_read:
        raise DataError(
            "SW-D92",
            f"none of the first {len(positions)} records can be read: {failures[0]}",
            fix="check the data settings and the files",
        )


def _pair(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Inputs:
    return {name: torch.stack([one[name], other[name]]) for name in one}


def _shapes(inputs: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in inputs.items()}
