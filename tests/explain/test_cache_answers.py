"""A hit gives bit for bit what computing gave, and the model is asked about the other images only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cached_models import PLAIN, SQUARE, Scaled, explainer_of, is_hit
from friendly_models import Brightness, black_with_square, noise

import seewhy
from seewhy import ExplanationCache, GradCAM
from seewhy.explain.explained import Explained
from seewhy.explain.explainers import make_explainer
from seewhy.explain.reading import Reading
from seewhy.values import CacheError, SeewhyError, TargetError
from toys import Vit


def bits(found: Explained) -> list[Any]:
    """Everything of an answer, arrays as their bytes."""
    attribution = found.attribution
    tensors = {"score": attribution.score, **attribution.maps, **attribution.per_channel, **attribution.measured}
    return [
        [(name, value.dtype, value.shape, value.numpy().tobytes()) for name, value in tensors.items()],
        (found.raw.dtype, found.raw.tobytes(), found.outputs.dtype, found.outputs.tobytes()),
        (found.heat.tobytes(), found.signed.tobytes(), found.valid.tobytes(), found.drawn.tobytes()),
        (found.target, found.head, found.of_model, found.notes, found.scale, found.prepared.kind),
        (attribution.signed, attribution.facts, found.titled("x"), found.nothing),
    ]


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("gradcam", {}),
        ("layercam", {}),
        ("input_x_gradient", {}),
        ("integrated_gradients", {"steps": 3}),
        ("integrated_gradients", {"steps": 3, "baseline": torch.full((1, 3, 64, 64), 0.25)}),
        ("smoothgrad", {"num_samples": 2}),
        ("occlusion", {"window": 32, "stride": 32}),
        ("rise", {"num_masks": 4}),
        ("tta", {}),
    ],
)
def test_a_hit_is_what_computing_gave(cache: ExplanationCache, method: str, settings: dict[str, Any]) -> None:
    model = Scaled()
    layer = "cells" if method in ("gradcam", "layercam") else None
    made = [make_explainer(method, model, layer, Reading(PLAIN), settings, cache=one) for one in (None, cache, cache)]
    image = noise(80, 96)
    found = [bits(one.explained(image)) for one in made]
    assert found[0] == found[1]
    assert found[1] == found[2]
    told = cache.stats()
    assert (told["hits"], told["misses"], told["stored"], told["passed_by"]) == (1, 1, 1, 0)


def test_attention_explainers_take_a_cache(cache: ExplanationCache) -> None:
    model, image = Vit(), torch.randn(2, 16, 16)
    for kind in (seewhy.AttentionRollout, seewhy.AttentionFlow, seewhy.AttentionRelevance):
        first, second = (bits(kind(model, cache=cache).explained(image)) for _ in range(2))
        assert first == second
    assert (cache.stats()["hits"], cache.stats()["misses"]) == (3, 3)


class Counting(Brightness):
    """Counts the images it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.rows += len(image)
        return super().forward(image)


def test_the_model_is_asked_about_what_is_missing_only(cache: ExplanationCache) -> None:
    images = [black_with_square(64, 64, 8 * number, 8) for number in range(5)]
    model = Counting()
    explainer = explainer_of(cache, model)
    explainer.explain_batch([images[1], images[3]])
    before = model.rows
    heats = explainer.explain_batch(images)
    assert model.rows - before == 3
    assert (cache.stats()["hits"], cache.stats()["misses"], cache.stats()["passed_by"]) == (2, 5, 0)
    plain = GradCAM(model, "cells", preprocessing=PLAIN).explain_batch(images)
    assert all(np.array_equal(one, other) for one, other in zip(heats, plain, strict=True))


def test_a_new_object_of_the_same_model_needs_no_look_at_the_model(
    cache: ExplanationCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Scaled()
    explainer_of(cache, first).explain(SQUARE)
    second = Scaled()
    second.load_state_dict(first.state_dict())
    monkeypatch.setattr("seewhy.explain.study.Adapter", None)
    other = ExplanationCache(cache.cache_dir)
    assert is_hit(other, explainer_of(other, second))
    other.close()


def test_names_of_classes_are_checked_on_a_hit_too(cache: ExplanationCache) -> None:
    model = Scaled()
    explainer_of(cache, model, class_names=["light", "dark"]).explain(SQUARE, "dark")
    assert is_hit(cache, explainer_of(cache, model), target_class=1)
    with pytest.raises(TargetError, match="SW-T32"):
        explainer_of(cache, model, class_names=["light", "dark", "none"]).explain(SQUARE, 1)


def test_errors_and_empty_maps_are_as_without_a_cache(cache: ExplanationCache) -> None:
    model = Scaled()
    with torch.no_grad():
        model.cells.weight.neg_()
    explainer = explainer_of(cache, model)
    for _ in range(2):
        with pytest.warns(UserWarning, match="no positive evidence"):
            assert not explainer.explain(np.full_like(SQUARE, 255)).any()
    with pytest.raises(SeewhyError, match="SW-T01"):
        explainer.explain(SQUARE, 7)
    assert cache.stats()["num_entries"] == 1


def test_one_call_functions_take_a_cache(cache: ExplanationCache) -> None:
    model = Scaled()
    given: dict[str, Any] = {"preprocessing": PLAIN, "cache": cache}
    first = seewhy.compare_methods(model, SQUARE, ["gradcam", "saliency"], target_layer="cells", **given)
    assert (cache.stats()["hits"], cache.stats()["misses"]) == (0, 2)
    second = seewhy.compare_methods(model, SQUARE, ["saliency", "occlusion", "gradcam"], target_layer="cells", **given)
    assert (cache.stats()["hits"], cache.stats()["misses"]) == (2, 3)
    assert list(second) == ["saliency", "occlusion", "gradcam"]
    shown = seewhy.quick_explain(model, SQUARE, None, target_layer="cells", **given)
    listed = seewhy.visualize_batch(model, [SQUARE], target_layer="cells", return_heatmap=True, **given)
    assert (cache.stats()["hits"], cache.stats()["misses"]) == (4, 3)
    for result in (second["gradcam"], shown, listed[0]):
        assert np.array_equal(result["heatmap"], first["gradcam"]["heatmap"])
        assert result["probabilities"].tobytes() == first["gradcam"]["probabilities"].tobytes()


def test_a_noisy_explainer_takes_the_cache_of_what_it_averages(cache: ExplanationCache) -> None:
    base = explainer_of(cache, Scaled())
    assert seewhy.SmoothGrad(base, num_samples=2).cache is cache
    assert seewhy.SmoothGrad(base, num_samples=2, cache=None).cache is None


def test_by_hand_an_explanation_is_kept_with_its_model(cache: ExplanationCache) -> None:
    model = Scaled()
    explainer = explainer_of(cache, model)
    heat = np.arange(6, dtype=np.float16).reshape(2, 3)
    assert cache.get(SQUARE, explainer) is None
    cache.put(SQUARE, explainer, heat)
    found = cache.get(SQUARE, explainer)
    assert found is not None
    assert (found.dtype, found.tobytes()) == (heat.dtype, heat.tobytes())
    named: dict[str, Any] = {"model": model, "target_layer": "cells", "preprocessing": PLAIN}
    assert np.array_equal(cache.get(SQUARE, "gradcam", **named), heat)
    for different in ({"target_class": 1}, {"model": Brightness()}, {"target_layer": None}):
        assert cache.get(SQUARE, **{"method": "gradcam", **named, **different}) is None
    cache.put(SQUARE, "saliency", torch.ones(2, dtype=torch.bfloat16), 1, model=model, preprocessing=PLAIN)
    assert cache.get(SQUARE, "saliency", 1, model=model, preprocessing=PLAIN).tolist() == [1.0, 1.0]  # type: ignore[union-attr]
    model.steps.data[0] += 1
    assert cache.get(SQUARE, explainer) is None
    heat = explainer.explain(SQUARE)
    assert np.array_equal(cache.get(SQUARE, "gradcam", **named), heat)  # what the explainer kept


def test_what_cannot_be_used_is_refused(cache: ExplanationCache, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    wrong: list[tuple[str, Any]] = [
        ("SW-K01", lambda: ExplanationCache(tmp_path / "file")),
        ("SW-K02", lambda: ExplanationCache(tmp_path / "file" / "inner")),
        ("SW-K03", lambda: ExplanationCache(tmp_path / "new", max_size_mb=0)),
        ("SW-K03", lambda: ExplanationCache(tmp_path / "new", max_size_mb=float("nan"))),
        ("SW-K04", lambda: cache.get(SQUARE, "gradcam")),
        ("SW-K04", lambda: cache.put(SQUARE, "gradcam", np.zeros(2))),
        ("SW-K05", lambda: cache.put(SQUARE, "gradcam", "heat", model=Scaled())),
        ("SW-K05", lambda: cache.put(SQUARE, "gradcam", np.array(["a"]), model=Scaled())),
        ("SW-K06", lambda: GradCAM(Scaled(), cache=tmp_path)),
        ("SW-K06", lambda: GradCAM(Scaled(), cache=ExplanationCache)),
        *(("SW-K07", lambda given=given: ExplanationCache(given)) for given in (None, 5, "", "a\0b", b"bytes")),
    ]
    for code, call in wrong:
        with pytest.raises(CacheError, match=code):
            call()
    assert not (tmp_path / "new").exists()


def test_a_disabled_cache_touches_no_disk(tmp_path: Path) -> None:
    off = ExplanationCache(tmp_path / "none", enabled=False)
    explainer_of(off, Scaled()).explain(SQUARE)
    off.put(SQUARE, "gradcam", np.zeros(2), model=Scaled())
    assert off.get(SQUARE, "gradcam", model=Scaled()) is None
    assert off.stats()["enabled"] is False
    assert off.stats()["misses"] == 0
    assert list(tmp_path.iterdir()) == []


def test_the_size_bounds_what_explainers_keep(tmp_path: Path) -> None:
    with ExplanationCache(tmp_path, max_size_mb=0.005) as small:
        explainer = explainer_of(small, Scaled())
        for seed in range(12):
            explainer.explain(noise(64, 64, seed))
        told = small.stats()
        assert told["stored"] == 12
        assert 1 < told["num_entries"] < 12
        assert 0.5 < told["utilization"] <= 1
        assert is_hit(small, explainer, noise(64, 64, 11))
        assert not is_hit(small, explainer, noise(64, 64, 0))
        with ExplanationCache(tmp_path, max_size_mb=0.002) as smaller:
            assert smaller.stats()["utilization"] <= 1
        small.clear()
        assert small.stats()["num_entries"] == 0
