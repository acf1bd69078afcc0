"""Law 9 for randomisation: the tests are right, and broken ones are noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from randomization_oracles import CLASS_ORACLES, PARAMETER_ORACLES, edges, records, two_layers
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.metrics import class_sensitivity as classes
from seewhy.metrics import parameter_randomization as parameters
from seewhy.metrics.class_sensitivity import class_sensitivity
from seewhy.metrics.grade import Grade
from seewhy.metrics.parameter_randomization import parameter_randomization
from seewhy.models.adapter import Adapter
from seewhy.models.randomized import randomized

RIGHT, NOTICED = 1e-9, 1e-4


@pytest.mark.parametrize("oracle", PARAMETER_ORACLES)
def test_parameter_randomization_is_right(oracle: Callable[..., float]) -> None:
    assert oracle(parameter_randomization) < RIGHT


@pytest.mark.parametrize("oracle", CLASS_ORACLES)
def test_class_sensitivity_is_right(oracle: Callable[..., float]) -> None:
    assert oracle(class_sensitivity) < RIGHT


Turns = Callable[..., Iterator[nn.Module]]


def nothing_drawn(adapter: Adapter, blocks: Any, order: str = "cascading", seed: int = 0) -> Iterator[nn.Module]:
    return (adapter.model for _ in blocks)


def from_the_input_up(adapter: Adapter, blocks: Any, order: Any = "cascading", seed: int = 0) -> Iterator[nn.Module]:
    return randomized(adapter, blocks[::-1], order, seed)


def always(order: Any) -> Turns:
    return lambda adapter, blocks, given="cascading", seed=0: randomized(adapter, blocks, order, seed)


def one_seed(adapter: Adapter, blocks: Any, order: Any = "cascading", seed: int = 0) -> Iterator[nn.Module]:
    return randomized(adapter, blocks, order, 0)


TURNS: dict[str, Turns] = {
    "nothing is drawn": nothing_drawn,
    "from the input up": from_the_input_up,
    "each alone where a cascade was asked for": always("independent"),
    "a cascade where each alone was asked for": always("cascading"),
    "one seed for all draws": one_seed,
}


@pytest.mark.parametrize("broken", TURNS.values(), ids=TURNS)
def test_a_wrong_order_is_noticed(broken: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "randomized", broken)
    assert max(oracle(parameter_randomization) for oracle in PARAMETER_ORACLES) > NOTICED


def changed(change: Callable[[Grade], Tensor]) -> Callable[..., Grade]:
    def metric(*given: Any, **settings: Any) -> Grade:
        found = parameter_randomization(*given, **settings)
        return replace(found, values=change(found))

    return metric


VALUES = {
    "the first stage": changed(lambda found: found.details["spearman"][:, 0]),
    "one minus it": changed(lambda found: 1 - found.values),
    "the mean over a cascade": changed(lambda found: found.details["spearman"].mean(dim=1)),
    "the last draw alone": changed(lambda found: found.details["draws"][:, -1]),
}


@pytest.mark.parametrize("broken", VALUES.values(), ids=VALUES)
def test_a_wrong_value_is_noticed(broken: Callable[..., Grade]) -> None:
    assert max(oracle(broken) for oracle in PARAMETER_ORACLES) > NOTICED


LIKENESSES: dict[str, Callable[[Tensor, Tensor, str], Tensor]] = {
    "with itself": lambda maps, other, similarity: parameters_likeness(maps, maps, similarity),
    "opposite": lambda maps, other, similarity: -parameters_likeness(maps, other, similarity),
    "magnitudes only": lambda maps, other, similarity: parameters_likeness(maps.abs(), other.abs(), similarity),
    "neighbours": lambda maps, other, similarity: parameters_likeness(maps, other.roll(1, dims=0), similarity),
}
parameters_likeness = parameters.likeness


@pytest.mark.parametrize("broken", LIKENESSES.values(), ids=LIKENESSES)
def test_a_wrong_likeness_is_noticed(
    broken: Callable[[Tensor, Tensor, str], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "likeness", broken)
    monkeypatch.setattr(classes, "likeness", broken)
    oracles = [(oracle, parameter_randomization) for oracle in PARAMETER_ORACLES]
    oracles += [(oracle, class_sensitivity) for oracle in CLASS_ORACLES]
    assert max(oracle(metric) for oracle, metric in oracles) > NOTICED


OTHERS: dict[str, Callable[..., Tensor]] = {
    "the class asked about": lambda against, samples, asked, *rest: torch.tensor(list(asked)).unsqueeze(1),
    "always the first": lambda against, samples, asked, *rest: torch.zeros(len(asked), 1, dtype=torch.long),
    "the next one": lambda against, samples, asked, count, *rest: (torch.tensor(list(asked)).unsqueeze(1) + 1) % count,
    "by the place in the batch": lambda against, samples, asked, count, *rest: (
        (torch.tensor(list(asked)) + len(asked)) % count
    ).unsqueeze(1),
}


@pytest.mark.parametrize("broken", OTHERS.values(), ids=OTHERS)
def test_wrong_classes_are_noticed(broken: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "_others", broken)
    assert max(oracle(class_sensitivity) for oracle in CLASS_ORACLES) > NOTICED


class Interrupted(Exception):
    """What a method raises in the middle."""


@pytest.mark.parametrize("order", ["cascading", "independent"])
@pytest.mark.parametrize("stage", [0, 1, None])
def test_the_model_is_as_it_was_after_success_and_after_any_failure(order: str, stage: int | None) -> None:
    model, images = two_layers(), records()
    adapter = Adapter(model, {"image": images})
    met: list[nn.Module] = []

    def explain(other: nn.Module) -> Tensor:
        met.append(other)
        if len(met) - 1 == stage:
            raise Interrupted
        return edges(images)

    with unchanged(model, images):
        if stage is None:
            parameter_randomization(edges(images), "positive", adapter, explain, order=order)
        else:
            with pytest.raises(Interrupted):
                parameter_randomization(edges(images), "positive", adapter, explain, order=order)
    assert len(met) == (2 if stage is None else stage + 1)
    assert all(other is not model for other in met)
