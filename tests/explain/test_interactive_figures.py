"""Interactive figures hold the heat map itself, where it lies on the picture, and every text to the letter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from friendly_models import PLAIN, Brightness, black_with_square, noise

import seewhy
from seewhy import InteractiveVisualizer
from seewhy.explain.interactive_choices import FigureError
from seewhy.render import RenderError, colormap

HOSTILE = '<b>bold</b> <a href="https://example.org">x</a> </script><script>window.__pwned = 1</script> &lt;'


@pytest.fixture
def model() -> Brightness:
    return Brightness(3)


def grad_cam(model: Brightness, **more: object) -> seewhy.GradCAM:
    return seewhy.GradCAM(model, preprocessing={**PLAIN, **more})


def test_the_values_of_a_figure_are_the_heat_map(model: Brightness) -> None:
    picture, explainer = black_with_square(64, 64, 8, 24), grad_cam(model)
    figure = InteractiveVisualizer(model).visualize_explanation(picture, explainer, 0)
    (trace,) = figure.data
    assert np.array_equal(trace.z, explainer.explain(picture, 0))
    assert (trace.x0, trace.dx, trace.y0, trace.dy) == (0, 1, 0, 1)
    assert trace.opacity == 0.6


def test_it_says_what_the_model_says(model: Brightness) -> None:
    picture = noise(64, 64)
    figure = InteractiveVisualizer(model).visualize_explanation(picture, grad_cam(model))
    scaled = torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1
    probabilities = model(scaled).softmax(1)[0].detach()
    told = f"Predicted: Class {int(probabilities.argmax())} (confidence: {float(probabilities.max()):.1%})"
    assert figure.layout.title.subtitle.text == told


def test_a_map_lies_where_the_model_looked(model: Brightness) -> None:
    """64 × 128: the short side fits, and the centre crop keeps columns 32 to 96."""
    figure = InteractiveVisualizer(model).visualize_explanation(noise(64, 128), grad_cam(model), 0)
    (trace,) = figure.data
    rows, columns = trace.z.shape
    assert (trace.x0 - trace.dx / 2, trace.x0 + trace.dx * (columns - 0.5)) == (31.5, 95.5)
    assert (trace.y0 - trace.dy / 2, trace.y0 + trace.dy * (rows - 0.5)) == (-0.5, 63.5)
    assert figure.layout.xaxis2.matches == "x"
    assert tuple(figure.layout.yaxis.range) == (63.5, -0.5)
    frame = figure.layout.shapes[-1]
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (31.5, 95.5, -0.5, 63.5)
    assert [(image.sizex, image.sizey) for image in figure.layout.images] == [(128, 64)] * 2


def test_a_photograph_is_carried_as_means_of_its_pixels(model: Brightness) -> None:
    picture, explainer = noise(448, 448), grad_cam(model)
    (trace,) = InteractiveVisualizer(model).visualize_explanation(picture, explainer, 0).data
    heat = explainer.explain(picture, 0)
    assert trace.z.shape == (224, 224)
    np.testing.assert_allclose(trace.z, heat.reshape(224, 2, 224, 2).mean(axis=(1, 3)), atol=1e-6)
    assert (trace.x0, trace.dx) == (0.5, 2)


def test_colours_are_those_of_saved_pictures(model: Brightness) -> None:
    figure = InteractiveVisualizer(model).visualize_explanation(
        noise(64, 64), grad_cam(model), 0, colorscale="RdYlGn", show_colorbar=False
    )
    axis = figure.layout.coloraxis
    assert len(axis.colorscale) == 256
    assert axis.colorscale[0][1].endswith(",0)")
    red, green, blue = colormap("rdylgn")[255]
    assert axis.colorscale[-1] == (1, f"rgba({red},{green},{blue},1)")
    assert (axis.cmin, axis.cmax, axis.showscale) == (0, 1, False)


def test_a_magnitude_is_in_full_colour_from_its_99th_percentile_and_keeps_its_values(model: Brightness) -> None:
    picture = noise(64, 64)
    explainer = seewhy.IntegratedGradients(model, preprocessing=PLAIN)
    found = explainer.explained(picture, 0)
    figure = InteractiveVisualizer(model).visualize_explanation(picture, explainer, 0)
    magnitudes = np.abs(found.raw)
    assert figure.layout.coloraxis.cmax == pytest.approx(np.percentile(magnitudes, 99) / magnitudes.max())
    np.testing.assert_allclose(figure.data[0].z, found.heat)


def test_methods_are_compared_in_one_pass_and_one_that_fails_says_why(model: Brightness) -> None:
    explainers = {HOSTILE: grad_cam(model), "rollout": seewhy.AttentionRollout(model, preprocessing=PLAIN)}
    picture = noise(64, 64)
    grad_cam(model).explain(picture, 0)
    model.calls = 0
    figure = InteractiveVisualizer(model).compare_methods(picture, explainers, 0, width=4000)
    assert len(figure.data) == 1
    assert model.calls <= 4  # the trace of a new explainer, and one pass
    titles = [note.text for note in figure.layout.annotations]
    assert titles[0] == "Original"
    assert titles[1].startswith("&lt;b&gt;bold&lt;/b&gt; &lt;a href=")
    assert "not explained" in titles[-1].replace("<br>", " ")
    assert not any("<" in text.replace("<br>", "") for text in titles)


def test_a_comparison_is_shown_without_asking_again(model: Brightness) -> None:
    comparison = seewhy.compare_methods(model, noise(64, 64), ["gradcam", "saliency"], 0, preprocessing=PLAIN)
    model.calls = 0
    figure = InteractiveVisualizer(model).compare_methods(None, comparison)
    assert (len(figure.data), model.calls) == (2, 0)
    np.testing.assert_array_equal(figure.data[1].z, comparison["saliency"]["heatmap"])


def test_panels_break_into_rows(model: Brightness) -> None:
    explainers = {f"{place}": grad_cam(model) for place in range(5)}
    figure = InteractiveVisualizer(model).compare_methods(noise(64, 64), explainers, 0, width=800, height=300)
    layout = figure.layout
    assert layout.height == 600
    assert layout.xaxis4.domain == layout.xaxis.domain
    assert layout.yaxis4.domain[1] < layout.yaxis.domain[0]


def test_titles_are_shown_to_the_letter(model: Brightness) -> None:
    figure = InteractiveVisualizer(model).visualize_explanation(
        noise(64, 64), grad_cam(model), 0, title="<b>\u202eA\n&"
    )
    assert figure.layout.title.text == "&lt;b&gt; A &amp;"


def test_a_figure_offers_no_upload_however_it_is_shown(model: Brightness) -> None:
    figure = InteractiveVisualizer(model).visualize_explanation(noise(64, 64), grad_cam(model), 0)
    shown = figure.to_html(include_plotlyjs=False, config={"displaylogo": True})
    assert '"showSendToCloud": false' in shown
    assert '"displaylogo": true' in shown


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"width": 0}, "SW-V01"),
        ({"height": "tall"}, "SW-V01"),
        ({"save_path": "cat.png"}, "SW-V02"),
        ({"title": None}, "SW-V03"),
        ({"image": "scan.nii.gz"}, "SW-V05"),
        ({"image": "film.mp4"}, "SW-V05"),
        ({"image": np.zeros((4, 8, 8, 8))}, "SW-V05"),
        ({"image": torch.zeros(1, 3, 8, 8, 8)}, "SW-V05"),
        ({"image": {"left": 1}}, "SW-V05"),
        ({"explainer": 3}, "SW-V07"),
        ({"colorscale": "Viridsi"}, "SW-R01"),
        ({"opacity": 1.5}, "SW-R05"),
        ({"opacity": "half"}, "SW-F91"),
        ({"explainer": "gradcma"}, "SW-F10"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_the_model_is_asked(
    model: Brightness, given: dict[str, object], code: str
) -> None:
    asked = {"image": noise(64, 64), "explainer": grad_cam(model), **given}
    model.calls = 0
    with pytest.raises(seewhy.SeewhyError) as caught:
        InteractiveVisualizer(model).visualize_explanation(**asked)
    assert (caught.value.code, model.calls) == (code, 0)
    assert caught.value.fix or caught.value.near


def test_a_place_where_no_page_can_be_written_is_refused_before_the_model_is_asked(
    model: Brightness, tmp_path: Path
) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").write_text("kept")
    explainer, visualizer = grad_cam(model), InteractiveVisualizer(model)
    model.calls = 0
    for name in (
        "folder.html",
        "file/below.html",
        "a\0.html",
        f"{'a' * 300}.html",
        "/proc/page.html",
        "~nobody-x/a.html",
    ):
        for show in (visualizer.visualize_explanation, visualizer.create_report):
            with pytest.raises(FigureError) as caught:
                show(noise(64, 64), explainer, save_path=name if name[0] in "/~" else tmp_path / name)
            assert (caught.value.code, model.calls) == ("SW-V11", 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.html"]


def test_a_page_is_written_in_one_step(model: Brightness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is there stays as it was until the new one is complete."""
    path = tmp_path / "page.html"
    path.write_text("old")
    visualizer = InteractiveVisualizer(model)
    with pytest.raises(seewhy.SeewhyError):
        visualizer.visualize_explanation(noise(64, 64), "gradcam", "no such class", save_path=path)
    monkeypatch.setattr("seewhy.store.files.os.write", lambda *given: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(seewhy.SeewhyError, match="SW-S01"):
        visualizer.visualize_explanation(noise(64, 64), grad_cam(model), save_path=path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("page.html", "old")]


def test_a_misspelt_scale_is_answered_with_the_nearest(model: Brightness) -> None:
    with pytest.raises(RenderError) as caught:
        InteractiveVisualizer(model).visualize_explanation(noise(64, 64), "gradcam", colorscale="Blackbdy")
    assert caught.value.near[0] == "blackbody"


def test_an_explainer_of_another_model_is_refused(model: Brightness) -> None:
    with pytest.raises(FigureError, match="another model"):
        InteractiveVisualizer(model).visualize_explanation(noise(64, 64), grad_cam(Brightness()))
    with pytest.raises(FigureError, match="class_names"):
        InteractiveVisualizer(model, class_names=["a", "b", "c"]).visualize_explanation(noise(64, 64), grad_cam(model))
    with pytest.raises(seewhy.SeewhyError, match="InteractiveVisualizer has no parameter 'class_name'"):
        InteractiveVisualizer(model, class_name=["a"])


def test_a_model_of_volumes_is_sent_to_what_explains_it() -> None:
    with pytest.raises(FigureError, match="explain_volume"):
        InteractiveVisualizer(torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3)))


@pytest.mark.parametrize("explainers", [{}, None, {1: "gradcam"}, ["gradcam"]])
def test_methods_to_compare_come_by_name(model: Brightness, explainers: object) -> None:
    with pytest.raises(FigureError) as caught:
        InteractiveVisualizer(model).compare_methods(noise(64, 64), explainers)
    assert caught.value.code == "SW-V08"
