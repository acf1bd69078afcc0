"""Fresh weights for a whole model, drawn by its modules' own schemes, of which no tensor is what it was."""

from __future__ import annotations

import copy
import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from seewhy import ops
from seewhy.models.borrow import borrowed
from seewhy.values import ConfigError

AROUND_CONSTANT: Final = 0.1
"""The spread of values that a scheme sets to one number other than 0, as a share of that number."""
AROUND_ZERO: Final = 0.02
"""The spread of values that a scheme sets to 0."""

_NO_SCHEME = (RuntimeError, TypeError, ValueError, AttributeError, KeyError, NotImplementedError, AssertionError)


def copied(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode that shares nothing with the model, also where a forward left tensors with a history.

    Raises ``ConfigError`` SW-F270 where the model holds something that cannot be copied, such as an open file.
    """
    with borrowed(model):
        history = [
            tensor
            for module in model.modules()
            for tensor in vars(module).values()
            if isinstance(tensor, Tensor) and not tensor.is_leaf
        ]
        try:
            return copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in history})
        except (TypeError, RuntimeError, AttributeError, NotImplementedError) as error:
            raise ConfigError(
                "SW-F270",
                f"the model cannot be copied, and is never changed itself: {type(error).__name__}: {error}",
                fix="drop open files, locks and the like from its attributes, or give it a __deepcopy__",
            ) from error


def fresh_weights(model: nn.Module, seed: int = 0) -> Mapping[str, Tensor]:
    """New values for every parameter tensor of a model, by name, in its own types and where it is.

    Every module draws by its own ``reset_parameters``, then by an ``_init_weights`` of a module around it (as in timm
    and Transformers). A tensor that this leaves at one number is drawn about it, with a deviation of
    :data:`AROUND_CONSTANT` times the number or :data:`AROUND_ZERO` (scales and shifts of norms, layer scales). A
    tensor that nobody draws (class tokens, position embeddings, parametrizations) gets normal numbers of the mean and
    the deviation that it has. Whole numbers without a scheme change their places. The numbers depend on ``seed``
    alone, also on a GPU; the model and the global generators stay as they are.

    Raises ``ConfigError`` SW-F270 where the model cannot be copied.

    Example:
        >>> norm = nn.LayerNorm(4)
        >>> fresh = fresh_weights(norm)
        >>> [name for name, values in fresh.items() if bool((values != norm.get_parameter(name)).all())]
        ['weight', 'bias']
    """
    old = dict(model.named_parameters())
    drawn = copied(model).cpu()
    for tensor in drawn.parameters():  # initialisers of half precision do not exist on every processor
        if tensor.dtype in (torch.float16, torch.bfloat16):
            tensor.data = tensor.data.float()
    with borrowed(drawn), _seeded(seed):
        _draw_by_schemes(drawn)
    generator = ops.generator(seed, "fresh weights")
    fresh = {name: tensor.detach() for name, tensor in drawn.named_parameters()}
    return {
        name: _changed(_fitting(fresh.get(name), tensor), tensor.detach().cpu(), generator).to(tensor)
        for name, tensor in old.items()
    }


def untouched(model: nn.Module, fresh: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The names of parameter tensors that fresh weights would leave as they are, tensors without values aside."""
    return tuple(
        name
        for name, tensor in model.named_parameters()
        if tensor.numel() and (name not in fresh or torch.equal(fresh[name], tensor))
    )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Global generators of the CPU as the seed says; whoever borrows a model puts them back."""
    number = int(torch.randint(2**31, (), generator=ops.generator(seed, "initialisers")))
    random.seed(number)
    np.random.seed(number)
    torch.default_generator.manual_seed(number)
    with torch.device("cpu"):
        yield


def _draw_by_schemes(model: nn.Module) -> None:
    for module in model.modules():
        for name in ("reset_parameters", "_reset_parameters"):
            _try(getattr(module, name, None))
    outermost: list[str] = []
    for name, module in model.named_modules():
        if hasattr(module, "_init_weights") and not any(not one or name.startswith(f"{one}.") for one in outermost):
            outermost.append(name)
            for inner in module.modules():
                _try(module._init_weights, inner)


def _try(scheme: Any, *given: nn.Module) -> None:
    """Run a scheme that takes what is given; one that cannot run is none, and its tensors are drawn otherwise."""
    if not callable(scheme) or not _takes(scheme, len(given)):
        return
    try:
        scheme(*given)
    except _NO_SCHEME:
        return


def _takes(scheme: Callable[..., Any], given: int) -> bool:
    try:
        inspect.signature(scheme).bind(*[None] * given)
    except (TypeError, ValueError):
        return False
    return True


def _fitting(drawn: Tensor | None, old: Tensor) -> Tensor:
    """What a scheme drew, unless it made another tensor of it."""
    return drawn if drawn is not None and drawn.shape == old.shape else old.detach().cpu()


def _changed(drawn: Tensor, old: Tensor, generator: torch.Generator) -> Tensor:
    """What a scheme drew, in the tensor's own type; where it drew nothing, or one number only, something of ours."""
    found = drawn.to(old.dtype)
    if not old.numel():
        return found
    if old.is_complex():
        parts = torch.view_as_real(found.resolve_conj()), torch.view_as_real(old.resolve_conj())
        return torch.view_as_complex(_changed(*parts, generator).contiguous())
    if not old.is_floating_point():
        return _shuffled(old, generator) if torch.equal(found, old) else found
    if torch.equal(found, old):
        return _moved(_like(old, generator), old)
    constant = bool((drawn == drawn.flatten()[0]).all())
    return _moved(_about(drawn, generator).to(old.dtype), old) if constant else found


def _like(old: Tensor, generator: torch.Generator) -> Tensor:
    """Normal numbers with the tensor's mean and deviation; about a constant, if it is one."""
    values = old.double()
    deviation = values.std(correction=0)
    if not bool(values.isfinite().all()) or bool((values == values.flatten()[0]).all()):
        return _about(torch.nan_to_num(values), generator).to(old.dtype)
    return (values.mean() + deviation * _normal(values, generator)).to(old.dtype)


def _about(constant: Tensor, generator: torch.Generator) -> Tensor:
    values = constant.double()
    number = values.flatten()[0]
    spread = AROUND_ZERO if number == 0 else AROUND_CONSTANT * number.abs()
    return number + spread * _normal(values, generator)


def _normal(values: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(values.shape, generator=generator, dtype=torch.float64)


def _moved(new: Tensor, old: Tensor) -> Tensor:
    """Of a type so coarse that all numbers were rounded to what they were, the mirrored or the next one."""
    if not torch.equal(new, old):
        return new
    return -old if bool((old != 0).any()) else torch.full_like(old, AROUND_ZERO)


def _shuffled(old: Tensor, generator: torch.Generator) -> Tensor:
    order = torch.randperm(old.numel(), generator=generator)
    found = old.flatten()[order].reshape(old.shape)
    return found if not torch.equal(found, old) else ~old if old.dtype == torch.bool else old + 1
