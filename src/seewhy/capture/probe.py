"""The only gateway to a model: ask for scores, or for everything one forward and partial backwards leave behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.capture.attention import AttentionRecorder
from seewhy.capture.taps import Tapped, taps
from seewhy.core import Capture, Inputs, Target, Wants
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed
from seewhy.models.layers import OUTPUTS, Layer
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
        with borrowed(self.adapter.model), self._edited(edit):
            outputs = self.adapter.outputs(self.adapter.call(self._on_device(inputs)))
            return self._scores(self.bound(outputs), outputs)

    def bound(self, outputs: Float[Tensor, "b c"]) -> tuple[Target, ...]:
        """The targets with "the predicted class" settled on these outputs."""
        return tuple(target.bind(outputs) for target in self.targets)

    def capture(self, inputs: Inputs, wants: Wants, edit: Edit | None = None) -> Capture:
        """One forward, and one backward per target through the layers behind the first wanted gradient only.

        Nothing before that layer records a graph; no parameter's ``.grad`` or ``requires_grad`` is touched. Raises
        ``LayerError`` for a layer that is not reached or has no path to the outputs, ``ModelError`` when an in-place
        operation of the model defeats differentiation.
        """
        inputs = self._on_device(inputs)
        try:
            return self._capture(inputs, wants, edit, full_graph=False)
        except RuntimeError as error:
            if "modified inplace" not in str(error) and "modified in place" not in str(error):
                raise
        try:
            return self._capture(inputs, wants, edit, full_graph=True)
        except RuntimeError as error:
            raise ModelError(
                "SW-M07",
                f"the model changes a wanted layer's output in place, so it has no gradient there: {error}",
                fix="choose another layer, or make that operation out of place",
            ) from error

    def _capture(self, inputs: Inputs, wants: Wants, edit: Edit | None, *, full_graph: bool) -> Capture:
        differentiate = tuple(self.adapter.layer(name) for name in wants.gradients)
        embedding = None if wants.embedding in (None, OUTPUTS) else self.adapter.layer(str(wants.embedding))
        read = (*differentiate, *(self.adapter.layer(name) for name in wants.activations), *([embedding] if embedding else []))
        recorder = self._recorder(inputs, wants)
        with borrowed(self.adapter.model), self._edited(edit), ExitStack() as stack:
            tapped = stack.enter_context(taps(self.adapter.model, tuple(dict.fromkeys(read)), differentiate=differentiate))
            with torch.set_grad_enabled(full_graph), recorder or ExitStack():
                raw = self.adapter.call(inputs)
            with torch.set_grad_enabled(bool(differentiate)):
                outputs = self.adapter.outputs(raw)
                targets = self.bound(outputs.detach())
                scores = self._scores(targets, outputs)
                leaves = [tapped[layer] for layer in differentiate]
                gradients = _partial_backwards(scores.unbind(), leaves, wants.gradients)
        return Capture(
            outputs=outputs.detach(),
            scores=scores.detach(),
            targets=targets,
            activations=self._grids(wants.activations, tapped),
            gradients={
                name: torch.stack([self.adapter.grid(name).apply(g) for g in per_target]).float()
                for name, per_target in gradients.items()
            },
            attention=tuple(recorder.weights) if recorder else (),
            embedding=self._embedding(wants.embedding, embedding, tapped, outputs.detach()),
        )

    def _scores(self, targets: Sequence[Target], outputs: Float[Tensor, "b c"]) -> Float[Tensor, "k b"]:
        if not targets:
            return outputs.new_zeros((0, outputs.shape[0]))
        return torch.stack([target(outputs) for target in targets])

    def _grids(self, names: Sequence[str], tapped: Tapped) -> dict[str, Tensor]:
        return {name: _full(self.adapter.grid(name).apply(tapped[self.adapter.layer(name)].detach())) for name in names}

    def _embedding(
        self, name: str | None, layer: Layer | None, tapped: Tapped, outputs: Tensor
    ) -> Float[Tensor, "b d"] | None:
        if name is None:
            return None
        tensor = outputs if layer is None else tapped[layer].detach()
        return _full(self.adapter.embedding_of(name, tensor))

    def _recorder(self, inputs: Inputs, wants: Wants) -> AttentionRecorder | None:
        if not wants.attention:
            return None
        batch = next(iter(inputs.values())).shape[0]
        keep = frozenset(wants.heads_of)
        return AttentionRecorder(
            batch=batch,
            tokens=self._tokens,
            reduce=lambda call, weights: weights if call in keep else weights.mean(dim=1, keepdim=True),
        )

    def _on_device(self, inputs: Inputs) -> Inputs:
        moved = {name: tensor.to(self.adapter.device, non_blocking=True) for name, tensor in inputs.items()}
        return {name: tensor.clone() if tensor.is_inference() else tensor for name, tensor in moved.items()}

    @contextmanager
    def _edited(self, edit: Edit | None) -> Iterator[None]:
        modules = dict(self.adapter.model.named_modules())
        with ExitStack() as stack:
            for name, change in (edit or {}).items():
                layer = self.adapter.layer(name)
                handle = modules[layer.name].register_forward_hook(_replacing(change))
                stack.callback(handle.remove)
            yield


def _replacing(change: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, Any, Any], Any]:
    return lambda module, args, output: change(output)


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
            fix="choose a layer the outputs depend on; torch.no_grad() or detach() in the model's forward cuts the path",
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
