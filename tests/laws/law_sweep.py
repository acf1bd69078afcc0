"""What the laws are swept over: every registered method on every model it can be asked about."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import seewhy.methods.attention
import seewhy.methods.cam  # noqa: F401  (importing a room of methods registers them)
from seewhy.capture.probe import Probe
from seewhy.capture.tokens import GlobalAttention, find_attention
from seewhy.core import Capture, Target, Wants
from seewhy.models.adapter import Adapter
from seewhy.registry import METHODS, Method
from seewhy.targets import Logit
from toys import ChannelsLastNet, ConvNet, Vit

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Subject:
    """A model family at one input size."""

    name: str
    build: Callable[[], nn.Module]
    size: tuple[int, ...]
    attends: bool = False

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.build()

    def inputs(self, records: int = 3, seed: int = 1) -> Inputs:
        generator = torch.Generator().manual_seed(seed)
        return {"image": torch.randn(records, 2, *self.size, generator=generator)}


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
)


@dataclass(frozen=True)
class Case:
    """One method on one subject."""

    method: Method
    subject: Subject

    def explain(self, model: nn.Module, inputs: Inputs, targets: Sequence[Target] = (Logit(),)) -> Tensor:
        """Raw answers ``(K, B, ...)``; a method that reads no gradient answers all targets alike."""
        return answer(self.method, *pass_over(self.method, model, inputs, targets))


def pass_over(
    method: Method, model: nn.Module, inputs: Inputs, targets: Sequence[Target]
) -> tuple[Capture, GlobalAttention | None]:
    """Everything the method reads, from one pass; traced on these inputs."""
    adapter = Adapter(model, inputs)
    attends = "attention" in method.reads
    layer = (adapter.target_layer.layer,) if "activations" in method.reads else ()
    found = find_attention(adapter, inputs) if attends else None
    tokens = found.tokens if isinstance(found, GlobalAttention) else None
    calls = range(found.calls) if isinstance(found, GlobalAttention) else ()
    wants = Wants(
        activations=layer,
        gradients=layer if "gradients" in method.reads else (),
        attention=attends,
        heads_of=tuple(calls),
    )
    capture = Probe(adapter, targets, tokens=tokens).capture(inputs, wants)
    return capture, found if isinstance(found, GlobalAttention) else None


def answer(method: Method, capture: Capture, attention: GlobalAttention | None) -> Tensor:
    arguments: dict[str, object] = {}
    if attention is not None:
        takes_all_layers = "Sequence" in str(inspect.signature(method.function).parameters["attention"].annotation)
        arguments["attention"] = capture.attention if takes_all_layers else capture.attention[-1]
        arguments |= {"query": attention.query, "prefix": attention.grid.prefix}
    if "activations" in method.reads:
        (arguments["activations"],) = capture.activations.values()
    if "gradients" not in method.reads:
        return torch.stack([method.function(**arguments)] * len(capture.targets))
    (gradients,) = capture.gradients.values()
    return torch.stack([method.function(**arguments, gradients=gradient) for gradient in gradients])


CASES = [
    Case(method, subject)
    for method in METHODS.values()
    for subject in SUBJECTS
    if subject.attends or "attention" not in method.reads
]
LINEAR = [case for case in CASES if case.method.linear]


def named(case: Case) -> str:
    return f"{case.method.name}, {case.subject.name}"
