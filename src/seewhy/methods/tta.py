"""Test-time augmentation: an explanation averaged over flipped and brightened views of the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import chain, combinations, product

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Explain, Probe
from seewhy.core import Explanation, Inputs
from seewhy.methods.combine import to_explain
from seewhy.pixels import Normalisation
from seewhy.registry import method
from seewhy.values import ConfigError

Values = Float[Tensor, "b c *s"]


@dataclass(frozen=True)
class View:
    """One way to look at an input: flipped along spatial axes counted from the last (-1), and brightened."""

    flips: tuple[int, ...] = ()
    brightness: float = 1.0

    def look(self, values: Values, normalisation: Normalisation | None) -> Values:
        """The view of an input."""
        return self.undo(brightened(values, self.brightness, normalisation))

    def undo(self, maps: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """A map of the view, back in place; flipping twice is not flipping."""
        return maps.flip(self.flips) if self.flips else maps


def tta(
    explain: Explain,
    *,
    flips: Sequence[int] = (-1,),
    brightness: Sequence[float] = (0.9, 1.0, 1.1),
    chunk_size: int | None = None,
) -> Explain:
    """An explanation averaged over views, each put back in place; the question is settled on the clean input.

    Views are every combination of ``flips`` (spatial axes counted from the last: -1 is horizontal, -2 vertical) with
    every factor of ``brightness``, on all inputs with space alike. All views of all records make one batch, or batches
    of about ``chunk_size`` records. Maps are averaged raw. Cells of a layer whose stride does not divide the input move
    by less than a cell when it is flipped. Raises ``ConfigError`` SW-F68 for settings out of range.

    Example:
        >>> import timm
        >>> from seewhy.methods.ask import Asked
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"image": torch.randn(2, 3, 64, 64)}
        >>> probe = Probe(Adapter(timm.create_model("test_resnet", num_classes=5), x), [Logit(3)])
        >>> tuple(tta(Asked("gradcam"))(probe, x).maps["image"].shape)
        (1, 2, 2, 2)
    """
    check_views(flips, brightness, chunk_size)
    return partial(_averaged, explain, views=views_of(flips, brightness), chunk_size=chunk_size)


@method(
    "tta",
    asks=True,
    signed=True,
    cite="pytorch-grad-cam (Gildenblat and contributors, software), aug_smooth: horizontal flip, brightness 0.9 to 1.1",
    also=("aug_smooth",),
)
def tta_of(
    probe: Probe,
    inputs: Inputs,
    *,
    of: str | Explain = "gradcam",
    flips: Sequence[int] = (-1,),
    brightness: Sequence[float] = (0.9, 1.0, 1.1),
    chunk_size: int | None = None,
) -> Explanation:
    """A method averaged over flipped and brightened views of the input."""
    return tta(to_explain(of), flips=flips, brightness=brightness, chunk_size=chunk_size)(probe, inputs)


def views_of(flips: Sequence[int], brightness: Sequence[float]) -> tuple[View, ...]:
    """Every combination of flips with every brightness.

    >>> [view.flips for view in views_of((-1, -2), (1.0,))]
    [(), (-1,), (-2,), (-1, -2)]
    """
    subsets = chain.from_iterable(combinations(tuple(flips), count) for count in range(len(flips) + 1))
    return tuple(View(subset, factor) for subset, factor in product(subsets, brightness))


def brightened(values: Values, factor: float, normalisation: Normalisation | None) -> Values:
    """The input whose pixels are ``factor`` times as bright; ``factor`` times the values where nobody knows the pixels.

    With ``p = x · std + mean`` the values of ``f · p`` are ``f · x + (f - 1) · mean / std``; nothing is clipped.
    """
    if factor == 1.0:
        return values
    if normalisation is None or len(normalisation.mean) != values.shape[1]:
        return factor * values
    shift = [(factor - 1) * mean / std for mean, std in zip(normalisation.mean, normalisation.std, strict=True)]
    return factor * values + values.new_tensor(shift).reshape(-1, *[1] * (values.ndim - 2))


def check_views(flips: Sequence[int], brightness: Sequence[float], chunk_size: int | None) -> None:
    """Raise ``ConfigError`` SW-F68 for views that cannot be made."""
    if any(axis >= 0 for axis in flips) or len(set(flips)) != len(flips):
        raise _wrong(f"flips are different axes counted from the last, such as (-1,), got {tuple(flips)}")
    if not brightness or any(not factor > 0 for factor in brightness):
        raise _wrong(f"brightness needs one or more positive factors, got {tuple(brightness)}")
    if chunk_size is not None and chunk_size < 1:
        raise _wrong(f"chunk_size must be at least 1, got {chunk_size}")


def _averaged(
    explain: Explain, probe: Probe, inputs: Inputs, *, views: Sequence[View], chunk_size: int | None
) -> Explanation:
    _check_axes(views, probe, inputs)
    settled, scores = probe.settled(inputs)
    at_once = len(views) if chunk_size is None else max(1, chunk_size // scores.shape[1])
    parts = ([views[index] for index in chosen] for chosen in ops.chunks(len(views), at_once))
    total = reduce(
        partial(_tensorwise, torch.add), (_sum_over(part, explain, settled, inputs, scores) for part in parts)
    )
    mean = _tensorwise(lambda answer: answer / len(views), total)
    settings = {"of": total.facts.get("method"), "views": [[list(view.flips), view.brightness] for view in views]}
    return replace(mean, facts={"method": "tta", "settings": settings, "of": dict(total.facts)})


def _sum_over(
    views: Sequence[View], explain: Explain, settled: Probe, inputs: Inputs, scores: Float[Tensor, "k b"]
) -> Explanation:
    """The sum of what is said of these views, put back in place; all views of all records are one batch."""
    records = scores.shape[1]
    spatial, known = settled.adapter.spatial_inputs, settled.adapter.normalisation_of
    seen = {
        name: torch.cat([view.look(values, known(name)) if name in spatial else values for view in views])
        for name, values in inputs.items()
    }
    found = explain(settled.take([row for _ in views for row in range(records)]), seen)

    def placed(answer: Float[Tensor, "k vb *s"]) -> Float[Tensor, "k b *s"]:
        parts = _by_view(answer, len(views)).unbind(1)
        return torch.stack([view.undo(part) for view, part in zip(views, parts, strict=True)]).sum(dim=0)

    return replace(
        found,
        maps={name: placed(maps) for name, maps in found.maps.items()},
        scores=scores,
        per_channel={name: placed(answer) for name, answer in found.per_channel.items()},
        measured={name: _by_view(values, len(views)).sum(dim=1) for name, values in found.measured.items()},
    )


def _by_view(answer: Float[Tensor, "k vb *s"], views: int) -> Float[Tensor, "k v b *s"]:
    return answer.reshape(answer.shape[0], views, -1, *answer.shape[2:])


def _tensorwise(change: Callable[..., Tensor], first: Explanation, *others: Explanation) -> Explanation:
    """The explanation whose tensors are ``change`` of those of the given ones."""

    def changed(field: str) -> dict[str, Tensor]:
        tables = [getattr(one, field) for one in (first, *others)]
        return {name: change(*(table[name] for table in tables)) for name in tables[0]}

    return replace(first, maps=changed("maps"), per_channel=changed("per_channel"), measured=changed("measured"))


def _check_axes(views: Sequence[View], probe: Probe, inputs: Inputs) -> None:
    rank = min(inputs[name].ndim - 2 for name in probe.adapter.spatial_inputs)
    for view in views:
        if any(axis < -rank for axis in view.flips):
            raise _wrong(f"an input of {rank} spatial axes cannot be flipped along {min(view.flips)}")


def _wrong(message: str) -> ConfigError:
    return ConfigError("SW-F68", message, fix="give flips=(-1,) and brightness=(0.9, 1.0, 1.1), or leave them out")
