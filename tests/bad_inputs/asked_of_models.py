"""What the tests of bad models share: small inputs, one question, and the error they expect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Capture, Wants
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import SeewhyError

BODY = Wants(activations=("body",), gradients=("body",))
AT_INPUTS = Wants(input_gradients=True)


def pictures(records: int = 2) -> dict[str, Tensor]:
    return {"image": torch.randn(records, 2, 16, 16)}


def captured(model: nn.Module, inputs: dict[str, Tensor], wants: Wants = BODY, **settings: Any) -> Capture:
    return Probe(Adapter(model, inputs, **settings), [Logit(1)]).capture(inputs, wants)


@contextmanager
def refused(kind: type[SeewhyError], code: str, *told: str) -> Iterator[None]:
    """The error of this code, with these words in what it says."""
    with pytest.raises(kind) as caught:
        yield
    assert caught.value.code == code
    for words in told:
        assert words in str(caught.value)
