"""The self-test: it finds what is planted, names it, and finds nothing in the methods that are right."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs, Wants
from seewhy.explain.axioms import distance
from seewhy.explain.lent import changes, state_of
from seewhy.explain.selftest import CHECKS, failed, selftest, two_records
from seewhy.registry import METHODS, Method
from seewhy.values import ConfigError
from toys import ConvNet, GapLinear, Vit

NAME = "planted"
Ask = Callable[..., Explanation]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Registers a method for the time of one test."""

    def register(function: Ask, name: str = NAME, **facts: Any) -> None:
        kept = {known: entry for known, entry in METHODS._entries.items() if known != name}
        monkeypatch.setattr(METHODS, "_entries", kept)
        monkeypatch.setattr(
            METHODS, "_names", {other: known for other, known in METHODS._names.items() if known in kept}
        )
        given = {"reads": (), "asks": True, "signed": True, "linear": False, "channels": "sum", "cite": "", "also": ()}
        METHODS.add(Method(name=name, function=function, **{**given, **facts}))

    return register


def images(records: int = 2, seed: int = 3) -> Inputs:
    return {"image": torch.randn(records, 2, 16, 16, generator=torch.Generator().manual_seed(seed))}


def right(probe: Probe, inputs: Inputs) -> Explanation:
    """The gradient at the input, summed over channels: linear in the target, signed, and right."""
    capture = probe.capture(inputs, Wants(input_gradients=True))
    return Explanation({"image": capture.input_gradients["image"].sum(dim=2)}, capture.scores)


def changed(change: Callable[[Tensor], Tensor]) -> Ask:
    """The right answer, its maps changed."""

    def ask(probe: Probe, inputs: Inputs) -> Explanation:
        found = right(probe, inputs)
        return replace(found, maps={name: change(maps) for name, maps in found.maps.items()})

    return ask


def told(wrong: list[Any]) -> list[str]:
    return [finding.check for finding in wrong]


def verdicts(model: nn.Module | None = None, name: str = NAME, inputs: Inputs | None = None) -> list[str]:
    """The checks that failed."""
    torch.manual_seed(0)
    return told(failed(selftest(model or ConvNet(), inputs or images(), methods=[name])))


def test_nothing_is_found_in_a_method_that_is_right(plant: Callable[..., None]) -> None:
    plant(right, linear=True)
    found = selftest(ConvNet(), images(), methods=[NAME])
    by_check = {finding.check: finding.verdict for finding in found}
    assert list(by_check) == ["answers", "borrowed", *CHECKS]
    assert {check for check, verdict in by_check.items() if verdict == "ok"} == {
        "answers", "borrowed", "finite", "not zero", "score", "deterministic", "batch-blind", "linear", "sign"
    }  # fmt: skip
    assert set(by_check.values()) == {"ok", "not applicable"}
    assert all(finding.detail for finding in found if finding.verdict == "not applicable")


BROKEN: dict[str, tuple[Ask, dict[str, bool], list[str]]] = {
    "zero everywhere": (changed(torch.zeros_like), {}, ["not zero"]),
    "the mean of the batch taken off": (
        changed(lambda maps: maps - maps.mean(dim=1, keepdim=True)), {}, ["batch-blind"]
    ),
    "scaled by the largest value of the batch": (changed(lambda maps: maps / maps.abs().max()), {}, ["batch-blind"]),
    "records in reverse": (changed(lambda maps: maps.flip(1)), {}, ["batch-blind"]),
    "negative evidence cut, though linear": (changed(torch.relu), {"linear": True}, ["linear", "sign"]),
    "absolute, though linear": (changed(torch.abs), {"linear": True}, ["linear", "sign"]),
    "negative, though without sign": (changed(lambda maps: maps), {"signed": False}, ["sign"]),
    "the global generator's noise": (changed(lambda maps: maps + torch.randn_like(maps)), {},
                                     ["borrowed", "deterministic", "batch-blind"]),
}  # fmt: skip


@pytest.mark.parametrize(("function", "facts", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_method_is_found_and_what_is_broken_named(
    plant: Callable[..., None], function: Ask, facts: dict[str, bool], expected: list[str]
) -> None:
    plant(function, **facts)
    assert verdicts() == expected


def test_nan_is_found_first_and_equals_nothing_afterwards(plant: Callable[..., None]) -> None:
    plant(changed(lambda maps: maps.index_fill(3, torch.tensor([0]), torch.nan)))
    assert verdicts() == ["finite", "deterministic", "batch-blind"]


def wrong_score(probe: Probe, inputs: Inputs) -> Explanation:
    found = right(probe, inputs)
    return replace(found, scores=found.scores + 1)


def in_chunks(probe: Probe, inputs: Inputs, *, chunk_size: int = 8) -> Explanation:
    found = right(probe, inputs)
    return replace(found, maps={"image": found.maps["image"] * (1 + chunk_size)})


def unexplained(probe: Probe, inputs: Inputs) -> Explanation:
    found = right(probe, inputs)
    return replace(found, measured={"completeness_residual": found.maps["image"].abs().sum(dim=(2, 3)) * 0.06})


def unexplained_by_chance(probe: Probe, inputs: Inputs, *, n_samples: int = 4) -> Explanation:
    return unexplained(probe, inputs)


def explained(probe: Probe, inputs: Inputs) -> Explanation:
    found = right(probe, inputs)
    return replace(found, measured={"completeness_residual": found.maps["image"].abs().sum(dim=(2, 3)) * -0.04})


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (wrong_score, ["score"]),
        (in_chunks, ["chunk-blind"]),
        (unexplained, ["complete"]),
        (explained, []),
        (unexplained_by_chance, []),
    ],
)
def test_score_chunks_and_completeness_are_tried(
    plant: Callable[..., None], function: Ask, expected: list[str]
) -> None:
    plant(function)
    assert verdicts() == expected


MARKS: dict[str, Callable[[nn.Module], object]] = {
    "values of head.weight": lambda model: model.head.weight.data.add_(1e-6),
    "values of stem.1.running_mean": lambda model: model.stem[1].running_mean.add_(0.1),
    "gradient of head.bias": lambda model: setattr(model.head.bias, "grad", torch.zeros(3)),
    "requires_grad of head.bias": lambda model: model.head.bias.requires_grad_(False),
    "train flag of dropout": lambda model: model.dropout.train(not model.dropout.training),
    "hooks of body": lambda model: model.body.register_forward_hook(lambda *_: None),
    "torch's random generator": lambda model: torch.rand(1),
    "NumPy's random generator": lambda model: np.random.rand(),
    "Python's random generator": lambda model: random.random(),
}


@pytest.mark.parametrize(("mark", "leave"), MARKS.items(), ids=MARKS)
def test_every_mark_left_on_the_model_is_named(
    plant: Callable[..., None], mark: str, leave: Callable[[nn.Module], object]
) -> None:
    def careless(probe: Probe, inputs: Inputs) -> Explanation:
        found = right(probe, inputs)
        leave(probe.adapter.model)
        return found

    plant(careless)
    first = next(finding for finding in selftest(ConvNet(), images(), methods=[NAME]) if finding.check == "borrowed")
    assert (first.verdict, first.detail) == ("FAILED", f"1 changed: {mark}")


def test_a_mark_left_before_raising_is_found_too(plant: Callable[..., None]) -> None:
    def careless(probe: Probe, inputs: Inputs) -> Explanation:
        probe.adapter.model.head.weight.data.add_(1.0)
        raise ValueError("five")

    plant(careless)
    found = failed(selftest(ConvNet(), images(), methods=[NAME]))
    assert told(found) == ["answers", "borrowed"]
    assert found[0].detail == "raised ValueError: five"


def test_a_method_that_refuses_is_not_applicable_and_says_why(plant: Callable[..., None]) -> None:
    def refuses(probe: Probe, inputs: Inputs) -> Explanation:
        raise ConfigError("SW-F10", "no such thing")

    plant(refuses)
    found = selftest(ConvNet(), images(), methods=[NAME])
    assert [str(finding) for finding in found] == [
        "planted, answers: not applicable ([SW-F10] no such thing)",
        "planted, borrowed: ok",
    ]


def test_a_check_in_which_a_method_raises_has_failed(plant: Callable[..., None]) -> None:
    def only_pairs(probe: Probe, inputs: Inputs) -> Explanation:
        if len(inputs["image"]) != 2:
            raise RuntimeError("two records, please")
        return right(probe, inputs)

    plant(only_pairs)
    assert verdicts() == ["batch-blind"]


def doubled(activations: Tensor, gradients: Tensor) -> Tensor:
    return 2 * torch.einsum("bc,bc...->b...", gradients.flatten(2).mean(dim=2), activations)


def test_gradcam_is_held_against_its_closed_form_where_a_linear_head_reads_the_mean(
    plant: Callable[..., None],
) -> None:
    verdict = {f.check: f.verdict for f in selftest(GapLinear(), images(), methods=["gradcam"])}["closed form"]
    assert verdict == "ok"
    plant(doubled, "gradcam", reads=("activations", "gradients"), asks=False, linear=True)
    assert verdicts(GapLinear(), "gradcam") == ["closed form"]


def test_the_closed_form_is_not_applied_where_it_does_not_hold() -> None:
    found = {finding.check: finding for finding in selftest(Vit(), images(), methods=["gradcam"])}["closed form"]
    assert (found.verdict, "mean of blocks.2.norm1" in found.detail) == ("not applicable", True)


def test_rollout_that_loses_attention_is_found(plant: Callable[..., None]) -> None:
    right_one = METHODS["rollout"].function
    assert verdicts(Vit(), "rollout") == []

    def leaking(attention: list[Tensor], *, query: str = "class token", prefix: int = 1) -> Tensor:
        return 0.9 * right_one(attention, query=query, prefix=prefix)

    plant(leaking, "rollout", reads=("attention",), asks=False, signed=False)
    assert verdicts(Vit(), "rollout") == ["attention"]


def test_an_attention_method_is_not_applicable_to_a_model_without() -> None:
    (finding,) = selftest(ConvNet(), images(), methods=["rollout"])
    assert (finding.check, finding.verdict) == ("answers", "not applicable")
    assert "no attention" in finding.detail


@pytest.mark.parametrize("build", [ConvNet, Vit], ids=["convolutions", "tokens"])
def test_the_registered_methods_pass_and_the_model_comes_back_as_lent(build: type[nn.Module]) -> None:
    model, inputs = build().train(), images()
    fast = [name for name, method in METHODS.items() if not method.asks]
    with unchanged(model, *inputs.values()):
        found = selftest(model, inputs, methods=fast)
    assert list(map(str, failed(found))) == []
    assert {finding.method for finding in found} == set(fast)


def test_one_record_is_joined_by_its_mirror_image() -> None:
    one = images(1)
    pair = two_records(one | {"age": torch.ones(1, 1)})
    assert torch.equal(pair["image"], torch.cat([one["image"], one["image"].flip(-1)]))
    assert pair["age"].shape == (2, 1)
    assert torch.equal(two_records(images(5))["image"], images(5)["image"][:2])


def test_a_method_is_tried_with_the_settings_given() -> None:
    found = selftest(ConvNet(), images(), methods=["gradcam++"], settings={"gradcam++": {"variant": "no such"}})
    assert found[0].verdict != "ok"
    with pytest.raises(ConfigError, match="no setting"):
        selftest(ConvNet(), images(), methods=["gradcam"], settings={"gradcam": {"samples": 3}})


def test_the_state_of_an_untouched_model_is_the_same() -> None:
    model = ConvNet()
    assert changes(state_of(model), state_of(model)) == []


def test_distance_is_a_share_of_the_expected_length() -> None:
    assert distance(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0])) == pytest.approx(0.1)
    assert distance(torch.zeros(2), torch.zeros(2)) == 0
    assert distance(torch.ones(2), torch.zeros(2)) == float("inf")
    assert distance(torch.tensor([torch.nan]), torch.ones(1)) == float("inf")
    assert distance(torch.ones(2), torch.ones(3)) == float("inf")
