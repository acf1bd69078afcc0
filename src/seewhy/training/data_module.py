"""The records that a configuration names, in batches ``(*pictures, label, id)``: made eyes, or the user's pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from seewhy.data.records import Dataset
from seewhy.demo.retina import MadeRetina
from seewhy.training.configuration import TrainingConfig, check_config, read_config
from seewhy.training.records import records_of
from seewhy.values import MissingExtraError

try:
    from lightning.pytorch import LightningDataModule
except ImportError as error:
    raise MissingExtraError("lightning", "lightning") from error

NO_LABEL = -1


class DataModule(LightningDataModule):
    """``records`` is the data set; its splits are loaders of batches ``(*pictures, label, id)``, id being texts.

    ``data_path`` is a folder per input, ``label_path`` a table, both as :class:`seewhy.data.multi_input.MultiInput`
    reads them; without either the eyes are made. Records without a label have -1.

    Raises:
        ConfigError: ``SW-F105`` to ``SW-F107`` for the configuration, ``SW-F106`` also for made eyes of another shape
            or other inputs than there are.
        DataError: from the data set.
    """

    def __init__(self, config: Mapping[str, Any] | TrainingConfig | None = None) -> None:
        super().__init__()
        self.table = check_config(read_config() if config is None else config).data
        self.records = records_of(self.table)

    def split(self, name: str) -> RecordsOfSplit:
        """The records of a split, as items ``(*pictures, label, id)``."""
        positions = [i for i, ref in enumerate(self.records.index()) if ref.split == name]
        return RecordsOfSplit(self.records, positions, self.table.inputs)

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of the training split, in an order that the seed decides."""
        order = torch.Generator().manual_seed(self.table.seed)
        return DataLoader(
            self.split("train"),
            self.table.batch_size,
            shuffle=self.table.shuffle,
            generator=order,
            collate_fn=as_batch,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """Batches of the validation split, in the order of the records."""
        return DataLoader(self.split("val"), self.table.batch_size, collate_fn=as_batch)

    def test_dataloader(self) -> DataLoader[Any]:
        """Batches of the test split, in the order of the records."""
        return DataLoader(self.split("test"), self.table.batch_size, collate_fn=as_batch)


class RecordsOfSplit(TorchDataset[tuple[Any, ...]]):
    """Some records of a data set as ``(*pictures, label, id)``; what is drawn once is kept, as epochs come back."""

    def __init__(self, records: Dataset, positions: Sequence[int], input_names: Sequence[str]) -> None:
        self.records, self.positions, self.input_names = records, positions, tuple(input_names)
        self._read = lru_cache(maxsize=None if isinstance(records, MadeRetina) else 1)(records.read)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        record = self._read(self.positions[number])
        label = NO_LABEL if record.label is None else record.label
        return *(record.inputs[name] for name in self.input_names), label, record.record_id


def as_batch(items: Sequence[tuple[Any, ...]]) -> tuple[Tensor | list[str], ...]:
    """Items ``(*pictures, label, id)`` as one batch: stacked pictures, a tensor of labels, a list of ids."""
    *pictures, labels, ids = zip(*items, strict=True)
    return *(torch.stack(picture) for picture in pictures), torch.tensor(labels), list(ids)
