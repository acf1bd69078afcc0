"""A report says what the model says, in every section that was asked for, and runs nothing that a text holds."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from friendly_models import PLAIN, Brightness, black_with_square, noise

import seewhy
from seewhy import InteractiveVisualizer
from seewhy.explain.interactive_choices import FigureError
from seewhy.explain.interactive_facts import regions_of
from seewhy.explain.interactive_subject import Box, Shown

HOSTILE = "</title></script><script>window.__pwned = 1</script><img src=x onerror=alert(1)>"


@pytest.fixture
def model() -> Brightness:
    return Brightness(3)


def grad_cam(model: Brightness, names: list[str] | None = None) -> seewhy.GradCAM:
    return seewhy.GradCAM(model, preprocessing=PLAIN, class_names=names)


class Reader(HTMLParser):
    """The elements of a page in their order, and the text of each script by its id or kind."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open = tag
        if tag == "script":
            self.scripts.append((dict(attrs).get("id") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    def handle_data(self, data: str) -> None:
        if self.open == "script":
            name, text = self.scripts[-1]
            self.scripts[-1] = (name, text + data)
        elif self.open != "style" and data.strip():
            self.words.append(" ".join(data.split()))


def read(path: str | Path) -> Reader:
    return Reader(Path(path).read_text("utf-8"))


def test_a_report_says_what_the_model_says(model: Brightness, tmp_path: Path) -> None:
    picture, explainer = noise(64, 64), grad_cam(model, ["bright", "dark", "grey"])
    result = seewhy.explain_prediction(model, picture, preprocessing=PLAIN)
    path = InteractiveVisualizer(model).create_report(
        picture, explainer, save_path=tmp_path / "deep" / "report.html", top_k=5, interactive=False
    )
    words = read(path).words
    assert words[words.index("Confidence") + 1] == f"{result['confidence']:.2%}"
    assert words[words.index("Prediction") + 1] == ["bright", "dark", "grey"][result["predicted_class"]]
    assert {"bright", "dark", "grey"} <= set(words)  # three classes, although five were asked for
    assert [word for word in words if re.fullmatch(r"\d+\.\d\d %", word)] == [
        f"{100 * value:.2f} %" for value in sorted(result["probabilities"], reverse=True)
    ]


def test_statistics_are_those_of_the_heat_map(model: Brightness, tmp_path: Path) -> None:
    """A white square of 24 × 24 on black: Grad-CAM of class 0 is the brightness, by cells of 8."""
    picture = black_with_square(64, 64, 8, 24)
    explainer = grad_cam(model)
    heat = explainer.explain(picture, 0)
    words = read(
        InteractiveVisualizer(model).create_report(
            picture, explainer, 0, save_path=tmp_path / "r.html", interactive=False
        )
    ).words
    start = words.index("heat map, 0 to 1")
    assert float(words[words.index("mean", start) + 1]) == pytest.approx(heat.mean(), rel=1e-2)
    assert float(words[words.index("std", start) + 1]) == pytest.approx(heat.std(), rel=1e-2)
    assert words[words.index("sparsity", start) + 1] == f"{(heat == 0).mean():.1%}"
    lowest = np.histogram(heat, 50, (0, 1))[0][0] / heat.size
    assert any(f"{lowest:.1%} lie in the lowest" in word for word in words)


def test_the_picture_is_explained_once(model: Brightness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explainer, calls = grad_cam(model), []
    ask = type(explainer).explained
    monkeypatch.setattr(type(explainer), "explained", lambda *given, **more: calls.append(1) or ask(*given, **more))
    InteractiveVisualizer(model).create_report(
        noise(64, 64), explainer, save_path=tmp_path / "r.html", include_top_regions=True
    )
    assert len(calls) == 1


def test_a_result_is_reported_without_asking_again(model: Brightness, tmp_path: Path) -> None:
    result = seewhy.explain_prediction(model, noise(64, 64), preprocessing=PLAIN)
    model.calls = 0
    visualizer = InteractiveVisualizer(model)
    visualizer.create_report(None, result, save_path=tmp_path / "r.html", interactive=False)
    assert model.calls == 0
    with pytest.raises(FigureError) as caught:
        visualizer.create_report(None, result, save_path=tmp_path / "r.html", include_metrics=True)
    assert caught.value.code == "SW-V09"


def test_regions_are_ranked_by_their_evidence_and_lie_in_the_pictures_pixels() -> None:
    """Two parts: 4 cells of 1.0 and one of 0.8; a cell of 0.4 is below half of the largest."""
    values = np.zeros((4, 6), np.float32)
    values[0, 0], values[1:3, 2:4], values[3, 5] = 0.8, 1.0, 0.4
    first, second = regions_of(Shown(values, Box(10, 20, 22, 28), 1.0), 5)
    assert first.box == Box(14, 22, 18, 26)
    assert second.box == Box(10, 20, 12, 22)
    assert (round(first.share, 3), round(second.share, 3), first.peak) == (0.769, 0.154, 1.0)
    assert len(regions_of(Shown(values, Box(0, 0, 6, 4), 1.0), 1)) == 1
    assert regions_of(Shown(np.zeros((2, 2), np.float32), Box(0, 0, 2, 2), 1.0), 5) == []


def test_metrics_stand_beside_their_controls_with_the_verdict(model: Brightness, tmp_path: Path) -> None:
    picture = noise(64, 64)
    path = InteractiveVisualizer(model).create_report(
        picture, grad_cam(model), 0, save_path=tmp_path / "r.html", include_metrics=["gini"], interactive=False
    )
    found = seewhy.evaluate_methods(model, [picture], ["gradcam"], ["gini"], [0], preprocessing=PLAIN)
    words = read(path).words
    row = words[words.index("gini") : words.index("gini") + 5]
    told = found.of_record(0)["gradcam"]["gini"]
    assert [float(word) for word in row[1:]] == [
        pytest.approx(value, rel=1e-2) for value in (told["value"], *told["controls"].values())
    ]
    assert {"random", "centre", "edges", "Verdict"} <= set(words)


def test_hostile_texts_make_no_element_and_no_script(model: Brightness, tmp_path: Path) -> None:
    pages = []
    for title, names in (("fine", ["a", "b", "c"]), (HOSTILE, [f"{HOSTILE}{place}" for place in range(3)])):
        path = InteractiveVisualizer(model).create_report(
            noise(64, 64), grad_cam(model, names), save_path=tmp_path / "r.html", title=title
        )
        pages.append(read(path))
    benign, hostile = pages
    assert hostile.tags == benign.tags
    assert [name for name, _ in hostile.scripts] == ["", "charts", "plotly", ""]
    assert "<" not in hostile.scripts[1][1]
    assert any("<script>window.__pwned" in word for word in hostile.words)


def test_a_page_holds_plotly_once_and_its_policy_names_each_script(model: Brightness, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    InteractiveVisualizer(model).visualize_explanation(noise(224, 224), grad_cam(model), save_path=path)
    page = path.read_text("utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    policy = policy.replace("&#39;", "'")
    assert "unsafe-eval" not in policy
    assert "script-src 'unsafe-inline'" not in policy
    scripts = dict(enumerate(read(path).scripts))
    plotly = gzip.decompress(base64.b64decode(scripts[2][1])).decode()
    assert "plotly.js v" in plotly[:200]
    for script in (scripts[0][1], scripts[3][1], plotly):
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    rest = len(page) - len(scripts[2][1])
    assert rest < 600_000, "the heat map, the picture and the page itself"
    (chart,) = json.loads(scripts[1][1])
    assert chart["config"]["showSendToCloud"] is False


def test_without_plotly_the_command_that_installs_it_is_told_and_a_plain_report_is_written(
    model: Brightness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    model.calls = 0
    visualizer = InteractiveVisualizer(model)
    explainer = grad_cam(model)
    with pytest.raises(seewhy.SeewhyError, match=r"pip install 'seewhy\[report\]'"):
        visualizer.create_report(noise(64, 64), explainer, save_path=tmp_path / "r.html")
    assert (model.calls, (tmp_path / "r.html").exists()) == (0, False)
    path = visualizer.create_report(noise(64, 64), explainer, save_path=tmp_path / "r.html", interactive=False)
    assert read(path).scripts == []
    assert Path(path).stat().st_size < 100_000


def test_a_map_without_evidence_says_so(model: Brightness, tmp_path: Path) -> None:
    path = InteractiveVisualizer(model).create_report(
        np.zeros((64, 64, 3), np.uint8),
        grad_cam(model),
        0,
        save_path=tmp_path / "r.html",
        include_top_regions=True,
        interactive=False,
    )
    words = read(path).words
    assert any("no positive evidence" in word for word in words)
    assert "There is no region: the heat map is zero everywhere." in words


@pytest.mark.parametrize(
    ("given", "code"),
    [({"top_k": 0}, "SW-V04"), ({"metric_settings": {}}, "SW-V10"), ({"save_path": None}, "SW-V02")],
)
def test_a_report_that_cannot_be_made_is_refused(model: Brightness, given: dict[str, object], code: str) -> None:
    with pytest.raises(FigureError) as caught:
        InteractiveVisualizer(model).create_report(noise(64, 64), "gradcam", **given)
    assert caught.value.code == code
