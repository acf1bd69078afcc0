"""Finding the weights among everything else a training checkpoint holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from torch import Tensor

from seewhy.models.inert import Inert
from seewhy.values import CheckpointError

Prefer = Literal["model", "ema"]

MODEL_KEYS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "network",
    "net",
    "module",
    "weights",
    "params",
    "teacher",
)
EMA_KEYS = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "params_ema", "ema")
_DEEPEST = 4
_SHOWN = 5


def unwrap(content: Any, prefer: Prefer) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict inside a checkpoint's content, and notes on where it was and what was passed over.

    ``prefer="ema"`` takes the averaged weights that some trainers keep beside the model's.

    Raises:
        CheckpointError: ``SW-C13`` without weights, ``SW-C17`` without averaged weights although asked for.
    """
    if prefer == "ema" and not _first_mapping(content, EMA_KEYS):
        raise CheckpointError(
            "SW-C17",
            f"no averaged (EMA) weights in the checkpoint; it holds {_shown(content)}",
            fix="leave the choice at 'model'; known names are " + ", ".join(EMA_KEYS),
        )
    state, where = _descend(content, EMA_KEYS if prefer == "ema" else MODEL_KEYS, ())
    notes = [f"weights taken from {'.'.join(where)!r}"] if where else []
    if where and where[0] in MODEL_KEYS and _first_mapping(content, EMA_KEYS):
        notes.append(f"averaged weights ({_first_mapping(content, EMA_KEYS)!r}) are there too and were not used")
    tensors = {key: value.detach() for key, value in state.items() if isinstance(value, Tensor)}
    skipped = [key for key in state if key not in tensors]
    if skipped:
        notes.append(f"{len(skipped)} entries among the weights are no tensors and were skipped: {_some(skipped)}")
    return tensors, notes + foreign_notes(content)


def _descend(content: Any, keys: tuple[str, ...], where: tuple[str, ...]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Follow known wrapper keys, then whatever holds tensors, down to the weights."""
    if isinstance(content, Mapping) and len(where) < _DEEPEST:
        inner = _first_mapping(content, keys)
        if inner:
            return _descend(content[inner], MODEL_KEYS, (*where, inner))
        if not _holds_tensors(content):
            parts = [key for key, value in content.items() if isinstance(key, str) and _holds_tensors(value)]
            averaged = _first_mapping(content, EMA_KEYS)
            if not parts and averaged:
                parts = [averaged]
            if len(parts) == 1:
                return _descend(content[parts[0]], MODEL_KEYS, (*where, parts[0]))
            if parts:
                return _joined(content, parts), where
    if _holds_tensors(content):
        return content, where
    raise CheckpointError(
        "SW-C13",
        f"no weights found in the checkpoint; it holds {_shown(content)}",
        fix="save a state dict: torch.save(model.state_dict(), 'weights.pt')",
    )


def _joined(content: Mapping[str, Any], parts: list[str]) -> dict[str, Any]:
    """State dicts kept side by side (``{"encoder": …, "head": …}``) as one, each under its own prefix."""
    return {f"{part}.{key}": value for part in parts for key, value in content[part].items()}


def _first_mapping(content: Any, keys: tuple[str, ...]) -> str:
    if not isinstance(content, Mapping):
        return ""
    return next((key for key in keys if isinstance(content.get(key), Mapping) and content[key]), "")


def _holds_tensors(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and all(isinstance(key, str) for key in content)
        and any(isinstance(value, Tensor) for value in content.values())
    )


def foreign_notes(content: Any) -> list[str]:
    """One note per stand-in found: which entry was not loaded, and of what type it was."""
    found = [f"{path!r} of type {kind} was not loaded" for path, kind in _stand_ins(content)]
    more = [f"{len(found) - _SHOWN} more entries of foreign types were not loaded"] if len(found) > _SHOWN else []
    return found[:_SHOWN] + more


def _stand_ins(content: Any) -> Iterator[tuple[str, str]]:
    waiting: list[tuple[str, Any]] = [("", content)]
    seen: set[int] = set()
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Inert) or (isinstance(value, type) and issubclass(value, Inert)):
            yield path, value.stands_for
        elif id(value) not in seen and isinstance(value, Mapping | list | tuple | set):
            seen.add(id(value))
            waiting += reversed([(f"{path}.{name}".lstrip("."), item) for name, item in _entries(value)])


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            name = key.__name__ if isinstance(key, type) else key if isinstance(key, str) else repr(key)
            yield name, item
    else:
        yield from ((str(index), item) for index, item in enumerate(value))


def _shown(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    return f"the keys {_some([str(key) for key in content])}" if content else "nothing"


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
