"""One diagnosis from several pictures: a backbone for each named input, their features side by side, one head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.models.backbones import Backbone, build_backbone
from seewhy.models.built import Built, Preprocessing, check_classes, parameter_count, tensors_under
from seewhy.models.per_input import check_input_names, of_each_input
from seewhy.values import ModelError, nearest

ChannelAdapter = Literal["to3", "none"]
Frame = int | tuple[int, int]


class MultiBranch(nn.Module):
    """``backbone1`` to ``backboneN``, one per named input, pooled; their features concatenated; a head of two layers.

    ``backbone`` is one name for all inputs or one by input name (:func:`seewhy.models.backbones.build_backbone`), and
    so are ``channels`` and ``img_size``. ``channel_adapter="to3"`` is one 1 × 1 convolution, shared by all inputs, to
    the three channels that backbones are made for; ``"none"`` builds every backbone for its input's own channels.
    ``widths`` are the feature widths, read from the backbones; ``input_names`` the inputs in their order.

    The pictures ``(B, C, H, W)``, of a size for each input of its own, are passed in order, by name, or as one list;
    the result is the logits ``(B, num_classes)``.

    Raises:
        ModelError: ``SW-M55`` a number of classes, ``SW-M62`` input names, ``SW-M64`` a setting that does not name
            every input, ``SW-M65`` a channel adapter that cannot be, ``SW-M69`` a size out of range, and those of the
            backbones; when called, ``SW-M67`` inputs that are missing or unknown, ``SW-M68`` an input of another shape.

    Example:
        >>> model = MultiBranch(["mnv", "fluid"], "test_efficientnet", 4).eval()
        >>> mnv, fluid = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 48, 48)
        >>> torch.equal(model(mnv, fluid), model(fluid=fluid, mnv=mnv))
        True
    """

    def __init__(
        self,
        inputs: Sequence[str],
        backbone: str | Mapping[str, str],
        num_classes: int,
        *,
        channels: int | Mapping[str, int] = 1,
        channel_adapter: ChannelAdapter = "to3",
        hidden: int = 512,
        dropout: float = 0.0,
        img_size: Frame | Mapping[str, Frame | None] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.input_names = check_input_names(inputs)
        self.channels: dict[str, int] = of_each_input("channels", channels, self.input_names)
        self.num_classes = num_classes
        _check_numbers(num_classes, hidden, dropout, self.channels)
        self.to3 = _adapter_of(channel_adapter, self.channels)
        made = _backbones(
            of_each_input("backbone", backbone, self.input_names),
            dict.fromkeys(self.input_names, 3) if self.to3 is not None else self.channels,
            of_each_input("img_size", img_size, self.input_names),
            kwargs,
        )
        self.backbone_names = {name: one.name for name, one in made.items()}
        self.widths = {name: one.width for name, one in made.items()}
        self.preprocessing = {name: one.preprocessing for name, one in made.items()}
        for number, one in enumerate(made.values(), start=1):
            self.add_module(f"backbone{number}", one.module)
        self.head = nn.Sequential(
            nn.Linear(sum(self.widths.values()), hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, num_classes)
        )

    def branch(self, name: str) -> nn.Module:
        """The backbone of an input. Raises ``ModelError`` SW-M67 for a name that is no input."""
        if name not in self.input_names:
            raise self._wrong_inputs(f"there is no input {name!r}", near=nearest(name, self.input_names))
        return self.get_submodule(f"backbone{self.input_names.index(name) + 1}")

    def forward(self, *pictures: Any, **by_name: Tensor) -> Float[Tensor, "b classes"]:
        """The logits, from every input once: in order, by name, or as one list or dict."""
        given = self._by_name(pictures, by_name)
        return self.head(torch.cat([self.features(name, given[name]) for name in self.input_names], dim=1))  # type: ignore[no-any-return]

    def features(self, name: str, picture: Float[Tensor, "b c h w"]) -> Float[Tensor, "b width"]:
        """The pooled features of one input."""
        if picture.ndim != 4 or picture.shape[1] != self.channels[name]:
            raise ModelError(
                "SW-M68",
                f"input {name!r} must be (B, {self.channels[name]}, H, W), got {tuple(picture.shape)}",
                fix="prepare the picture with this many channels, or build the model with channels for this input",
            )
        return self.branch(name)(picture if self.to3 is None else self.to3(picture))  # type: ignore[no-any-return]

    def _by_name(self, pictures: tuple[Any, ...], by_name: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if len(pictures) == 1 and not by_name and isinstance(pictures[0], list | tuple | Mapping):
            whole = pictures[0]
            pictures, by_name = ((), whole) if isinstance(whole, Mapping) else (tuple(whole), {})
        in_order = dict(zip(self.input_names, pictures, strict=False))
        given = {**in_order, **by_name}
        missing = [name for name in self.input_names if name not in given]
        unknown = [str(name) for name in given if name not in self.input_names]
        problems = {
            "missing": ", ".join(missing),
            "unknown": ", ".join(unknown),
            "given twice": ", ".join(name for name in by_name if name in in_order),
            "too many": f"{len(pictures)} in order" if len(pictures) > len(self.input_names) else "",
        }
        if any(problems.values()):
            found = "; ".join(f"{problem}: {which}" for problem, which in problems.items() if which)
            raise self._wrong_inputs(found, near=nearest(unknown[0], missing) if unknown else ())
        return given

    def _wrong_inputs(self, found: str, near: Sequence[str] = ()) -> ModelError:
        return ModelError(
            "SW-M67",
            f"this model takes {len(self.input_names)} inputs ({', '.join(self.input_names)}); {found}",
            near=near,
            fix="pass every input once, in this order or by name",
        )


def build_multi_branch(
    inputs: Sequence[str],
    backbone: str | Mapping[str, str],
    num_classes: int,
    channels: int | Mapping[str, int] = 1,
    channel_adapter: ChannelAdapter = "to3",
    hidden: int = 512,
    dropout: float = 0.0,
    img_size: Frame | Mapping[str, Frame | None] | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> Built:
    """A :class:`MultiBranch` with random weights, the facts of how it was built and what its backbones are fed."""
    module = MultiBranch(
        inputs, backbone, num_classes, channels=channels, channel_adapter=channel_adapter, hidden=hidden,
        dropout=dropout, img_size=_frames(img_size), kwargs=kwargs,
    )  # fmt: skip
    return Built(
        module=module,
        facts={
            "kind": "multi_branch",
            "inputs": list(module.input_names),
            "backbone": module.backbone_names,
            "num_classes": num_classes,
            "channels": module.channels,
            "channel_adapter": channel_adapter,
            "hidden": hidden,
            "kwargs": dict(kwargs or {}),
            "parameters": parameter_count(module),
        },
        preprocessing=_preprocessing(module),
        require=tensors_under("head"),
    )


def _backbones(
    names: Mapping[str, str],
    channels: Mapping[str, int],
    sizes: Mapping[str, Frame | None],
    kwargs: Mapping[str, Any] | None,
) -> dict[str, Backbone]:
    return {
        name: build_backbone(names[name], channels=channels[name], img_size=sizes[name], kwargs=kwargs)
        for name in names
    }


def _adapter_of(channel_adapter: str, channels: Mapping[str, int]) -> nn.Conv2d | None:
    if channel_adapter == "none":
        return None
    counts = sorted(set(channels.values()))
    if channel_adapter == "to3" and len(counts) == 1:
        return nn.Conv2d(counts[0], 3, kernel_size=1)
    known = get_args(ChannelAdapter)
    raise ModelError(
        "SW-M65",
        f"inputs of {' and '.join(map(str, counts))} channels cannot share one convolution to three"
        if channel_adapter == "to3"
        else f"channel_adapter must be one of {', '.join(known)}, got {channel_adapter!r}",
        near=[] if channel_adapter == "to3" else nearest(str(channel_adapter), known),
        fix="use channel_adapter=none: every backbone is then built for its input's channels",
    )


def _check_numbers(num_classes: Any, hidden: Any, dropout: Any, channels: Mapping[str, Any]) -> None:
    check_classes(num_classes, least=1)
    whole = {"hidden": hidden, **{f"channels of {name}": count for name, count in channels.items()}}
    wrong = [f"{name}={value!r}" for name, value in whole.items() if type(value) is not int or value < 1]
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        wrong.append(f"dropout={dropout!r}")
    if num_classes is None:
        wrong.append("num_classes=None")
    if wrong:
        raise ModelError(
            "SW-M69",
            f"a model with several inputs cannot be built with {', '.join(wrong)}",
            fix="num_classes, hidden and channels are whole numbers from 1 on, dropout is a number from 0 to below 1",
        )


def _frames(img_size: Any) -> Any:
    """Sizes as they come from a configuration, ``[height, width]``, as the libraries take them."""
    if isinstance(img_size, Mapping):
        return {name: _frames(value) for name, value in img_size.items()}
    return tuple(img_size) if isinstance(img_size, list) else img_size


def _preprocessing(module: MultiBranch) -> Preprocessing | None:
    """What the first backbone is fed. Where a convolution stands before it, nobody knows the values it was fed."""
    first = module.preprocessing[module.input_names[0]]
    if first is None or (module.to3 is None and set(module.channels.values()) == {3}):
        return first
    return Preprocessing(first.size, first.crop, interpolation=first.interpolation)
