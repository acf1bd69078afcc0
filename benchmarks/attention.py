"""What attention methods cost, in processor time on one thread, medians of interleaved runs in one process.

- rollout: the class token's row at 1 370 tokens (DINOv2 at 518 pixels) beside the chain of whole matrices;
- one question to a ViT-S/16 at batch 8 beside the model's own inference on the same batch;
- exact maximum flow at its limit, 12 layers of 197 tokens, for one record.

Run: ``python benchmarks/attention.py [rounds]``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median
from time import process_time

import timm
import torch
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.methods.attention import rollout
from seewhy.methods.attention_flow import attention_maxflow
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit

Call = Callable[[], object]
METHODS = ("attention", "rollout", "attention_relevance", "legrad")


def interleaved(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    """Median milliseconds of each, taking turns; the first round warms caches and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = process_time()
            call()
            times[name].append(1000 * (process_time() - start))
    return {name: median(found[1:]) for name, found in times.items()}


def attention(layers: int, tokens: int) -> list[Tensor]:
    """Random rows that sum to 1, heads averaged."""
    return [torch.randn(1, 1, tokens, tokens).softmax(dim=-1) for _ in range(layers)]


def matrix_chain(layers: list[Tensor]) -> Tensor:
    """Rollout as it is written: the product of whole matrices, of which one row is used."""
    chain = torch.eye(layers[0].shape[-1])
    for weights in layers:
        mixed = weights.mean(dim=1) + torch.eye(weights.shape[-1])
        chain = (mixed / mixed.sum(dim=-1, keepdim=True)) @ chain
    return chain[:, 0]


def print_ratio(name: str, ours: float, base: float, bar: float | None = None) -> None:
    allowed = f"{bar:.2f}" if bar else "–"
    print(f"{name:<58}{base:10.1f}{ours:10.1f}{ours / base:9.3f}{allowed:>9}", flush=True)


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"one thread, torch {torch.__version__}, medians of {rounds} interleaved runs")
    print(f"{'':<58}{'bare':>10}{'ours':>10}{'ratio':>9}{'at most':>9}")
    large = attention(12, 1370)
    times = interleaved({"row": lambda: rollout(large), "chain": lambda: matrix_chain(large)}, rounds)
    print_ratio("rollout, one row / whole matrices, 12 × 1370 tokens (ms)", times["row"], times["chain"], 0.1)

    model = timm.create_model("vit_small_patch16_224").eval()
    with torch.no_grad():
        # timm starts the head at zero, where nothing has a gradient.
        torch.nn.init.normal_(model.head.weight, std=0.02)
    inputs = {"image": torch.randn(8, 3, 224, 224)}
    probe = Probe(Adapter(model, inputs), [Logit()])
    calls: dict[str, Call] = {"inference": torch.inference_mode()(lambda: model(inputs["image"]))}
    calls |= {name: (lambda name=name: Asked(name)(probe, inputs)) for name in METHODS}
    times = interleaved(calls, rounds)
    for name in METHODS:
        print_ratio(f"{name}, ViT-S/16, batch 8 / inference (ms)", times[name], times["inference"])

    small = attention(12, 197)
    flow = interleaved({"flow": lambda: attention_maxflow(small)}, 1)["flow"]
    print(f"{'exact maximum flow, 12 layers of 197 tokens, 1 record (ms)':<68}{flow:10.1f}")


if __name__ == "__main__":
    main()
