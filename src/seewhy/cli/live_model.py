"""The model of a run, built again from what the run says of it, with the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from seewhy.remote.address import as_place, name_of
from seewhy.report.live import LiveError
from seewhy.values import Json

if TYPE_CHECKING:
    from torch import nn

    from seewhy.cli.models import ModelRequest
    from seewhy.models.built import Built, Preprocessing

SHIPPED: Final = "demo:"
"""How a checkpoint is named that ships with the package: ``demo:cnn``."""
REBUILT: Final = ("timm", "torchvision", "mae_vit", "multi_branch")
"""The kinds of model that are built from settings alone; of the others a run says only what they are called."""
_OF_MAE: Final = ("img_size", "in_chans", "global_pool")


@dataclass(frozen=True)
class LoadedModel:
    """A model with weights, and what its builder knew of it; ``words`` say how the checkpoint fitted."""

    module: nn.Module
    words: str
    preprocessing: Preprocessing | None = None
    class_names: tuple[str, ...] | None = None
    headless: bool = False


def load_live_model(
    checkpoint: str, fingerprint: Mapping[str, Json], request: ModelRequest | None, device: str
) -> LoadedModel:
    """The model on its device in evaluation mode; ``request`` says what model it is where the run cannot.

    Raises:
        LiveError: ``SW-W51``, a model that cannot be built from the run. ConfigError: the device.
        ModelError: it cannot be built. CheckpointError: weights that cannot be read or do not fit.
    """
    from seewhy.cli.build import device_of
    from seewhy.models.load import load_checkpoint

    path = checkpoint_path(checkpoint)
    if request is not None:
        return _requested(request, path)
    told = fingerprint.get("model")
    facts: Mapping[str, Json] = told if isinstance(told, Mapping) else {}
    named = facts.get("model")
    if isinstance(named, str) and ":" in named:  # the words of `seewhy evaluate`
        from seewhy.cli.models import ModelRequest, parse_model

        return _requested(ModelRequest(parse_model(named), device=device), path)
    built = _built_from(facts, fingerprint.get("data"))
    report = load_checkpoint(built.module, path, drop=built.drop, require=built.require)
    built.module.to(device_of(device)).eval()
    return LoadedModel(
        built.module, _without_folder(report.summary(), path), built.preprocessing, built.class_names, built.headless
    )


def checkpoint_path(text: str) -> str | Path:
    """The place that ``--checkpoint`` names; ``demo:cnn`` and ``demo:vit`` are those shipped with the package.

    Example:
        >>> Path(checkpoint_path("runs/best.ckpt")).name, Path(checkpoint_path("demo:cnn")).name
        ('best.ckpt', 'cnn.safetensors')
    """
    from seewhy.demo.models import KINDS, asset

    kind = next((kind for kind in KINDS if text == f"{SHIPPED}{kind}"), None)
    if kind is not None:
        return asset(kind)
    place = as_place(text)
    return place.expanduser() if isinstance(place, Path) else place


def _without_folder(words: str, path: str | Path) -> str:
    """How a checkpoint fitted, without where it lies on this machine: pages show it."""
    return words.replace(str(path), name_of(path))


def _requested(request: ModelRequest, checkpoint: str | Path) -> LoadedModel:
    from seewhy.cli.models import open_model

    opened = open_model(replace(request, checkpoint=checkpoint))
    return LoadedModel(
        opened.module,
        _without_folder(opened.weights, checkpoint),
        opened.preprocessing,
        opened.class_names,
        opened.headless,
    )


def _built_from(facts: Mapping[str, Json], data: Json) -> Built:
    from seewhy.models.build import build_model

    kind = facts.get("kind")
    if kind not in REBUILT:
        raise LiveError(
            "SW-W51",
            f"the run does not say how to build its model again ({_called(facts)}); no code is imported on its word",
            fix="say what model it is with --model package.Class, or with --experiment NAME as the run was made",
        )
    return build_model(kind, **_settings(kind, facts, data))


def _called(facts: Mapping[str, Json]) -> str:
    named = facts.get("target") or facts.get("class") or facts.get("model") or facts.get("kind")
    return f"it is {str(named)[:120]!r}" if named else "it says nothing of it"


def _settings(kind: str, facts: Mapping[str, Json], data: Json) -> dict[str, Any]:
    """The settings of a builder from the facts that it left."""
    known = {name: value for name, value in facts.items() if name not in ("kind", "parameters")}
    kwargs = dict(known.get("kwargs") or {})
    if kind == "mae_vit":
        known.pop("name", None)
        known |= {name: kwargs.pop(name) for name in _OF_MAE if name in kwargs}
        known["kwargs"] = kwargs
    if kind == "multi_branch" and isinstance(data, Mapping):
        known["img_size"] = _sizes(data)
    return known


def _sizes(data: Mapping[str, Json]) -> Any:
    """The size of every input, as the data of a run tell it."""
    each = data.get("preprocessing")
    if isinstance(each, Mapping):
        return {name: tuple(one["size"]) for name, one in each.items()}
    size = data.get("size")
    return tuple(size) if isinstance(size, list) else size
