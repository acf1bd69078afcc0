"""The network that a training configuration describes, built and loaded without Lightning, which is slow to import."""

from __future__ import annotations

import os

from seewhy.models.load import load_checkpoint
from seewhy.models.multi_branch import MultiBranch
from seewhy.training.configuration import TrainingConfig
from seewhy.values import CheckpointError, ConfigError


def build_network(config: TrainingConfig) -> MultiBranch:
    """One branch per input, with random weights; raises ``ModelError`` for what cannot be built."""
    height, width, channels = config.data.image_shape
    return MultiBranch(
        config.data.inputs,
        config.net.backbone_name,
        config.data.n_class,
        channels=channels,
        hidden=config.net.hidden,
        img_size=(height, width),
        kwargs=config.net.backbone_kwargs,
    )


def load_network(path: str | os.PathLike[str], config: TrainingConfig) -> MultiBranch:
    """The network with the weights of a checkpoint of :class:`seewhy.training.NetModule`, in evaluation mode.

    Raises:
        CheckpointError: whatever :func:`seewhy.models.load.load_checkpoint` raises.
        ConfigError: ``SW-F109`` weights of another model than the configuration describes.
    """
    network = build_network(config)
    try:
        load_checkpoint(network, path, min_coverage=1.0)
    except CheckpointError as error:
        if error.code not in ("SW-C20", "SW-C21"):
            raise
        raise other_model(error.message) from error
    return network.eval()


def other_model(told: str) -> ConfigError:
    """The error for weights that do not fit the configuration's network."""
    return ConfigError(
        "SW-F109",
        f"the checkpoint holds another model than the configuration describes: {told}",
        fix="use the configuration of the training run, or none: the checkpoint holds its own",
    )
