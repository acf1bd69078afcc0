"""Pictures of heat maps: colours and blends are the formulas', figures hold what was asked and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from seewhy.explain.figures import as_picture
from seewhy.render import RenderError, colormap, colormap_names
from seewhy.render.plots import Panel, figure_of, rows_and_columns, save_figure
from seewhy.values import DataError
from seewhy.visualization import (
    apply_colormap,
    create_comparison_figure,
    overlay_heatmap,
    polarity_figure,
    save_heatmap,
)

HEAT = np.linspace(0, 1, 72).reshape(8, 9)
MATPLOTLIBS = ("viridis", "plasma", "inferno", "magma", "cividis", "turbo", "jet", "hot", "gray")


def photo(height: int = 8, width: int = 9, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def shown(figure: Figure) -> dict[str, np.ndarray]:
    """The pictures of a figure by their titles; empty cells are left out."""
    return {axes.get_title(): np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images}


def code_of(error: pytest.ExceptionInfo[RenderError]) -> str:
    return error.value.code


@pytest.mark.parametrize("name", MATPLOTLIBS)
def test_colours_are_those_of_matplotlib(name: str) -> None:
    steps = np.linspace(0, 1, 256).reshape(16, 16)
    expected = matplotlib.colormaps[name](steps, bytes=True)[..., :3]
    assert np.abs(apply_colormap(steps, name).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("other", ["grey", "GREY", "Gray"])
def test_grey_is_gray_in_any_spelling(other: str) -> None:
    assert apply_colormap(np.array([[0.0, 0.25, 0.5, 1.0]]), other)[0, :, 0].tolist() == [0, 64, 128, 255]
    assert "grey" not in colormap_names()


def test_viridis_is_the_default_everywhere() -> None:
    picture = photo()
    assert np.array_equal(apply_colormap(HEAT)[7, 8], colormap("viridis")[255])
    assert np.array_equal(overlay_heatmap(picture, HEAT, alpha=1.0), apply_colormap(HEAT, "viridis"))
    assert np.array_equal(
        shown(create_comparison_figure(picture, [HEAT], ["map"]))["map"], overlay_heatmap(picture, HEAT, 0.4, "viridis")
    )


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.4, 1.0])
def test_an_overlay_is_the_weighted_mean_of_picture_and_colour(alpha: float) -> None:
    picture = photo()
    expected = (1 - alpha) * picture.astype(float) + alpha * apply_colormap(HEAT, "jet").astype(float)
    found = overlay_heatmap(picture, HEAT, alpha, "jet")
    assert np.abs(found - expected).max() <= 0.5


def test_a_map_is_brought_to_the_size_of_the_picture() -> None:
    picture = np.zeros((9, 8, 3), np.uint8)
    found = overlay_heatmap(picture, np.array([[0.0, 1.0]]), 1.0, "gray")[..., 0]
    # Two cells over eight pixels: the centres are at 2 and 6, so pixel i + 0.5 reads (i + 0.5 - 2) / 4 between them.
    expected = np.rint(255 * np.clip((np.arange(8) + 0.5 - 2) / 4, 0, 1))
    assert np.array_equal(found, np.tile(expected, (9, 1)))


def test_a_map_of_another_size_is_refused_where_resizing_is_switched_off() -> None:
    with pytest.raises(RenderError, match="resize_heatmap=True") as error:
        overlay_heatmap(photo(), HEAT[:4], resize_heatmap=False)
    assert code_of(error) == "SW-R08"
    assert overlay_heatmap(photo(), HEAT, resize_heatmap=False).shape == (8, 9, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.01, 1.01])
def test_values_outside_zero_to_one_are_refused_by_every_function(bad: float, tmp_path: Path) -> None:
    heat, picture, path = HEAT.copy(), photo(), tmp_path / "map.png"
    heat[0, 1] = bad
    for draw in (
        lambda: apply_colormap(heat),
        lambda: overlay_heatmap(picture, heat),
        lambda: create_comparison_figure(picture, [HEAT, heat], ["a", "b"]),
        lambda: save_heatmap(picture, heat, path),
    ):
        with pytest.raises(RenderError) as error:
            draw()
        assert code_of(error) == "SW-R02"
    assert not path.exists()


def pictures_of(tmp_path: Path) -> dict[str, object]:
    """The same colours in every form a picture may have."""
    array = photo()
    opaque = np.dstack([array, np.full((8, 9), 255, np.uint8)])
    path = tmp_path / "photo.png"
    Image.fromarray(array).save(path)
    return {
        "uint8": array, "floats": array / 255, "float32": (array / 255).astype(np.float32), "RGBA": opaque,
        "Pillow": Image.fromarray(array), "Pillow RGBA": Image.fromarray(opaque), "path": path, "text": str(path),
        "not contiguous": np.asfortranarray(array),
    }  # fmt: skip


def test_a_picture_is_the_same_in_every_form(tmp_path: Path) -> None:
    forms = pictures_of(tmp_path)
    different = [name for name, form in forms.items() if not np.array_equal(as_picture(form), forms["uint8"])]
    assert different == []


@pytest.mark.parametrize("axes", [(8, 9), (8, 9, 1)])
def test_gray_is_shown_in_three_equal_channels(axes: tuple[int, ...]) -> None:
    gray = photo()[..., 0]
    assert np.array_equal(as_picture(gray.reshape(axes)), np.stack([gray] * 3, axis=2))


def test_sixteen_bit_gray_keeps_its_range(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((8, 8), 32768, np.uint16)).save(path)
    assert as_picture(path)[0, 0].tolist() == [128, 128, 128]


def test_transparency_shows_white() -> None:
    half = np.zeros((8, 9, 4), np.uint8)
    half[:, 4:, 3] = 255
    assert np.unique(as_picture(half)[:, :4]).tolist() == [255]
    assert np.unique(as_picture(half)[:, 4:]).tolist() == [0]


@pytest.mark.parametrize("wrong", [np.zeros((8, 9, 5), np.uint8), np.full((8, 9, 3), 200.0), [[0, 1]], None])
def test_what_is_no_picture_is_refused(wrong: object) -> None:
    with pytest.raises(DataError):
        overlay_heatmap(wrong, HEAT)  # type: ignore[arg-type]


def test_a_file_that_is_no_picture_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("hello")
    with pytest.raises(DataError, match=r"notes\.png") as error:
        overlay_heatmap(path, HEAT)
    assert error.value.code == "SW-D06"


@pytest.mark.parametrize(
    ("layout", "maps", "cells"),
    [("grid", 2, (1, 3)), ("grid", 3, (1, 4)), ("grid", 4, (2, 4)), ("horizontal", 5, (1, 6)), ("vertical", 2, (3, 1))],
)
def test_the_original_comes_first_and_four_stand_in_a_row(layout: str, maps: int, cells: tuple[int, int]) -> None:
    picture, titles = photo(), [f"method {i}" for i in range(maps)]
    heats = [HEAT * (i + 1) / maps for i in range(maps)]
    figure = create_comparison_figure(picture, heats, titles, layout, "magma", 0.5, dpi=50)
    panels = shown(figure)
    assert list(panels) == ["Original", *titles]
    assert np.array_equal(panels["Original"], picture)
    for title, heat in zip(titles, heats, strict=True):
        assert np.array_equal(panels[title], overlay_heatmap(picture, heat, 0.5, "magma"))
    geometry = figure.axes[0].get_gridspec()
    assert (geometry.nrows, geometry.ncols) == cells == rows_and_columns(maps + 1, layout)
    # The longer side of a 9 × 8 picture has 4 inches, and a title has 0.3.
    assert tuple(figure.get_size_inches()) == pytest.approx((4 * cells[1], (4 * 8 / 9 + 0.3) * cells[0]), abs=0.01)
    assert figure.get_dpi() == 50
    assert not any(axes.axison for axes in figure.axes)


def test_a_figure_has_the_size_that_was_asked_for() -> None:
    figure = create_comparison_figure(photo(), [HEAT], ["a"], figsize=(3, 2))
    assert tuple(figure.get_size_inches()) == (3, 2)


@pytest.mark.parametrize(("height", "width"), [(200, 300), (300, 200), (100, 400), (160, 160)])
def test_a_figure_has_the_proportions_of_its_picture(height: int, width: int, tmp_path: Path) -> None:
    """Of a black picture at alpha 0, nothing is white but the title and a narrow frame."""
    black, path = np.zeros((height, width, 3), np.uint8), tmp_path / "black.png"
    save_heatmap(black, np.zeros((height, width)), path, alpha=0.0, dpi=40)
    with Image.open(path) as written:
        dark = np.asarray(written.convert("L")) < 128
    rows, columns = (np.flatnonzero(dark.mean(axis=axis) > 0.5) for axis in (1, 0))
    assert len(columns) > 0.93 * dark.shape[1]
    assert dark.shape[0] - len(rows) < 0.5 * 40  # half an inch: the title and two margins


SEEN = np.arange(72).reshape(8, 9) % 9 < 5


def test_outside_the_mask_the_picture_stays_as_it_is() -> None:
    picture = photo()
    plain, masked = overlay_heatmap(picture, HEAT), overlay_heatmap(picture, HEAT, mask=SEEN)
    assert np.array_equal(masked[SEEN], plain[SEEN])
    assert np.array_equal(masked[~SEEN], picture[~SEEN])
    assert not np.array_equal(plain[~SEEN], picture[~SEEN])


def test_a_mask_reaches_every_panel_of_a_saved_figure(tmp_path: Path) -> None:
    """Where nothing is seen, every panel shows the picture."""
    picture, masked, plain = photo(), tmp_path / "masked.png", tmp_path / "plain.png"
    save_heatmap(picture, HEAT, masked, dpi=20, show_heatmap_only=True, mask=np.zeros((8, 9), bool))
    panels = [Panel(title, picture) for title in ("Original", "Heatmap", "Overlay")]
    save_figure(figure_of(panels, "horizontal", dpi=20), plain)
    assert np.array_equal(np.asarray(Image.open(masked)), np.asarray(Image.open(plain)))


@pytest.mark.parametrize("mask", [np.ones((4, 4), bool), np.ones((8, 9)), np.full((8, 9), 1, np.uint8)])
def test_a_mask_that_is_none_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(RenderError, match="valid_mask") as error:
        overlay_heatmap(photo(), HEAT, mask=mask)
    assert code_of(error) == "SW-R25"


def test_swapped_picture_and_map_are_told(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(photo()).save(path)
    for picture in (photo(), photo() / 255, photo()[..., 0], Image.fromarray(photo()), path, str(path)):
        for draw in (overlay_heatmap, lambda first, second: save_heatmap(first, second, tmp_path / "map.png")):
            with pytest.raises(RenderError, match="look swapped") as error:
                draw(HEAT, picture)
            assert code_of(error) == "SW-R24"
    assert not (tmp_path / "map.png").exists()
    overlay_heatmap(photo()[..., 0] / 255, HEAT)  # a gray picture of numbers is none the less one


def test_an_unknown_layout_names_the_three() -> None:
    with pytest.raises(RenderError, match="'grid', 'horizontal' or 'vertical'") as error:
        create_comparison_figure(photo(), [HEAT], ["a"], layout="horizontl")
    assert (code_of(error), error.value.near) == ("SW-R20", ("horizontal",))


def test_each_map_needs_a_title() -> None:
    with pytest.raises(RenderError, match="2 heat maps came with 1 titles") as error:
        create_comparison_figure(photo(), [HEAT, HEAT], ["a"])
    assert code_of(error) == "SW-R21"


def test_polarity_shows_evidence_for_in_red_against_in_blue_on_one_scale() -> None:
    raw = np.zeros((8, 9))
    raw[0, 0], raw[3, 4] = 2.0, -1.0
    panels = shown(polarity_figure(photo(), raw))
    assert list(panels) == ["Original", "Positive", "Negative", "Combined"]
    # 0 is the middle of the scale, 2 its end; -1 is half way from the middle to the other end.
    peak, against, zero = (tuple(colormap("rdbu_r")[step].tolist()) for step in (255, round(255 * 0.25), 128))
    at_peak, at_against = (
        {title: tuple(panels[title][place].tolist()) for title in ("Positive", "Negative", "Combined")}
        for place in ((0, 0), (3, 4))
    )
    assert at_peak == {"Positive": peak, "Negative": zero, "Combined": peak}
    assert at_against == {"Positive": zero, "Negative": against, "Combined": against}
    assert peak[0] > peak[2]
    assert against[2] > against[0]


def test_polarity_of_a_zero_map_is_white_and_of_nan_is_refused() -> None:
    panels = shown(polarity_figure(photo(), np.zeros((8, 9))))
    assert {tuple(colour) for colour in panels["Combined"].reshape(-1, 3)} == {tuple(colormap("rdbu_r")[128])}
    with pytest.raises(RenderError, match="1 of 2 attribution values are not finite") as error:
        polarity_figure(photo(), np.array([[np.nan, 1.0]]))
    assert code_of(error) == "SW-R22"


@pytest.mark.parametrize(
    ("settings", "panels"),
    [
        ({}, 2),
        ({"show_original": False}, 1),
        ({"show_heatmap_only": True}, 3),
        ({"show_original": False, "show_heatmap_only": True}, 2),
    ],
)
def test_a_saved_figure_has_the_panels_asked_for(settings: dict[str, bool], panels: int, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "map.png"
    save_heatmap(photo(), HEAT, path, dpi=20, **settings)
    with Image.open(path) as written:
        assert written.size == (panels * 4 * 20, int((4 * 8 / 9 + 0.3) * 20))


def test_a_format_that_cannot_be_written_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"\.png") as error:
        save_heatmap(photo(), HEAT, tmp_path / "map.pgn")
    assert (code_of(error), "png" in error.value.near) == ("SW-R23", True)
    assert list(tmp_path.iterdir()) == []


SAVES_AND_COMPARES = """
import sys, tempfile
import numpy as np
import seewhy.render.plots
assert "matplotlib" not in sys.modules
from seewhy.visualization import create_comparison_figure, save_heatmap
picture, heat = np.zeros((8, 8, 3), np.uint8), np.eye(8)
for _ in range(3):
    save_heatmap(picture, heat, tempfile.mkdtemp() + "/a.png", dpi=10)
    create_comparison_figure(picture, [heat], ["a"])
assert "matplotlib.pyplot" not in sys.modules, "pyplot keeps figures open"
"""


@pytest.mark.slow
def test_no_figure_is_left_open_and_matplotlib_comes_only_when_drawn() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    program = [sys.executable, "-c", SAVES_AND_COMPARES]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
