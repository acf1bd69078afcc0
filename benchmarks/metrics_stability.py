"""What average and maximum sensitivity cost beside quantus: saliency of a ResNet-18 on 224² pictures, 10 samples.

Both arms take turns in one process, on one thread, in processor time, on the same pictures; the table shows medians and
the median of the ratios of each round. quantus explains with captum's Saliency, as it does by default. Each arm draws
its own noise, as its user would have it; that the values agree for the same copies is a test
(``tests/metrics/test_parity_stability.py``).

Run: ``python benchmarks/metrics_stability.py [rounds] [records]``; needs the packages quantus and captum.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

import seewhy.metrics.sensitivity  # noqa: F401  (importing the room registers its metrics)
from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.metrics.case import Case
from seewhy.metrics.grading import grade
from seewhy.models.adapter import Adapter
from seewhy.pixels import Normalisation
from seewhy.targets import Logit

CLASS, SAMPLES, RADIUS = 5, 10, 0.02
PEERS = {"average_sensitivity": "AvgSensitivity", "max_sensitivity": "MaxSensitivity"}
Call = Callable[[], Any]


def pictures(records: int) -> Tensor:
    return torch.randn(records, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def ours(model: nn.Module, metric: str, records: int) -> Call:
    """The map and its grade, all but the tracing of the model."""
    inputs = {"image": pictures(records)}
    adapter, asked = Adapter(model, inputs, normalisation=Normalisation()), Asked("saliency")
    keys = tuple(map(str, range(records)))

    def run() -> list[float]:
        probe = Probe(adapter, [Logit((CLASS,) * records)])
        case = Case(probe, inputs, asked(probe, inputs).target(), asked, contributes=False, keys=keys)
        return grade(metric, case, samples=SAMPLES, radius=RADIUS).values.tolist()

    return run


def theirs(model: nn.Module, metric: str, records: int) -> Call:
    """quantus's metric, which makes the maps itself, with the same reach in the model's own values."""
    try:
        import quantus
    except ImportError:
        raise SystemExit("this benchmark compares with quantus: pip install 'seewhy[parity]'") from None
    images, classes = pictures(records).numpy(), np.full(records, CLASS)
    reach = RADIUS / float(np.mean(Normalisation().std))

    def run() -> list[float]:
        asked = getattr(quantus, PEERS[metric])(
            nr_samples=SAMPLES, lower_bound=reach, disable_warnings=True, abs=False, normalise=False
        )
        return list(
            asked(
                model=model,
                x_batch=images,
                y_batch=classes,
                explain_func=quantus.explain,
                explain_func_kwargs={"method": "Saliency"},
                softmax=False,
            )
        )

    return run


def seconds(call: Call) -> float:
    start = process_time()
    call()
    return process_time() - start


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds, records = (int(one) for one in (*sys.argv[1:3], *("3", "1")[len(sys.argv) - 1 :]))
    model = torchvision.models.resnet18().eval()
    for metric in PEERS:
        arms = ours(model, metric, records), theirs(model, metric, records)
        for arm in arms:
            arm()  # caches become warm
        times = [[seconds(arm) for arm in arms] for _ in range(rounds)]
        mine, peer = (median(column) for column in zip(*times, strict=True))
        ratio = median(one / other for one, other in times)
        print(f"{metric}, saliency, ResNet-18 224², {records} records, {SAMPLES} samples: {mine:.2f} s, "
              f"quantus {peer:.2f} s, ratio {ratio:.2f} (bar 0.80)", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
