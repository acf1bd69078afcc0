"""How long pictures of feature maps take: 16 channels of a layer, drawn and encoded as PNG, on one thread.

Beside it the same grid as a matplotlib figure (object-oriented, ``viridis``, a colour bar each), as inspection scripts
draw it. Their runs alternate in one process. Run: ``python benchmarks/feature_pictures.py [rounds]``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO
from itertools import count
from statistics import median
from time import perf_counter

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from seewhy.render import encode_png
from seewhy.render.channel_sheet import channel_sheet
from seewhy.render.plots_distribution import distribution_of
from seewhy.render.spatial_patterns import spatial_patterns

BAR = 40.0
SIZES = (7, 28, 56, 128, 256)
STARTS = (100 * number for number in count())  # never the same titles twice


def feature_maps(channels: int, size: int) -> NDArray[np.float32]:
    """Rectified noise at several scales, with edges and grain as a trained layer's maps have them."""
    random = np.random.default_rng(0)
    row, column = np.mgrid[:size, :size] / size
    waves = [np.sin(random.uniform(2, 30) * row + random.uniform(2, 30) * column) for _ in range(channels)]
    grain = random.normal(0, 0.3, (channels, size, size))
    return np.maximum(np.stack(waves) + grain, 0).astype(np.float32)


def with_seewhy(maps: NDArray[np.float32]) -> bytes:
    """Our sheet, as the inspector writes it."""
    start = next(STARTS)
    titles = [f"channel {start + index}" for index in range(len(maps))]
    return encode_png(channel_sheet(maps, titles, heading=f"layer{start}", caption="16 of 64 channels"))


def with_matplotlib(maps: NDArray[np.float32]) -> bytes:
    """The same content as a figure of four by four panels."""
    figure = Figure(figsize=(12, 12), dpi=80)
    for panel, values in zip(figure.subplots(4, 4).ravel(), maps, strict=True):
        figure.colorbar(panel.imshow(values, cmap="viridis"), ax=panel)
        panel.set_title(f"channel {next(STARTS)}")
        panel.set_axis_off()
    stream = BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()


def interleaved(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each call, taking turns; the first round warms caches and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = perf_counter()
            call()
            times[name].append(1000 * (perf_counter() - start))
    return {name: median(values[1:]) for name, values in times.items()}


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    maps = {size: feature_maps(16, size) for size in SIZES}
    layer, values = feature_maps(256, 56), np.maximum(np.random.default_rng(0).normal(size=2**22), 0).astype(np.float32)
    calls: dict[str, Callable[[], object]] = {
        f"16 channels of {size}x{size}": lambda given=given: with_seewhy(given)  # type: ignore[misc]
        for size, given in maps.items()
    }
    calls["matplotlib figure of 16 channels of 56x56"] = lambda: with_matplotlib(maps[56])
    calls["spatial patterns of 256 channels of 56x56"] = lambda: encode_png(spatial_patterns(layer, heading="layer"))
    calls["distribution of 4.2 million values"] = lambda: distribution_of(values)
    for name, milliseconds in interleaved(calls, rounds).items():
        bar = f"    (at most {BAR:g})" if name.startswith("16 channels") else ""
        print(f"{name:<46}{milliseconds:8.1f} ms{bar}")


if __name__ == "__main__":
    main()
