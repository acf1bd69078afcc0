"""What metrics that remove places cost: beside the passes they need, beside quantus, and beside a sparse solver.

All arms take turns in one process, on one thread, in processor time; the table shows medians. Each question gets one
224² picture and a ResNet-18. Plain passes are what the metric needs at the least: 102 pictures for deletion and
insertion at 50 steps, in the batches that are fastest here, with nothing made or measured. quantus gets the same map,
the same number of steps and as much removed at each; it flips values channel by channel, which is its own reading. The
sparse system is the one that places 80 % of which are missing obey, put together beforehand, so that ``spsolve`` is
timed alone; how far the two answers differ is shown.

Run: ``python benchmarks/metrics.py [rounds] [curves|quantus|road|chunks ...]``; needs the package quantus.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.metrics import deletion, pixel_flipping, region_perturbation  # noqa: F401  (importing them registers them)
from seewhy.metrics.case import AT_ONCE_ON_CPU, Case
from seewhy.metrics.grading import grade
from seewhy.metrics.imputation import imputed
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit

SIDE, CLASS, STEPS, PASSES = 224, 5, 50, 102
Call = Callable[[], object]


def picture() -> Tensor:
    return torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def case_on(model: nn.Module, chunk_size: int = AT_ONCE_ON_CPU) -> Callable[[], Case]:
    """A fresh case of one picture and its Grad-CAM, so that nothing is remembered from another round."""
    inputs = {"image": picture()}
    probe, _ = Probe(Adapter(model, inputs), [Logit(CLASS)]).settled(inputs)
    asked = Asked("gradcam", layer="layer4")
    found = asked(probe, inputs).target()
    return lambda: Case(probe, inputs, found, asked, chunk_size=chunk_size)


def both_curves(cases: Callable[[], Case]) -> Call:
    def run() -> None:
        case = cases()
        for metric in ("deletion", "insertion"):
            grade(metric, case, steps=STEPS)

    return run


def passes(model: nn.Module, batch: int) -> Call:
    images = picture().repeat(batch, 1, 1, 1)

    @torch.no_grad()
    def run() -> None:
        for start in range(0, PASSES, batch):
            model(images[: min(batch, PASSES - start)])

    return run


def theirs(model: nn.Module, metric: str, case: Case, **settings: Any) -> Call:
    """The metric of quantus on the same picture and map."""
    try:
        import quantus
    except ModuleNotFoundError:
        sys.exit("this part compares with the package quantus, which is not installed: pip install quantus")

    asked = getattr(quantus, metric)(disable_warnings=True, normalise=False, abs=False, **settings)
    image, maps = case.image.numpy(), case.evidence.unsqueeze(1).numpy()
    return lambda: asked(
        model=model, x_batch=image.copy(), y_batch=np.array([CLASS]), a_batch=maps.copy(), softmax=True, device="cpu"
    )


def seconds(call: Call) -> float:
    start = process_time()
    call()
    return process_time() - start


def turns(rounds: int, *calls: Call) -> list[list[float]]:
    """Seconds of each, taking turns; the first round warms caches and is not counted."""
    times = [[seconds(call) for call in calls] for _ in range(rounds + 1)][1:]
    return [list(column) for column in zip(*times, strict=True)]


def ratio(mine: list[float], other: list[float]) -> float:
    return median(one / two for one, two in zip(mine, other, strict=True))


def print_chunks(rounds: int) -> None:
    model = torchvision.models.resnet18().eval()
    sizes = (1, 4, 8, 16, 32, 51)
    plain = turns(rounds, *[passes(model, size) for size in sizes])
    mine = turns(rounds, *[both_curves(case_on(model, size)) for size in sizes])
    for size, bare, ours in zip(sizes, plain, mine, strict=True):
        print(f"chunks of {size}: {PASSES} passes {median(bare):.2f} s, both curves {median(ours):.2f} s", flush=True)


def print_curves(rounds: int) -> None:
    model = torchvision.models.resnet18().eval()
    batches = (4, 8, 16)
    mine, *plain = turns(rounds, both_curves(case_on(model)), *[passes(model, size) for size in batches])
    best, batch = min((times, size) for times, size in zip(plain, batches, strict=True))
    print(f"deletion and insertion, {STEPS} steps, ResNet-18 {SIDE}²: {median(mine):.2f} s, {PASSES} passes in batches "
          f"of {batch} {median(best):.2f} s, ratio {ratio(mine, best):.2f} (bar 1.15)", flush=True)  # fmt: skip


def print_quantus(rounds: int) -> None:
    model = torchvision.models.resnet18().eval()
    cases = case_on(model)
    flipping = theirs(model, "PixelFlipping", cases(), features_in_step=SIDE * SIDE // 49, perturb_baseline="black")
    regions = theirs(
        model, "RegionPerturbation", cases(), patch_size=8, regions_evaluation=100, perturb_baseline="uniform"
    )
    mine, their = turns(rounds, lambda: grade("pixel_flipping", cases(), steps=49), flipping)
    print(f"pixel flipping, 49 steps: {median(mine):.2f} s, quantus {median(their):.2f} s, "
          f"ratio {ratio(mine, their):.2f} (bar 0.45)", flush=True)  # fmt: skip
    mine, their = turns(rounds, lambda: grade("aopc_morf", cases(), region=8, steps=100), regions)
    print(f"region perturbation, 100 regions of 8²: {median(mine):.2f} s, quantus {median(their):.2f} s, "
          f"ratio {ratio(mine, their):.2f} (bar 0.90)", flush=True)  # fmt: skip


def maps() -> dict[str, Tensor]:
    """What speaks most: holes of many shapes, single places, and one large hole."""
    draw = torch.Generator().manual_seed(1)
    line = torch.linspace(-1, 1, SIDE)
    coarse = torch.randn(1, 1, 7, 7, generator=draw)
    return {
        "a coarse map, enlarged": nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")[0, 0],
        "noise": torch.randn(SIDE, SIDE, generator=draw),
        "one disc": -(line[:, None] ** 2 + line**2),
    }


def print_road(rounds: int) -> None:
    from scipy.sparse.linalg import spsolve

    image = nn.functional.avg_pool2d(picture(), 5, 1, 2) + 0.1 * picture().flip(-1)
    for name, evidence in maps().items():
        missing = torch.zeros(SIDE * SIDE, dtype=torch.bool)
        missing[evidence.flatten().argsort(descending=True)[: int(0.8 * SIDE * SIDE)]] = True
        matrix, right = system(image[0], missing.reshape(SIDE, SIDE))
        found = imputed(image, missing.reshape(1, SIDE, SIDE))[0].flatten(1)[:, missing]
        true = torch.from_numpy(spsolve(matrix, right)).T
        mine, their = turns(
            rounds,
            lambda missing=missing: imputed(image, missing.reshape(1, SIDE, SIDE)),
            lambda matrix=matrix, right=right: spsolve(matrix, right),
        )
        print(f"ROAD imputation of one {SIDE}² picture, 80 % missing by {name}: {median(mine):.3f} s, "
              f"spsolve {median(their):.3f} s, ratio {ratio(mine, their):.2f} (bar 0.30); "
              f"largest difference {float((found - true).abs().max()):.0e} (bar 1e-2)", flush=True)  # fmt: skip


def system(image: Tensor, missing: Tensor) -> tuple[Any, np.ndarray]:
    """The equations of the missing places as scipy wants them: ``(Σ w) x_i - Σ w x_j = Σ w x_known``."""
    from scipy.sparse import coo_matrix, diags

    height, width = missing.shape
    number = np.arange(height * width).reshape(height, width)
    pairs = []
    for down, right, weight in ((0, 1, 1 / 6), (1, 0, 1 / 6), (1, 1, 1 / 12), (1, -1, 1 / 12)):
        one = number[: height - down, max(0, -right) : width - max(0, right)].ravel()
        other = number[down:, max(0, right) : width + min(0, right)].ravel()
        pairs += [(one, other, weight), (other, one, weight)]
    rows, columns = (np.concatenate([pair[index] for pair in pairs]) for index in (0, 1))
    weights = np.concatenate([np.full(len(one), weight) for one, _, weight in pairs])
    neighbors = coo_matrix((weights, (rows, columns)), shape=(number.size,) * 2).tocsr()
    laplacian = (diags(np.asarray(neighbors.sum(axis=1)).ravel()) - neighbors).tocsr()
    gone = missing.flatten().numpy()
    known = image.flatten(1).double().numpy().T[~gone]
    return laplacian[gone][:, gone].tocsc(), neighbors[gone][:, ~gone] @ known


PARTS = {"curves": print_curves, "quantus": print_quantus, "road": print_road}


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds = next((int(word) for word in sys.argv[1:] if word.isdigit()), 3)
    chosen = [word for word in sys.argv[1:] if not word.isdigit()] or list(PARTS)
    for part in chosen:
        (PARTS | {"chunks": print_chunks})[part](rounds)


if __name__ == "__main__":
    main()
