"""The only gateway to a model: ask for scores, or for everything one forward and partial backwards leave behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.capture.attention import AttentionRecorder
from seewhy.capture.taps import Tapped, edits, taps
from seewhy.core import Capture, Inputs, Target, Wants
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed
from seewhy.models.layers import OUTPUTS, Layer
from seewhy.models.trace import is_in_place_conflict
from seewhy.values import LayerError, ModelError

Edit = Mapping[str, Callable[[Tensor], Tensor]]


class Probe:
    """A model and the questions put to it.

    Example:
        >>> import torch, timm
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"image": torch.zeros(2, 3, 64, 64)}
        >>> model = timm.create_model("test_resnet", num_classes=5)
        >>> Probe(Adapter(model, x), [Logit(3)]).score(x).shape
        torch.Size([1, 2])
    """

    def __init__(self, adapter: Adapter, targets: Sequence[Target], *, tokens: int | None = None) -> None:
        self.adapter = adapter
        self.targets = tuple(targets)
        self._tokens = tokens

    def score(self, inputs: Inputs, edit: Edit | None = None) -> Float[Tensor, "k b"]:
        """The score of every target for every record, ``(K, B)``; ``edit={layer: fn}`` replaces a layer's output."""
        with borrowed(self.adapter.model), edits(self.adapter.model, self._changes(edit)):
            inputs = self._on_device(inputs)
            outputs = self.adapter.outputs(self.adapter.call(inputs), batch=_batch(inputs))
            return _stacked(_scores(self.bound(outputs), outputs), outputs)

    def bound(self, outputs: Float[Tensor, "b c"]) -> tuple[Target, ...]:
        """The targets with "the predicted class" settled on these outputs."""
        return tuple(target.bind(outputs) for target in self.targets)

    def capture(self, inputs: Inputs, wants: Wants, edit: Edit | None = None) -> Capture:
        """One forward, and one backward per target through the layers behind the first wanted gradient only.

        Nothing before that layer records a graph; no parameter's ``.grad`` or ``requires_grad`` is touched. Raises
        ``LayerError`` for a layer that is not reached, has no grid or has no path to the outputs, ``ModelError`` when
        an in-place operation of the model defeats differentiation.
        """
        try:
            return self._capture(inputs, wants, edit, full_graph=False)
        except RuntimeError as error:
            if not is_in_place_conflict(error):
                raise
        try:
            return self._capture(inputs, wants, edit, full_graph=True)
        except RuntimeError as error:
            if not is_in_place_conflict(error):
                raise
            raise ModelError(
                "SW-M07",
                f"the model changes a wanted layer's output in place, so it has no gradient there: {error}",
                fix="choose another layer, or make that operation out of place",
            ) from error

    def _capture(self, inputs: Inputs, wants: Wants, edit: Edit | None, *, full_graph: bool) -> Capture:
        layers = self._layers(wants)
        grids = {name: self.adapter.grid(name) for name in (*wants.activations, *wants.gradients)}
        differentiated = wants.gradients if self.targets else ()
        differentiate = tuple(layers[name] for name in differentiated)
        model = self.adapter.model
        with borrowed(model), edits(model, self._changes(edit)):
            inputs = self._on_device(inputs)
            recorder = self._recorder(inputs, wants)
            with (
                taps(model, tuple(layers.values()), differentiate=differentiate) as tapped,
                torch.set_grad_enabled(full_graph),
                recorder or nullcontext(),
            ):
                raw = self.adapter.call(inputs)
            with torch.set_grad_enabled(bool(differentiate)):
                outputs = self.adapter.outputs(raw, batch=_batch(inputs))
                targets = self.bound(outputs.detach())
                scores = _scores(targets, outputs)
                gradients = _partial_backwards(scores, [tapped[layer] for layer in differentiate], differentiated)
        return Capture(
            outputs=outputs.detach(),
            scores=_stacked(scores, outputs).detach(),
            targets=targets,
            activations={name: _full(grids[name].apply(tapped[layers[name]].detach())) for name in wants.activations},
            gradients={name: _full(torch.stack([grids[name].apply(g) for g in gradients[name]])) for name in gradients},
            attention=tuple(recorder.weights) if recorder else (),
            embedding=self._embedding(wants.embedding, layers, tapped, outputs.detach()),
        )

    def _changes(self, edit: Edit | None) -> dict[Layer, Callable[[Tensor], Tensor]]:
        return {self.adapter.layer(name): change for name, change in (edit or {}).items()}

    def _layers(self, wants: Wants) -> dict[str, Layer]:
        """Every layer to be read, by the name it was asked for with."""
        embedding = () if wants.embedding in (None, OUTPUTS) else (wants.embedding,)
        return {name: self.adapter.layer(name) for name in (*wants.gradients, *wants.activations, *embedding) if name}

    def _embedding(
        self, name: str | None, layers: Mapping[str, Layer], tapped: Tapped, outputs: Float[Tensor, "b c"]
    ) -> Float[Tensor, "b d"] | None:
        if name is None:
            return None
        tensor = outputs if name == OUTPUTS else tapped[layers[name]].detach()
        return _full(self.adapter.embedding_of(name, tensor))

    def _recorder(self, inputs: Inputs, wants: Wants) -> AttentionRecorder | None:
        if not wants.attention:
            return None
        keep = frozenset(wants.heads_of)
        return AttentionRecorder(
            batch=_batch(inputs),
            tokens=self._tokens,
            reduce=lambda call, weights: weights if call in keep else weights.mean(dim=1, keepdim=True),
        )

    def _on_device(self, inputs: Inputs) -> Inputs:
        """Inputs where the model is; a tensor made in inference mode is copied, for it cannot take part in a graph."""
        device = self.adapter.device
        moved = {name: tensor.to(device, non_blocking=device.type == "cuda") for name, tensor in inputs.items()}
        return {name: tensor.clone() if tensor.is_inference() else tensor for name, tensor in moved.items()}


def _batch(inputs: Inputs) -> int:
    return next(iter(inputs.values())).shape[0]


def _scores(targets: Sequence[Target], outputs: Float[Tensor, "b c"]) -> list[Float[Tensor, " b"]]:
    return [target(outputs) for target in targets]


def _stacked(scores: Sequence[Float[Tensor, " b"]], outputs: Float[Tensor, "b c"]) -> Float[Tensor, "k b"]:
    return torch.stack(tuple(scores)) if scores else outputs.new_zeros((0, outputs.shape[0]))


def _partial_backwards(
    scores: Sequence[Float[Tensor, " b"]], leaves: Sequence[Tensor], names: Sequence[str]
) -> dict[str, list[Tensor]]:
    """The gradient of each target's summed score at each leaf; records do not mix, so the sum separates."""
    if not leaves or not scores:
        return {}
    if not scores[0].requires_grad:
        raise LayerError(
            "SW-L13",
            f"the score has no gradient path to {', '.join(names)}",
            fix="choose a layer the outputs depend on; no_grad() or detach() in the model's forward cuts the path",
        )
    gradients: dict[str, list[Tensor]] = {name: [] for name in names}
    last = len(scores) - 1
    for index, score in enumerate(scores):
        found = torch.autograd.grad(score.sum(), leaves, retain_graph=index < last, allow_unused=True)
        for name, gradient in zip(names, found, strict=True):
            if gradient is None:
                raise LayerError(
                    "SW-L13", f"the score has no gradient path to {name}", fix="choose a layer the outputs depend on"
                )
            gradients[name].append(gradient.detach())
    return gradients


def _full(tensor: Tensor) -> Tensor:
    """Half-precision captures are read in float32; float64 stays."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
