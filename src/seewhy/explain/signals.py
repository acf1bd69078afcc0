"""Explain what a model says of a signal: an ECG, an EEG, any leads over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.explain.answer_values import answer_values, predicted_words
from seewhy.explain.drawing import Destination
from seewhy.explain.explainers import make_explainer
from seewhy.explain.reading import Reading
from seewhy.explain.result import plain
from seewhy.models.outputs import Selector
from seewhy.render.encode import encode_jpeg, encode_png
from seewhy.render.heatmap import heatmap
from seewhy.render.signals import signal_plot
from seewhy.values import ConfigError, DataError, Json


class SignalResult(dict[str, Any]):
    """One signal explained: keys as of :class:`~seewhy.explain.result.Result`, with ``heatmap`` ``(T,)`` in [0, 1] and
    ``raw``, the signed map at the method's resolution."""

    def __init__(self, values: Mapping[str, Any], picture: UInt8[np.ndarray, "height width 3"]) -> None:
        super().__init__(values)
        self.picture = picture

    def save(self, path: Destination) -> Path:
        """Write the plot, ``.png`` or ``.jpg``; raises ``ConfigError`` SW-F140 for another ending."""
        target = Path(path).expanduser()
        encode = {".png": encode_png, ".jpg": encode_jpeg, ".jpeg": encode_jpeg}.get(target.suffix.lower())
        if encode is None:
            raise ConfigError(
                "SW-F140", f"{target.name}: the plot of a signal is written as .png or .jpg", fix="use one of these"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encode(self.picture))
        self["save_path"] = str(target)
        return target

    def to_json(self) -> dict[str, Json]:
        """Everything but the maps, as plain values."""
        return {name: plain(value) for name, value in self.items() if name not in ("heatmap", "raw")}

    def _repr_png_(self) -> bytes:
        return encode_png(self.picture)


def explain_signal(
    model: nn.Module,
    signal: NDArray[Any] | Tensor,
    method: str = "gradcam",
    target_class: Any = None,
    target_layer: str | nn.Module | None = None,
    colormap: str = "turbo",
    save_path: Destination | None = None,
    *,
    leads: Sequence[str] | None = None,
    sampling_rate: float | None = None,
    class_names: Sequence[str] | None = None,
    task: str | None = None,
    threshold: float | None = None,
    output_selector: Selector | None = None,
    **settings: Any,
) -> SignalResult:
    """What a model of signals says of one, and when in it the evidence lies; one row of the plot for each lead.

    Args:
        model: takes ``(B, C, T)``; it comes back untouched.
        signal: ``(C, T)``, as the model takes it.
        leads: the names of the ``C`` leads.
        sampling_rate: samples per second, for an axis in seconds.
        method, target_class, target_layer, class_names, task, threshold, output_selector, settings: as in
            :func:`seewhy.explain_prediction`.
        colormap: the colours of the evidence.
        save_path: where to write the plot, if anywhere.

    Raises:
        DataError: ``SW-D58``, what is no signal of finite numbers.
        SeewhyError: with a code and a fix, for whatever else cannot be done.

    Example:
        >>> net = nn.Sequential(nn.Conv1d(2, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
        >>> explain_signal(net, np.sin(np.arange(200.0).reshape(2, 100)))["heatmap"].shape
        (100,)
    """
    reading = Reading(None, class_names, task, threshold, output_selector)
    values = _checked(signal)
    explainer = make_explainer(method, model, target_layer, reading, settings, explain_signal).with_normalisation(None)
    given = torch.from_numpy(values).to(explainer.study.dtype)[None]
    (found,) = explainer.explain_inputs({"signal": given}, target_class)
    scaled = heatmap(found.raw["signal"], values.shape[1:], scale=found.scale)
    told = answer_values(found, explainer.class_names)
    told |= {"heatmap": scaled.values, "raw": found.raw["signal"]}
    picture = signal_plot(
        values,
        scaled.values,
        leads=leads,
        sampling_rate=sampling_rate,
        title=f"{told['method']} · {told['target_label']}" if told["target_label"] else str(told["method"]),
        caption=predicted_words(told),
        colormap=colormap,
        reference=found.reference or None,
        note="" if found.reference else "no positive evidence: the map is zero",
    )
    result = SignalResult(told, picture)
    if save_path is not None:
        result.save(save_path)
    return result


def _checked(signal: NDArray[Any] | Tensor) -> Float[np.ndarray, "c t"]:
    values = signal.detach().cpu().numpy() if isinstance(signal, Tensor) else np.asarray(signal)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "fiub" or not np.isfinite(values).all():
        raise DataError(
            "SW-D58",
            f"expected a signal (C, T) of finite numbers, got {values.shape} of {values.dtype}",
            fix="pass one record without its batch axis; signal[None] for a single lead",
        )
    return values.astype(np.float64)
