"""The question where attention goes: heads of chosen layers and the rollout, for one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from seewhy.capture.tokens import GlobalAttention
from seewhy.core import Target, Wants
from seewhy.methods.attention import attention_heads, rollout
from seewhy.pipeline.questions import Answers, Seen, Told
from seewhy.values import Answer, Json


@dataclass(frozen=True)
class AttentionQuestion:
    """The heads of chosen attention layers over the tokens of one input, and the rollout over all of them.

    ``layers`` count that input's attention calls. ``rollout_known``: a record's rollout is committed already; the sheet
    shows it again, no row holds it twice. ``several``: the model has other inputs, so that keys name this one.
    """

    attention: GlobalAttention
    layers: tuple[int, ...]
    rollout_known: bool = False
    input_name: str = ""
    several: bool = False
    kind = "attention"

    @property
    def key(self) -> str:
        return f"attention{self._of}@{','.join(map(str, self.layers))}"

    @property
    def rollout_key(self) -> str:
        """The key of the rollout, which is the same for every choice of layers."""
        return f"rollout{self._of}"

    @property
    def _of(self) -> str:
        return f":{self.input_name}" if self.several else ""

    def specs(self) -> dict[str, Json]:
        source: dict[str, Json] = {"kind": self.kind, "of": self.attention.calls, "query": self.attention.query}
        source |= {"input": self.input_name} if self.several else {}
        heads = {self.key: source | {"method": "attention_heads", "layers": list(self.layers)}}
        return heads if self.rollout_known else {**heads, self.rollout_key: source | {"method": "rollout"}}

    def promised(self, answers: Mapping[str, Answer]) -> dict[str, Answer]:
        return {key: answers[key] for key in self.specs()}

    def missing(self, answered: Mapping[str, frozenset[int]]) -> AttentionQuestion | None:
        return None if self.key in answered else replace(self, rollout_known=self.rollout_key in answered)

    def wants(self) -> Wants:
        return Wants(attention=True, heads_of=tuple(self.attention.numbers[layer] for layer in self.layers))

    def targets(self) -> Sequence[Target]:
        return ()

    def answer(self, seen: Seen, first_target: int) -> Told:
        del first_target
        attention = [seen.capture.attention[number] for number in self.attention.numbers]
        flowed = rollout(attention, query=self.attention.query, prefix=self.attention.grid.prefix)
        flow = seen.copies.take(self._in_space(flowed))
        per_layer = [seen.copies.take(self._heads(attention[layer])) for layer in self.layers]
        return lambda: self._told(flow(), [heads() for heads in per_layer])

    def _heads(self, weights: Float[Tensor, "b h n n"]) -> Float[Tensor, "b h *s"]:
        """What each head of a layer attends to."""
        attention = self.attention
        return self._in_space(attention_heads(weights, query=attention.query, prefix=attention.grid.prefix))

    def _in_space(self, tokens: Float[Tensor, "*b n"]) -> Float[Tensor, "*b *s"]:
        grid = self.attention.grid
        return grid.tokens_to_grid(tokens[..., grid.prefix :])

    def _told(self, flow: NDArray[np.float32], per_layer: Sequence[NDArray[np.float32]]) -> Answers:
        return [
            {self.key: Answer(np.stack([maps[record] for maps in per_layer])), self.rollout_key: Answer(flow[record])}
            for record in range(len(flow))
        ]
