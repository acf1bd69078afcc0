"""The one place where a command line's MODEL becomes a model: ``timm:resnet18``, ``demo:cnn``, ``my_package.MyModel``.

The parser's part is light: nothing heavy is imported before a model is opened.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy.cli.assignments import assignments
from seewhy.remote.address import as_place
from seewhy.values import ConfigError, nearest

if TYPE_CHECKING:
    from torch import nn

    from seewhy.core import Inputs
    from seewhy.models.built import Built, Preprocessing
    from seewhy.pixels import Normalisation

LIBRARIES = ("timm", "torchvision", "demo")
EYES = "eyes"
"""The example of several inputs, which the command `gradcam` trains."""
FORMS = "timm:NAME, torchvision:NAME, demo:cnn, demo:vit, demo:eyes, or the dotted name of your own class or function"
DEFAULT_SIZE = (224, 224)


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from: one of ``LIBRARIES``, or ``custom`` for code of the user's own."""

    kind: str
    name: str


@dataclass(frozen=True)
class ModelRequest:
    """A model as a command line asks for it; what is None is left to the library."""

    source: ModelSource
    checkpoint: str | Path | None = None
    num_classes: int | None = None
    size: tuple[int, ...] | None = None
    channels: int | None = None
    arguments: Mapping[str, Any] | None = None
    device: str = "auto"


@dataclass(frozen=True)
class OpenedModel:
    """A model on its device, and what is known of its inputs.

    ``weights`` says in words where the weights came from; ``trained`` is whether they came from anywhere.
    ``asked_size`` is the input size that the user asked for; ``size`` the one it has.
    """

    module: nn.Module
    weights: str
    trained: bool
    size: tuple[int, ...]
    channels: int
    asked_size: tuple[int, ...] | None = None
    preprocessing: Preprocessing | None = None
    class_names: tuple[str, ...] | None = None
    headless: bool = False

    @property
    def normalisation(self) -> Normalisation | None:
        """How the model's library makes values of pixels; None where it does not say."""
        from seewhy.pixels import Normalisation

        if self.preprocessing is None or self.preprocessing.mean is None or self.preprocessing.std is None:
            return None
        return Normalisation(self.preprocessing.mean, self.preprocessing.std)

    def random_inputs(self, size: tuple[int, ...] | None = None) -> Inputs:
        """Two records of standard normal numbers for every input of the model, the same in every run."""
        import torch

        generator = torch.Generator().manual_seed(0)
        each = getattr(self.module, "channels", {"image": self.channels})
        channels = each if isinstance(each, Mapping) else {"image": self.channels}
        shape = size or self.size
        return {name: torch.randn(2, count, *shape, generator=generator) for name, count in channels.items()}


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The options that say how MODEL is built, the same for every command."""
    parser.add_argument("--checkpoint", type=as_place, metavar="FILE", help="the weights (.ckpt, .pth, .safetensors)")
    parser.add_argument("--num-classes", type=int, metavar="N", help="number of classes the model was trained with")
    parser.add_argument("--size", metavar="HxW", help="input size, such as 224, 224x192 or 16x112x112")
    parser.add_argument("--channels", type=int, metavar="N", help="input channels (default: 3)")
    parser.add_argument(
        "--model-arg", action="append", default=[], metavar="KEY=VALUE",
        help="an argument for the library or your own class; may be repeated",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")


def model_request(model: str, asked: argparse.Namespace) -> ModelRequest:
    """The request behind the words of :func:`add_model_options`.

    Raises:
        ConfigError: ``SW-F80`` MODEL is not understood, ``SW-F81`` a size, ``SW-F82`` an argument without a value.
    """
    return ModelRequest(
        source=parse_model(model),
        checkpoint=asked.checkpoint,
        num_classes=asked.num_classes,
        size=parse_size(asked.size) if asked.size else None,
        channels=asked.channels,
        arguments=assignments(asked.model_arg, "--model-arg"),
        device=asked.device,
    )


def parse_model(text: str) -> ModelSource:
    """Where a MODEL of the command line comes from.

    Raises:
        ConfigError: ``SW-F80``, the text is in none of the forms.

    Example:
        >>> parse_model("timm:resnet18"), parse_model("my_package.nets.Net").kind
        (ModelSource(kind='timm', name='resnet18'), 'custom')
    """
    library, colon, name = text.partition(":")
    if colon and library in LIBRARIES and name:
        return ModelSource(library, name)
    if not colon and len(parts := text.split(".")) > 1 and all(part.isidentifier() for part in parts):
        return ModelSource("custom", text)
    guesses = nearest(library, LIBRARIES) if colon else ["timm", "torchvision"]
    raise ConfigError(
        "SW-F80", f"the model {text!r} is not understood", fix=f"write {FORMS}",
        near=[f"{guess}:{(name or 'NAME') if colon else text}" for guess in guesses],
    )  # fmt: skip


def parse_size(text: str) -> tuple[int, ...]:
    """A size of the command line; one number is a square.

    Raises:
        ConfigError: ``SW-F81``.

    Example:
        >>> parse_size("64"), parse_size("8x64x32")
        ((64, 64), (8, 64, 32))
    """
    parts = text.lower().replace("×", "x").split("x")
    if not all(part.isdecimal() and int(part) for part in parts):
        raise ConfigError("SW-F81", f"{text!r} is no input size", fix="write 224, 224x192 or 16x112x112")
    lengths = tuple(map(int, parts))
    return lengths * 2 if len(lengths) == 1 else lengths


def open_model(request: ModelRequest) -> OpenedModel:
    """Build the model, load its checkpoint, and put it on its device.

    Raises:
        ModelError: ``SW-M50`` to ``SW-M61``, it cannot be built. CheckpointError: it does not fit its checkpoint.
        ConfigError: ``SW-F25`` or ``SW-F26``, the device.
    """
    from seewhy.cli.build import device_of
    from seewhy.explain.recipe import remember
    from seewhy.models.load import load_checkpoint

    device = device_of(request.device)
    built, weights = _build(request)
    if request.checkpoint is not None:
        report = load_checkpoint(built.module, request.checkpoint, drop=built.drop, require=built.require)
        weights = report.summary()
    built.module.to(device).eval()
    remember(built.module, built)
    known = built.preprocessing.size if built.preprocessing else DEFAULT_SIZE
    arguments = request.arguments or {}
    return OpenedModel(
        module=built.module,
        weights=weights or "random weights",
        trained=bool(weights),
        size=request.size or known,
        channels=request.channels or int(arguments.get("in_chans", 3)),
        asked_size=request.size,
        preprocessing=built.preprocessing,
        class_names=built.class_names,
        headless=built.headless,
    )


def _build(request: ModelRequest) -> tuple[Built, str]:
    """The model, and where it got weights from without a checkpoint; "" where from nowhere."""
    from seewhy.models.build import build_model
    from seewhy.models.custom import current_directory_importable

    kind, name = request.source.kind, request.source.name
    arguments = dict(request.arguments or {})
    if kind == "demo":
        if request.num_classes is not None or arguments:
            raise ConfigError(
                "SW-F83", "the models of the demonstration are built as they were trained",
                fix="leave --num-classes and --model-arg out",
            )  # fmt: skip
        return _demo(name), "" if name == EYES else "the weights shipped with seewhy"
    if kind == "custom":
        classes = {} if request.num_classes is None else {"num_classes": request.num_classes}
        with current_directory_importable():
            return build_model("custom", _target_=name, **classes, **arguments), f"as {name} leaves them"
    if kind == "timm" and request.size and "img_size" not in arguments and _takes_one_size(name):
        arguments["img_size"] = request.size
    return build_model(kind, name=name, num_classes=request.num_classes, kwargs=arguments), ""


def _takes_one_size(name: str) -> bool:
    from seewhy.models.from_timm import takes_one_size

    return takes_one_size(name)


def _demo(name: str) -> Built:
    from seewhy.data.cluttered_digits import ClutteredDigits
    from seewhy.demo.models import KINDS, SIZE, load
    from seewhy.models.built import Built, Preprocessing

    if name == EYES:
        return _eyes()
    kind = next((kind for kind in KINDS if kind == name), None)
    if kind is None:
        known = [f"demo:{known}" for known in (*KINDS, EYES)]
        raise ConfigError("SW-F80", f"the model 'demo:{name}' is not understood", fix=f"write {' or '.join(known)}")
    module = load(kind)
    digits = ClutteredDigits()
    feeding = Preprocessing((SIZE, SIZE), mean=digits.normalisation.mean, std=digits.normalisation.std)
    return Built(module, {"kind": "demo", "name": name}, feeding, class_names=tuple(digits.class_names or ()))


def _eyes() -> Built:
    """The example of several inputs, as its training begins; ``--checkpoint`` gives it the weights of a training."""
    from seewhy.models.built import Built, Preprocessing
    from seewhy.training.configuration import check_config, read_config
    from seewhy.training.network import build_network

    config = check_config(read_config())
    height, width, _ = config.data.image_shape
    feeding = Preprocessing((height, width), mean=(0.5,), std=(0.5,))
    return Built(build_network(config), {"kind": "demo", "name": EYES}, feeding, class_names=tuple(config.data.names()))
