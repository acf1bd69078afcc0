"""What both callbacks share: rank zero alone, their own seconds, the report, the numbers they log."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from seewhy.models.borrow import borrowed
from seewhy.training.lightning_choice import lightning_module
from seewhy.training.logger_guard import Guard
from seewhy.values import ConfigError

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    Callback = lightning_module().Callback

_LOGS: Final = ("log", "log_dict")
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_/. -]")
"""What MLflow takes in no name; the other loggers get the same names."""


@dataclass(frozen=True)
class CallbackReport:
    """What a callback did during a fit.

    ``seconds`` of its own out of ``fit_seconds`` (to now, while the fit runs); ``events``: how often it logged;
    ``pictures`` delivered, counted for each logger; ``failures``: how often something failed, ``problems`` in words.
    """

    seconds: float
    fit_seconds: float
    events: int
    pictures: int
    failures: int
    problems: tuple[str, ...]

    @property
    def share(self) -> float:
        """The part of the fit's time that was the callback's own; 0 before any fit."""
        return self.seconds / self.fit_seconds if self.fit_seconds else 0.0

    def __str__(self) -> str:
        told = f"{self.seconds:.2f} s of {self.fit_seconds:.2f} s ({self.share:.1%}), logged {self.events} times"
        pictures = f", {self.pictures} pictures" if self.pictures else ""
        failures = f", {self.failures} failures: {'; '.join(self.problems)}" if self.failures else ""
        return told + pictures + failures


class WatchingCallback(Callback):
    """Watches a training from rank zero without changing it; at the end of a fit it logs ``{prefix}/overhead``.

    ``overhead`` is the callback's share of the fit's time, ``overhead_seconds`` the seconds.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = require_prefix(prefix)
        self.guard = Guard(type(self).__name__)
        self._seconds, self._working = 0.0, False
        self._events = self._pictures = 0
        self._fit_started = self._fit_ended = 0.0

    def report(self) -> CallbackReport:
        """What was done in the current fit, or in the last one."""
        ended = self._fit_ended or (time.perf_counter() if self._fit_started else 0.0)
        counted = (self._events, self._pictures, self.guard.count, self.guard.problems)
        return CallbackReport(self._seconds, ended - self._fit_started, *counted)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        del trainer, pl_module
        self._start_anew()
        self._fit_started, self._fit_ended = time.perf_counter(), 0.0

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock and log the overhead."""
        del pl_module
        self._stop()
        if trainer.is_global_zero:
            found = self.report()
            numbers = {"overhead": found.share, "overhead_seconds": found.seconds}
            self.log_numbers(trainer, {f"{self.prefix}/{name}": value for name, value in numbers.items()})

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stop the clock."""
        del trainer, pl_module, exception
        self._stop()

    def log_numbers(self, trainer: Trainer, numbers: Mapping[str, float]) -> None:
        """Give numbers to every logger at the trainer's step; one that throws is passed over."""
        fit = {_UNFIT.sub("_", name): value for name, value in numbers.items()}
        for logger in trainer.loggers:
            self.guard.attempt(
                f"logging numbers to {type(logger).__name__}",
                lambda logger=logger: logger.log_metrics(fit, step=trainer.global_step),  # type: ignore[misc]
            )

    @contextmanager
    def own_time(self) -> Iterator[None]:
        """What runs in here counts as the callback's own time."""
        outermost, began = not self._working, time.perf_counter()
        self._working = True
        try:
            yield
        finally:
            if outermost:
                self._seconds += time.perf_counter() - began
                self._working = False

    def _start_anew(self) -> None:
        self.guard = Guard(type(self).__name__)
        self._seconds, self._working = 0.0, False
        self._events = self._pictures = 0

    def _stop(self) -> None:
        if self._fit_started and not self._fit_ended:
            self._fit_ended = time.perf_counter()


@contextmanager
def asking(module: nn.Module) -> Iterator[None]:
    """The network in evaluation mode and in the precision of its weights, as plain modules; given back as it was.

    Lightning compiles the methods of a module rather than the module, which a look at the module does not show. What
    a forward writes into buffers is taken back, and what it logs is not logged.
    """
    device = next((weight.device.type for weight in module.parameters()), "cpu")
    with ExitStack() as stack:
        stack.callback(_put_back, [(buffer, buffer.detach().clone()) for buffer in module.buffers()])
        stack.enter_context(_silent(module))
        stack.enter_context(borrowed(module))
        stack.enter_context(torch.autocast(device, enabled=False))
        if is_compiled(module):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def _put_back(buffers: Sequence[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for buffer, before in buffers:
            if not torch.equal(buffer, before):
                buffer.copy_(before)


@contextmanager
def _silent(module: nn.Module) -> Iterator[None]:
    """A module whose ``log`` and ``log_dict`` do nothing: Lightning allows them in some places of a fit only."""
    own: dict[str, Any] = {name: module.__dict__[name] for name in _LOGS if name in module.__dict__}
    module.__dict__.update(dict.fromkeys(_LOGS, _log_nothing))
    try:
        yield
    finally:
        for name in _LOGS:
            module.__dict__.pop(name, None)
        module.__dict__.update(own)


def _log_nothing(*given: Any, **settings: Any) -> None:
    """What stands for logging while a network is only asked."""
    del given, settings


def is_compiled(module: nn.Module) -> bool:
    """Whether hooks may not be seen, since the network or a part of it runs as compiled code."""
    if getattr(module, "_compiler_ctx", None) is not None:
        return True
    return any(part._compiled_call_impl is not None or "_orig_mod" in part._modules for part in module.modules())


def require_prefix(prefix: object) -> str:
    """The prefix of names; raises ``ConfigError`` SW-F180 for what can be no part of a name on disk or in a logger."""
    if not isinstance(prefix, str) or not all(re.fullmatch(r"\w[\w. -]*", part) for part in prefix.split("/")):
        raise ConfigError(
            "SW-F180",
            f"prefix is made of letters, digits and any of '_-. ', in parts divided by '/', got {prefix!r}",
            fix="prefix='interpretation'",
        )
    return prefix


def require_count(name: str, value: object, *, none: bool = False) -> None:
    """Raise ``ConfigError`` SW-F181 for what is no whole number from 1 on."""
    if (none and value is None) or (type(value) is int and value >= 1):
        return
    raise ConfigError("SW-F181", f"{name} must be a whole number from 1 on, got {value!r}", fix=f"{name}=5")
