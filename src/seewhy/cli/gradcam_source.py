"""The model and the records that a configuration of ``gradcam`` describes, and which of the records are meant."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import nn

from seewhy.data.batching import load_batches
from seewhy.multi_input.batches import Unreadable
from seewhy.pixels import Normalisation
from seewhy.training.configuration import check_config, read_config
from seewhy.training.example import newest_checkpoint, trained_example
from seewhy.training.network import load_network
from seewhy.training.records import records_of
from seewhy.values import ConfigError, Json

USUAL_SPLIT: Final = "val"


@dataclass(frozen=True)
class Chosen:
    """Positions of records by split. ``whole``: a session over splits; ``summary``: several samples on one page."""

    positions: Mapping[str, Sequence[int]]
    whole: bool = False
    summary: bool = False


class Source:
    """The records of a configuration, and its model once it is asked for.

    Raises:
        ConfigError: ``SW-F105`` to ``SW-F107``, for the configuration.
        DataError: from the data set.
    """

    def __init__(self, config: Path | None) -> None:
        self.is_example = config is None
        self.config = check_config(read_config(config))
        self.records = records_of(self.config.data)
        self.class_names = self.config.data.names()
        self.checkpoint: Path | None = None

    def positions(self, split: str) -> list[int]:
        """Where the records of a split are in the index, in its order."""
        return [position for position, ref in enumerate(self.records.index()) if ref.split == split]

    def batches(self, positions: Sequence[int]) -> Iterator[dict[str, Any] | Unreadable]:
        """Records at these positions as mappings of inputs, labels and ids; those that could not be read, alone."""
        size = self.config.data.batch_size
        plan = [positions[start : start + size] for start in range(0, len(positions), size)]
        refs = self.records.index()
        for batch in load_batches(self.records, plan):
            for position, reason in batch.failures:
                yield Unreadable(refs[position].record_id, refs[position].label, reason)
            if batch.records:
                labels, ids = [one.label for one in batch.records], [one.record_id for one in batch.records]
                yield {"inputs": batch.inputs, "label": labels, "id": ids}

    def model(self, checkpoint: Path | None) -> nn.Module:
        """The trained model: of a checkpoint, the newest of the configuration, or the example, trained if need be.

        Raises:
            ConfigError: ``SW-F108``, no checkpoint is there.
            CheckpointError: one that cannot be used.
            MissingExtraError: the example must be trained, and Lightning is not installed.
        """
        self.checkpoint = self._newest() if checkpoint is None else checkpoint.expanduser()
        return load_network(self.checkpoint, self.config)

    @property
    def normalisation(self) -> dict[str, Normalisation]:
        """How each input's values came from pixels."""
        names = self.config.data.inputs
        each: Any = getattr(self.records, "preprocessing", None) or dict.fromkeys(names, self.records)
        return {name: each[name].normalisation for name in names}

    @property
    def model_info(self) -> dict[str, Json]:
        """What the reports say of the model: as it was built, not as it is called."""
        return {
            "n_classes": self.config.data.n_class,
            "class_names": list(self.class_names),
            "backbone": self.config.net.backbone_name,
            "inputs": list(self.config.data.inputs),
        }

    def _newest(self) -> Path:
        if not self.is_example:
            return newest_checkpoint(self.config.plain)
        started, folder = time.monotonic(), self.config.net.checkpoint_dir
        if not list(folder.glob("*.ckpt")):
            print(f"no configuration was given: training the example on made pictures, into {folder}", flush=True)
        found = trained_example(self.config.plain)
        print(f"the example's model: {found} ({time.monotonic() - started:.1f} s)", flush=True)
        return found


def choose(source: Source, dataset: str | None, mode: str | None, sample_idx: int, num_samples: int) -> Chosen:
    """Which records are meant: one of a split, the first of a split, or all of one or all splits.

    Raises:
        ConfigError: ``SW-F126`` no sample of this number, ``SW-F127`` samples of ``all`` splits, ``SW-F128`` a split
            without records.
    """
    if dataset is not None and mode is None:
        splits = ("train", "val", "test") if dataset == "all" else (dataset,)
        found = {split: positions for split in splits if (positions := source.positions(split))}
        return Chosen(found or {splits[0]: _some(source, splits[0])}, whole=True)
    if dataset == "all":
        raise ConfigError(
            "SW-F127",
            f"--mode {mode} takes samples from one split, --dataset all names three",
            fix="name one split, or leave --mode out to analyse all of them",
        )
    split = dataset or USUAL_SPLIT
    positions = _some(source, split)
    if mode == "batch":
        return Chosen({split: positions[:num_samples]}, summary=True)
    if not 0 <= sample_idx < len(positions):
        raise ConfigError(
            "SW-F126",
            f"Sample index {sample_idx} not found: the split {split} has {len(positions)} samples",
            fix=f"use --sample_idx 0 to {len(positions) - 1}",
        )
    return Chosen({split: positions[sample_idx : sample_idx + 1]})


def _some(source: Source, split: str) -> list[int]:
    positions = source.positions(split)
    if not positions:
        raise ConfigError(
            "SW-F128",
            f"the split {split} has no records",
            fix="name another split with --dataset, or correct split_ratio and data_path in the configuration",
        )
    return positions
