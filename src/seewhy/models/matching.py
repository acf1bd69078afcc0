"""Which tensor of a checkpoint belongs to which tensor of a model, when their names differ by prefixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from seewhy.values import Json

Shape = tuple[int, ...]
Exchange = tuple[str, str]

_COMPILED = "_orig_mod."
_NOT_COUNTED = "num_batches_tracked"
_KNOWN_PREFIXES = ("", "model.", "module.", "net.", "network.", "encoder.", "backbone.")
_AVERAGED = ("ema", "teacher", "momentum", "encoder_k")
_DEEPEST_PREFIX = 5
_COMMON_SHARE = 0.2
_SHOWN = 5


@dataclass(frozen=True)
class Mismatch:
    """A tensor whose name matches and whose shape does not."""

    name: str
    checkpoint: Shape
    model: Shape


@dataclass(frozen=True)
class Coverage:
    """How a checkpoint fits a model: names of the model's tensors, except ``unexpected`` (the checkpoint's).

    ``sources`` maps each matched tensor of the model to the checkpoint's name for it. ``stripped`` and ``added`` are
    the prefixes that were exchanged; ``alternatives`` those that would have matched as much. Tensors the caller chose
    to drop are in ``dropped`` and count nowhere else; ``num_batches_tracked`` is loaded but never counted.
    """

    sources: Mapping[str, str]
    counted: int
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    dropped: tuple[str, ...] = ()
    stripped: str = ""
    added: str = ""
    alternatives: tuple[str, ...] = ()

    @property
    def fraction(self) -> float:
        """The matched share of the model's parameters and buffers, in [0, 1]."""
        return len(self.matched) / self.counted if self.counted else 1.0

    def summary(self) -> str:
        """One line for a person."""
        parts = [f"{len(self.matched)} of {self.counted} tensors matched ({self.fraction:.1%})"]
        if self.stripped or self.added:
            parts.append(f"prefix {self.stripped!r} read as {self.added!r}")
        for names, title in ((self.missing, "missing"), (self.unexpected, "unexpected"), (self.dropped, "dropped")):
            if names:
                parts.append(f"{len(names)} {title} ({first_names(names)})")
        if self.mismatched:
            parts.append(f"{len(self.mismatched)} of another shape ({first_names([m.name for m in self.mismatched])})")
        return "; ".join(parts)

    def to_json(self) -> dict[str, Json]:
        """Counts and names, for a manifest."""
        return {
            "fraction": self.fraction,
            "matched": len(self.matched),
            "counted": self.counted,
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
            "dropped": list(self.dropped),
            "stripped": self.stripped,
            "added": self.added,
        }


def first_names(names: Sequence[str]) -> str:
    """The first five names, and how many more there are."""
    rest = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


def match(tensors: Mapping[str, Tensor], model: nn.Module, *, drop: Sequence[str] = ()) -> Coverage:
    """Match a checkpoint's tensors to a model's by name and shape, exchanging one prefix for another if that helps.

    ``_orig_mod.`` (``torch.compile``) is ignored wherever it stands. Among all prefixes that a good share of either
    side's names carries, the exchange that matches the most tensors wins; ties go to the one that shares the most
    names, to trained before averaged weights, to the usual prefixes, then to the shorter.

    ``drop`` holds patterns (``"decoder_*"``) of names, in the model or the checkpoint, that need not match.
    """
    own = model.state_dict()
    offered = {name.replace(_COMPILED, ""): Entry(name, _shape(tensor)) for name, tensor in tensors.items()}
    wanted = {name.replace(_COMPILED, ""): Entry(name, _shape(tensor)) for name, tensor in own.items()}
    ranks = {exchange: _rank(exchange, offered, wanted) for exchange in _exchanges(offered, wanted)}
    best = min(ranks, key=ranks.__getitem__)
    renamed = _rename(offered, *best)
    return replace(
        _coverage(renamed, offered, wanted, drop),
        stripped=best[0],
        added=best[1],
        alternatives=_alternatives(best, ranks, offered, wanted),
    )


def _exchanges(offered: Iterable[str], wanted: Iterable[str]) -> list[Exchange]:
    return [(old, new) for old in _common_prefixes(list(offered)) for new in _common_prefixes(list(wanted))]


def _common_prefixes(names: Sequence[str]) -> list[str]:
    """The dotted prefixes that a good share of the names carries, and the empty one."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")[:-1][:_DEEPEST_PREFIX]
        counts.update(".".join(parts[: depth + 1]) + "." for depth in range(len(parts)))
    return ["", *(prefix for prefix, count in counts.items() if count >= _COMMON_SHARE * len(names))]


def _rename(offered: Iterable[str], old: str, new: str) -> dict[str, str]:
    """New name to old name. Names without the prefix stay as they are, and give way to those that carry it."""
    kept = {name: name for name in offered if not name.startswith(old)}
    return kept | {new + name.removeprefix(old): name for name in offered if name.startswith(old)}


class Rank(NamedTuple):
    """What makes one exchange of prefixes better than another: smaller is better, field by field."""

    fitting: int
    named: int
    averaged: bool
    unusual: bool
    length: int


def _rank(exchange: Exchange, offered: Mapping[str, Entry], wanted: Mapping[str, Entry]) -> Rank:
    old, new = exchange
    renamed = _rename(offered, old, new)
    shared = [_fits(offered[source].shape, wanted[name].shape) for name, source in renamed.items() if name in wanted]
    averaged = any(word in old for word in _AVERAGED)
    return Rank(-sum(shared), -len(shared), averaged, old not in _KNOWN_PREFIXES, len(old + new))


def _alternatives(
    best: Exchange, ranks: Mapping[Exchange, Rank], offered: Mapping[str, Entry], wanted: Mapping[str, Entry]
) -> tuple[str, ...]:
    """Prefixes that would have filled the model as well, from other tensors of the checkpoint."""
    chosen = _used(best, offered, wanted)
    equal = [pair for pair, rank in ranks.items() if rank[:2] == ranks[best][:2]]
    return tuple(dict.fromkeys(pair[0] for pair in equal if _used(pair, offered, wanted) != chosen))


def _used(exchange: Exchange, offered: Iterable[str], wanted: Iterable[str]) -> dict[str, str]:
    renamed = _rename(offered, *exchange)
    return {name: renamed[name] for name in wanted if name in renamed}


def _coverage(
    renamed: Mapping[str, str], offered: Mapping[str, Entry], wanted: Mapping[str, Entry], drop: Sequence[str]
) -> Coverage:
    dropped = {name for name in {*wanted, *renamed} if any(fnmatchcase(name, pattern) for pattern in drop)}
    shared = {name: offered[renamed[name]] for name in wanted if name in renamed and name not in dropped}
    fitting = {name for name, entry in shared.items() if _fits(entry.shape, wanted[name].shape)}
    counted = [name for name in wanted if name not in dropped and not name.endswith(_NOT_COUNTED)]
    return Coverage(
        sources={wanted[name].name: entry.name for name, entry in shared.items() if name in fitting},
        counted=len(counted),
        matched=tuple(name for name in counted if name in fitting),
        missing=tuple(name for name in counted if name not in renamed),
        unexpected=tuple(offered[renamed[name]].name for name in renamed if name not in wanted and name not in dropped),
        mismatched=tuple(
            Mismatch(name, entry.shape or (), wanted[name].shape or ())
            for name, entry in shared.items()
            if name not in fitting
        ),
        dropped=tuple(sorted(dropped)),
    )


class Entry(NamedTuple):
    """A tensor's full name, and its shape where it has one yet (a lazy module's has none)."""

    name: str
    shape: Shape | None


def _shape(tensor: Tensor) -> Shape | None:
    return None if is_lazy(tensor) else tuple(tensor.shape)


def _fits(offered: Shape | None, wanted: Shape | None) -> bool:
    return wanted is None or offered == wanted
