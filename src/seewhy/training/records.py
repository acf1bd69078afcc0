"""The data set that a training configuration names: the user's pictures, or made eyes."""

from __future__ import annotations

from seewhy.data.multi_input import MultiInput
from seewhy.data.records import Dataset
from seewhy.demo.retina import COUNTS, INPUTS, MadeRetina
from seewhy.training.configuration import DataTable
from seewhy.values import ConfigError


def records_of(table: DataTable) -> Dataset:
    """The data set that the table ``DataModule`` names."""
    height, width, channels = table.image_shape
    if table.data_path or table.label_path:
        return MultiInput(
            table.data_path or None,
            table.label_path or None,
            table.inputs,
            [height, width],
            channels=channels,
            class_names=table.names(),
            split_ratio=table.split_ratio,
            seed=table.seed,
        )
    if height != width or channels != 1 or set(table.inputs) != set(INPUTS) or table.n_class != 4:
        raise ConfigError(
            "SW-F106",
            f"made eyes are square and gray, of the inputs {', '.join(INPUTS)} and 4 classes; asked for image_shape "
            f"{table.image_shape}, inputs {', '.join(table.inputs)}, n_class {table.n_class}",
            fix="set data_path or label_path to your own pictures, or use the example's values",
        )
    return MadeRetina(height, table.counts or COUNTS, table.seed, class_names=table.names())
