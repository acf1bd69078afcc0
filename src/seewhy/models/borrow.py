"""Borrow a model and give it back untouched, also when something raises in between."""

from __future__ import annotations

import random
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_locks: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
_locks_guard = threading.Lock()


@contextmanager
def borrowed(model: nn.Module) -> Iterator[nn.Module]:
    """Evaluation mode, no gradient, private random state; everything as it was on the way out.

    Module flags are set one by one rather than through ``model.eval()``, which a model may override and which would
    lose a mixture of flags (frozen batch norm). Compiled parts run as the plain modules they were made from, since
    compiled code no longer sees hooks. One caller at a time per model; re-entrant within a thread.
    """
    with _lock_of(model), ExitStack() as stack:
        flags = [(module, module.training) for module in model.modules()]
        stack.callback(_set_flags, flags)
        _set_flags([(module, False) for module, _ in flags])
        stack.callback(_restore_random_state, _random_state())
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if _has_compiled_parts(model):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(torch.no_grad())
        yield model


@contextmanager
def alone_with(model: nn.Module) -> Iterator[nn.Module]:
    """Nobody borrows the model meanwhile: for a look at it as it is between two borrowings."""
    with _lock_of(model):
        yield model


def unwrapped(model: nn.Module) -> nn.Module:
    """The module whose layers run: ``DataParallel`` and ``torch.compile`` wrappers taken off."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(original := getattr(model, "_orig_mod", None), nn.Module):
            model = original
        else:
            return model


def _lock_of(model: nn.Module) -> threading.RLock:
    with _locks_guard:
        return _locks.setdefault(model, threading.RLock())


def _set_flags(flags: list[tuple[nn.Module, bool]]) -> None:
    for module, training in flags:
        if module.training is not training:
            module.training = training


def _has_compiled_parts(model: nn.Module) -> bool:
    """Whether anything inside was compiled; settled without importing ``torch.compiler``'s seconds."""
    return "torch._dynamo" in sys.modules and any(
        module._compiled_call_impl is not None or "_orig_mod" in module._modules for module in model.modules()
    )


RandomState = tuple[Any, Any, Tensor, list[Tensor]]


def _random_state() -> RandomState:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    return random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state(), cuda


def _restore_random_state(state: RandomState) -> None:
    python, numpy_state, cpu, cuda = state
    random.setstate(python)
    np.random.set_state(numpy_state)
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
