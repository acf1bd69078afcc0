"""While a network learns: the same pictures explained again every few epochs, in whatever logger there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from seewhy.explain.class_choice import class_list
from seewhy.explain.drawing import Look
from seewhy.explain.explainer import Explainer, require_batch_size
from seewhy.explain.explainers import explainer_class, make_explainer
from seewhy.explain.keywords import require_settings
from seewhy.explain.reading import Reading
from seewhy.explain.recipe import Given as GivenPreprocessing
from seewhy.explain.recipe import Recipe
from seewhy.explain.study import Study
from seewhy.models.outputs import Selector
from seewhy.registry import METHODS
from seewhy.training.callback_base import WatchingCallback, asking, require_count
from seewhy.training.logging_pictures import Event, LoggedPicture, deliver
from seewhy.training.sample_pictures import Given, Sample, explained_pictures
from seewhy.values import ConfigError

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

ExplainerFactory = Callable[[nn.Module], Explainer]
SHARDED: Final = ("FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy")


class SteadyStudy(Study):
    """What is known of a network that learns: its weights change, how it is built does not, so that one trace does."""

    def _weights(self) -> int:
        return 0


class InterpretationCallback(WatchingCallback):
    """Logs where a network looks on the same few pictures, every ``log_every_n_epochs`` epochs or so many steps.

    The network is asked in evaluation mode and in the precision of its weights, and given back as it was: weights,
    gradients, statistics and random numbers are those of a training without the callback. The layer explained through
    stays the one of the start, so that pictures can be compared. Pictures are prepared once, when the fit starts, and
    one of them is explained then, so that what cannot work is an error before training; what fails later is counted
    and told, and the training goes on. Processes other than the first do nothing.

    Args:
        sample_images: paths, PIL pictures, arrays or prepared tensors ``(C, H, W)``, or a batch ``(B, C, H, W)``; or a
            function of the LightningModule that gives them, or them and their labels, anew each time.
        sample_labels: what the pictures truly are, by number or name, for the titles.
        method: any method of seewhy's.
        target_layer: the layer to explain through; the traced default if None.
        log_every_n_epochs: log at the end of the n-th, 2n-th, … epoch.
        log_every_n_steps: log after n, 2n, … steps of the optimizer instead.
        num_samples: pictures at most; of more, as many are chosen by ``seed``.
        colormap, alpha: as in :func:`seewhy.explain_prediction`.
        prefix: what names in loggers and folders begin with; callbacks of several methods need different ones.
        target_class: the class to explain, by number or name, for all or one for each chosen picture; the predicted
            one if None.
        explain_labels: explain the true class of each picture instead.
        preprocessing, class_names, task, threshold, output_selector: as in :func:`seewhy.explain_prediction`.
        explainer_factory: makes the explainer from the LightningModule, in place of ``method`` and its settings.
        batch_size: pictures asked at once.
        seed: of the choice among many pictures.
        settings: the method's own, such as ``steps=20``.

    Raises:
        ConfigError: ``SW-F180`` to ``SW-F184``, ``SW-F10`` no such method, ``SW-F12`` no such setting.
        MissingExtraError: Lightning is not installed.

    Example:
        >>> callback = InterpretationCallback(torch.rand(8, 3, 32, 32), [0, 1] * 4, log_every_n_epochs=2, num_samples=4)
        >>> callback.report().events  # Trainer(callbacks=[callback]).fit(...) logs after epochs 2, 4, ...
        0
    """

    def __init__(
        self,
        sample_images: Any,
        sample_labels: Any = None,
        method: str = "gradcam",
        target_layer: str | nn.Module | None = None,
        log_every_n_epochs: int = 5,
        log_every_n_steps: int | None = None,
        num_samples: int = 8,
        colormap: str = "viridis",
        alpha: float = 0.4,
        prefix: str = "interpretation",
        *,
        target_class: Any = None,
        explain_labels: bool = False,
        preprocessing: GivenPreprocessing | Recipe = None,
        class_names: Sequence[str] | None = None,
        task: str | None = None,
        threshold: float | None = None,
        output_selector: Selector | None = None,
        explainer_factory: ExplainerFactory | None = None,
        batch_size: int = 8,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(prefix)
        require_count("log_every_n_epochs", log_every_n_epochs)
        require_count("log_every_n_steps", log_every_n_steps, none=True)
        require_count("num_samples", num_samples)
        require_batch_size(batch_size)
        known = METHODS[method]
        require_settings(known, explainer_class(known.name).renamed(settings), InterpretationCallback)
        if explain_labels and (target_class is not None or (sample_labels is None and not callable(sample_images))):
            raise ConfigError(
                "SW-F183",
                "explain_labels asks for the true class of each picture: it needs sample_labels, and no target_class",
                fix="pass sample_labels=[...], or target_class=... alone",
            )
        self.sample_images, self.sample_labels = sample_images, sample_labels
        if not callable(sample_images):
            Given.of(sample_images, sample_labels, num_samples, seed)
        self.method, self.target_layer, self.settings = method, target_layer, settings
        self.log_every_n_epochs, self.log_every_n_steps = log_every_n_epochs, log_every_n_steps
        self.num_samples, self.seed, self.batch_size = num_samples, seed, batch_size
        self.look = Look(colormap, alpha)
        self.target_class, self.explain_labels = target_class, explain_labels
        self._reading = Reading(preprocessing, class_names, task, threshold, output_selector)
        self.explainer_factory = explainer_factory
        self._last_step = 0
        self._explainer: Explainer | None = None
        self._samples: list[Sample] = []
        self._layer: str | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prepare the pictures and explain one, so that what cannot work is an error now.

        Raises:
            SeewhyError: of the pictures, the layer or the method; ``ConfigError`` SW-F184 where weights are divided
                among processes.
        """
        super().on_fit_start(trainer, pl_module)
        self._forget()
        self._last_step = trainer.global_step
        _require_whole(trainer)
        if trainer.is_global_zero and not any(map(is_lazy, pl_module.parameters())):
            with self.own_time(), asking(pl_module):
                self._explained(self._settled(pl_module), most=1)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log after every so many steps, where that was asked for: once for each step of the optimizer."""
        del outputs, batch, batch_idx
        step, every = trainer.global_step, self.log_every_n_steps
        if every is not None and step != self._last_step and step % every == 0:
            self._last_step = step
            self.explain_now(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log after every so many epochs, unless steps were asked for."""
        if self.log_every_n_steps is None and (trainer.current_epoch + 1) % self.log_every_n_epochs == 0:
            self.explain_now(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say so where nothing was ever logged, and log the overhead."""
        if trainer.is_global_zero and not self._events and not self.guard.count:
            unit = "steps" if self.log_every_n_steps else "epochs"
            every = self.log_every_n_steps or self.log_every_n_epochs
            why = f"the training ended before there were {every} {unit}; set log_every_n_{unit} lower"
            self.guard.failed("logging pictures", why)
        super().on_fit_end(trainer, pl_module)
        self._forget()

    def explain_now(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Explain and log at this moment, from any hook; what fails is counted and told, never raised."""
        if not trainer.is_global_zero:
            return
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()  # the training's own work is not the callback's time
        with self.own_time():
            self.guard.attempt("explaining the samples", lambda: self._event(trainer, pl_module))

    def _event(self, trainer: Trainer, module: LightningModule) -> None:
        with asking(module):
            pictures = self._explained(self._settled(module))
            step = trainer.global_step
            when = f"step_{step}" if self.log_every_n_steps else f"epoch_{trainer.current_epoch}"
            event = Event(self.prefix, when, step, pictures)
            self._pictures += deliver(trainer, event, self.guard)
            self._events += 1

    def _settled(self, module: LightningModule) -> Explainer:
        """The explainer, made once for a fit, with the samples prepared once, or anew where a function gives them."""
        if self._explainer is None:
            self._explainer = self._made(module)
        if callable(self.sample_images):
            found = self.sample_images(module)
            pair = isinstance(found, tuple) and len(found) == 2
            images, labels = found if pair else (found, self.sample_labels)
            self._samples = Given.of(images, labels, self.num_samples, self.seed).prepared(self._explainer)
        elif not self._samples:
            given = Given.of(self.sample_images, self.sample_labels, self.num_samples, self.seed)
            self._samples = given.prepared(self._explainer)
        return self._explainer

    def _made(self, module: LightningModule) -> Explainer:
        if self.explainer_factory is not None:
            return self.explainer_factory(module)
        reading = self._reading
        names = getattr(module, "class_names", None)
        if reading.class_names is None and isinstance(names, list | tuple):
            reading = replace(reading, class_names=names)
        made = make_explainer(self.method, module, self.target_layer, reading, self.settings, InterpretationCallback)
        made.study = SteadyStudy(module, made.recipe.normalisation, made.reading.output_selector)
        return made

    def _explained(self, explainer: Explainer, most: int | None = None) -> list[LoggedPicture]:
        """The pictures of the samples, or of the first ones; the layer found for them is kept."""
        wanted = [sample.label for sample in self._samples] if self.explain_labels else self.target_class
        classes = class_list(wanted, len(self._samples), explainer.class_names)
        pictures, layer = explained_pictures(
            explainer, self._samples[:most], classes[:most], self.look, self.batch_size
        )
        if self._layer is None and isinstance(layer, str):
            self._layer = layer
            explainer.set_target_layer(layer)
        return pictures

    def _forget(self) -> None:
        """Let go of what belongs to one fit: the explainer, which refers to the network, samples and layer."""
        self._explainer, self._samples, self._layer = None, [], None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what was made for the running fit, for processes that are started with a copy."""
        return {**self.__dict__, "_explainer": None, "_samples": [], "_layer": None}


def _require_whole(trainer: Trainer) -> None:
    names = {base.__name__ for base in type(trainer.strategy).__mro__}
    if names & set(SHARDED):
        raise ConfigError(
            "SW-F184",
            f"{type(trainer.strategy).__name__} divides the weights among processes, so that the first alone cannot "
            "ask the network",
            fix="train with strategy='ddp', or explain checkpoints afterwards",
        )
