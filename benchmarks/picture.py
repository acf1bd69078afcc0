"""How long one overlay picture takes, beside a matplotlib figure of the same overlay.

Both draw title, caption, a 224x224 picture under a 7x7 map and a colour bar, and end in PNG bytes. Their runs
alternate in one process, on one thread. Run: ``python benchmarks/picture.py [rounds]``.
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

from seewhy.render import attention_sheet, encode_png, heatmap, overlay_picture

SIZE = 224
BAR = 0.12
CAPTION = "NOR · 97.1 %"
TITLES = (f"patient_{number:04d}_frame_07" for number in count())  # never the same text twice


def textured_picture(size: int) -> NDArray[np.uint8]:
    """Smooth shapes under film grain, so that the encoders have a photograph's work."""
    noise = np.random.default_rng(0).normal(0, 6, (size, size, 3))
    row, column = np.mgrid[:size, :size] / size
    waves = np.stack([np.sin(9 * row), np.cos(7 * column), np.sin(11 * row * column)], axis=-1)
    return (120 + 80 * waves + noise).clip(0, 255).astype(np.uint8)


def blob(size: int) -> NDArray[np.float32]:
    """A raw map with one peak and a negative surround."""
    row, column = np.mgrid[:size, :size] / size
    return (np.exp(-((row - 0.4) ** 2 + (column - 0.6) ** 2) / 0.04) - 0.1).astype(np.float32)


def with_seewhy(picture: NDArray[np.uint8], raw: NDArray[np.float32]) -> bytes:
    """Our picture, as the pipeline writes it."""
    return encode_png(overlay_picture(picture, raw, title=next(TITLES), caption=CAPTION))


def with_matplotlib(picture: NDArray[np.uint8], raw: NDArray[np.float32]) -> bytes:
    """The same content as a figure, with the object-oriented interface (pyplot would be slower still)."""
    figure = Figure(figsize=(2.36, 3.3), dpi=100)
    axes = figure.add_subplot()
    axes.imshow(picture)
    layer = axes.imshow(heatmap(raw, (SIZE, SIZE)).values, cmap="turbo", alpha=0.5, vmin=0, vmax=1)
    axes.set_title(f"{next(TITLES)}\n{CAPTION}", fontsize=9)
    axes.set_axis_off()
    figure.colorbar(layer, ax=axes, orientation="horizontal", label="evidence for this class")
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
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    picture, raw = textured_picture(SIZE), blob(7)
    heads = {"layer 11": np.stack([np.roll(blob(14), turn, axis=1) for turn in range(12)])}
    result = interleaved(
        {
            "seewhy": lambda: with_seewhy(picture, raw),
            "matplotlib": lambda: with_matplotlib(picture, raw),
            "sheet": lambda: encode_png(attention_sheet(picture, heads, blob(14), title=next(TITLES))),
        },
        rounds,
    )
    ratio = result["seewhy"] / result["matplotlib"]
    print(f"{'overlay picture, 224x224, encoded':<44}{result['seewhy']:8.2f} ms")
    print(f"{'matplotlib figure of it':<44}{result['matplotlib']:8.2f} ms")
    print(f"{'ratio':<44}{ratio:8.3f}    (at most {BAR})")
    print(f"{'attention sheet, 12 heads and rollout, encoded':<44}{result['sheet']:8.2f} ms")


if __name__ == "__main__":
    main()
