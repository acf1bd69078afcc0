"""What a segmentation model puts out, whatever container it comes in: one logit per class and place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.models.endings import Activation
from seewhy.models.outputs import Selector, entries, selected
from seewhy.values import ModelError

QUERIES: Final = ("class_queries_logits", "masks_queries_logits")
"""The entries in which a mask classification model answers, as Hugging Face names them."""


@dataclass(frozen=True)
class SegmentationReader:
    """Reads logits ``(B, C, *S)`` for places of any rank, at the resolution the model puts them out.

    Understood are a tensor, the first entry of a tuple or list (other resolutions, auxiliary labels), the entries
    ``logits`` and ``out`` (auxiliary outputs beside them are left alone), and the queries of a mask classification
    model. A single channel stays one: its logit argues for class 1, its negative for class 0.

    ``selector`` says where the logits are if not there. ``activation`` is what the model applies to them itself; it is
    undone (a softmax up to a constant per place), so that whatever is read is a logit.

    Example:
        >>> SegmentationReader().read({"out": torch.zeros(1, 21, 4, 4)}, (), batch=1).shape
        torch.Size([1, 21, 4, 4])
    """

    selector: Selector | None = None
    activation: Activation | None = None

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[set[int]]:
        """Yields how many axes the model's inputs have, by which maps are told from a picture's missing class axis."""
        seen: set[int] = set()

        def note(module: nn.Module, args: Any, kwargs: Any) -> None:
            del module
            given = (args, *args, kwargs)
            tensors = [entry for one in given for entry in entries(one).values() if isinstance(entry, Tensor)]
            seen.update(tensor.ndim for tensor in tensors)

        handle = model.register_forward_pre_hook(note, with_kwargs=True)
        try:
            yield seen
        finally:
            handle.remove()

    def read(self, answer: Any, seen: Any, *, batch: int | None) -> Float[Tensor, "b c *s"]:
        """The logits of each record.

        Raises ``ModelError``: SW-M80 where they have no class axis, SW-M81 for labels in place of logits, SW-M82 where
        rows are not records, and SW-M01, SW-M11, SW-M12 from :func:`seewhy.models.outputs.selected`.
        """
        held = entries(answer)
        if self.selector is None and all(isinstance(held.get(key), Tensor) for key in QUERIES):
            logits = semantic_logits(*(held[key] for key in QUERIES))
        else:
            logits = selected(answer, self.selector)
        _require_maps(logits, set(seen or ()), batch)
        return as_logits_again(logits.float() if logits.itemsize < 4 else logits, self.activation)

    def traced_score(self, outputs: Float[Tensor, "b c *s"]) -> Float[Tensor, " b"]:
        """The mean over places of the best logit; with one channel, of its magnitude."""
        best = outputs.amax(dim=1) if outputs.shape[1] > 1 else outputs.abs().squeeze(1)
        return best.flatten(1).mean(dim=1)


def semantic_logits(classes: Float[Tensor, "b q classes"], masks: Float[Tensor, "b q *s"]) -> Float[Tensor, "b c *s"]:
    """The logarithm of a mask classification model's score of each class at each place.

    The score is ``Σ_q p_q(c) m_q(place)``: ``classes`` ``(B, Q, C + 1)`` are the queries' logits, the last one for no
    object, whose probabilities are ``p``; ``masks`` ``(B, Q, *S)`` are logits of ``m``. The logarithm keeps the order
    of classes, makes a softmax over classes their shares of the score, and has a gradient where a score saturates.

    Source: Cheng et al. 2021, MaskFormer, arXiv:2107.06278, section 3.4, semantic inference.

    Example:
        >>> semantic_logits(torch.tensor([[[50.0, 0.0, 0.0]]]), torch.zeros(1, 1, 2)).exp()[0, 0]
        tensor([0.5000, 0.5000])
    """
    probabilities = classes.softmax(dim=-1)[..., :-1]
    inside = F.logsigmoid(masks)
    largest = inside.detach().amax(dim=1, keepdim=True)
    score = torch.einsum("bqc,bq...->bc...", probabilities, (inside - largest).exp())
    return score.clamp_min(torch.finfo(score.dtype).tiny).log() + largest


def as_logits_again(outputs: Float[Tensor, "b c *s"], activation: Activation | None) -> Float[Tensor, "b c *s"]:
    """Outputs behind an activation, brought back before it: a softmax's up to a constant per place.

    >>> as_logits_again(torch.tensor([[[0.5]]]), "sigmoid")
    tensor([[[0.]]])
    """
    if activation == "softmax":
        return outputs.clamp_min(torch.finfo(outputs.dtype).tiny).log()
    if activation == "sigmoid":
        return outputs.logit(eps=torch.finfo(outputs.dtype).eps)
    return outputs


def _require_maps(logits: Tensor, input_axes: set[int], batch: int | None) -> None:
    if not logits.is_floating_point():
        raise ModelError(
            "SW-M81",
            f"the model returned {logits.dtype} {tuple(logits.shape)}: labels of places rather than their logits",
            fix="return the logits before the argmax, or pick them with output_selector",
        )
    if logits.ndim < 3 or (logits.ndim == 3 and input_axes and 3 not in input_axes):
        raise ModelError(
            "SW-M80",
            f"a segmentation model's outputs are (batch, classes, *places), this model returned {tuple(logits.shape)}",
            fix="pick the logits of the places with output_selector; where one class has no axis of its own, "
            "output_selector=lambda answer: answer.unsqueeze(1)",
        )
    if batch is not None and logits.shape[0] != batch:
        raise ModelError(
            "SW-M82",
            f"the model returned maps for {logits.shape[0]} records, {batch} were asked about",
            fix="wrap the model so that it returns one map of logits per class for each record",
        )
