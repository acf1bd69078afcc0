"""Fresh weights: no tensor stays as it was, the model and the generators do; statistics that fit them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, weight_norm

from borrowed import unchanged
from seewhy.models.adapter import Adapter
from seewhy.models.blocks_in_order import blocks_in_order
from seewhy.models.randomized import randomized
from seewhy.models.reinitialize import AROUND_CONSTANT, AROUND_ZERO, copied, fresh_weights, untouched
from seewhy.models.running_statistics import renew_statistics
from seewhy.values import ConfigError
from toys import ConvNet, Vit


def trained(model: nn.Module) -> nn.Module:
    """With weights that no scheme would draw."""
    with torch.no_grad():
        for tensor in model.parameters():
            if tensor.is_floating_point():
                tensor.mul_(1 + 0.3 * torch.randn_like(tensor)).add_(0.01)
    return model.eval()


class Bare(nn.Module):
    """Parameters that no scheme draws: a token, a scalar, a constant, zeros, whole numbers, complex ones, nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(3 + 0.5 * torch.randn(2000))
        self.scale = nn.Parameter(torch.tensor(4.0))
        self.gamma = nn.Parameter(torch.full((2000,), 1e-6))
        self.zeros = nn.Parameter(torch.zeros(2000), requires_grad=False)
        self.codes = nn.Parameter(torch.arange(8), requires_grad=False)
        self.flag = nn.Parameter(torch.tensor([True]), requires_grad=False)
        self.turns = nn.Parameter(torch.randn(4, dtype=torch.complex64))
        self.empty = nn.Parameter(torch.zeros(0))


def test_what_nobody_draws_keeps_its_mean_and_deviation() -> None:
    model = Bare()
    fresh = fresh_weights(model)
    assert untouched(model, fresh) == ()
    token = fresh["token"]
    assert token.mean().item() == pytest.approx(3, abs=5 * 0.5 / math.sqrt(2000))
    assert token.std().item() == pytest.approx(model.token.std().item(), rel=5 / math.sqrt(2 * 2000))
    assert torch.corrcoef(torch.stack([token, model.token.detach()]))[0, 1].abs() < 5 / math.sqrt(2000)
    assert fresh["gamma"].std().item() == pytest.approx(AROUND_CONSTANT * 1e-6, rel=5 / math.sqrt(2 * 2000))
    assert fresh["zeros"].std().item() == pytest.approx(AROUND_ZERO, rel=5 / math.sqrt(2 * 2000))
    assert sorted(fresh["codes"].tolist()) == list(range(8))


def test_what_a_scheme_sets_to_a_constant_is_drawn_about_it() -> None:
    norm = trained(nn.LayerNorm(4000))
    fresh = fresh_weights(norm)
    assert fresh["weight"].mean().item() == pytest.approx(1, abs=5 * AROUND_CONSTANT / math.sqrt(4000))
    assert fresh["weight"].std().item() == pytest.approx(AROUND_CONSTANT, rel=5 / math.sqrt(2 * 4000))
    assert fresh["bias"].std().item() == pytest.approx(AROUND_ZERO, rel=5 / math.sqrt(2 * 4000))


def test_a_layer_draws_by_its_own_scheme() -> None:
    linear = nn.Linear(400, 100)
    fresh = fresh_weights(trained(linear))
    bound = 1 / math.sqrt(400)  # of torch's uniform numbers
    assert 0.98 * bound < fresh["weight"].abs().max() <= bound
    assert fresh["bias"].abs().max() <= bound


def test_a_scheme_of_the_model_around_it_has_the_last_word() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(30, 30)

        def _init_weights(self, module: nn.Module) -> None:
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, mean=7.0, std=0.1)

    assert fresh_weights(Around())["inner.weight"].mean().item() == pytest.approx(7, abs=0.05)


def test_a_scheme_that_cannot_run_is_none() -> None:
    class Needy(nn.Linear):
        def reset_parameters(self, gain: float = 0.0) -> None:
            if hasattr(self, "ready"):
                raise RuntimeError("not twice")
            super().reset_parameters()
            self.ready = gain

    model = Needy(3, 3)
    assert untouched(model, fresh_weights(model)) == ()


def old_weight_norm() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(588, 2))
    with pytest.warns(FutureWarning):
        weight_norm(model[0])
    return model


def tied() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Linear(512, 2))
    model[1].weight = model[0].weight
    return model


SPECIAL: dict[str, Callable[[], nn.Module]] = {
    "convolutions with batch norm": ConvNet,
    "attention with torch's own module": lambda: Vit(kernel="mha"),
    "weight norm": lambda: nn.Sequential(
        parametrizations.weight_norm(nn.Conv2d(2, 3, 3)), nn.Flatten(), nn.Linear(588, 2)
    ),
    "weight norm by a hook": old_weight_norm,
    "spectral norm": lambda: nn.Sequential(
        parametrizations.spectral_norm(nn.Conv2d(2, 3, 3)), nn.Flatten(), nn.Linear(588, 2)
    ),
    "frozen": lambda: ConvNet().requires_grad_(False),
    "bfloat16": lambda: ConvNet().bfloat16(),
    "half": lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(588, 2)).half(),
    "double": lambda: ConvNet().double(),
    "tied": tied,
}


@pytest.mark.parametrize("build", SPECIAL.values(), ids=SPECIAL)
def test_no_tensor_stays_and_the_model_does(build: Callable[[], nn.Module]) -> None:
    model = trained(build())
    image = torch.randn(2, 2, 16, 16)
    adapter = Adapter(model, {"image": image})
    blocks = blocks_in_order(adapter)
    with unchanged(model):
        fresh = fresh_weights(model)
        assert untouched(model, fresh) == ()
        assert {name: tensor.dtype for name, tensor in fresh.items()} == {
            name: tensor.dtype for name, tensor in model.named_parameters()
        }
        *_, last = randomized(adapter, blocks)
    own = dict(model.named_parameters())
    assert [name for name, tensor in last.named_parameters() if torch.equal(tensor, own[name])] == []
    assert bool(adapter.on(last).call({"image": image}).isfinite().all())


def test_weights_depend_on_the_seed_alone() -> None:
    model = trained(ConvNet())
    first, other = fresh_weights(model, 0), fresh_weights(model, 1)
    torch.manual_seed(99)
    again = fresh_weights(model, 0)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_each_block_alone_leaves_the_others_as_they_were() -> None:
    model = trained(ConvNet())
    adapter = Adapter(model, {"image": torch.randn(2, 2, 8, 8)})
    blocks = blocks_in_order(adapter)
    for block, copy in zip(blocks, randomized(adapter, blocks, "independent"), strict=True):
        changed = {
            name for name, tensor in copy.state_dict().items() if not torch.equal(tensor, model.state_dict()[name])
        }
        expected = set(block.tensors) | {
            name for name, _ in model.named_buffers() if "running" in name and block.holds(name.rpartition(".")[0])
        }
        assert changed == expected


def test_statistics_are_those_of_what_reaches_the_norm() -> None:
    # Noise of deviation 1 times the weight 3: mean about the bias, variance about 9.
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64 * 64, 2)).eval()
    with torch.no_grad():
        model[0].weight.fill_(3.0)
        model[0].bias.fill_(5.0)
    renew_statistics(Adapter(model, {"image": torch.zeros(2, 1, 64, 64)}), ["1"])
    assert model[1].running_mean.item() == pytest.approx(5, abs=1.5)
    assert model[1].running_var.item() == pytest.approx(9, rel=0.3)


def test_depth_does_not_make_activations_grow() -> None:
    # Each norm divides by a hundredth of what fresh weights put out: without new statistics, 100 ** 40.
    layers = [module for _ in range(40) for module in (nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())]
    model = trained(nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 2)))
    image = torch.randn(2, 4, 8, 8)
    adapter = Adapter(model, {"image": image})
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.fill_(1e-5)
    *_, last = randomized(adapter, blocks_in_order(adapter))
    assert adapter.on(last).call({"image": image}).abs().max() < 100


def test_a_tensor_with_a_history_does_not_stop_the_copy() -> None:
    model = old_weight_norm()
    assert not model[0].weight.is_leaf
    twin = copied(model)
    assert torch.equal(twin[0].weight_v, model[0].weight_v)
    assert twin[0].weight_v is not model[0].weight_v


def test_a_model_that_cannot_be_copied_is_refused() -> None:
    model = nn.Linear(2, 2)
    model.lock = threading.Lock()
    with pytest.raises(ConfigError, match="SW-F270") as caught:
        copied(model)
    assert "lock" in str(caught.value)


def test_noise_of_any_input() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3)
            self.words, self.head = nn.Embedding(5, 3), nn.Linear(3, 2)

        def forward(self, image: Tensor, words: Tensor) -> Tensor:
            return self.head(self.norm(self.conv(image)).mean(dim=2) + self.words(words).mean(dim=1))

    inputs = {"image": torch.randn(2, 2, 9), "words": torch.ones(2, 4, dtype=torch.long)}
    adapter = Adapter(trained(Words()), inputs)
    stages = [
        bool(adapter.on(one).call(inputs).isfinite().all()) for one in randomized(adapter, blocks_in_order(adapter))
    ]
    assert stages == [True] * len(stages)
