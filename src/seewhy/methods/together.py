"""Several explanations of one batch: those that only read what a pass leaves behind share one pass."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import TypeGuard

from seewhy.capture.probe import Explain, Probe
from seewhy.core import Capture, Explanation, Inputs
from seewhy.methods.ask import Asked


def ask_together(asked: Sequence[Explain], probe: Probe, inputs: Inputs) -> list[Explanation]:
    """Every explanation, in the order asked; the reading methods cost one forward and one backward per question.

    The pass reads the union of what they want, so the numbers are those of asking one by one. Methods that ask the
    model again, and explanations that are no :class:`Asked`, are asked by themselves.

    Example:
        >>> import timm, torch
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"image": torch.randn(2, 3, 64, 64)}
        >>> probe = Probe(Adapter(timm.create_model("test_resnet", num_classes=5), x), [Logit(3)])
        >>> [found.facts["method"] for found in ask_together([Asked("gradcam"), Asked("saliency")], probe, x)]
        ['gradcam', 'saliency']
    """
    reading = [one for one in asked if _reads(one)]
    if not reading:
        return [one(probe, inputs) for one in asked]
    capture = _one_pass(reading, probe, inputs)
    return [one.read(probe, inputs, capture) if _reads(one) else one(probe, inputs) for one in asked]


def _reads(explain: Explain) -> TypeGuard[Asked]:
    return isinstance(explain, Asked) and not explain.method.asks


def _one_pass(reading: Sequence[Asked], probe: Probe, inputs: Inputs) -> Capture:
    attending = [one for one in reading if one.method.needs_attention]
    over = probe.over(attending[0].tokens(probe)) if attending else probe
    return over.capture(inputs, reduce(or_, (one.wants(probe) for one in reading)))
