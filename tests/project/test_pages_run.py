"""The code on the pages of the documentation runs as it stands, in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from page_blocks import blocks_of, run_page, text_of

# What a reader may see and need not act on: a map that is empty, and what Lightning says of a training of seconds.
QUIET = [
    pytest.mark.filterwarnings("ignore:no positive evidence:UserWarning"),
    pytest.mark.filterwarnings(r"ignore:.*treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*num_workers.*:UserWarning"),
]
pytestmark = QUIET

PAGES = {
    "feature-visualization.md": ["features.png", "features/features_b0_t0.pkl", "field.png", "layers.png", "peaks.png"],
    "task-adapters.md": ["boxes.png", "clip.png", "regions.png", "signal.png", "volume.nii.gz", "volume.png"],
    "callbacks.md": ["training"],
    "optimization.md": ["fast/manifest.json"],
    "metrics.md": [],
    "interactive-visualizations.md": [
        "comparison.html",
        "explanation.html",
        "graded.html",
        "graded_report.html",
        "plain.html",
        "report.html",
    ],
    "report.md": ["look/report/index.html"],
    "dashboard.md": ["first/report/index.html", "second/report/index.html"],
    "embeddings.md": [
        f"look/embeddings/{name}" for name in ("clusters_kmeans.parquet", "probe.json", "outliers.parquet")
    ],
}
"""The pages, and what following them leaves."""


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_from_top_to_bottom(page: str, empty_folder: Path) -> None:
    run_page(page)
    assert [name for name in PAGES[page] if not (empty_folder / name).exists()] == []


def symptoms() -> dict[str, str]:
    """Each symptom of the page of troubles with its section."""
    parts = re.split(r"^### (.+)\n", text_of("troubleshooting.md"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], (re.split(r"^## ", part, flags=re.MULTILINE)[0] for part in parts[2::2]), strict=True))


def test_every_symptom_has_a_check_that_runs_and_says_what_to_do() -> None:
    found = symptoms()
    assert len(found) >= 25
    assert [name for name, section in found.items() if not blocks_of(section)] == []
    assert [name for name, section in found.items() if not re.split(r"^```\n", section, flags=re.M)[-1].strip()] == []


@pytest.mark.parametrize(
    "words",
    [
        "no heat map", "poor localisation", "slow", "a method fails", "no detections", "segmentation is blank",
        "blank feature maps", "layer not found", "cuda out of memory", "hook registration", "empty activations",
        "or it is empty", "file not found", "several sizes", "a clip", "gaze", "deletion stays high", "nan",
        "sanity checks fail", "pointing game always misses", "callbacks log nothing",
    ],
)  # fmt: skip
def test_a_symptom_that_other_tools_list_is_there(words: str) -> None:
    assert [name for name in symptoms() if words in name.lower()] != []


@pytest.mark.slow
def test_the_page_of_troubles_runs_and_its_checks_find_what_they_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    run_page("troubleshooting.md")
    told = capsys.readouterr().out
    for finding in (
        "no positive evidence: the heat map of gradcam is zero, since the gradient at layer4.1.conv2 is zero",
        "auto steps: complete",
        "fitted at 8",
        "class 2 was asked for, but the model has 2 outputs (0 to 1)",
        "SW-L01", "SW-L41", "SW-C01", "SW-C21", "SW-M10", "SW-T50",
        "no detections of at least 0.9; the best score is ",
        "{'no fixations': 1}",
        "None the map is zero everywhere",
        "logged 1 times, 2 pictures",
        "look: every file is as it was written",
    ):  # fmt: skip
        assert finding in told, finding
