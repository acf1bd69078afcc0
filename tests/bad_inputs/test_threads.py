"""One model, eight threads, every method that reads: each gets the answer it would get alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.registry import METHODS
from seewhy.targets import Logit
from toys import ConvNet, Vit

THREADS = 8
READING = [method for method in METHODS.values() if method.reads and not method.asks]


def batches() -> list[dict[str, Tensor]]:
    return [{"image": torch.randn(1 + index % 3, 2, 16, 16)} for index in range(2 * THREADS)]


def together(adapter: Adapter, name: str, inputs: list[dict[str, Tensor]]) -> list[Tensor]:
    """The maps for each batch, asked by threads that start at the same moment."""
    start = threading.Barrier(THREADS)

    def ask(rows: list[dict[str, Tensor]]) -> list[Tensor]:
        start.wait(timeout=30)
        return [Asked(name)(Probe(adapter, [Logit(), Logit(1)]), batch).maps["image"] for batch in rows]

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(ask, [inputs[thread::THREADS] for thread in range(THREADS)]))
    return [answers[index % THREADS][index // THREADS] for index in range(len(inputs))]


@pytest.mark.parametrize("name", [method.name for method in READING])
def test_eight_threads_get_the_answers_of_one(name: str) -> None:
    model: nn.Module = Vit() if METHODS[name].needs_attention else ConvNet().train()
    inputs = batches()
    adapter = Adapter(model, inputs[0])
    alone = [Asked(name)(Probe(adapter, [Logit(), Logit(1)]), batch).maps["image"] for batch in inputs]
    with unchanged(model):
        found = together(adapter, name, inputs)
    for mine, expected in zip(found, alone, strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-6)


def test_eight_threads_with_an_adapter_each_share_the_model() -> None:
    model, inputs = ConvNet().eval(), batches()
    alone = [Asked("gradcam")(Probe(Adapter(model, batch), [Logit()]), batch).maps["image"] for batch in inputs]
    with unchanged(model), ThreadPoolExecutor(THREADS) as pool:
        found = list(
            pool.map(
                lambda batch: Asked("gradcam")(Probe(Adapter(model, batch), [Logit()]), batch).maps["image"], inputs
            )
        )
    for mine, expected in zip(found, alone, strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-6)
