"""What a public call finds around it and must leave as it was: the process, torch's switches, the generators."""

from __future__ import annotations

import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

# pytest-timeout arms SIGALRM and pytest names the running test; third parties set the rest when first imported.
OTHERS_SIGNALS = {signal.SIGALRM, signal.SIGKILL, signal.SIGSTOP, signal.SIGPROF, signal.SIGVTALRM}
OTHERS_VARIABLES = {
    "KMP_DUPLICATE_LIB_OK",
    "KMP_INIT_AT_FORK",
    "LD_LIBRARY_PATH",
    "PYTEST_CURRENT_TEST",
    "PYTORCH_NVML_BASED_CUDA_CHECK",
    "QT_QPA_FONTDIR",
    "QT_QPA_PLATFORM_PLUGIN_PATH",
    "TORCHINDUCTOR_CACHE_DIR",
}


@dataclass(frozen=True)
class Facts:
    """Named facts at one moment."""

    values: Mapping[str, Any]

    def changes_to(self, later: Facts) -> list[str]:
        """One line per fact that differs, appeared or vanished."""
        names = {**self.values, **later.values}
        pairs = ((name, self.values.get(name, "absent"), later.values.get(name, "absent")) for name in names)
        return [f"{name}: {_short(was)} became {_short(now)}" for name, was, now in pairs if was != now]


def _short(value: object) -> str:
    return f"{value!r:.200}"


def torch_switches() -> dict[str, Any]:
    """Everything global that decides how torch computes."""
    cudnn, cuda = torch.backends.cudnn, torch.backends.cuda
    return {
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "float32 matmul precision": torch.get_float32_matmul_precision(),
        "cudnn flags": (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32),
        "fused attention": (cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()),
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
    }


def process_facts() -> dict[str, Any]:
    """Everything global that belongs to the user's process."""
    signals = [number for number in signal.valid_signals() if number not in OTHERS_SIGNALS]
    facts: dict[str, Any] = {
        "working directory": str(Path.cwd()),
        "warning filters": broad_filters(),
        "numpy error handling": np.geterr(),
        **{f"variable {name}": value for name, value in os.environ.items() if name not in OTHERS_VARIABLES},
        **{f"signal {number}": signal.getsignal(number) for number in signals},
    }
    return facts


def library_settings() -> dict[str, Any]:
    """Settings of libraries that are imported only where they are needed."""
    settings: dict[str, Any] = {}
    if "PIL.Image" in sys.modules:
        settings["Pillow's size limit"] = sys.modules["PIL.Image"].MAX_IMAGE_PIXELS
    if "matplotlib" in sys.modules:
        entries = dict.items(sys.modules["matplotlib"].rcParams)
        settings.update({f"rcParams {key}": repr(value) for key, value in entries if key != "backend"})
    return settings


def broad_filters() -> list[Any]:
    """The warning filters that apply to everybody.

    Filters for one message, one module or a package's own category are what scipy, sympy and lightning add on import.
    """
    return [
        entry
        for entry in warnings.filters
        if entry[1] is None and entry[3] is None and entry[2].__module__ == "builtins"
    ]


def surroundings() -> Facts:
    """The facts that no test may change, whatever it calls."""
    return Facts({**torch_switches(), **process_facts(), **library_settings()})


def marks_since(before: Facts) -> list[str]:
    """What differs from ``before``; a library imported meanwhile brought its settings along, which is no mark."""
    libraries = {name: value for name, value in library_settings().items() if name in before.values}
    return before.changes_to(Facts({**torch_switches(), **process_facts(), **libraries}))


def generators() -> Facts:
    """The state of every global random generator."""
    kind, keys, *rest = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return Facts(
        {
            "python's generator": random.getstate(),
            "numpy's generator": (kind, keys.tobytes(), *rest),
            "torch's generator": torch.get_rng_state().numpy().tobytes(),
            "cuda's generators": [state.numpy().tobytes() for state in cuda],
        }
    )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Every global generator seeded inside and put back after."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextmanager
def hook_registrations() -> Iterator[Callable[[], list[str]]]:
    """Watches every hook that torch registers inside; the result lists seewhy's hooks that are still in place.

    The hook dictionaries are held, not the modules, so that a hook is seen even when its model is gone by then. Hooks
    on tensors die with their graph and are not watched.
    """
    placed: list[tuple[dict[int, Any], int]] = []
    register = RemovableHandle.__init__

    def recording(handle: RemovableHandle, hooks: Any, **extra: Any) -> None:
        register(handle, hooks, **extra)
        if not isinstance(sys._getframe(1).f_locals.get("self"), Tensor):
            placed.append((hooks, handle.id))

    def left() -> list[str]:
        hooks = [table[number] for table, number in placed if number in table]
        return [f"hook {hook!r:.200} was left in place" for hook in hooks if _belongs_to_seewhy(hook)]

    RemovableHandle.__init__ = recording  # type: ignore[method-assign]
    try:
        yield left
    finally:
        RemovableHandle.__init__ = register  # type: ignore[method-assign]


def _belongs_to_seewhy(hook: Any) -> bool:
    function = getattr(hook, "func", hook)
    module = getattr(function, "__module__", None) or type(function).__module__
    return module.split(".")[0] == "seewhy"
