"""Every method proves itself on the user's own install and model: the axioms and identities, run method by method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs, Target
from seewhy.explain import axioms, identities
from seewhy.explain.axioms import OK, Check, Outcome, Trial, Verdict
from seewhy.explain.lent import changes, state_of
from seewhy.explain.suitable import suitability
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.pixels import Normalisation
from seewhy.registry import METHODS
from seewhy.targets import EmbeddingNorm, Logit
from seewhy.values import SeewhyError

ANSWERS: Final = "answers"
BORROWED: Final = "borrowed"
CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "finite": axioms.finite,
        "not zero": axioms.not_all_zero,
        "score": axioms.asks_what_it_says,
        "deterministic": axioms.deterministic,
        "batch-blind": axioms.batch_blind,
        "chunk-blind": axioms.chunk_blind,
        "linear": axioms.linear,
        "sign": axioms.sign,
        "complete": identities.complete,
        "attention": axioms.attention_sums_to_one,
        "closed form": identities.closed_form,
    }
)
QUICK: Final[Mapping[str, int]] = MappingProxyType(
    {"num_samples": 8, "num_masks": 16, "n_samples": 4, "samples": 4, "steps": 16}
)
"""Settings with which a sampling method is tried: its axioms hold for any number of samples."""

RAISED = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)


@dataclass(frozen=True)
class Finding:
    """What became of one check of one method: ``ok``, ``FAILED`` or ``not applicable``, and why."""

    method: str
    check: str
    verdict: Verdict
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.method}, {self.check}: {self.verdict}{f' ({self.detail})' if self.detail else ''}"


def selftest(
    model: nn.Module,
    inputs: Inputs,
    *,
    methods: Sequence[str] = (),
    settings: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    normalisation: Normalisation | None = None,
    headless: bool | None = None,
) -> list[Finding]:
    """Try methods on a model: is it returned as lent, and do the answers satisfy the axioms?

    Args:
        model: any model that an :class:`~seewhy.models.adapter.Adapter` can trace; it stays as it is.
        inputs: batch-first tensors by name. Two records are tried; one is joined by its mirror image.
        methods: names of registered methods; all of them if empty.
        settings: settings by method; otherwise few samples (``QUICK``).
        normalisation: how the inputs came from pixels, for methods whose baselines are colours.
        headless: as for ``Adapter``.

    Returns:
        One finding for each method and check, in that order; see :func:`failed`.

    Raises:
        ConfigError: ``SW-F10`` an unknown method, ``SW-F12`` an unknown setting. ModelError: the model cannot be
            traced.

    Example:
        >>> import timm
        >>> model = timm.create_model("test_resnet", num_classes=5)
        >>> findings = selftest(model, {"image": torch.randn(2, 3, 64, 64)}, methods=["gradcam"])
        >>> [finding.check for finding in findings if finding.verdict == "FAILED"]
        []
    """
    return list(
        each_finding(model, inputs, methods=methods, settings=settings, normalisation=normalisation, headless=headless)
    )


def each_finding(
    model: nn.Module,
    inputs: Inputs,
    *,
    methods: Sequence[str] = (),
    settings: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    normalisation: Normalisation | None = None,
    headless: bool | None = None,
) -> Iterator[Finding]:
    """:func:`selftest`, finding by finding as they are made."""
    two = two_records(inputs)
    adapter = Adapter(model, two, headless=headless, normalisation=normalisation)
    suits = suitability(adapter)
    asked = [_asked(METHODS[name].name, settings) for name in methods or METHODS]
    question: Target = EmbeddingNorm() if adapter.headless else Logit()
    for each in asked:
        if why := suits[each.name]:
            yield Finding(each.name, ANSWERS, "not applicable", why)
        else:
            yield from _tried(each, Probe(adapter, (question,)), two)


def failed(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that say ``FAILED``."""
    return [finding for finding in findings if finding.verdict == "FAILED"]


def two_records(inputs: Inputs) -> Inputs:
    """The first two records; a single one and its mirror image."""
    return {name: tensor[:2] if len(tensor) > 1 else _mirrored(tensor) for name, tensor in inputs.items()}


def _mirrored(tensor: Tensor) -> Tensor:
    return torch.cat([tensor, tensor.flip(-1) if tensor.ndim > 2 else tensor])


def _asked(name: str, settings: Mapping[str, Mapping[str, Any]]) -> Asked:
    given = {METHODS[method].name: values for method, values in settings.items()}.get(name, {})
    quick = {key: value for key, value in QUICK.items() if key in METHODS[name].settings}
    return Asked(name, settings={**quick, **given})


def _tried(asked: Asked, probe: Probe, inputs: Inputs) -> Iterator[Finding]:
    before = state_of(probe.adapter.model)
    outcome, first = _answer(asked, probe, inputs)
    yield Finding(asked.name, ANSWERS, outcome.verdict, outcome.detail)
    yield _borrowed(asked.name, changes(before, state_of(probe.adapter.model)))
    if first is not None:
        trial = Trial(asked, probe, inputs, first)
        for name, check in CHECKS.items():
            outcome = _checked(check, trial)
            yield Finding(asked.name, name, outcome.verdict, outcome.detail)


def _answer(asked: Asked, probe: Probe, inputs: Inputs) -> tuple[Outcome, Explanation | None]:
    try:
        return OK, asked(probe, inputs)
    except SeewhyError as error:
        return Outcome("not applicable", f"[{error.code}] {error.message}"), None
    except RAISED as error:
        return Outcome("FAILED", f"raised {type(error).__name__}: {error}"), None


def _borrowed(method: str, changed: Sequence[str]) -> Finding:
    if not changed:
        return Finding(method, BORROWED, "ok")
    return Finding(method, BORROWED, "FAILED", f"{len(changed)} changed: {', '.join(changed[:3])}")


def _checked(check: Check, trial: Trial) -> Outcome:
    try:
        return check(trial)
    except (SeewhyError, *RAISED) as error:
        return Outcome("FAILED", f"raised {type(error).__name__}: {error}")
