"""Settings of attention methods: what is kept for them, and wrong ones refused before the model is run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import attention_of
from seewhy.core import Explanation
from seewhy.methods import attention_flow
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.registry import METHODS
from seewhy.targets import Logit
from seewhy.values import ConfigError, ModelError
from toys import ConvNet, Vit

WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("rollout", {"discard_ratio": 1.0}, "SW-F60", "0 <= ratio < 1"),
    ("rollout", {"discard_ratio": -0.1}, "SW-F60", "-0.1"),
    ("rollout", {"discard_ratio": float("nan")}, "SW-F60", "nan"),
    ("rollout", {"head_fusion": "maximum"}, "SW-F61", "nearest: max"),
    ("legrad", {"pooling": "men"}, "SW-F61", "nearest: mean"),
    ("attention", {"layer_idx": 3}, "SW-F62", "from -3 to 2"),
    ("attention", {"layer_idx": -4, "head": 0}, "SW-F62", "3 attention layers"),
    ("attention", {"head": 2}, "SW-F62", "from 0 to 1"),
    ("attention", {"layer_idx": "last"}, "SW-F62", "'last'"),
    ("patch_attention", {"target_patch": 10}, "SW-F63", "from 0 to 9"),
    ("patch_attention", {"target_patch": -1}, "SW-F63", "10 patches"),
    ("patch_attention", {"head": 2}, "SW-F62", "2 heads"),
    ("attention_flow", {"target_patch": 10}, "SW-F63", "10 patches"),
    ("attention_flow", {"target_patch": 10, "exact": True}, "SW-F63", "10 patches"),
    ("attention_maxflow", {"layer_idx": 7}, "SW-F62", "3 attention layers"),
]


def asked(name: str, settings: dict[str, Any]) -> tuple[Probe, dict[str, torch.Tensor], list[int]]:
    """A probe that knows its model's attention, and a list that grows with every run of the model."""
    inputs, runs = {"image": torch.randn(2, 2, 8, 20)}, []
    model = Vit((8, 20), prefix=3)
    probe = Probe(Adapter(model, inputs), [Logit()])
    attention_of(probe.adapter)
    model.patch.register_forward_hook(lambda *_: runs.append(1))
    return probe, inputs, runs


@pytest.mark.parametrize(("name", "settings", "code", "told"), WRONG)
def test_a_wrong_setting_is_refused_before_the_model_is_run(
    name: str, settings: dict[str, Any], code: str, told: str
) -> None:
    probe, inputs, runs = asked(name, settings)
    with pytest.raises(ConfigError) as refused:
        Asked(name, settings=settings)(probe, inputs)
    assert refused.value.code == code
    assert told in str(refused.value)
    assert runs == []


def test_exact_flow_of_too_large_a_network_is_refused_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    probe, inputs, runs = asked("attention_maxflow", {})
    monkeypatch.setattr(attention_flow, "MOST_EDGES", 3 * 13**2 - 1)
    with pytest.raises(ConfigError, match=r"SW-F64.*12 layers of 200 tokens, got 3 layers of 13 tokens"):
        Asked("attention_maxflow")(probe, inputs)
    assert runs == []
    assert isinstance(Asked("attention_maxflow", settings={"layer_idx": 1})(probe, inputs), Explanation)


@pytest.mark.parametrize(
    ("name", "settings", "kept"),
    [
        ("rollout", {}, ()),
        ("rollout", {"head_fusion": "max"}, (0, 1, 2)),
        ("attention", {}, ()),
        ("attention", {"head": 1}, (2,)),
        ("attention", {"head": 0, "layer_idx": -3}, (0,)),
        ("patch_attention", {"head": 1, "layer_idx": 1}, (1,)),
        ("attention_flow", {}, ()),
        ("attention_maxflow", {}, ()),
    ],
)
def test_only_heads_that_are_told_apart_are_kept(name: str, settings: dict[str, Any], kept: tuple[int, ...]) -> None:
    probe, _, _ = asked(name, settings)
    assert Asked(name, settings=settings).wants(probe).heads_of == kept


ATTENTION = [name for name, entry in METHODS.items() if entry.needs_attention]


@pytest.mark.parametrize("name", ATTENTION)
def test_a_model_without_attention_is_told_so(name: str) -> None:
    inputs = {"image": torch.randn(2, 2, 8, 8)}
    with pytest.raises(ModelError, match=rf"SW-M10.*'{name}' needs.*no attention layers"):
        Asked(name)(Probe(Adapter(ConvNet(), inputs), [Logit()]), inputs)


@pytest.mark.parametrize("name", [name for name in ATTENTION if METHODS[name].reads == ("attention",)])
def test_what_asks_about_no_class_answers_all_classes_alike(name: str) -> None:
    probe, inputs, _ = asked(name, {})
    maps = Asked(name)(probe.asking([Logit(0), Logit(2)]), inputs).maps["image"]
    assert maps.shape == (2, 2, 2, 5)
    assert torch.equal(maps[0], maps[1])


class WithoutBlocks(Vit):
    """The same model as one long function: attention, residual and MLP are siblings in no block of their own."""

    def __init__(self) -> None:
        super().__init__((8, 20), prefix=1)
        blocks = list(self.blocks)
        del self.blocks
        self.parts = nn.ModuleList(
            [part for block in blocks for part in (block.norm1, block.attn, block.norm2, block.mlp)]
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        patches = self.patch(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.extra.expand(len(image), -1, -1), patches], dim=1) + self.position
        for start in range(0, len(self.parts), 4):
            norm1, attention, norm2, mlp = self.parts[start : start + 4]
            x = x + attention(norm1(x))
            x = x + mlp(norm2(x))
        return self.head(self.norm(x)[:, 0])


class BatchSized(Vit):
    """A model whose final layers remember how many records it was called with."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        patches = self.patch(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.extra.expand(len(image), -1, -1), patches], dim=1) + self.position
        x = self.norm(self.blocks(x))
        return self.head(x.reshape(len(image), x.shape[1], -1)[:, 0, : self.head.in_features])


@pytest.mark.parametrize("model", [WithoutBlocks(), BatchSized((8, 20))], ids=["no blocks", "sized by the batch"])
def test_legrad_refuses_a_model_whose_blocks_it_cannot_tell(model: nn.Module) -> None:
    inputs = {"image": torch.randn(2, 2, 8, 20)}
    probe = Probe(Adapter(model, inputs), [Logit()])
    with pytest.raises(ModelError, match=r"SW-M10.*in a block of its own"):
        Asked("legrad")(probe, inputs)
    assert Asked("attention_relevance")(probe, inputs).maps["image"].abs().max() > 0
