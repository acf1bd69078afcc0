"""Maps that know nothing of the model: a method whose grade these reach as well has shown nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType
from typing import Final

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.core import Attribution, Explanation, Inputs
from seewhy.metrics.asking import Asking
from seewhy.metrics.case import Case
from seewhy.metrics.centre import centred_bell
from seewhy.values import ConfigError, nearest

Control = Callable[[Float[Tensor, "b c *s"], Sequence[str]], Float[Tensor, "b *s"]]
"""A map for each record, from its values and its id; none is negative, and each sums to 1 or is 0 everywhere."""


def random(image: Float[Tensor, "b c *s"], ids: Sequence[str]) -> Float[Tensor, "b *s"]:
    """Independent uniform noise at every place, which depends on the record's id alone.

    Example:
        >>> one, two = random(torch.zeros(2, 3, 8, 8), ["a", "b"]), random(torch.ones(1, 1, 8, 8), ["b"])
        >>> torch.equal(one[1], two[0])
        True
    """
    size = image.shape[2:]
    maps = [torch.rand(size, generator=ops.generator("random control", key), dtype=torch.float64) for key in ids]
    return _shares(torch.stack(maps) if maps else torch.zeros(0, *size), image)


def centre(image: Float[Tensor, "b c *s"], ids: Sequence[str]) -> Float[Tensor, "b *s"]:
    """A Gaussian in the middle, where people put what they photograph.

    Example:
        >>> centre(torch.zeros(1, 1, 3), ["a"]).argmax().item()
        1
    """
    return centred_bell(image.shape[2:]).to(image).expand(len(ids), *image.shape[2:]).clone()


def edges(image: Float[Tensor, "b c *s"], ids: Sequence[str]) -> Float[Tensor, "b *s"]:
    """How steep the picture is at every place: the length of its gradient over all axes and channels together.

    Differences are central, at the border one-sided. It looks like an explanation, and the model has no part in it.

    Example:
        >>> step = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]])
        >>> edges(step, ["a"]).tolist()
        [[0.0, 0.5, 0.5, 0.0]]
    """
    values = image.double()
    squared = values.new_zeros((len(ids), *image.shape[2:]))
    for axis in range(2, values.ndim):
        if values.shape[axis] > 1:
            (slope,) = torch.gradient(values, dim=axis)
            squared = squared + slope.square().sum(dim=1)
    return _shares(squared.sqrt(), image)


CONTROLS: Final[Mapping[str, Control]] = MappingProxyType({"random": random, "centre": centre, "edges": edges})


@dataclass(frozen=True)
class ControlCase(Case):
    """A case whose maps are a control's: of whatever model and whatever question, they are the same."""

    control: str = "random"

    @cached_property
    def explain(self) -> Asking:
        """The control's maps of changed copies, noise being that of the record."""

        def ask(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float[Tensor, "n *s"]:
            return CONTROLS[self.control](images, [self.ids[row] for row in rows])

        return Asking(ask, self.maps, self.at_once)

    def explain_class(self, classes: Sequence[int]) -> Float[Tensor, "b *s"]:
        """The same map: a control is about no class."""
        del classes
        return self.maps

    def explain_on(self, model: nn.Module) -> Float[Tensor, "b *s"]:
        """The same map: a control asks no model."""
        del model
        return self.maps

    def explain_shifted(self, by: Float[Tensor, "b c *s"]) -> Float[Tensor, "b *s"]:
        """The control's map of each record plus its ``by``."""
        return CONTROLS[self.control](self.image + by, self.ids)


def controlled(case: Case, name: str) -> ControlCase:
    """The same case with a control in place of the method; raises ``ConfigError`` SW-F268 for an unknown one.

    A control's values are read as parts of the score that sum to 1: it claims next to nothing, so that a metric of
    amounts grades it like a map of zeros.
    """
    if name not in CONTROLS:
        raise ConfigError(
            "SW-F268",
            f"there is no control {name!r}",
            near=nearest(name, CONTROLS),
            fix=f"one of {', '.join(CONTROLS)}",
        )
    made = CONTROLS[name]

    def explain(probe: Probe, inputs: Inputs) -> Explanation:
        image, scores = inputs[case.name], probe.score(inputs)
        ids = case.ids if len(case.ids) == len(image) else ("",) * len(image)
        return Explanation({case.name: made(image, ids).expand(len(scores), *image[:, 0].shape)}, scores)

    given = {one.name: getattr(case, one.name) for one in fields(Case)}
    maps = {case.name: made(case.image, case.ids)}
    given["attribution"] = Attribution(maps, case.attribution.score, signed=False, facts={"control": name})
    return ControlCase(**{**given, "explain_with": explain, "scale": "positive", "contributes": True}, control=name)


def _shares(maps: Float64[Tensor, "b *s"], image: Float[Tensor, "b c *s"]) -> Float[Tensor, "b *s"]:
    """Divided by their sums, as the image's numbers; zeros stay zeros."""
    totals = maps.flatten(1).sum(dim=1).reshape(-1, *[1] * (maps.ndim - 1))
    return torch.where(totals > 0, maps / totals, 0.0).to(image)
