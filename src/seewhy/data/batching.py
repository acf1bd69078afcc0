"""Planned batches read by loader processes: in order, reproducible, and with one bad record costing only itself."""

from __future__ import annotations

import pickle
import signal
import threading
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from seewhy.data.records import Batch, Dataset, Record
from seewhy.data.seeding import seeded
from seewhy.memory import is_out_of_memory
from seewhy.values import DataError, SeewhyError

REASON_LENGTH: Final = 500


def load_batches(
    dataset: Dataset,
    batches: Sequence[Sequence[int]],
    *,
    num_workers: int = 0,
    pin_memory: bool = False,
    seed: int = 0,
    start_method: str | None = None,
) -> Generator[Batch, None, None]:
    """Read each list of positions and yield it as one ``Batch``, or as several where input shapes differ.

    Batches come in the order given; a list's failures are with its first ``Batch``, which holds no records if all
    failed. A record fails alone: whatever reading it raises becomes ``"TypeName: message"``. While a record is read the
    global random generators start from ``(seed, record id)``, so that neither workers nor batch size change a random
    crop. A label of -1 becomes None. Memory is pinned only where CUDA is available. ``start_method`` is
    multiprocessing's (default: the platform's own). Closing the generator early ends the workers.

    Raises ``DataError``: SW-D01 a number of workers below 0, SW-D40 a data set that cannot be sent to a worker, SW-D41
    a worker that died.
    """
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
        raise DataError("SW-D01", f"num_workers must be 0 or more; got {num_workers!r}", fix="set data.num_workers=0")
    plan = [list(positions) for positions in batches]
    return _load(_Reader(dataset, seed), plan, num_workers, pin_memory and torch.cuda.is_available(), start_method)


class _Reader(TorchDataset[list[Batch]]):
    """What a worker holds: one item is one planned batch."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.dataset, self.seed = dataset, seed
        self.ids = [ref.record_id for ref in dataset.index()]

    def __getitem__(self, positions: Any) -> list[Batch]:
        records: list[tuple[int, Record]] = []
        failures: list[tuple[int, str]] = []
        for position in positions:
            try:
                with seeded(self.seed, self.ids[position]):
                    records.append((position, checked(self.dataset.read(position))))
            except Exception as error:  # noqa: BLE001  the record boundary: any fault of one record is that record's
                failures.append((position, reason_of(error)))
        return stack(records, failures)


def checked(record: Record) -> Record:
    """The record with label -1 as None; DataError SW-D42 for NaN or infinite inputs, SW-D43 for no tensors."""
    if not record.inputs or not all(isinstance(value, Tensor) for value in record.inputs.values()):
        kinds = {name: type(value).__name__ for name, value in record.inputs.items()}
        raise DataError(
            "SW-D43", f"the inputs are {kinds}, not tensors by name", fix='return inputs as {"image": tensor}'
        )
    for name, value in record.inputs.items():
        bad = int((~torch.isfinite(value)).sum()) if value.is_floating_point() else 0
        if bad:
            raise DataError("SW-D42", f"input {name!r} holds {bad} NaN or infinite values", fix="repair the file")
    return replace(record, label=None) if record.label == -1 else record


def reason_of(error: Exception) -> str:
    """One printable line: the exception's type and message, with the code of our own errors."""
    text = f"[{error.code}] {error.message}" if isinstance(error, SeewhyError) else str(error)
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return f"{type(error).__name__}: {line}"[:REASON_LENGTH]


def stack(records: Sequence[tuple[int, Record]], failures: Sequence[tuple[int, str]]) -> list[Batch]:
    """Records of equal input names, shapes and types, stacked; groups in the order of their first record.

    The records' own inputs are emptied: :func:`unstack` gives them back as views once the batch has travelled. A group
    whose stack does not fit into memory is halved; a record that does not even fit alone fails.
    """
    failed = list(failures)
    groups: dict[object, list[tuple[int, Record]]] = {}
    for position, record in records:
        kind = tuple((name, value.shape, value.dtype) for name, value in record.inputs.items())
        groups.setdefault(kind, []).append((position, record))
    stacked = [batch for group in groups.values() for batch in _batches(group, failed)] or [Batch((), (), {})]
    return [replace(stacked[0], failures=tuple(failed)), *stacked[1:]]


def unstack(batch: Batch) -> Batch:
    """The batch with each record's inputs as views into the stacked tensors."""
    records = (
        replace(record, inputs={name: values[row] for name, values in batch.inputs.items()})
        for row, record in enumerate(batch.records)
    )
    return replace(batch, records=tuple(records))


def _batches(group: Sequence[tuple[int, Record]], failed: list[tuple[int, str]]) -> list[Batch]:
    try:
        return [_batch(group)]
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = reason_of(error)
    if len(group) == 1:
        failed.append((group[0][0], reason))
        return []
    half = len(group) // 2
    return [*_batches(group[:half], failed), *_batches(group[half:], failed)]


def _batch(group: Sequence[tuple[int, Record]]) -> Batch:
    names = group[0][1].inputs
    return Batch(
        positions=tuple(position for position, _ in group),
        records=tuple(replace(record, inputs={}) for _, record in group),
        inputs={name: torch.stack([record.inputs[name].detach() for _, record in group]) for name in names},
    )


def _load(
    reader: _Reader, plan: list[list[int]], num_workers: int, pin_memory: bool, start_method: str | None
) -> Generator[Batch, None, None]:
    loader: DataLoader[list[Batch]] = DataLoader(
        reader,
        sampler=plan,
        batch_size=None,
        num_workers=num_workers,
        pin_memory=pin_memory,
        collate_fn=_unchanged,
        worker_init_fn=_prepare_worker,
        multiprocessing_context=start_method if num_workers else None,
        generator=torch.Generator().manual_seed(0),  # else the loader draws its base seed from the caller's generator
    )
    batches = _start(loader, num_workers)
    for positions in plan:
        try:
            read = next(batches)
        except RuntimeError as error:
            if not str(error).startswith("DataLoader worker"):
                raise
            raise _worker_died(reader, positions, error) from error
        for batch in read:
            yield unstack(batch)


def _start(loader: DataLoader[list[Batch]], num_workers: int) -> Iterator[list[Batch]]:
    if not num_workers:
        return iter(loader)
    with warnings.catch_warnings():
        # Python ≥ 3.12 warns of any fork beside threads; torch's loaders fork by default and keep to one thread inside
        warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Got pickle error", category=UserWarning)  # SW-D40 says it
        try:
            return iter(loader)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise DataError(
                "SW-D40",
                f"the data set cannot be sent to a loader process: {error}",
                fix="move lambdas and local functions to the top level of a module, or set data.num_workers=0",
            ) from error


def _worker_died(reader: _Reader, positions: Sequence[int], error: RuntimeError) -> DataError:
    ids = ", ".join(reader.ids[position] for position in positions[:3])
    return DataError(
        "SW-D41",
        f"a loader process died while the batch of record {ids} was awaited: {reason_of(error)}",
        fix="set data.num_workers=0 to see the cause; too little memory, or shared memory, is the usual one",
    )


def _unchanged(item: list[Batch]) -> list[Batch]:
    return item


def _prepare_worker(_: int) -> None:
    """Ctrl-C reaches every process of a terminal; only the run itself decides what to finish."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
