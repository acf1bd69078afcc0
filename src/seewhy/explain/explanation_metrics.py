"""Grade one explainer's explanation of one picture: by the calls of AutoTimm's document, or by any metric's name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from seewhy.explain.class_choice import class_list
from seewhy.explain.explainer import Explainer
from seewhy.explain.explainers import make_explainer
from seewhy.explain.graded_case import case_for, ready_for
from seewhy.explain.object_region import region_of
from seewhy.explain.prepared import ImageLike, prepare
from seewhy.explain.reading import require_model
from seewhy.metrics.case import CHUNK, Case
from seewhy.metrics.controls import CONTROLS, controlled
from seewhy.metrics.grade import Grade
from seewhy.metrics.grading import grade
from seewhy.values import ConfigError, Json

SAME_MAP = 0.5
"""Maps that correlate as much as this after what should have changed them count as unchanged, as in the document."""

Facts = dict[str, Json]
Reader = Callable[[Grade], Facts]


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
        chunk_size: changed copies of the picture that go through the model together.
        seed: decides noise and random choices.

    Raises:
        ConfigError: ``SW-F230``, the explainer is of another model or is none.

    Example:
        >>> import torch
        >>> from seewhy.demo.models import load
        >>> metrics = ExplanationMetrics(load("cnn"), "gradcam")
        >>> sorted(metrics.deletion(torch.zeros(3, 64, 64), steps=5, baseline="mean"))[:4]
        ['auc', 'baseline', 'controls', 'final_drop']
    """

    def __init__(
        self,
        model: nn.Module,
        explainer: Explainer | str | None = None,
        use_cuda: bool = True,
        *,
        controls: bool = True,
        chunk_size: int = CHUNK,
        seed: int = 0,
    ) -> None:
        del use_cuda
        require_model(model)
        given = "gradcam" if explainer is None else explainer
        self.explainer = make_explainer(given, model) if isinstance(given, str) else _explainer_of(given, model)
        self.controls, self.chunk_size, self.seed = controls, chunk_size, seed

    def deletion(
        self, image: ImageLike, target_class: Any = None, steps: int = 50, baseline: str = "blur"
    ) -> dict[str, Json]:
        """How the class's probability falls while the places marked most are replaced; lower is better.

        ``auc`` is the area under ``scores`` ``[steps + 1]`` over ``fractions``, in [0, 1] (Petsiuk 2018);
        ``relative_auc`` is divided by ``original_score``; ``final_drop`` the share of it that is lost in the end.
        """
        return self._deletion(self.case(image, target_class), steps, baseline)

    def insertion(
        self, image: ImageLike, target_class: Any = None, steps: int = 50, baseline: str = "blur"
    ) -> dict[str, Json]:
        """How the class's probability rises while the places marked most are put back; higher is better.

        ``auc`` and ``relative_auc`` as in :meth:`deletion`; ``final_rise`` is the last score's distance from
        ``baseline_score``, as a share of the original's.
        """
        return self._insertion(self.case(image, target_class), steps, baseline)

    def average_sensitivity(
        self, image: ImageLike, target_class: Any = None, n_samples: int = 50, noise_level: float = 0.15
    ) -> dict[str, Json]:
        """How much the map changes, relative to its length, when the picture changes a little; lower is better.

        Every value of the picture moves by at most ``noise_level`` of the pixels' range. ``sensitivity`` is the mean
        over samples, ``max_change`` the largest, ``std`` their deviation.
        """
        return self._sensitivity(self.case(image, target_class), n_samples, noise_level)

    sensitivity_n = average_sensitivity
    """By the name AutoTimm gave it. Ancona's Sensitivity-n is ``grade(image, "sensitivity_n")``."""

    def parameter_randomization(self, image: ImageLike, target_class: Any = None) -> dict[str, Json]:
        """How much the map of the model resembles that of a copy with random weights; it should not.

        ``correlation`` is Spearman's, with all weights random; ``change`` is 1 less its magnitude; ``passes`` where the
        magnitude is below 0.5. ``by_stage`` are those from the head down to the stem.
        """
        return self._randomization(self.case(image, target_class))

    model_parameter_randomization_test = parameter_randomization

    def class_sensitivity(self, image: ImageLike, target_class: Any = None) -> dict[str, Json]:
        """How much the map of the class resembles that of another class; a map that asks about no class has 1.

        Keys as in :meth:`parameter_randomization`.
        """
        return self._class_sensitivity(self.case(image, target_class))

    data_randomization_test = class_sensitivity
    """By the name AutoTimm gave it. Retraining on random labels is ``seewhy.demo.label_randomization``."""

    def pointing_game(
        self, image: ImageLike, bbox: Sequence[float], target_class: Any = None, tolerance: float = 0.0
    ) -> dict[str, Json]:
        """Whether the map's highest place lies in the box ``(x0, y0, x1, y1)``, in pixels of the original picture.

        ``hit`` where at least half of the credit does, which tied places share; ``max_location`` ``(y, x)`` is in
        pixels of the original. ``tolerance`` is in pixels of the model's input.
        """
        return self._pointing_game(self.case(image, target_class, bbox=bbox), bbox, tolerance)

    def evaluate_all(
        self, image: ImageLike, target_class: Any = None, bbox: Sequence[float] | None = None
    ) -> dict[str, dict[str, Json]]:
        """``deletion``, ``insertion``, ``sensitivity``, ``param_randomization``, ``data_randomization`` and, with a
        box, ``pointing_game``; the picture is explained once for all of them."""
        case = self.case(image, target_class, bbox=bbox)
        found = {
            "deletion": self._deletion(case, 50, "blur"),
            "insertion": self._insertion(case, 50, "blur"),
            "sensitivity": self._sensitivity(case, 50, 0.15),
            "param_randomization": self._randomization(case),
            "data_randomization": self._class_sensitivity(case),
        }
        return found if bbox is None else {**found, "pointing_game": self._pointing_game(case, bbox, 0.0)}

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

        ``bbox`` or ``mask`` tell where the object is, in pixels of the original picture. Raises ``ConfigError``
        SW-F223 for an unknown metric, SW-F222 for an unknown setting, SW-F226 where the object's place is needed.
        """
        case = self.case(image, target_class, bbox=bbox, mask=mask)
        return self._graded(metric, case, lambda found: {"details": _details(found)}, "value", **settings)

    def case(
        self, image: ImageLike, target_class: Any = None, *, bbox: Sequence[float] | None = None, mask: Any = None
    ) -> Case:
        """What is graded: the explanation of one picture, and all that metrics ask for."""
        prepared = prepare(image, self.explainer.recipe, self.explainer.study.dtype)
        region = region_of(prepared.geometry, bbox, mask)
        ready = ready_for(self.explainer, [prepared], class_list(target_class, 1, self.explainer.class_names))
        self._geometry = prepared.geometry
        case, _ = case_for(ready, mask=None if region is None else region[None], chunk_size=self.chunk_size)
        return case

    def _deletion(self, case: Case, steps: int, baseline: str) -> dict[str, Json]:
        def facts(found: Grade) -> Facts:
            curve = _row(found, "curve")
            first, last = curve[0], curve[-1]
            return {
                "final_drop": _ratio(first - last, first),
                "scores": curve,
                "fractions": _row(found, "fraction"),
                "original_score": first,
                "relative_auc": _ratio(float(found.values[0]), first),
                "baseline": baseline,
            }

        return self._graded("deletion", case, facts, "auc", steps=steps, fill=baseline)

    def _insertion(self, case: Case, steps: int, baseline: str) -> dict[str, Json]:
        def facts(found: Grade) -> Facts:
            curve = _row(found, "curve")
            first, last = curve[0], curve[-1]
            original = float(case.probability.clean[0])
            return {
                "final_rise": _ratio(last - first, abs(original - first)),
                "scores": curve,
                "fractions": _row(found, "fraction"),
                "original_score": original,
                "baseline_score": first,
                "relative_auc": _ratio(float(found.values[0]), original),
                "baseline": baseline,
            }

        return self._graded("insertion", case, facts, "auc", steps=steps, fill=baseline)

    def _sensitivity(self, case: Case, n_samples: int, noise_level: float) -> dict[str, Json]:
        def facts(found: Grade) -> Facts:
            changes = found.details["changes"][0]
            return {
                "std": _plain(float(changes.std(correction=0))),
                "max_change": _plain(float(changes.max())),
                "changes": _row(found, "changes"),
                "n_samples": n_samples,
                "noise_level": noise_level,
            }

        settings = {"samples": n_samples, "radius": noise_level, "seed": self.seed}
        return self._graded("average_sensitivity", case, facts, "sensitivity", **settings)

    def _randomization(self, case: Case) -> dict[str, Json]:
        def facts(found: Grade) -> Facts:
            return {**_verdict_of(found), "by_stage": _row(found, "stages")}

        return self._graded("parameter_randomization", case, facts, "correlation", seed=self.seed)

    def _class_sensitivity(self, case: Case) -> dict[str, Json]:
        return self._graded("class_sensitivity", case, _verdict_of, "correlation", seed=self.seed)

    def _pointing_game(self, case: Case, bbox: Sequence[float], tolerance: float) -> dict[str, Json]:
        geometry = self._geometry

        def facts(found: Grade) -> Facts:
            credit = float(found.values[0])
            place = geometry.to_original([float(axis) for axis in found.details["max_location"][0]])
            hit = None if math.isnan(credit) else credit >= 0.5
            return {"hit": hit, "max_location": [_plain(axis) for axis in place], "bbox": [float(e) for e in bbox]}

        return self._graded("pointing_game", case, facts, "credit", tolerance=tolerance)

    def _graded(self, metric: str, case: Case, facts: Reader, value: str, **settings: Any) -> dict[str, Json]:
        """A metric's value under the name ``value``, what else is told, and the controls' values."""
        found = grade(metric, case, **settings)
        told: dict[str, Json] = {value: _plain(float(found.values[0])), **facts(found), "reason": found.reasons[0]}
        if self.controls:
            controls = {name: grade(metric, controlled(case, name), **settings) for name in CONTROLS}
            told["controls"] = {name: _plain(float(one.values[0])) for name, one in controls.items()}
        return told


def _explainer_of(given: object, model: nn.Module) -> Explainer:
    if not isinstance(given, Explainer) or given.model is not model:
        what = "an explainer of another model" if isinstance(given, Explainer) else type(given).__name__
        raise ConfigError(
            "SW-F230",
            f"expected an explainer of this model or a method's name, got {what}",
            fix="write ExplanationMetrics(model, GradCAM(model)), or ExplanationMetrics(model, 'gradcam')",
        )
    return given


def _verdict_of(found: Grade) -> Facts:
    likeness = abs(float(found.values[0]))
    undefined = math.isnan(likeness)
    return {"change": None if undefined else 1 - likeness, "passes": None if undefined else likeness < SAME_MAP}


def _row(found: Grade, name: str) -> list[Json]:
    return [_plain(value) for value in found.details[name][0].tolist()]


def _details(found: Grade) -> Json:
    return {name: _nested(values[0].tolist()) for name, values in found.details.items()}


def _nested(value: Any) -> Json:
    return [_nested(one) for one in value] if isinstance(value, list) else _plain(value)


def _plain(value: float) -> float | None:
    """A number as JSON has it: not NaN, not infinite."""
    return value if math.isfinite(value) else None


def _ratio(part: float, whole: float) -> float | None:
    return _plain(part / whole) if whole else None
