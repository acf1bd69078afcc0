"""The model with its weights, and the data set prepared as that model was made for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from seewhy.cli.schema import Request
from seewhy.data.records import Dataset
from seewhy.models.build import build_model
from seewhy.models.built import Built, Preprocessing
from seewhy.models.custom import current_directory_importable
from seewhy.models.load import LoadReport, load_checkpoint
from seewhy.values import ConfigError, DataError, SeewhyError, nearest

LOADING = ("batch_size", "num_workers", "architecture")
"""Settings of the data group that are the run's, not the data set's."""

DATA_KINDS = (
    "image_folder", "manifest", "multi_input", "volumes", "clips", "video", "cmr_acdc", "cluttered_digits", "custom",
)  # fmt: skip


def build_loaded_model(request: Request) -> tuple[Built, LoadReport]:
    """Build the model, load the checkpoint into it, and put it on its device."""
    settings = {key: value for key, value in request.model.items() if key != "kind"}
    kind = request.model.get("kind") or ("custom" if "_target_" in settings else None)
    if kind is None:
        raise ConfigError(
            "SW-F24",
            "the model group names no kind",
            fix="choose model=timm, torchvision, mae_vit, multi_branch or custom",
        )
    if kind == "mae_vit" and settings.get("img_size") is None:
        settings["img_size"] = request.data.get("size") or 224
    if kind == "multi_branch" and settings.get("img_size") is None:
        settings["img_size"] = request.data.get("size")
    if kind == "timm":
        settings["kwargs"] = _sized(settings, request.data.get("size"))
    with current_directory_importable():
        built = build_model(kind, **settings)
    report = load_checkpoint(
        built.module, request.checkpoint, min_coverage=request.min_coverage, drop=built.drop, require=built.require
    )
    built.module.to(device_of(request.accelerator)).eval()
    return built, report


def _sized(settings: Mapping[str, Any], size: Any) -> dict[str, Any]:
    """timm's keyword arguments, with the data's size for a model that is built for one size."""
    from seewhy.models.from_timm import takes_one_size

    given = dict(settings.get("kwargs") or {})
    name = settings.get("name")
    if size is None or "img_size" in given or not isinstance(name, str) or not takes_one_size(name):
        return given
    return {**given, "img_size": size}


def device_of(accelerator: str) -> torch.device:
    """``auto`` is a GPU where there is one; a device asked for by name must be there."""
    if accelerator == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    name = "cuda" if accelerator == "gpu" else accelerator
    known = ("auto", "cpu", "gpu", "cuda", "mps")
    if name.partition(":")[0] not in known:
        raise ConfigError(
            "SW-F25", f"there is no accelerator {accelerator!r}", near=nearest(accelerator, known),
            fix=f"use one of {', '.join(known)}",
        )  # fmt: skip
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            "SW-F26", f"accelerator={accelerator} was asked for, but there is no CUDA device", fix="use cpu"
        )
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("SW-F26", "accelerator=mps was asked for, but there is no MPS device", fix="use cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigError(
            "SW-F25", f"there is no accelerator {accelerator!r}", fix="write cuda:0, cuda:1 ..."
        ) from error


def build_dataset(request: Request, preprocessing: Preprocessing | None) -> Dataset:
    """The data set of a run; size, mean, std and crop left open are those the model was made for."""
    return dataset_of(request.data, preprocessing, request.settings.frames_first or ())


def dataset_of(
    data: Mapping[str, Any], preprocessing: Preprocessing | None, frames_first: Sequence[str] = ()
) -> Dataset:
    """The data set of a data group; ``frames_first`` is for one of the user's own."""
    settings = {key: value for key, value in data.items() if value is not None}
    kind = settings.pop("kind", None) or ("custom" if "_target_" in settings else None)
    if kind not in DATA_KINDS:
        raise ConfigError(
            "SW-F27", f"there is no data kind {kind!r}", near=nearest(str(kind), DATA_KINDS),
            fix=f"choose data=... among {', '.join(DATA_KINDS)}",
        )  # fmt: skip
    if kind == "custom":
        return _custom(settings, frames_first)
    settings.pop("architecture", None)  # what inspect_features builds for a bare .pth
    factory, follows = _factory(kind)
    known = inspect.signature(factory).parameters
    for key in settings:
        if key not in known:
            raise ConfigError(
                "SW-F28",
                f"{kind} has no setting data.{key}",
                near=nearest(key, (*known, *LOADING)),
                fix=f"known are {', '.join((*known, *LOADING))}",
            )
    defaults = {key: value for key, value in following(preprocessing).items() if key in follows}
    dataset: Dataset = factory(**{**defaults, **settings})
    return dataset


def data_parameters(kind: str) -> Mapping[str, inspect.Parameter]:
    """What the data set of a kind takes, by name; nothing of one of the user's own."""
    return {} if kind == "custom" else inspect.signature(_factory(kind)[0]).parameters


def _factory(kind: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """A kind's class, and which settings follow the model where they are left open."""
    if kind == "image_folder":
        from seewhy.data.image_folder import ImageFolder

        return ImageFolder, ("size", "mean", "std", "crop_ratio")
    if kind == "manifest":
        from seewhy.data.manifest import Manifest

        return Manifest, ("size", "mean", "std", "crop_ratio")
    if kind == "multi_input":
        from seewhy.data.multi_input import MultiInput

        return MultiInput, ("size", "mean", "std", "crop_ratio")
    if kind == "volumes":
        from seewhy.data.volume_folder import VolumeFolder

        return VolumeFolder, ()
    if kind in ("clips", "video"):
        from seewhy.data.clip_folder import ClipFolder

        return ClipFolder, ("size", "mean", "std", "crop_ratio")
    if kind == "cmr_acdc":
        from seewhy.data.cmr_acdc import CmrAcdc

        return CmrAcdc, ("size",)
    from seewhy.data.cluttered_digits import ClutteredDigits

    return ClutteredDigits, ()


def following(preprocessing: Preprocessing | None) -> dict[str, Any]:
    """How a model wants to be fed, as settings of a data set; empty where nobody knows."""
    if preprocessing is None:
        return {}
    known = {"size": list(preprocessing.size), "crop_ratio": preprocessing.crop}
    if preprocessing.mean is not None and preprocessing.std is not None:
        known |= {"mean": list(preprocessing.mean), "std": list(preprocessing.std)}
    return known


def _custom(settings: Mapping[str, Any], frames_first: Sequence[str]) -> Dataset:
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    from seewhy.data.custom import CustomDataset

    shown = {key: settings[key] for key in ("mean", "std", "class_names") if key in settings}
    with current_directory_importable():
        try:
            made = instantiate({key: value for key, value in settings.items() if key not in shown})
        except InstantiationException as error:
            cause = error.__cause__
            if isinstance(cause, SeewhyError):
                raise cause from error
            raise DataError(
                "SW-D93", f"your data set {settings.get('_target_')!r} cannot be made: {error}",
                fix="data._target_ is a class you can import from here, and all other data keys are its arguments",
            ) from error  # fmt: skip
        return CustomDataset(made, frames_first=frames_first, **shown)
