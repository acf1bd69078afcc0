"""The only gateway to a model: ask for scores, or for everything one forward and partial backwards leave behind."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.capture.attention import AttentionRecorder
from seewhy.capture.backward import partial_backwards
from seewhy.capture.constants import ConstantParameters
from seewhy.capture.taps import Tapped, edits, taps
from seewhy.core import Capture, Explanation, Inputs, Target, Wants
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed
from seewhy.models.grid import Grid
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

    def __init__(
        self, adapter: Adapter, targets: Sequence[Target], *, tokens: int | Collection[int] | None = None
    ) -> None:
        self.adapter = adapter
        self.targets = tuple(targets)
        self._tokens = tokens

    def asking(self, targets: Sequence[Target]) -> Probe:
        """The same model, other questions."""
        other = copy.copy(self)
        other.targets = tuple(targets)
        return other

    def over(self, tokens: int | Collection[int]) -> Probe:
        """The same, reading attention over this many tokens only; over any of several numbers of them."""
        other = copy.copy(self)
        other._tokens = tokens
        return other

    def on(self, adapter: Adapter) -> Probe:
        """The same questions to another model."""
        other = copy.copy(self)
        other.adapter = adapter
        return other

    def settled(self, inputs: Inputs) -> tuple[Probe, Float[Tensor, "k b"]]:
        """The questions with "the predicted class" settled on these clean inputs, and the clean scores ``(K, B)``."""
        capture = self.capture(inputs, Wants())
        return self.asking(capture.targets), capture.scores

    def take(self, rows: Sequence[int]) -> Probe:
        """The settled questions of these records, in this order; a record may occur several times."""
        return self.asking([target.take(rows) for target in self.targets])

    def score(self, inputs: Inputs, edit: Edit | None = None) -> Float[Tensor, "k b"]:
        """The score of every target for every record, ``(K, B)``; ``edit={layer: fn}`` replaces a layer's output."""
        with borrowed(self.adapter.model), edits(self.adapter.model, self._changes(edit)):
            inputs = self._on_device(inputs)
            outputs = self.adapter.outputs(self.adapter.call(inputs), batch=_batch(inputs))
            return _stacked(_scores(self.bound(outputs), outputs), outputs)

    def bound(self, outputs: Float[Tensor, "b c *s"]) -> tuple[Target, ...]:
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
        self._check_size(grids, inputs)
        differentiate = tuple(layers[name] for name in wants.gradients) if self.targets else ()
        model = self.adapter.model
        with borrowed(model), edits(model, self._changes(edit)):
            given = self._on_device(inputs)
            leaves = _input_leaves(given) if wants.input_gradients and self.targets else {}
            recorder = self._recorder(given, wants)
            with (
                taps(model, tuple(layers.values()), differentiate=differentiate) as tapped,
                torch.set_grad_enabled(full_graph or bool(leaves)),
                ConstantParameters() if leaves or self._branches(wants, differentiate) else nullcontext(),
                recorder or nullcontext(),
            ):
                raw = self.adapter.call(given | {name: leaf.clone() for name, leaf in leaves.items()})
            sources = {name: tapped[layers[name]] for name in wants.gradients if differentiate}
            sources |= {_input_name(name): leaf for name, leaf in leaves.items()}
            sources |= {
                _call_name(call): source for call, (source, _) in enumerate(recorder.sources if recorder else ())
            }
            with torch.set_grad_enabled(bool(sources)):
                outputs = self.adapter.outputs(raw, batch=_batch(given))
                targets = self.bound(outputs.detach())
                scores = _scores(targets, outputs)
                gradients = partial_backwards(scores, sources, may_be_unused=[_input_name(name) for name in leaves])
        return Capture(
            outputs=outputs.detach(),
            scores=_stacked(scores, outputs).detach(),
            targets=targets,
            activations={name: _full(grids[name].apply(tapped[layers[name]].detach())) for name in wants.activations},
            gradients={
                name: _full(torch.stack([grids[name].apply(g) for g in gradients[name]]))
                for name in wants.gradients
                if name in gradients
            },
            attention=tuple(recorder.weights) if recorder else (),
            attention_gradients=_attention_gradients(recorder, gradients),
            input_gradients={name: _full(gradients[_input_name(name)]) for name in leaves},
            embedding=self._embedding(wants.embedding, layers, tapped, outputs.detach()),
        )

    def _branches(self, wants: Wants, differentiate: Sequence[Layer]) -> bool:
        """Whether branches run beside the first differentiated layer or attention, which must not record.

        Grad mode follows the data where parameters are constants; a single branch does without, which is faster.
        """
        return bool(differentiate or wants.attention_gradients) and len(self.adapter.spatial_inputs) > 1

    def _check_size(self, grids: Mapping[str, Grid], inputs: Inputs) -> None:
        """Tokens of another picture may be as many and lie otherwise: 16 × 16 patches are as many as 8 × 32."""
        fixed = [name for name, grid in grids.items() if grid.layout == "tokens" or grid.frames]
        sizes = self.adapter.trace.input_sizes
        changed = [name for name, size in sizes.items() if tuple(inputs[name].shape[2:]) != size]
        if fixed and changed:
            raise LayerError(
                "SW-L06",
                f"the cells of {fixed[0]} were found to lie on inputs of size {sizes[changed[0]]}, these are "
                f"{tuple(inputs[changed[0]].shape[2:])}",
                fix="trace the model on inputs of this size: Adapter(model, example)",
            )

    def _changes(self, edit: Edit | None) -> dict[Layer, Callable[[Tensor], Tensor]]:
        return {self.adapter.layer(name): change for name, change in (edit or {}).items()}

    def _layers(self, wants: Wants) -> dict[str, Layer]:
        """Every layer to be read, by the name it was asked for with."""
        embedding = () if wants.embedding in (None, OUTPUTS) else (wants.embedding,)
        return {name: self.adapter.layer(name) for name in (*wants.gradients, *wants.activations, *embedding) if name}

    def _embedding(
        self, name: str | None, layers: Mapping[str, Layer], tapped: Tapped, outputs: Float[Tensor, "b c *s"]
    ) -> Float[Tensor, "b d"] | None:
        if name is None:
            return None
        tensor = outputs if name == OUTPUTS else tapped[layers[name]].detach()
        return _full(self.adapter.embedding_of(name, tensor))

    def _recorder(self, inputs: Inputs, wants: Wants) -> AttentionRecorder | None:
        if not (wants.attention or wants.attention_gradients):
            return None
        every, keep = wants.attention_gradients, frozenset(wants.heads_of)
        return AttentionRecorder(
            batch=_batch(inputs),
            tokens=self._tokens,
            reduce=lambda call, weights: weights if every or call in keep else weights.mean(dim=1, keepdim=True),
            differentiate=wants.attention_gradients and bool(self.targets),
        )

    def _on_device(self, inputs: Inputs) -> Inputs:
        """Inputs where the model is; a tensor made in inference mode is copied, for it cannot take part in a graph."""
        device = self.adapter.device
        moved = {name: tensor.to(device, non_blocking=device.type == "cuda") for name, tensor in inputs.items()}
        return {name: tensor.clone() if tensor.is_inference() else tensor for name, tensor in moved.items()}


Explain = Callable[[Probe, Inputs], Explanation]
"""Anything that explains."""


def _batch(inputs: Inputs) -> int:
    return next(iter(inputs.values())).shape[0]


def _scores(targets: Sequence[Target], outputs: Float[Tensor, "b c *s"]) -> list[Float[Tensor, " b"]]:
    return [target(outputs) for target in targets]


def _stacked(scores: Sequence[Float[Tensor, " b"]], outputs: Float[Tensor, "b c *s"]) -> Float[Tensor, "k b"]:
    return torch.stack(tuple(scores)) if scores else outputs.new_zeros((0, outputs.shape[0]))


def _input_leaves(inputs: Inputs) -> Inputs:
    """Copies of the floating-point inputs at which gradients can be taken; the caller's tensors stay as they are."""
    return {
        name: tensor.detach().clone().requires_grad_(True)
        for name, tensor in inputs.items()
        if tensor.is_floating_point()
    }


def _attention_gradients(
    recorder: AttentionRecorder | None, gradients: Mapping[str, Float[Tensor, "k ..."]]
) -> tuple[Float[Tensor, "k b h n n"], ...]:
    if recorder is None:
        return ()
    found = []
    for call, (_, to_weights) in enumerate(recorder.sources):
        per_target = [_full(to_weights(gradient)) for gradient in gradients[_call_name(call)]]
        found.append(torch.stack([weights if weights.ndim == 4 else weights.unsqueeze(1) for weights in per_target]))
    return tuple(found)


def _input_name(name: str) -> str:
    return f"the input {name!r}"


def _call_name(call: int) -> str:
    return f"attention call {call}"


def _full(tensor: Tensor) -> Tensor:
    """Half-precision captures are read in float32; float64 stays."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
