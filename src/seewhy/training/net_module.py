"""One diagnosis from several pictures, as a LightningModule that explains its own predictions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from seewhy.demo.train import optimizer_of
from seewhy.models.borrow import borrowed
from seewhy.models.checkpoint import read_state_dict
from seewhy.training.configuration import TrainingConfig, check_config, read_config
from seewhy.training.explaining import ExplainsInputs
from seewhy.training.network import build_network, other_model
from seewhy.values import MissingExtraError

try:
    from lightning.pytorch import LightningModule
except ImportError as error:
    raise MissingExtraError("lightning", "lightning") from error

NO_LABEL = -1


class NetModule(ExplainsInputs, LightningModule):
    """``out`` is a :class:`seewhy.models.multi_branch.MultiBranch` whose backbones and inputs the configuration names.

    ``config`` is a dict as :func:`seewhy.training.configuration.read_config` gives it; the packaged example without
    one. ``input_names`` and ``class_names`` come from it. Batches are ``(*pictures, label, id)``, the pictures in the
    order of the inputs.

    Raises:
        ConfigError: ``SW-F105`` to ``SW-F107`` for the configuration.
        ModelError: from :class:`MultiBranch` for what cannot be built.
        MissingExtraError: Lightning is not installed (when this module is imported).
    """

    def __init__(self, config: Mapping[str, Any] | TrainingConfig | None = None) -> None:
        super().__init__()
        checked = check_config(read_config() if config is None else config)
        self.save_hyperparameters({"config": checked.plain})
        self.config = checked
        self.class_names: Sequence[str] = checked.data.names()
        self.out = build_network(checked)
        self.input_names = self.out.input_names
        self.loss = nn.CrossEntropyLoss(ignore_index=NO_LABEL)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | os.PathLike[str],
        map_location: Any = None,
        *,
        config: Mapping[str, Any] | TrainingConfig | None = None,
        **kwargs: Any,
    ) -> NetModule:
        """The module of a Lightning checkpoint, built by ``config``, or by the one that the checkpoint holds.

        The file is examined before anything is read from it, and nothing in it is run.

        Raises:
            CheckpointError: whatever :func:`seewhy.models.checkpoint.read_state_dict` raises.
            ConfigError: ``SW-F109`` weights of another model than the configuration describes.
        """
        read_state_dict(checkpoint_path)
        given = {**kwargs, **({} if config is None else {"config": config}), "weights_only": True}
        try:
            return super().load_from_checkpoint(os.fspath(checkpoint_path), map_location, **given)
        except RuntimeError as error:
            if "state_dict" not in str(error):
                raise
            raise other_model(_first_lines(error)) from error

    def forward(self, *pictures: Any, **by_name: Tensor) -> Float[Tensor, "b classes"]:
        """The logits of pictures ``(B, C, H, W)``, in order (``mnv, fluid, ga, drusen``) or by name."""
        return self.out(*pictures, **by_name)  # type: ignore[no-any-return]

    def predict(self, inputs: Sequence[Tensor] | Mapping[str, Tensor]) -> dict[str, Any]:
        """The predicted class of each record, in evaluation mode; the module is left as it was.

        ``inputs`` are pictures ``(B, C, H, W)`` in order or by name, on any device. ``predicted_class``,
        ``confidence`` and ``class_name`` are single values for one record and lists for several; ``probabilities`` is
        an array ``(B, C)``.
        """
        device = next(self.out.parameters()).device
        with borrowed(self):
            if isinstance(inputs, Mapping):
                logits = self.out(**{name: picture.to(device) for name, picture in inputs.items()})
            else:
                logits = self.out(*(picture.to(device) for picture in inputs))
        probabilities = logits.softmax(dim=1).cpu()
        confidence, predicted = (values.tolist() for values in probabilities.max(dim=1))
        names = [self.class_names[number] for number in predicted]
        lists = {"predicted_class": predicted, "confidence": confidence, "class_name": names}
        told: dict[str, Any] = {key: values[0] if len(values) == 1 else values for key, values in lists.items()}
        return {**told, "probabilities": probabilities.numpy()}

    def training_step(self, batch: Sequence[Any], batch_idx: int) -> Tensor:
        """The cross-entropy of a batch ``(*pictures, label, id)``."""
        del batch_idx
        return self._step(batch, "train")

    def validation_step(self, batch: Sequence[Any], batch_idx: int) -> Tensor:
        """As :meth:`training_step`; loss and accuracy are logged."""
        del batch_idx
        return self._step(batch, "val")

    def test_step(self, batch: Sequence[Any], batch_idx: int) -> Tensor:
        """As :meth:`validation_step`."""
        del batch_idx
        return self._step(batch, "test")

    def configure_optimizers(self) -> Any:
        """AdamW, the learning rate rising to ``lr`` in a tenth of the steps, then falling as a cosine."""
        optimizer, schedule = optimizer_of(self.out, self.config.net.lr, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _step(self, batch: Sequence[Any], stage: str) -> Tensor:
        pictures, labels = batch[: len(self.input_names)], batch[len(self.input_names)]
        logits = self.out(*pictures)
        loss: Tensor = self.loss(logits, labels)
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        self.log_dict({f"{stage}_loss": loss.detach(), f"{stage}_accuracy": accuracy}, batch_size=len(labels))
        return loss


def _first_lines(error: BaseException, count: int = 3) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:count])
