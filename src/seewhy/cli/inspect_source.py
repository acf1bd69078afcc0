"""The data set and the model that ``inspect_features`` is about, by their names in the configuration."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from torch import nn

from seewhy.cli.assignments import assignments
from seewhy.cli.build import dataset_of
from seewhy.cli.generate import hydra_environment
from seewhy.cli.hydra_errors import options_of
from seewhy.cli.models import ModelRequest, ModelSource, OpenedModel, open_model, parse_model
from seewhy.cli.search_path import register, user_folder
from seewhy.data.records import Dataset
from seewhy.models.checkpoint import read_state_dict
from seewhy.models.matching import match
from seewhy.remote.address import name_of
from seewhy.values import CheckpointError, ConfigError, nearest

SIZE: Final = 512
FRAMES: Final = 8
BATCH: Final = 2
CLIPS: Final = ("video", "clips")


@dataclass(frozen=True)
class InspectedSource:
    """The data set, the model with its weights, the size of its inputs, and how many records are read at once."""

    dataset: Dataset
    model: OpenedModel
    size: int | tuple[int, ...]
    batch_size: int


def open_source(asked: argparse.Namespace) -> InspectedSource:
    """The data set and the model of a command line.

    Raises:
        ConfigError: ``SW-F213`` no such data set, ``SW-F214`` no model is named, ``SW-F215`` frames of no clips.
        CheckpointError: the weights. DataError: the data set.
    """
    checkpoint = asked.checkpoint.expanduser() if isinstance(asked.checkpoint, Path) else asked.checkpoint
    if not Path(checkpoint).is_file():
        read_state_dict(checkpoint)  # raises, with the nearest names
    data = data_settings(asked.dset, asked.config_dir)
    architecture = asked.model or data.pop("architecture", None)
    if not architecture:
        raise ConfigError(
            "SW-F214",
            f"neither {name_of(checkpoint)} nor --dset {asked.dset} says which model the weights are of",
            fix="name it: --model resnet50, --model timm:vit_small_patch16_224 or --model my_package.MyModel",
        )
    source = architecture_of(architecture)
    settings = _with_words(data, asked, _own_size(source))
    size = settings.get("size")
    request = ModelRequest(
        source=source,
        checkpoint=checkpoint,
        num_classes=asked.num_classes,
        size=(size, size) if isinstance(size, int) else tuple(size) if size else None,
        arguments=assignments(asked.model_arg, "--model-arg"),
        device=asked.device,
    )
    batch_size = int(settings.pop("batch_size", None) or BATCH)
    settings.pop("num_workers", None)
    model = open_trained(request)
    dataset = dataset_of(settings, model.preprocessing)
    return InspectedSource(dataset, model, _size_of(dataset), batch_size)


def data_settings(name: str, config_dir: str | None) -> dict[str, Any]:
    """The data group of this name, of the user's folder or of the package."""
    folder = user_folder(config_dir)
    known = options_of("data", folder)
    if name not in known:
        raise ConfigError(
            "SW-F213",
            f"there is no data set {name!r}",
            near=nearest(name, known),
            fix=f"write configs/data/{name}.yaml, or use one of {', '.join(known)}",
        )
    register()
    GlobalHydra.instance().clear()
    with (
        hydra_environment(folder, ["inspect_features"]),
        initialize_config_module(version_base="1.3", config_module="seewhy.conf"),
    ):
        try:
            composed = compose("generate_artifacts", [f"data={name}", "experiment=extract_features"])
        except HydraException as error:
            raise ConfigError(
                "SW-F213",
                f"the data set {name!r} cannot be composed: {error}",
                fix=f"correct configs/data/{name}.yaml",
            ) from error
    found = OmegaConf.to_container(composed.data, resolve=True)
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def architecture_of(text: str) -> ModelSource:
    """A model by its form, or by a bare name that torchvision or else timm knows.

    Example:
        >>> architecture_of("resnet50").kind, architecture_of("timm:resnet50").kind
        ('torchvision', 'timm')
    """
    if ":" in text or "." in text:
        return parse_model(text)
    import torchvision

    if text in torchvision.models.list_models():
        return ModelSource("torchvision", text)
    return ModelSource("timm", text)


def open_trained(request: ModelRequest) -> OpenedModel:
    """The model with its weights; where nobody says how many classes it has, as many as the file's last layer."""
    try:
        return open_model(request)
    except CheckpointError as error:
        if request.num_classes is not None or error.code != "SW-C21" or request.checkpoint is None:
            raise
        classes = _classes_in(request.checkpoint, open_model(replace(request, checkpoint=None)).module)
        if classes is None:
            raise
        return open_model(replace(request, num_classes=classes))


def _classes_in(checkpoint: str | Path, module: nn.Module) -> int | None:
    """How many classes the file's head has, where nothing else differs from ``module``."""
    linear = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    coverage = match(read_state_dict(checkpoint).tensors, module)
    different = {one.name: one.checkpoint for one in coverage.mismatched}
    if not linear or not set(different) <= {f"{linear[-1]}.weight", f"{linear[-1]}.bias"}:
        return None
    weight = different.get(f"{linear[-1]}.weight")
    return None if weight is None else weight[0]


def _size_of(dataset: Dataset) -> int | tuple[int, ...]:
    """The size of the inputs in pixels, one number for a square; empty where each record has its own."""
    size = dataset.fingerprint().get("size")
    lengths = (size, size) if isinstance(size, int) else tuple(size or ())
    return lengths[0] if lengths and len(set(lengths)) == 1 else lengths


def _own_size(source: ModelSource) -> int | None:
    """The size of a model that takes one size only."""
    if source.kind != "timm":
        return None
    from seewhy.models.from_timm import takes_one_size

    if not takes_one_size(source.name):
        return None
    import timm

    known = timm.get_pretrained_cfg(source.name)
    return None if known is None else int(known.input_size[-1])


def _with_words(data: Mapping[str, Any], asked: argparse.Namespace, own_size: int | None) -> dict[str, Any]:
    """The data settings with what the command line says put over them."""
    found = dict(data)
    clips = found.get("kind") in CLIPS
    for option, name in (("max_len", "--max_len"), ("dense_gaze", "--dense_gaze")):
        if getattr(asked, option) and not clips:
            raise ConfigError(
                "SW-F215", f"{name} is for clips, --dset {asked.dset} holds none", fix=f"leave {name} out"
            )
    if clips:
        found["frames"] = asked.max_len or found.get("frames") or FRAMES
        found["dense_gaze"] = asked.dense_gaze or found.get("dense_gaze") or False
    size = asked.size or found.get("size") or own_size or (SIZE if clips else None)
    if size is not None:
        found["size"] = size
    if asked.data_root is not None:
        found["root"] = asked.data_root
    if asked.batch_size is not None:
        found["batch_size"] = asked.batch_size
    elif not clips:
        found["batch_size"] = BATCH
    return found
