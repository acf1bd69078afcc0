"""Ask a model by the name of a method: the one way from a question to raw maps, whatever the method needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import GlobalAttention, NoAttention, attention_of
from seewhy.core import Capture, Explanation, Inputs, Wants
from seewhy.registry import METHODS, Method
from seewhy.values import ConfigError, ModelError

Explain = Callable[[Probe, Inputs], Explanation]
"""Anything that explains; what combinators take and give."""


@dataclass(frozen=True)
class Asked:
    """A method with its settings: call it with a probe and inputs.

    ``layer`` is the target layer of methods that need one, the model's default if None. Raises ``ConfigError`` SW-F10
    for an unknown method, SW-F12 for an unknown setting, SW-F13 for a layer given to a method that has none; when it is
    called, ``ModelError`` SW-M10 for an attention method on a model without attention over all tokens.

    Example:
        >>> import timm
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"image": torch.randn(2, 3, 64, 64)}
        >>> probe = Probe(Adapter(timm.create_model("test_resnet", num_classes=5), x), [Logit(3)])
        >>> {name: tuple(maps.shape) for name, maps in Asked("gradcam")(probe, x).maps.items()}
        {'image': (1, 2, 2, 2)}
    """

    name: str
    layer: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.method.check(self.settings)
        if self.layer is not None and not self.method.needs_layer:
            raise ConfigError(
                "SW-F13",
                f"the method {self.name!r} explains through no layer, but layer {self.layer!r} was given",
                fix="leave the layer out",
            )

    @property
    def method(self) -> Method:
        """The registered method."""
        return METHODS[self.name]

    def __call__(self, probe: Probe, inputs: Inputs) -> Explanation:
        if self.method.asks:
            return self._told(probe, self._ask(probe, inputs))
        found = self.attention(probe) if self.method.needs_attention else None
        reading = probe if found is None else probe.over(found.tokens)
        return self.read(probe, inputs, reading.capture(inputs, self.wants(probe)))

    def layer_of(self, probe: Probe) -> str | None:
        """The layer it explains through, by the name it was asked for with; None for a method without one."""
        if not self.method.needs_layer:
            return None
        return probe.adapter.target_layer.layer if self.layer is None else self.layer

    def attention(self, probe: Probe) -> GlobalAttention:
        """The model's attention over all tokens; raises ``ModelError`` SW-M10 where it has none."""
        found = attention_of(probe.adapter)
        if isinstance(found, NoAttention):
            raise ModelError(
                "SW-M10",
                f"the method {self.method.name!r} needs attention over all tokens, and {found.reason}",
                fix="choose a method that needs no attention; `seewhy layers MODEL` lists what suits a model",
            )
        return found

    def wants(self, probe: Probe) -> Wants:
        """What one pass must leave behind for a method that reads; several methods can share the union.

        Raises what the method raises for settings that do not fit the model, before the model is run.
        """
        layer, reads = self.layer_of(probe), self.method.reads
        if self.method.needs_attention:
            self._rehearse(self.attention(probe))
        named = () if layer is None else (layer,)
        attends = "attention" in reads
        return Wants(
            activations=named if "activations" in reads else (),
            gradients=named if "gradients" in reads else (),
            attention=attends,
            heads_of=self._heads_of(self.attention(probe).calls) if attends else (),
            attention_gradients="attention_gradients" in reads,
            input_gradients="input_gradients" in reads,
        )

    def read(self, probe: Probe, inputs: Inputs, capture: Capture) -> Explanation:
        """The answer of a method that reads, from a capture that holds what it wants."""
        if "input_gradients" in self.method.reads:
            return self._told(probe, self._read_inputs(probe, inputs, capture))
        asked = len(capture.targets)
        if self.method.reads == ("attention",):
            # Attention asks about no class: read it once, however many classes are asked for.
            maps = [self._read_target(probe, capture, 0)] * asked
        else:
            maps = [self._read_target(probe, capture, index) for index in range(asked)]
        (name, *_) = probe.adapter.spatial_inputs
        return self._told(probe, Explanation({name: torch.stack(maps)}, capture.scores))

    def _ask(self, probe: Probe, inputs: Inputs) -> Explanation:
        layer = {} if self.layer is None else {"layer": self.layer}
        found: Explanation = self.method.function(probe, inputs, **layer, **self.settings)
        return found

    def _read_target(self, probe: Probe, capture: Capture, index: int) -> Float[Tensor, b * s]:
        given: dict[str, Any] = {}
        if self.method.needs_layer:
            layer = self.layer_of(probe)
            given["activations"] = capture.activations[str(layer)]
            if "gradients" in self.method.reads:
                given["gradients"] = capture.gradients[str(layer)][index]
        if not self.method.needs_attention:
            return self.method.function(**given, **self.settings)  # type: ignore[no-any-return]
        found = self.attention(probe)
        given["attention"] = capture.attention
        if "attention_gradients" in self.method.reads:
            given["attention_gradients"] = [gradients[index] for gradients in capture.attention_gradients]
        row = self._read_attention(found, given)
        return found.grid.tokens_to_grid(row[:, found.grid.prefix :])

    def _read_attention(self, found: GlobalAttention, given: Mapping[str, Any]) -> Float[Tensor, "b n"]:
        """A method's row over all tokens; it is told of the query and the prefix if it wants to know."""
        told = {**given, "query": found.query, "prefix": found.grid.prefix}
        known = inspect.signature(self.method.function).parameters
        row: Tensor = self.method.function(
            **{name: value for name, value in told.items() if name in known}, **self.settings
        )
        return row

    def _rehearse(self, found: GlobalAttention) -> None:
        """Read attention of the model's own size but of no records: settings are checked and nothing is computed."""
        apart = self._heads_of(found.calls)
        attention = [
            torch.zeros(0, found.heads if call in apart else 1, found.tokens, found.tokens)
            for call in range(found.calls)
        ]
        given = {"attention": attention, "attention_gradients": attention}
        self._read_attention(found, {name: given[name] for name in self.method.reads if name in given})

    def _read_inputs(self, probe: Probe, inputs: Inputs, capture: Capture) -> Explanation:
        """Input-space methods: one answer per input with space, per channel, and the map made of it."""
        per_channel = {}
        for name in probe.adapter.spatial_inputs:
            gradients = capture.input_gradients[name]
            given = {"inputs": inputs[name].to(gradients)} if "inputs" in self.method.reads else {}
            answers = [self.method.function(input_gradients=one, **given, **self.settings) for one in gradients]
            per_channel[name] = answers[0].unsqueeze(0) if len(answers) == 1 else torch.stack(answers)
        maps = {name: over_channels(answer, self.method.channels) for name, answer in per_channel.items()}
        return Explanation(maps, capture.scores, per_channel=per_channel)

    def _heads_of(self, calls: int) -> tuple[int, ...]:
        """The attention calls whose heads the method tells apart; heads that would only be averaged are not kept."""
        settings = {**self.method.settings, **self.settings}
        if settings.get("head_fusion", "mean") == "mean" and settings.get("head") is None:
            return ()
        layer = settings.get("layer_idx")
        return tuple(call for call in range(calls) if layer is None or layer in (call, call - calls))

    def _told(self, probe: Probe, found: Explanation) -> Explanation:
        told: dict[str, Any] = {"method": self.method.name, "settings": dict(self.settings)}
        layer = self.layer_of(probe)
        if layer is not None:
            told["layer"] = layer
        return replace(found, signed=self.method.signed and found.signed, facts={**told, **found.facts})


def over_channels(per_channel: Float[Tensor, "k b c *s"], channels: str) -> Float[Tensor, "k b *s"]:
    """A map of an answer per channel: their sum, or the largest magnitude."""
    return per_channel.sum(dim=2) if channels == "sum" else per_channel.abs().amax(dim=2)
