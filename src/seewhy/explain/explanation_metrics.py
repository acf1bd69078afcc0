"""Grade one explainer's explanation of one picture: by the calls of AutoTimm's document, or by any metric's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from torch import nn

from seewhy.explain.class_choice import class_list
from seewhy.explain.explainer import Explainer
from seewhy.explain.explainers import make_explainer
from seewhy.explain.grade_facts import (
    Facts,
    of_any,
    of_deletion,
    of_insertion,
    of_likeness,
    of_pointing,
    of_sensitivity,
    plain,
    row_of,
    told_settings,
)
from seewhy.explain.graded_case import case_for, ready_for
from seewhy.explain.object_region import region_of
from seewhy.explain.prepared import ImageLike, prepare
from seewhy.explain.reading import Reading, require_model
from seewhy.metrics.case import Case
from seewhy.metrics.controls import CONTROLS, controlled
from seewhy.metrics.grade import Grade
from seewhy.metrics.grading import grade
from seewhy.metrics.parameter_randomization import stages_of
from seewhy.metrics.settings import whole
from seewhy.registry import METRICS
from seewhy.values import ConfigError, Geometry, Json, SeewhyError, nearest

Reader = Callable[[Grade], Facts]


@dataclass(frozen=True)
class Shown:
    """The case of one picture, and how the picture lies on the model's input."""

    case: Case
    geometry: Geometry


class ExplanationMetrics:
    """How far an explanation can be trusted, in numbers that stand beside those of maps which know nothing.

    Every result is a dictionary of plain values (``json.dumps`` takes it; None where a number is not defined, with the
    ``reason``). ``controls`` in it holds the same number for noise (``random``), for a Gaussian in the middle
    (``centre``) and for the picture's edges (``edges``): a value that these reach as well says nothing.

    Args:
        model: any image classifier; it stays as it is.
        explainer: what is graded: an explainer of this model, or a method's name; Grad-CAM if None.
        use_cuda: accepted for compatibility: the model is asked where it is.
        controls: False leaves the controls out, and saves their passes.
        chunk_size: changed copies of the picture that go through the model together; what suits the device if None.
        seed: decides noise and random choices.
        reading: with a method's name, what an explainer is told of the model: ``preprocessing``, ``class_names``,
            ``task``, ``threshold``, ``output_selector``.

    Raises:
        ConfigError: ``SW-F230`` the explainer is of another model or is none, or ``reading`` is nothing to tell;
            ``SW-F252`` a chunk size or seed that is none.

    Example:
        >>> import torch
        >>> from seewhy.demo.models import load
        >>> metrics = ExplanationMetrics(load("cnn"), "gradcam")
        >>> sorted(metrics.deletion(torch.zeros(3, 64, 64), steps=5, baseline="mean"))[:4]
        ['auc', 'control_scores', 'controls', 'final_drop']
    """

    def __init__(
        self,
        model: nn.Module,
        explainer: Explainer | str | None = None,
        use_cuda: bool = True,
        *,
        controls: bool = True,
        chunk_size: int | None = None,
        seed: int = 0,
        **reading: Any,
    ) -> None:
        del use_cuda
        require_model(model)
        given = "gradcam" if explainer is None else explainer
        if isinstance(given, str):
            self.explainer = make_explainer(given, model, None, reading_of(reading), {}, ExplanationMetrics)
        else:
            self.explainer = _explainer_of(given, model, reading)
        if chunk_size is not None:
            whole("chunk_size", chunk_size, 1)
        self.controls, self.chunk_size = controls, chunk_size
        self.seed = whole("seed", seed, 0)

    def deletion(
        self, image: ImageLike, target_class: Any = None, steps: int = 50, baseline: str = "blur"
    ) -> dict[str, Json]:
        """How the class's probability falls while the places marked most are replaced; lower is better.

        ``auc`` is the area under ``scores`` ``[steps + 1]`` over ``fractions``, in [0, 1] (Petsiuk 2018);
        ``relative_auc`` is divided by ``original_score``; ``final_drop`` the share of it that is lost in the end.
        ``control_scores`` are the controls' curves.

        Args:
            image, target_class: as in :meth:`grade`.
            steps: in how many steps all places are replaced.
            baseline: what they are replaced by: ``blur``, ``mean``, ``black``, ``white``, ``zero`` or ``random``.
        """
        return self._deletion(self._shown(image, target_class), steps, baseline)

    def insertion(
        self, image: ImageLike, target_class: Any = None, steps: int = 50, baseline: str = "blur"
    ) -> dict[str, Json]:
        """How the class's probability rises while the places marked most are put back; higher is better.

        ``auc`` and ``relative_auc`` as in :meth:`deletion`; ``final_rise`` is the last score's distance from
        ``baseline_score``, as a share of the original's.

        Args:
            image, target_class, steps, baseline: as in :meth:`deletion`.
        """
        return self._insertion(self._shown(image, target_class), steps, baseline)

    def average_sensitivity(
        self, image: ImageLike, target_class: Any = None, n_samples: int = 50, noise_level: float = 0.15
    ) -> dict[str, Json]:
        """How much the map changes, relative to its length, when the picture changes a little; lower is better.

        ``sensitivity`` is the mean over samples, ``max_change`` the largest, ``std`` their deviation.

        Args:
            image, target_class: as in :meth:`grade`.
            n_samples: how many changed pictures are explained.
            noise_level: how far each value moves at most, as a share of the pixels' range.
        """
        return self._sensitivity(self._shown(image, target_class), n_samples, noise_level)

    sensitivity_n = average_sensitivity
    """By the name AutoTimm gave it. Ancona's Sensitivity-n is ``grade(image, "sensitivity_n")``."""

    def parameter_randomization(self, image: ImageLike, target_class: Any = None) -> dict[str, Json]:
        """How much the map of the model resembles that of a copy with random weights; it should not.

        ``correlation`` is Spearman's, with all weights random; ``change`` is 1 less it; ``passes`` where it
        is below 0.5. ``by_stage`` tells it block by block, from the head down to the stem.

        Args:
            image, target_class: as in :meth:`grade`.
        """
        return self._randomization(self._shown(image, target_class))

    model_parameter_randomization_test = parameter_randomization

    def class_sensitivity(self, image: ImageLike, target_class: Any = None) -> dict[str, Json]:
        """How much the map of the class resembles that of another class; a map that asks about no class has 1.

        Keys as in :meth:`parameter_randomization`.

        Args:
            image, target_class: as in :meth:`grade`.
        """
        return self._class_sensitivity(self._shown(image, target_class))

    data_randomization_test = class_sensitivity
    """By the name AutoTimm gave it. Retraining on random labels is ``seewhy.demo.label_randomization``."""

    def pointing_game(
        self, image: ImageLike, bbox: Sequence[float], target_class: Any = None, tolerance: float = 0.0
    ) -> dict[str, Json]:
        """Whether the map's highest place lies in a box.

        ``hit`` where at least half of the credit does, which tied places share; ``max_location`` ``(y, x)`` is in
        pixels of the original.

        Args:
            image, bbox, target_class: as in :meth:`grade`.
            tolerance: how far beside the box counts as a hit, in pixels of the model's input.
        """
        return self._pointing_game(self._shown(image, target_class, bbox), bbox, tolerance)

    def evaluate_all(
        self, image: ImageLike, target_class: Any = None, bbox: Sequence[float] | None = None
    ) -> dict[str, dict[str, Json]]:
        """``deletion``, ``insertion``, ``sensitivity``, ``param_randomization``, ``data_randomization`` and, with a
        box, ``pointing_game``; the picture is explained once for all of them.

        What cannot be asked of this model, such as a probability of a regression, has a ``reason`` alone.

        Args:
            image, target_class, bbox: as in :meth:`grade`.
        """
        shown = self._shown(image, target_class, bbox)
        asked: dict[str, Callable[[], Facts]] = {
            "deletion": lambda: self._deletion(shown, 50, "blur"),
            "insertion": lambda: self._insertion(shown, 50, "blur"),
            "sensitivity": lambda: self._sensitivity(shown, 50, 0.15),
            "param_randomization": lambda: self._randomization(shown),
            "data_randomization": lambda: self._class_sensitivity(shown),
        }
        if bbox is not None:
            asked["pointing_game"] = lambda: self._pointing_game(shown, bbox, 0.0)
        return {name: _or_reason(ask) for name, ask in asked.items()}

    def grade(
        self,
        image: ImageLike,
        metric: str,
        target_class: Any = None,
        *,
        bbox: Sequence[float] | None = None,
        mask: Any = None,
        **settings: Any,
    ) -> dict[str, Json]:
        """Any metric by name (``seewhy metrics`` lists them): ``value``, ``details``, ``reason`` and ``controls``.

        Args:
            image: a path, a PIL image, an array, or a tensor ``(C, H, W)`` that is prepared already.
            metric: its name.
            target_class: the class whose map is graded, by number or name; the predicted one if None.
            bbox: where the object is: left, top, right, bottom in pixels of the original picture.
            mask: the same, place by place ``(H, W)``; one of the two is enough.
            settings: the metric's own, such as ``steps=20``.

        Raises:
            ConfigError: ``SW-F223`` an unknown metric, ``SW-F222`` an unknown setting, ``SW-F226`` where the object's
                place is needed.
        """
        shown = self._shown(image, target_class, bbox, mask)
        seeded = {"seed": self.seed} if "seed" in METRICS[metric].settings else {}
        return self._graded(metric, shown, of_any, "value", **{**seeded, **settings})

    def _shown(
        self, image: ImageLike, target_class: Any, bbox: Sequence[float] | None = None, mask: Any = None
    ) -> Shown:
        prepared = prepare(image, self.explainer.recipe, self.explainer.study.dtype)
        region = region_of(prepared.geometry, bbox, mask)
        ready = ready_for(self.explainer, [prepared], class_list(target_class, 1, self.explainer.class_names))
        case, _ = case_for(ready, mask=None if region is None else region[None], chunk_size=self.chunk_size)
        return Shown(case, prepared.geometry)

    def _deletion(self, shown: Shown, steps: int, baseline: str) -> Facts:
        return self._graded("deletion", shown, of_deletion, "auc", steps=steps, fill=baseline, seed=self.seed)

    def _insertion(self, shown: Shown, steps: int, baseline: str) -> Facts:
        return self._graded("insertion", shown, of_insertion, "auc", steps=steps, fill=baseline, seed=self.seed)

    def _sensitivity(self, shown: Shown, n_samples: int, noise_level: float) -> Facts:
        settings = {"samples": n_samples, "radius": noise_level, "seed": self.seed}
        return self._graded("average_sensitivity", shown, of_sensitivity, "sensitivity", **settings)

    def _randomization(self, shown: Shown) -> Facts:
        def facts(found: Grade) -> Facts:
            stages = stages_of(shown.case.adapter)
            return {**of_likeness(found), "by_stage": dict(zip(stages, row_of(found, "spearman"), strict=True))}

        return self._graded("parameter_randomization", shown, facts, "correlation", seed=self.seed)

    def _class_sensitivity(self, shown: Shown) -> Facts:
        return self._graded("class_sensitivity", shown, of_likeness, "correlation", seed=self.seed)

    def _pointing_game(self, shown: Shown, bbox: Sequence[float], tolerance: float) -> Facts:
        facts = partial(of_pointing, geometry=shown.geometry, bbox=bbox)
        return self._graded("pointing_game", shown, facts, "credit", tolerance=tolerance)

    def _graded(self, metric: str, shown: Shown, facts: Reader, value: str, **settings: Any) -> Facts:
        """A metric's value under the name ``value``, what else is told, and the controls' values."""
        found = grade(metric, shown.case, **settings)
        told: Facts = {value: plain(float(found.values[0])), **facts(found), "settings": told_settings(settings)}
        told["reason"] = found.reasons[0]
        if self.controls:
            controls = {name: grade(metric, controlled(shown.case, name), **settings) for name in CONTROLS}
            told["controls"] = {name: plain(float(one.values[0])) for name, one in controls.items()}
            if "scores" in told:
                told["control_scores"] = {name: row_of(one, "curve") for name, one in controls.items()}
        return told


def _or_reason(ask: Callable[[], Facts]) -> Facts:
    """What is told, or why nothing can be."""
    try:
        return ask()
    except SeewhyError as error:
        return {"reason": error.message}


def _explainer_of(given: object, model: nn.Module, reading: Mapping[str, Any]) -> Explainer:
    if not isinstance(given, Explainer) or given.model is not model:
        what = "an explainer of another model" if isinstance(given, Explainer) else type(given).__name__
        raise ConfigError(
            "SW-F230",
            f"expected an explainer of this model or a method's name, got {what}",
            fix="write ExplanationMetrics(model, GradCAM(model)), or ExplanationMetrics(model, 'gradcam')",
        )
    if reading:
        raise ConfigError(
            "SW-F230",
            f"an explainer was given, and {', '.join(reading)} with it",
            fix=f"tell the explainer: {type(given).__name__}(model, {next(iter(reading))}=...)",
        )
    return given


def reading_of(given: Mapping[str, Any], owner: str = "ExplanationMetrics") -> Reading:
    """What is told of a model; raises ``ConfigError`` SW-F230 for what is nothing to tell."""
    known = [one.name for one in fields(Reading)]
    for name in given:
        if name not in known:
            raise ConfigError(
                "SW-F230",
                f"{owner} has no parameter {name!r}",
                near=nearest(name, known),
                fix=f"besides its own it takes {', '.join(known)}",
            )
    return Reading(**given)
