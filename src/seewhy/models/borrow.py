"""Borrow a model and give it back untouched, also when something raises in between."""

from __future__ import annotations

import random
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import nn

_locks: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
_locks_guard = threading.Lock()


@contextmanager
def borrowed(model: nn.Module) -> Iterator[nn.Module]:
    """Evaluation mode, no gradient, private random state; everything as it was on the way out.

    Module flags are set one by one rather than through ``model.eval()``, which a model may override and which would
    lose a mixture of flags (frozen batch norm). One caller at a time per model; re-entrant within a thread.
    """
    with _lock_of(model), ExitStack() as stack:
        stack.callback(_restore_flags, _leave_training(model))
        stack.callback(_restore_random_state, _random_state())
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
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


def _leave_training(model: nn.Module) -> list[nn.Module]:
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    return training


def _restore_flags(training: list[nn.Module]) -> None:
    for module in training:
        module.training = True


RandomState = tuple[object, dict[str, object], torch.Tensor, list[torch.Tensor]]


def _random_state() -> RandomState:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state(), cuda


def _restore_random_state(state: RandomState) -> None:
    python, numpy_state, cpu, cuda = state
    random.setstate(python)  # type: ignore[arg-type]
    np.random.set_state(numpy_state)  # type: ignore[arg-type]
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
