"""Ask a model by the name of a method: the one way from a question to raw maps, whatever the method needs."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import GlobalAttention, NoAttention, attentions_of
from seewhy.core import Capture, Explanation, Inputs, Wants
from seewhy.methods.fitting import in_smaller_chunks
from seewhy.registry import METHODS, Method
from seewhy.values import ConfigError, Json, LayerError, ModelError


@dataclass(frozen=True)
class Asked:
    """A method with its settings: call it with a probe and inputs.

    ``layer`` is the target layer of methods that need one, or several of them, one for each of several inputs; each
    input's default if None. Raises ``ConfigError`` SW-F10
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
    layer: str | tuple[str, ...] | None = None
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
        reading = probe.over(self.tokens(probe)) if self.method.needs_attention else probe
        return self.read(probe, inputs, reading.capture(inputs, self.wants(probe)))

    def layers_of(self, probe: Probe) -> Mapping[str, str]:
        """The layer it explains each input through; none for a method without one.

        A named layer explains the inputs it lies on, and stands for the last layer with a grid inside it where it has
        none itself; without a name every input has its default. Several layers may be named, one for each input.
        """
        if not self.method.needs_layer:
            return {}
        if self.layer is None or isinstance(self.layer, str):
            return probe.adapter.layers_for(self.layer)
        found: dict[str, str] = {}
        for given in self.layer:
            for name, layer in probe.adapter.layers_for(given).items():
                if name in found:
                    raise LayerError(
                        "SW-L20",
                        f"the input {name!r} is explained through one layer, got {found[name]} and {layer}",
                        fix="name one layer for each input, or use the method layer_fusion with layers=[...]",
                    )
                found[name] = layer
        return found

    def tokens(self, probe: Probe) -> frozenset[int]:
        """Over how many tokens the attention is that it reads."""
        return frozenset(one.tokens for one in self.attention(probe).values())

    def attention(self, probe: Probe) -> Mapping[str, GlobalAttention]:
        """The model's attention over all tokens of each input; raises ``ModelError`` SW-M10 where it has none."""
        found = attentions_of(probe.adapter)
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
        reads, named = self.method.reads, tuple(dict.fromkeys(self.layers_of(probe).values()))
        if self.method.needs_attention:
            for found in self.attention(probe).values():
                self._rehearse(found)
        attends = "attention" in reads
        return Wants(
            activations=named if "activations" in reads else (),
            gradients=named if "gradients" in reads else (),
            attention=attends,
            heads_of=self._all_heads(probe) if attends else (),
            attention_gradients="attention_gradients" in reads,
            input_gradients="input_gradients" in reads,
        )

    def read(self, probe: Probe, inputs: Inputs, capture: Capture) -> Explanation:
        """The answer of a method that reads, from a capture that holds what it wants."""
        if "input_gradients" in self.method.reads:
            return self._told(probe, self._read_inputs(probe, inputs, capture))
        read = self._read_layer if self.method.needs_layer else self._read_heads
        return self._told(probe, Explanation(read(probe, capture), capture.scores))

    def _ask(self, probe: Probe, inputs: Inputs) -> Explanation:
        layers = self.layers_of(probe)
        ask = partial(in_smaller_chunks, self.method, probe, inputs, self.settings)
        if not layers:
            return ask()
        found = {layer: ask(layer=layer) for layer in dict.fromkeys(layers.values())}
        return joined([only(one, [name for name in layers if layers[name] == layer]) for layer, one in found.items()])

    def _read_layer(self, probe: Probe, capture: Capture) -> dict[str, Float[Tensor, "k b *s"]]:
        """The map of each input, read at its layer; a layer that several inputs share is read once."""
        layers, read = self.layers_of(probe), {}
        for layer in dict.fromkeys(layers.values()):
            given = [{"activations": capture.activations[layer]} for _ in capture.targets]
            if "gradients" in self.method.reads:
                given = [
                    one | {"gradients": gradients}
                    for one, gradients in zip(given, capture.gradients[layer], strict=True)
                ]
            read[layer] = torch.stack([self.method.function(**one, **self.settings) for one in given])
        return {name: read[layer] for name, layer in layers.items()}

    def _read_heads(self, probe: Probe, capture: Capture) -> dict[str, Float[Tensor, "k b *s"]]:
        """The map read from attention; where it asks about no class it is read once, whatever is asked for."""
        every = range(len(capture.targets))
        maps = {}
        for name, found in self.attention(probe).items():
            if self.method.reads == ("attention",):
                maps[name] = torch.stack([self._read_flow(found, capture, 0)] * len(every))
            else:
                maps[name] = torch.stack([self._read_flow(found, capture, index) for index in every])
        return maps

    def _read_flow(self, found: GlobalAttention, capture: Capture, index: int) -> Float[Tensor, b * s]:
        given: dict[str, Any] = {"attention": [capture.attention[number] for number in found.numbers]}
        if "attention_gradients" in self.method.reads:
            given["attention_gradients"] = [capture.attention_gradients[number][index] for number in found.numbers]
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

    def _all_heads(self, probe: Probe) -> tuple[int, ...]:
        """The numbers of those calls among all that one pass records."""
        each = self.attention(probe).values()
        return tuple(sorted(found.numbers[call] for found in each for call in self._heads_of(found.calls)))

    def _heads_of(self, calls: int) -> tuple[int, ...]:
        """The attention calls whose heads the method tells apart; heads that would only be averaged are not kept."""
        settings = {**self.method.settings, **self.settings}
        if settings.get("head_fusion", "mean") == "mean" and settings.get("head") is None:
            return ()
        layer = settings.get("layer_idx")
        return tuple(call for call in range(calls) if layer is None or layer in (call, call - calls))

    def _told(self, probe: Probe, found: Explanation) -> Explanation:
        told: dict[str, Any] = {"method": self.method.name, "settings": dict(self.settings)}
        layers = self.layers_of(probe)
        if layers:
            told["layer"] = next(iter(layers.values())) if len(set(layers.values())) == 1 else dict(layers)
        return replace(found, signed=self.method.signed and found.signed, facts={**told, **found.facts})


def only(found: Explanation, names: Collection[str]) -> Explanation:
    """What an explanation says of these inputs."""
    return replace(
        found,
        maps={name: maps for name, maps in found.maps.items() if name in names},
        per_channel={name: values for name, values in found.per_channel.items() if name in names},
    )


def joined(found: Sequence[Explanation]) -> Explanation:
    """The explanations of several inputs, each through a layer of its own, as one; facts by input where they differ."""
    first, *others = found
    if not others:
        return first
    facts: dict[str, Json] = {}
    for key in dict.fromkeys(key for one in found for key in one.facts):
        told = {name: one.facts.get(key) for one in found for name in one.maps}
        facts[key] = first.facts.get(key) if all(value == first.facts.get(key) for value in told.values()) else told
    return replace(
        first,
        maps={name: maps for one in found for name, maps in one.maps.items()},
        per_channel={name: values for one in found for name, values in one.per_channel.items()},
        facts=facts,
    )


def over_channels(per_channel: Float[Tensor, "k b c *s"], channels: str) -> Float[Tensor, "k b *s"]:
    """A map of an answer per channel: their sum, or the largest magnitude."""
    return per_channel.sum(dim=2) if channels == "sum" else per_channel.abs().amax(dim=2)
