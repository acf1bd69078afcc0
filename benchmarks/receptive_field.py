"""What one unit sees, by 729 covered windows of 224 pixels, beside as many bare forwards in batches, on one thread.

The bare forwards run to the end of the model, and to the unit's layer alone (its modules called one after the other).
Runs alternate in one process, in processor time. Run: ``python benchmarks/receptive_field.py [rounds]``.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
import torchvision
from torch import nn

from seewhy.features.receptive_field import AT_ONCE_ON_CPU, covering, gradient_field, occlusion_field
from seewhy.features.unit import unit_at

SIZE, PATCH, STRIDE = 224, 16, 8
BAR = 1.1


def processor_time(work: Callable[[], object]) -> float:
    """Seconds of the processor, which another process on the machine does not lengthen much."""
    started = time.process_time()
    work()
    return time.process_time() - started


def forwards(model: nn.Module, count: int) -> Callable[[], None]:
    """So many bare forwards in batches of the size that the windows go in."""
    batch = torch.randn(AT_ONCE_ON_CPU, 3, SIZE, SIZE)

    def run() -> None:
        with torch.no_grad():
            for start in range(0, count, AT_ONCE_ON_CPU):
                model(batch[: count - start])

    return run


def ratios(layer: str, rounds: int) -> tuple[int, list[float], list[float], float]:
    """Windows, the ratios to forwards to the end and to the layer, and seconds of the gradient."""
    model = torchvision.models.resnet18().eval()
    names = [name for name, _ in model.named_children()]
    head = nn.Sequential(*[getattr(model, name) for name in names[: names.index(layer) + 1]])
    unit = unit_at(model, torch.randn(3, SIZE, SIZE), layer, channel=0)
    windows = len(list(covering((SIZE, SIZE), PATCH, STRIDE)))
    whole, part = forwards(model, windows), forwards(head, windows)
    forwards(model, 16)(), forwards(head, 16)()
    to_end, to_layer = [], []
    for turn in range(rounds):
        calls = [whole, part, lambda: occlusion_field(unit, patch=PATCH, stride=STRIDE)]
        order = (0, 1, 2) if turn % 2 else (2, 1, 0)
        times = {index: processor_time(calls[index]) for index in order}
        to_end.append(times[2] / times[0])
        to_layer.append(times[2] / times[1])
    return windows, to_end, to_layer, processor_time(lambda: gradient_field(unit))


def main() -> None:
    """Print the ratios for an early, a middle and the last stage."""
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for layer in ("layer1", "layer3", "layer4"):
        windows, to_end, to_layer, gradient = ratios(layer, rounds)
        print(
            f"{layer}: {windows} windows / {windows} forwards in batches of {AT_ONCE_ON_CPU}: "
            f"to the end {statistics.median(to_end):.3f} ({min(to_end):.3f} to {max(to_end):.3f}, bar {BAR:g}), "
            f"to the layer {statistics.median(to_layer):.3f} ({min(to_layer):.3f} to {max(to_layer):.3f}); "
            f"the gradient takes {1000 * gradient:.0f} ms"
        )


if __name__ == "__main__":
    main()
