"""Attributions of other packages as methods: any of captum's for whole inputs, and zennit's propagation rules.

They run on a private copy of the model, one record and one question at a time, so that whatever they hook, replace or
mix within a batch stays there.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs, Target
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed
from seewhy.registry import method
from seewhy.values import ConfigError, MissingExtraError, ModelError, nearest

Attribute = Callable[[nn.Module, tuple[Tensor, ...], tuple[Tensor, ...]], tuple[Tensor, ...]]
"""Takes the score as a module, the inputs to be explained and the others; gives an attribution of each input."""
EXTRAS = {"captum": "captum", "zennit": "parity"}
NOT_FOR_INPUTS = ("Layer", "Neuron", "LLM", "Remote", "DataLoader", "LimeBase", "NoiseTunnel", "GuidedGradCam")
"""Beginnings of captum's attributions that explain something else, or are made of another one."""


@method(
    "external",
    asks=True,
    signed=True,
    cite="Kokhlikyan et al. 2020, arXiv:2009.07896 (captum); Anders et al. 2021, arXiv:2106.13200 (zennit)",
    libraries=("captum", "zennit"),
)
def external(
    probe: Probe,
    inputs: Inputs,
    *,
    name: str = "",
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Explanation:
    """An attribution of captum or zennit by name: ``captum.Saliency``, ``zennit.EpsilonPlusFlat``.

    Such a name is itself a method's name: ``Asked("captum.Saliency")``.

    ``options`` go to captum's ``attribute`` (``{"n_steps": 20}``) or to zennit's composite; ``seed`` fixes what they
    draw, alike for every record. Relevance of zennit starts as the score itself.

    Raises ``ConfigError`` SW-F67 for a name or an option that does not exist, ``MissingExtraError`` where the package
    is not installed, ``ModelError`` SW-M15 for a model that cannot be copied, SW-M17 where the package fails.
    """
    attribute = resolve(name, options or {})
    settled, scores = probe.settled(inputs)
    private = settled.on(private_copy(probe.adapter))
    found = [
        [_of_record(private, target, inputs, row, attribute, name, seed) for row in range(scores.shape[1])]
        for target in private.targets
    ]
    per_channel = {
        key: torch.stack([torch.stack([record[key] for record in row]) for row in found])
        for key in probe.adapter.spatial_inputs
    }
    maps = {key: answer.sum(dim=2) for key, answer in per_channel.items()}
    return Explanation(maps, scores, per_channel=per_channel)


class FrozenScore(nn.Module):
    """A settled question about some records as a module: their inputs, by position, to scores ``(n,)``.

    Called with more rows than records it takes them for repetitions of the records, in their order.
    """

    def __init__(self, adapter: Adapter, target: Target, names: Sequence[str], records: Sequence[int]) -> None:
        super().__init__()
        self.model = adapter.model
        self._adapter, self._target = adapter, target
        self._names, self._records = tuple(names), tuple(records)

    def forward(self, *tensors: Tensor) -> Float[Tensor, " n"]:
        """The score of each row."""
        given = dict(zip(self._names, tensors, strict=True))
        rows = tensors[0].shape[0]
        in_order = {name: given[name] for name in self._adapter.example}
        outputs = self._adapter.outputs(self._adapter.call(in_order), batch=rows)
        repeated = self._records * (rows // len(self._records))
        return self._target.take(repeated)(outputs)


def private_copy(adapter: Adapter) -> Adapter:
    """The same understanding of a copy of the model, in evaluation mode; the model itself is never touched.

    Raises ``ModelError`` SW-M15 where Python cannot copy it.
    """
    with borrowed(adapter.model):
        try:
            model = copy.deepcopy(adapter.model)
        except (RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
            raise ModelError(
                "SW-M15",
                f"this method works on a private copy of the model, which cannot be copied: {error}",
                fix="make copy.deepcopy(model) work, or choose a method that needs no copy",
            ) from error
    other = copy.copy(adapter)
    other.model = model
    return other


@contextmanager
def as_guest(model: nn.Module, seed: int = 0) -> Iterator[None]:
    """For the duration gradients are on, generators are seeded (and put back), and nobody's warnings are heard."""
    with borrowed(model), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        np.random.seed(seed)
        yield


def resolve(name: str, options: Mapping[str, Any]) -> Attribute:
    """What attributes by this name; raises before any model is run."""
    package, _, kind = name.replace(":", ".").partition(".")
    if package not in EXTRAS or not kind:
        raise ConfigError(
            "SW-F67",
            f"an external method is named like captum.Saliency or zennit.EpsilonPlusFlat, got {name!r}",
            near=nearest(package, EXTRAS),
            fix="give name='captum.<attribution>' or name='zennit.<composite>'",
        )
    listed = available(package)
    if kind not in listed:
        raise ConfigError(
            "SW-F67",
            f"{package} has no attribution {kind!r} for whole inputs",
            near=[f"{package}.{close}" for close in nearest(kind, listed)],
            fix=f"use one of {', '.join(listed)}",
        )
    return (_captum if package == "captum" else _zennit)(listed[kind], dict(options))


def available(package: str) -> dict[str, Any]:
    """The attributions of an installed package by name; raises ``MissingExtraError`` where it is not installed.

    Example:
        >>> "IntegratedGradients" in available("captum")
        True
    """
    if package == "captum":
        attr = _imported("captum.attr", "captum")
        found = {name: getattr(attr, name) for name in attr.__all__ if not name.startswith(NOT_FOR_INPUTS)}
        kinds = (attr.GradientAttribution, attr.PerturbationAttribution)
        return {name: kind for name, kind in found.items() if _is_one_of(kind, kinds) and kind not in kinds}
    composites, core = _imported("zennit.composites", "zennit"), _imported("zennit.core", "zennit")
    ready = set(composites.COMPOSITES.values())
    return {
        kind.__name__: kind
        for kind in sorted(ready, key=lambda kind: str(kind.__name__))
        if _is_one_of(kind, (core.Composite,))
    }


def _is_one_of(kind: Any, classes: tuple[type, ...]) -> bool:
    return isinstance(kind, type) and issubclass(kind, classes)


def _imported(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(package, EXTRAS[package]) from error


def _captum(kind: Any, options: Mapping[str, Any]) -> Attribute:
    filled_in = {"self", "inputs", "target", "additional_forward_args", "return_convergence_delta"}
    _check_options(kind, kind.attribute, options, filled_in)

    def attribute(score: nn.Module, explained: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = kind(score).attribute(explained, additional_forward_args=others or None, **options)
        return found

    return attribute


def _zennit(kind: Any, options: Mapping[str, Any]) -> Attribute:
    _check_options(kind, kind.__init__, options, {"self"})
    attributors = _imported("zennit.attribution", "zennit")

    def attribute(score: nn.Module, explained: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(one_input(score, explained, others, place) for place in range(len(explained)))

    def one_input(score: nn.Module, explained: tuple[Tensor, ...], others: tuple[Tensor, ...], place: int) -> Tensor:
        alone = _OneInput(score, (*explained, *others), place)
        with attributors.Gradient(alone, kind(**options), attr_output=lambda output: output.detach()) as attributor:
            relevance: Tensor = attributor(explained[place])[1]
        return relevance

    return attribute


class _OneInput(nn.Module):
    """The score as a module of one of its inputs, the others fixed."""

    def __init__(self, score: nn.Module, inputs: tuple[Tensor, ...], place: int) -> None:
        super().__init__()
        self.score, self._inputs, self._place = score, inputs, place

    def forward(self, tensor: Tensor) -> Tensor:
        """The score."""
        inputs = list(self._inputs)
        inputs[self._place] = tensor
        scores: Tensor = self.score(*inputs)
        return scores


def _check_options(kind: Any, function: Callable[..., Any], options: Mapping[str, Any], filled_in: set[str]) -> None:
    known = [name for name in inspect.signature(function).parameters if name not in filled_in]
    for name in options:
        if name not in known:
            raise ConfigError(
                "SW-F67",
                f"{kind.__name__} has no option {name!r}; its options: {', '.join(known) or 'none'}",
                near=nearest(name, known),
                fix="use one of these",
            )


def _of_record(
    private: Probe, target: Target, inputs: Inputs, row: int, attribute: Attribute, name: str, seed: int
) -> dict[str, Float[Tensor, "c *s"]]:
    adapter = private.adapter
    spatial = adapter.spatial_inputs
    others = tuple(key for key in inputs if key not in spatial)
    one = {key: tensor[row : row + 1].detach().clone().to(adapter.device) for key, tensor in inputs.items()}
    score = FrozenScore(adapter, target, (*spatial, *others), (row,))
    with as_guest(adapter.model, seed):
        try:
            found = attribute(score, tuple(one[key] for key in spatial), tuple(one[key] for key in others))
        except (RuntimeError, TypeError, ValueError, AssertionError, AttributeError, KeyError) as error:
            raise ModelError(
                "SW-M17",
                f"{name} failed on this model: {type(error).__name__}: {error}",
                fix="choose a method that suits the model's layers, or other options",
            ) from error
    return {key: answer[0].detach() for key, answer in zip(spatial, found, strict=True)}
