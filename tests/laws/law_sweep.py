"""What the laws are swept over: every registered method on every model it can be asked about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Target
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.pixels import Normalisation
from seewhy.registry import METHODS, Method
from seewhy.targets import Logit
from toys import Branches, ChannelsLastNet, ConvNet, FramesNet, Vit

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Subject:
    """A model family at one input size; ``second`` is the shape of a second input's records, channels in front.

    With ``frames_first`` the model takes its clips as ``(B, T, C, H, W)``.
    """

    name: str
    build: Callable[[], nn.Module]
    size: tuple[int, ...]
    attends: bool = False
    second: tuple[int, ...] = ()
    frames_first: bool = False

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.build()

    def inputs(self, records: int = 3, seed: int = 1) -> Inputs:
        generator = torch.Generator().manual_seed(seed)
        inputs = {"image": torch.randn(records, 2, *self.size, generator=generator)}
        return inputs | ({"second": torch.randn(records, *self.second, generator=generator)} if self.second else {})

    def adapter(self, model: nn.Module, inputs: Inputs) -> Adapter:
        """The model traced on these inputs, told how they came from pixels."""
        clips = ("image",) if self.frames_first else ()
        channels = (0.4, 0.5, 0.6)[: self.second[0]] if self.second else ()
        known = {"image": NORMALISATION} | ({"second": Normalisation(channels, channels)} if channels else {})
        return Adapter(model, inputs, normalisation=known, frames_first=clips)


SUBJECTS = (
    Subject("1-D convolutions", lambda: ConvNet(1), (21,)),
    Subject("2-D convolutions", lambda: ConvNet(2), (16, 16)),
    Subject("non-square odd picture", lambda: ConvNet(2), (13, 22)),
    Subject("3-D convolutions", lambda: ConvNet(3), (6, 9, 7)),
    Subject("channels last", ChannelsLastNet, (12, 8)),
    Subject("1-D tokens", lambda: Vit((32,)), (32,), attends=True),
    Subject("tokens", Vit, (16, 16), attends=True),
    Subject("tokens, non-square, registers", lambda: Vit((8, 20), prefix=3), (8, 20), attends=True),
    Subject("tokens without a class token", lambda: Vit((8, 12), prefix=0), (8, 12), attends=True),
    Subject("3-D tokens", lambda: Vit((8, 4, 8)), (8, 4, 8), attends=True),
    Subject("tokens, multi-head module", lambda: Vit(kernel="mha"), (16, 16), attends=True),
    Subject(
        "two inputs of convolutions", lambda: Branches(ConvNet(2), ConvNet(2, channels=3)), (12, 10), second=(3, 9, 7)
    ),
    Subject("a picture and a signal", lambda: Branches(ConvNet(2), ConvNet(1, channels=1)), (9, 11), second=(1, 21)),
    Subject("two inputs, one trunk", lambda: Branches(*[ConvNet(2)] * 2), (8, 10), second=(2, 8, 10)),
    Subject(
        "two inputs of tokens", lambda: Branches(Vit((8, 12)), Vit((16, 8))), (8, 12), attends=True, second=(2, 16, 8)
    ),
    Subject("frames of a clip", lambda: FramesNet(ConvNet(2)), (4, 9, 8), frames_first=True),
    Subject("frames of a clip, tokens", lambda: FramesNet(Vit((8, 12))), (3, 8, 12), frames_first=True),
)


NORMALISATION = Normalisation((0.4, 0.5), (0.2, 0.3))

FEW: dict[str, dict[str, object]] = {
    "integrated_gradients": {"steps": 6},
    "smoothgrad": {"num_samples": 5},
    "vargrad": {"num_samples": 5},
    "gradient_shap": {"num_samples": 5},
    "rise": {"num_masks": 12},
    "lime": {"num_samples": 60, "segments": 9},
    "kernel_shap": {"num_samples": 60, "segments": 9},
    "external": {"name": "captum.Saliency"},
}
"""Settings that keep a sampling method short enough to be swept; the laws hold for any number of samples."""

ONLY_FOR: dict[str, Callable[[Subject], bool]] = {
    "guided_backprop": lambda subject: "convolutions" in subject.name or "picture" in subject.name,
    "guided_gradcam": lambda subject: "convolutions" in subject.name or "picture" in subject.name,
    "lime": lambda subject: len(subject.size) == 2 and len(subject.second) in (0, 3),
    "kernel_shap": lambda subject: len(subject.size) == 2 and len(subject.second) in (0, 3),
    "legrad": lambda subject: not subject.second,
    "deeplift": lambda subject: "convolutions" in subject.name or "picture" in subject.name,
}
"""Methods that cannot be asked of every subject."""


@dataclass(frozen=True)
class Case:
    """One method on one subject."""

    method: Method
    subject: Subject

    def ask(
        self,
        model: nn.Module,
        inputs: Inputs,
        targets: Sequence[Target] = (Logit(),),
        **settings: object,
    ) -> Explanation:
        """The explanation by a fresh probe, its model traced on these inputs."""
        return self.again(self.subject.adapter(model, inputs), inputs, targets, **settings)

    def again(
        self, adapter: Adapter, inputs: Inputs, targets: Sequence[Target] = (Logit(),), **settings: object
    ) -> Explanation:
        """The explanation of a model that was traced before."""
        asked = Asked(self.method.name, settings={**FEW.get(self.method.name, {}), **settings})
        return asked(Probe(adapter, targets), inputs)

    def explain(
        self, model: nn.Module, inputs: Inputs, targets: Sequence[Target] = (Logit(),), **settings: object
    ) -> Tensor:
        """Raw maps ``(K, B, places of all inputs)``; a method that asks about no class answers all targets alike."""
        maps = self.ask(model, inputs, targets, **settings).maps
        assert set(maps) == set(inputs)
        return torch.cat([values.flatten(2) for values in maps.values()], dim=2)


CASES = [
    Case(method, subject)
    for method in METHODS.values()
    for subject in SUBJECTS
    if (subject.attends or not method.needs_attention) and ONLY_FOR.get(method.name, lambda _: True)(subject)
]
LINEAR = [case for case in CASES if case.method.linear]


def named(case: Case) -> str:
    return f"{case.method.name}, {case.subject.name}"
