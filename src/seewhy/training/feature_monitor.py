"""While a network learns: what its layers put out in the training's own forwards, as numbers in every logger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from seewhy.capture.reading import LayerOutput, reading
from seewhy.features.layer_choice import chosen_layers
from seewhy.features.layer_reader import LayerReader
from seewhy.features.statistics import LayerStatistics
from seewhy.models.layers import Layer
from seewhy.training.callback_base import WatchingCallback, asking, is_compiled, require_count
from seewhy.training.feature_tally import ExtraStatistic, Tally, chosen_batches
from seewhy.values import ConfigError

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

OWN_NUMBERS = ("mean", "std", "sparsity", "max", "near_zero", "dead", "overhead", "overhead_seconds")


@dataclass
class _Watch:
    """What is being gathered: the tally of each stage, and the hooks that are in place."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    hooks: ExitStack = field(default_factory=ExitStack)


class FeatureMonitorCallback(WatchingCallback):
    """Logs ``features/{layer}/{mean,std,sparsity,max,near_zero,dead}`` of each epoch, and ``val_features/…``.

    The numbers are of what the layers put out in the training's own forwards, in training mode, over all records of the
    measured batches: nothing runs twice and nothing is changed. Sums are kept, never activations. ``sparsity`` is the
    share of exact zeros, ``near_zero`` of values up to 1 % of their record's largest in the layer, ``dead`` the share
    of channels near zero in every record. Of a compiled network, whose code hooks must not touch, the measured batches
    are run once more, uncompiled and in evaluation mode.

    Args:
        layer_names: layers by name, the end of a name, pattern (``layer*``), type or module; the network's stages if
            None.
        log_every_n_epochs: measure the n-th, 2n-th, … epoch, and validations in them.
        num_batches: batches measured in an epoch, spread evenly over it (the first ones where its length is not
            known), and as many of each validation loader.
        prefix: what names in loggers begin with.
        extra_stats: further numbers: name to a function of a layer's output ``(B, C, *S)``, which it must not change;
            the mean over records is logged.

    Raises:
        ConfigError: ``SW-F180``, ``SW-F181``, ``SW-F185`` an extra statistic that is no function or has a taken name.
        LayerError: when the fit starts, a layer that is not there.
        MissingExtraError: Lightning is not installed.

    Example:
        >>> callback = FeatureMonitorCallback(["layer3", "layer4"], extra_stats={"l1_norm": lambda x: x.abs().sum()})
        >>> callback.statistics  # filled by Trainer(callbacks=[callback]).fit(...)
        {}
    """

    def __init__(
        self,
        layer_names: Any = None,
        log_every_n_epochs: int = 1,
        num_batches: int = 10,
        *,
        prefix: str = "features",
        extra_stats: Mapping[str, ExtraStatistic] = MappingProxyType({}),
    ) -> None:
        super().__init__(prefix)
        require_count("log_every_n_epochs", log_every_n_epochs)
        require_count("num_batches", num_batches)
        if not isinstance(extra_stats, Mapping):
            raise ConfigError(
                "SW-F185", f"extra_stats maps names to functions, got {extra_stats!r}", fix="extra_stats={'l1': fn}"
            )
        for name, statistic in extra_stats.items():
            if not callable(statistic) or name in OWN_NUMBERS:
                raise ConfigError(
                    "SW-F185",
                    f"extra_stats maps a name of its own to a function of a tensor, got {name!r}: {statistic!r}",
                    fix="extra_stats={'l1_norm': lambda values: values.abs().sum()}",
                )
        self.layer_names, self.extra_stats = layer_names, dict(extra_stats)
        self.log_every_n_epochs, self.num_batches = log_every_n_epochs, num_batches
        self.statistics: dict[str, dict[str, LayerStatistics]] = {}
        """The last numbers: ``train`` and ``val`` to layer to statistics."""
        self._layers: dict[str, Layer] = {}
        self._watch = _Watch()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the layers."""
        super().on_fit_start(trainer, pl_module)
        self._watch = _Watch()
        self._layers = chosen_layers(pl_module, self.layer_names)
        if trainer.is_global_zero and not trainer.loggers:
            self.guard.failed("logging numbers", "the trainer has no logger; they are in callback.statistics")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count anew."""
        del pl_module
        self._begin("train", trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Read along in the forward of a chosen batch."""
        del batch
        if self._is_chosen("train", trainer.num_training_batches, batch_idx):
            self._open("train", pl_module)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Stop reading: gradient checkpointing calls layers a second time in the backward."""
        del trainer, pl_module, loss
        self._close()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop reading; of a compiled network, run the batch once more."""
        del outputs
        self._close()
        if self._is_chosen("train", trainer.num_training_batches, batch_idx):
            self._run_again("train", pl_module, batch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch's numbers."""
        del pl_module
        self._log("train", self.prefix, trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count a validation by itself; the check before training is none."""
        del pl_module
        if not trainer.sanity_checking:
            self._begin("val", trainer)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Read along in the forward of a chosen batch."""
        del batch
        if self._is_chosen_validation(trainer, batch_idx, dataloader_idx):
            self._open("val", pl_module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop reading; of a compiled network, run the batch once more."""
        del outputs
        self._close()
        if self._is_chosen_validation(trainer, batch_idx, dataloader_idx):
            self._run_again("val", pl_module, batch)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the validation's numbers."""
        del pl_module
        self._log("val", f"val_{self.prefix}", trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave no hook behind."""
        self._close()
        super().on_exception(trainer, pl_module, exception)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave no hook behind."""
        del trainer, pl_module, stage
        self._close()

    def _begin(self, stage: str, trainer: Trainer) -> None:
        due = trainer.is_global_zero and (trainer.current_epoch + 1) % self.log_every_n_epochs == 0
        if due and self._layers:
            self._watch.tallies[stage] = Tally(self._layers, self.extra_stats)

    def _is_chosen_validation(self, trainer: Trainer, batch_idx: int, dataloader_idx: int) -> bool:
        totals: Sequence[float] = trainer.num_val_batches
        return self._is_chosen("val", totals[dataloader_idx], batch_idx)

    def _is_chosen(self, stage: str, total: float, batch_idx: int) -> bool:
        return stage in self._watch.tallies and batch_idx in chosen_batches(total, self.num_batches)

    def _open(self, stage: str, module: nn.Module) -> None:
        if is_compiled(module):
            return
        tally = self._watch.tallies[stage]

        def take(output: LayerOutput) -> None:
            with self.own_time():
                self.guard.attempt(f"measuring {output.layer}", lambda: tally.take(output))

        with self.own_time():
            watched = reading(module, self._layers, take, required=False)
            if self.guard.attempt("reading the layers", lambda: self._watch.hooks.enter_context(watched)):
                tally.batches += 1

    def _run_again(self, stage: str, module: nn.Module, batch: Any) -> None:
        if not is_compiled(module):
            return
        tally = self._watch.tallies[stage]
        with self.own_time(), asking(module):
            tally.batches += 1
            reader = LayerReader(module, self.layer_names)
            self.guard.attempt("running a batch uncompiled", lambda: reader.read(batch, tally.take))

    def _close(self) -> None:
        with self.own_time():
            self._watch.hooks.close()

    def _log(self, stage: str, prefix: str, trainer: Trainer) -> None:
        tally = self._watch.tallies.pop(stage, None)
        if tally is None:
            return
        with self.own_time():
            found = {
                f"{prefix}/{layer}/{name}": value for layer, of in tally.numbers().items() for name, value in of.items()
            }
            self.statistics[stage] = {layer: seen.summary() for layer, seen in tally.statistics.items()}
            for layer in self._layers:
                if tally.batches and layer not in tally.statistics:
                    self.guard.failed(f"measuring {layer}", f"it put out no maps or vectors in {tally.batches} batches")
            if found:
                self._events += 1
                self.log_numbers(trainer, found)
