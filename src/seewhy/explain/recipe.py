"""How pictures become a model's input, and on whose word: the model's own where it has one, else said to be assumed."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from torch import nn

from seewhy.data.geometry import INTERPOLATIONS
from seewhy.data.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from seewhy.data.pictures import Window
from seewhy.explain.learnt_transform import LearntTransform
from seewhy.models import built
from seewhy.models.borrow import unwrapped
from seewhy.pixels import Normalisation
from seewhy.values import ConfigError, nearest

Given: TypeAlias = (
    "Preprocessing | built.Preprocessing | LearntTransform | Mapping[str, Any] | Callable[..., Any] | None"
)
SETTINGS: Final = ("size", "mean", "std", "crop", "crop_ratio", "interpolation", "background", "max_pixels", "window")
ASSUMED_SIZE, ASSUMED_RATIO = 224, 224 / 256

_learnt: weakref.WeakKeyDictionary[nn.Module, built.Built] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Recipe:
    """What is done to a picture before the model sees it, and who said so.

    ``assumed``: nobody did. ``window`` is the black and white of pictures whose numbers have no range of their own.
    """

    how: Preprocessing | LearntTransform
    source: str
    assumed: bool = False
    window: Window | None = None

    @property
    def normalisation(self) -> Normalisation:
        """How the input's values come from pixels."""
        return self.how.normalisation

    @property
    def channels(self) -> int:
        """How many channels an input has."""
        return len(self.normalisation.mean)

    def __str__(self) -> str:
        mean, std = (
            ", ".join(f"{value:g}" for value in values) for values in (self.normalisation.mean, self.normalisation.std)
        )
        return f"{self.source}: {_shape_of(self.how)}mean ({mean}), std ({std})"


def remember(model: nn.Module, facts: built.Built) -> None:
    """Keep what building a model told about feeding it, for as long as the model lives."""
    _learnt[model] = facts


def remembered(model: nn.Module) -> built.Built | None:
    """What building this model told, if it was built here."""
    return _learnt.get(model)


def find_recipe(model: nn.Module, given: Given = None) -> Recipe:
    """The preprocessing of a model, from the first that tells of it.

    In this order: what the caller gives, what building the model told, the model's own ``preprocess`` method, the
    settings that timm keeps with a model or with the one it wraps. Otherwise ImageNet's normalisation is assumed, and
    said to be: ``Recipe.assumed``. A fixed input size is read off the model in either case.

    Raises:
        ConfigError: ``SW-F70`` to ``SW-F73``, a preprocessing that cannot be used.
        DataError: ``SW-D01``, a setting out of range.
    """
    if given is not None:
        return _from_caller(model, given)
    bare = unwrapped(model)
    facts = remembered(model) or remembered(bare)
    if facts is not None and facts.preprocessing is not None:
        return Recipe(_from_built(facts.preprocessing, bare), f"{facts.facts.get('kind', 'built')}'s settings")
    if callable(own := getattr(bare, "preprocess", None)):
        return Recipe(LearntTransform(own), "the model's own preprocess method")
    found = list({repr(sorted(config.items(), key=str)): config for config in _timm_settings(bare)}.values())
    if len(found) == 1:
        return Recipe(_from_timm(found[0], bare), "timm's settings of the model")
    return _assumed(bare)


def _from_caller(model: nn.Module, given: Any) -> Recipe:
    if hasattr(given, "transforms") and hasattr(given, "meta"):  # a torchvision weights entry
        given = given.transforms()
    if isinstance(given, Preprocessing | LearntTransform):
        return Recipe(given, "as given")
    if isinstance(given, built.Preprocessing):
        return Recipe(_from_built(given, unwrapped(model)), "as given")
    if isinstance(given, Mapping):
        return _from_settings(model, given)
    if callable(given):
        return Recipe(LearntTransform(given), "the given transform")
    raise ConfigError(
        "SW-F73",
        f"preprocessing must be a mapping of settings or a transform, got {type(given).__name__}",
        fix="write preprocessing={'size': 224, 'mean': [...], 'std': [...]}, or pass the evaluation transform",
    )


def _from_settings(model: nn.Module, given: Mapping[str, Any]) -> Recipe:
    """Settings of the caller's over what the model says."""
    for name in given:
        if name not in SETTINGS:
            raise ConfigError(
                "SW-F73",
                f"preprocessing has no setting {name!r}",
                near=nearest(str(name), SETTINGS),
                fix=f"known are {', '.join(SETTINGS)}",
            )
    base = find_recipe(model)
    window = given.get("window")
    settings = {name: value for name, value in given.items() if name != "window"}
    if not settings:
        return Recipe(base.how, base.source, base.assumed, window)
    if isinstance(base.how, LearntTransform):
        base = _assumed(unwrapped(model))
    known: Preprocessing = base.how  # type: ignore[assignment]
    if isinstance(settings.get("crop"), int | float):
        settings["crop_ratio"] = settings.pop("crop")
    mean = settings.pop("mean", known.normalisation.mean)
    std = settings.pop("std", known.normalisation.std)
    rest = {"crop": known.crop, "crop_ratio": known.crop_ratio, "interpolation": known.interpolation, **settings}
    how = Preprocessing.checked(rest.pop("size", known.size), mean, std, **rest)
    told = {"size", "mean", "std"} <= set(given)
    return Recipe(how, "as given" if told else f"as given over {base.source}", base.assumed and not told, window)


def _from_built(known: built.Preprocessing, model: nn.Module) -> Preprocessing:
    mean, std = known.mean, known.std
    if mean is None or std is None:
        assumed = _assumed(model).normalisation
        mean, std = assumed.mean, assumed.std
    return Preprocessing.checked(
        known.size, mean, std, crop_ratio=known.crop, interpolation=_resampling(known.interpolation)
    )


def _timm_settings(model: nn.Module) -> Iterator[Mapping[str, Any]]:
    for module in model.modules():
        config = getattr(module, "pretrained_cfg", None)
        if isinstance(config, Mapping) and {"input_size", "mean", "std"} <= set(config):
            yield config


def _from_timm(config: Mapping[str, Any], model: nn.Module) -> Preprocessing:
    size = fixed_size(model) or tuple(config["input_size"][1:])
    squashed = config.get("crop_mode") == "squash"
    return Preprocessing.checked(
        size,
        config["mean"],
        config["std"],
        crop="none" if squashed else "center",
        crop_ratio=float(config.get("crop_pct") or ASSUMED_RATIO),
        interpolation=_resampling(str(config.get("interpolation"))),
    )


def _assumed(model: nn.Module) -> Recipe:
    channels = _input_channels(model)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    if channels == 1:
        mean, std = (sum(IMAGENET_MEAN) / 3,), (sum(IMAGENET_STD) / 3,)
    size = fixed_size(model) or (ASSUMED_SIZE, ASSUMED_SIZE)
    if channels not in (1, 3):
        as_they_are = Normalisation((0.0,) * channels, (1.0,) * channels)
        return Recipe(
            Preprocessing(size, as_they_are), "assumed, since the model tells of none: values as they are", True
        )
    how = Preprocessing.checked(size, mean, std, crop_ratio=ASSUMED_RATIO)
    return Recipe(how, "assumed, since the model tells of none (ImageNet's)", assumed=True)


def fixed_size(model: nn.Module) -> tuple[int, int] | None:
    """The input size ``(height, width)`` that a model says it is built for, where it says so."""
    embedding = getattr(model, "patch_embed", None)
    told = (
        getattr(embedding, "img_size", None),
        getattr(model, "image_size", None),
        getattr(getattr(model, "config", None), "image_size", None),
    )
    for size in told:
        if type(size) is int:
            return size, size
        if isinstance(size, tuple | list) and len(size) == 2:
            return int(size[0]), int(size[1])
    return None


def _input_channels(model: nn.Module) -> int:
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    return 3 if first is None else first.in_channels


def _resampling(name: str) -> str:
    """A library's name for an interpolation; what is drawn at random in training is bilinear here."""
    return name if name in INTERPOLATIONS else "bilinear"


def _shape_of(how: Preprocessing | LearntTransform) -> str:
    if isinstance(how, LearntTransform):
        return ""
    height, width = how.size
    if how.crop == "none":
        return f"stretched to {height}×{width} ({how.interpolation}), "
    resized = round(min(how.size) / how.crop_ratio)
    return f"short side to {resized}, centre {height}×{width} ({how.interpolation}), "
