"""The user's torch data sets by split, out of a Dataset, a mapping of them, or a LightningDataModule."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from torch.utils.data import IterableDataset

from seewhy.data.settings import SPLITS, canonical_split
from seewhy.values import DataError, nearest

LOADERS: Final = {"train": "train_dataloader", "val": "val_dataloader", "test": "test_dataloader"}
LIGHTNING: Final = ("lightning.", "lightning_fabric.", "pytorch_lightning.")


def split_datasets(source: Any) -> dict[str, Any]:
    """Map-style data sets by split.

    ``source`` is a mapping ``{"train": dataset, …}``, an object with such a mapping as ``splits``, a
    LightningDataModule (anything with ``setup`` and a ``*_dataloader``; ``prepare_data`` is not called, since it may
    download), or one data set, which is the split ``test``. A loader's ``collate_fn`` is not used.

    Raises ``DataError``: SW-D32 not map-style, SW-D33 not one loader, SW-D12 an unknown split, SW-D03 no items.
    """
    found = _datamodule_datasets(source) if is_datamodule(source) else _given_datasets(source)
    for split, dataset in found.items():
        _check_map_style(split, dataset)
    if not any(len(dataset) for dataset in found.values()):
        raise DataError("SW-D03", "the data set is empty", fix="check its paths and that its length is above 0")
    return {split: found[split] for split in SPLITS if split in found}


def is_datamodule(source: Any) -> bool:
    """Whether an object is used like a LightningDataModule."""
    return callable(getattr(source, "setup", None)) and any(hasattr(source, name) for name in LOADERS.values())


def _given_datasets(source: Any) -> dict[str, Any]:
    mapping = source if isinstance(source, Mapping) else getattr(source, "splits", None)
    if not isinstance(mapping, Mapping):
        return {"test": source}
    return {_split(name): dataset for name, dataset in mapping.items()}


def _datamodule_datasets(module: Any) -> dict[str, Any]:
    own = {split: name for split, name in LOADERS.items() if _is_overridden(module, name)}
    if "train" in own or "val" in own:
        _set_up(module, "fit")
    if "test" in own:
        _set_up(module, "test")
    datasets = {split: _dataset_of(getattr(module, name)(), name) for split, name in own.items()}
    return {split: dataset for split, dataset in datasets.items() if dataset is not None}


def _set_up(module: Any, stage: str) -> None:
    if inspect.signature(module.setup).parameters:
        module.setup(stage)
    else:
        module.setup()


def _is_overridden(module: Any, name: str) -> bool:
    """Lightning's base class has every loader, but raises when it is called."""
    owner = next((kind for kind in type(module).__mro__ if name in vars(kind)), None)
    return (owner is None and hasattr(module, name)) or (
        owner is not None and not owner.__module__.startswith(LIGHTNING)
    )


def _dataset_of(loader: Any, name: str) -> Any:
    if loader is None:
        return None
    if isinstance(loader, list | tuple | Mapping) or not hasattr(loader, "dataset"):
        several = f" of {len(loader)} loaders" if isinstance(loader, list | tuple | Mapping) else ""
        raise DataError(
            "SW-D33",
            f"{name}() returned a {type(loader).__name__}{several}; one DataLoader with a .dataset is needed",
            fix='give the data sets themselves: {"train": dataset, "val": dataset, "test": dataset}',
        )
    return loader.dataset


def _split(name: Any) -> str:
    split = canonical_split(str(name))
    if split not in SPLITS:
        raise DataError(
            "SW-D12",
            f"the split {name!r} is none of {', '.join(SPLITS)}",
            fix="name the splits train, val and test",
            near=nearest(split, SPLITS),
        )
    return split


def _check_map_style(split: str, dataset: Any) -> None:
    kind = type(dataset).__name__
    if isinstance(dataset, IterableDataset):
        problem = f"{kind} is an IterableDataset: its records have no index, so a run could not be resumed"
    elif not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        problem = f"{kind} has no __getitem__ and __len__"
    else:
        return
    raise DataError(
        "SW-D32",
        f"split {split!r}: {problem}",
        fix="use a map-style torch Dataset, or write files and use data=manifest",
    )
