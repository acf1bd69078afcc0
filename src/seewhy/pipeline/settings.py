"""What a run is asked to do, checked before anything long begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from seewhy.models.adapter import Precision
from seewhy.pipeline.grading_settings import Grading
from seewhy.pipeline.render_setting import Render, require_render
from seewhy.store.part import Part, part_of
from seewhy.targets import check_class
from seewhy.values import ConfigError, TargetError, nearest

MOST_CLASSES = 20
"""Above this many classes the default is the best few of each record, not every class."""
BEST_CLASSES = 5

Chosen = Literal["auto", "all", "predicted"]
Classes = Chosen | tuple[int | str, ...]
EXPLAINED_TOGETHER, GRADED_TOGETHER = 256, 8
"""Records committed together where nobody says."""
_KINDS = ("generate_embeddings", "generate_gradcam", "generate_attention", "generate_metrics")
_LISTS = ("splits", "record_id", "target_classes", "attention_layers", "frames_first")


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    The names are those of the command line. ``splits`` and ``record_id`` (one or several) select records, None all.
    ``target_classes`` are those explained: ``auto`` is every class up to 20 and the five highest of each record above
    that; names are looked up in the class names. ``target_layer`` is one layer, or one for each of several inputs.
    ``attention_layers`` counts attention layers from 0, negative from the end. ``batch_size`` is the most records that
    go through the model together: where memory does not suffice it is halved until they fit; ``auto`` is as many as
    free memory allows, found on the first records and kept when a run goes on. ``frames_first`` names the inputs that
    the model takes as clips ``(B, T, C, H, W)``. ``shard_size`` records are committed together, and are what a kill can
    cost at most; if None, as many as :attr:`committed_together` says. ``metrics`` says what ``generate_metrics``
    grades, and by what (:class:`seewhy.pipeline.grading_settings.Grading`). ``generate_report`` writes
    ``report/index.html`` at the end.
    ``profile`` measures where time and memory go, and writes ``profile/``. ``shard`` (``"2/8"``, from ``"0/8"`` to
    ``"7/8"``, or ``"auto"`` below a launcher) leaves the run to that many jobs, which share the records by their ids.
    ``render`` says of which records pictures are drawn: of ``all``, of a ``sample`` of ``render_sample`` records, or of
    ``none``; their maps are stored in any case, and `seewhy render` draws them later.
    """

    splits: tuple[str, ...] | None = None
    record_id: tuple[str, ...] | None = None
    generate_embeddings: bool = True
    generate_gradcam: bool = True
    generate_attention: bool = True
    generate_metrics: bool = False
    generate_report: bool = True
    metrics: Grading = field(default_factory=Grading)
    target_classes: Classes = "auto"
    target_layer: str | tuple[str, ...] | None = None
    embedding_layer: str | None = None
    attention_layers: tuple[int, ...] = (-1,)
    batch_size: int | Literal["auto"] = 32
    num_workers: int = 0
    max_records: int | None = None
    shard_size: int | None = None
    seed: int = 0
    precision: Precision = "32"
    retry_failed: bool = False
    writer_threads: int = 2
    frames_first: tuple[str, ...] | None = None
    profile: bool = False
    render: Render = "all"
    render_sample: int = 100
    shard: Part | None = None

    @classmethod
    def of(cls, **given: Any) -> Settings:
        """Settings from plain values: lists become tuples; one split, id, class or layer stands for a list of one.

        Raises ``ConfigError`` SW-F01 for an unknown name, with the nearest ones, and what the values deserve.
        """
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                raise ConfigError(
                    "SW-F01", f"there is no setting {name!r}", near=nearest(name, known), fix="use a listed name"
                )
        checked: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        for name in _LISTS:
            value = checked.get(name)
            if isinstance(value, str | int) and not (name == "target_classes" and value in get_args(Chosen)):
                checked[name] = (value,)
        for name in ("splits", "record_id", "frames_first"):
            if checked.get(name) is not None:
                checked[name] = tuple(str(item) for item in checked[name])
        if "metrics" in checked:
            checked["metrics"] = Grading.of(checked["metrics"])
        return cls(**checked)

    def __post_init__(self) -> None:
        if self.shard is not None:
            object.__setattr__(self, "shard", part_of(self.shard))
        if self.batch_size != "auto":
            _at_least("batch_size", self.batch_size, 1, other="auto")
        _at_least("num_workers", self.num_workers, 0)
        if self.shard_size is not None:
            _at_least("shard_size", self.shard_size, 1)
        _at_least("writer_threads", self.writer_threads, 1)
        _at_least("seed", self.seed, 0)
        if self.max_records is not None:
            _at_least("max_records", self.max_records, 1)
        _at_least("render_sample", self.render_sample, 1)
        require_render(self.render)
        self._check_lists()
        if self.precision not in get_args(Precision):
            raise ConfigError(
                "SW-F23",
                f"precision must be one of {', '.join(get_args(Precision))}, got {self.precision!r}",
                near=nearest(str(self.precision), get_args(Precision)),
                fix="set precision to one of these",
            )
        if not any(getattr(self, name) for name in _KINDS):
            raise ConfigError(
                "SW-F04",
                "nothing is asked: embeddings, Grad-CAM, attention and metrics are all off",
                fix=f"set one of {', '.join(_KINDS)} to true",
            )

    @property
    def committed_together(self) -> int:
        """How many records form a shard: grading takes hundreds of passes a record, so that few are put at risk."""
        usual = GRADED_TOGETHER if self.generate_metrics else EXPLAINED_TOGETHER
        return usual if self.shard_size is None else self.shard_size

    def _check_lists(self) -> None:
        for name in (*_LISTS, "target_layer"):
            if getattr(self, name) == ():
                raise ConfigError("SW-F03", f"{name} is empty", fix=f"name one or more, or leave {name} out")
        if isinstance(self.target_classes, tuple) and not all(type(item) in (int, str) for item in self.target_classes):
            raise ConfigError(
                "SW-F22",
                f"target_classes must be all, predicted, auto or a list of classes, got {list(self.target_classes)}",
                fix="for example target_classes=[0,1]",
            )


def _at_least(name: str, value: int, least: int, other: str = "") -> None:
    """Refuse what is no such number; ``other`` is the one word that may stand there too."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        instead = f"{other} or " if other else ""
        raise ConfigError(
            "SW-F02",
            f"{name} must be {instead}a whole number of at least {least}, got {value!r}",
            fix=f"set {name}={max(least, 1)}" + (f" or {name}={other}" if other else ""),
        )


def class_indices(wanted: Sequence[int | str], count: int, names: Sequence[str] | None) -> tuple[int, ...]:
    """Class names and numbers as numbers in ``range(count)``, ascending, without repeats."""
    indices = set()
    for item in wanted:
        if isinstance(item, str):
            if names is None or item not in names:
                raise TargetError(
                    "SW-T04",
                    f"there is no class named {item!r}",
                    near=nearest(item, (*(names or ()), *get_args(Chosen))),
                    fix="use a class name of the data set, a class number, all or predicted",
                )
            item = list(names).index(item)
        check_class(item, count)
        indices.add(int(item))
    return tuple(sorted(indices))
