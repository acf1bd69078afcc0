"""Parameter randomisation of a vit_tiny beside quantus: explanation passes, tensors left, and time.

Both arms explain the same pictures by the same plain gradient and compare by Spearman's rank correlation; only what is
drawn afresh, how often the model is asked, and how maps are compared differ. They take turns in one process, on one
thread, in processor time; the table shows medians.

Run: ``python benchmarks/randomization.py [rounds]``; needs the package quantus.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn

from seewhy.metrics.parameter_randomization import parameter_randomization, stages_of
from seewhy.models.adapter import Adapter
from seewhy.models.blocks_in_order import blocks_in_order
from seewhy.models.randomized import randomized

MODEL, RECORDS, CLASS = "vit_tiny_patch16_224", 2, 5


def trained() -> nn.Module:
    """A model none of whose tensors is as a scheme would leave it."""
    model = timm.create_model(MODEL)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.mul_(1 + 0.3 * torch.randn_like(tensor)).add_(0.01 * torch.randn_like(tensor))
    return model.eval()


def pictures() -> Tensor:
    return torch.randn(RECORDS, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def gradient(model: nn.Module, images: Tensor) -> Tensor:
    """The magnitude of the gradient of one class, its largest over channels."""
    with torch.enable_grad():
        leaf = images.clone().requires_grad_()
        (found,) = torch.autograd.grad(model(leaf)[:, CLASS].sum(), leaf)
    return found.abs().amax(dim=1)


class Ours:
    """Our metric, which counts how often it asks."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.images, self.passes = model, pictures(), 0
        self.adapter = Adapter(model, {"image": self.images})
        self.maps = gradient(model, self.images)

    def explain(self, model: nn.Module) -> Tensor:
        self.passes += 1
        return gradient(model, self.images)

    def __call__(self) -> object:
        self.passes = 0
        return parameter_randomization(self.maps, "magnitude", self.adapter, self.explain)

    def left(self) -> dict[str, Tensor]:
        """The parameters in the end."""
        *_, last = randomized(self.adapter, blocks_in_order(self.adapter))
        return {name: tensor.detach() for name, tensor in last.named_parameters()}


class Theirs:
    """quantus' metric with the same explanations."""

    def __init__(self, model: nn.Module) -> None:
        import quantus

        self.model, self.passes = model, 0
        self.images, self.maps = pictures().numpy(), gradient(model, pictures()).unsqueeze(1).numpy()
        self.metric = quantus.MPRT(disable_warnings=True)

    def explain(self, model: nn.Module, inputs: Any, targets: Any, **others: Any) -> Any:
        del targets, others
        self.passes += 1
        return gradient(model, torch.as_tensor(np.asarray(inputs))).unsqueeze(1).numpy()

    def __call__(self) -> object:
        self.passes = 0
        labels = np.full(RECORDS, CLASS)
        return self.metric(self.model, self.images, labels, a_batch=self.maps, explain_func=self.explain)

    def left(self) -> dict[str, Tensor]:
        from quantus.helpers.model.pytorch_model import PyTorchModel

        turns: Any = PyTorchModel(self.model, channel_first=True).get_random_layer_generator()
        for _, last in turns:
            found = dict(last.named_parameters())
        return {name: tensor.detach() for name, tensor in found.items()}


def not_drawn(model: nn.Module, left: dict[str, Tensor]) -> int:
    """How many tensors are as they were, or hold one number only."""
    own = dict(model.named_parameters())
    constant = {name for name, tensor in left.items() if bool((tensor == tensor.flatten()[0]).all())}
    return sum(name in constant or torch.equal(left[name], own[name]) for name in own)


def turns(rounds: int, *calls: Callable[[], object]) -> list[float]:
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, taken in zip(calls, times, strict=True):
            start = process_time()
            call()
            taken.append(process_time() - start)
    return [median(taken) for taken in times]


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    model = trained()
    tensors = len(list(model.parameters()))
    try:
        arms = {"seewhy": Ours(model), "quantus": Theirs(model)}
    except ImportError as error:
        raise SystemExit(f"this compares with quantus, which is not installed: {error}") from error
    times = dict(zip(arms, turns(rounds, *arms.values()), strict=True))
    for name, arm in arms.items():
        left = not_drawn(model, arm.left())
        print(f"{name}: {arm.passes} explanation passes, {left} of {tensors} tensors not drawn, {times[name]:.1f} s",
              flush=True)  # fmt: skip
    print(f"{MODEL}, {RECORDS} pictures: passes bar 14, {len(stages_of(arms['seewhy'].adapter))} stages; "
          f"time ratio {times['seewhy'] / times['quantus']:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
