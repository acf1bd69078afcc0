"""The plots of a layer's values hold every value, exactly, and say what they leave out."""

import numpy as np
import pytest

from seewhy.render import RenderError
from seewhy.render.plots import save_figure
from seewhy.render.plots_distribution import cumulative, distribution_figure, distribution_of, quantile
from seewhy.render.plots_layers import (
    ACTIVITY_QUANTITIES,
    LAYER_QUANTITIES,
    MEAN,
    Quantity,
    channel_stats_figure,
    layer_comparison_figure,
)

RECTIFIED = np.maximum(np.random.default_rng(0).normal(size=(4, 50, 50)), 0).astype(np.float32)
TABLE = {
    "conv1": {"mean": -0.5, "std": 1.0, "sparsity": 0.0, "near_zero": 0.25, "num_channels": 64, "active_channels": 60},
    "layer1": {"mean": 1.5, "std": 2.0, "sparsity": 0.5, "near_zero": 0.75, "num_channels": 256, "active_channels": 9},
}


def heights(panel):
    return [bar.get_height() for bar in panel.patches]


def test_the_histogram_holds_every_value_once():
    found = distribution_of(RECTIFIED)
    expected, edges = np.histogram(RECTIFIED, 50)
    zeros = int((RECTIFIED == 0).sum())
    np.testing.assert_allclose(found.edges, edges)
    assert found.zeros == zeros
    assert found.counts.sum() + zeros == RECTIFIED.size
    expected[0] -= zeros
    np.testing.assert_array_equal(found.counts, expected)


def test_zeros_are_taken_from_the_bin_they_lie_in():
    found = distribution_of(np.array([-5.0, 0.0, 0.0, 0.04, 5.0]))
    assert found.counts.nonzero()[0].tolist() == [0, 25, 49]
    assert found.counts[25] == 1


@pytest.mark.parametrize("values", [[-2.0, -1.0, 0.0], [0.0, 1.0], [0.0], [-3.0, -3.0], [1e9, 1e9], [0, 1, 1]])
def test_no_value_is_lost_at_the_ends(values):
    found = distribution_of(np.array(values))
    assert found.counts.sum() + found.zeros == len(values)
    assert found.counts.min() == 0
    assert found.edges[0] <= min(values) <= max(values) <= found.edges[-1]


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1001])
def test_quartiles_are_numpys(count):
    values = np.random.default_rng(count).normal(size=count)
    np.testing.assert_allclose(distribution_of(values).quartiles, np.quantile(values, [0.25, 0.5, 0.75]), rtol=1e-12)


def test_a_quantile_without_interpolation_would_be_noticed():
    ordered = np.array([0.0, 10.0])
    assert quantile(ordered, 0.25) == 2.5
    assert ordered[int(0.25 * len(ordered))] != 2.5


def test_whiskers_end_at_values_and_outliers_are_counted():
    # quartiles 2, 4 and 6: the box is 4 high, so that whiskers reach 6 beyond it, to -4 and 12
    found = distribution_of(np.array([-4.0, 2, 2, 4, 4, 6, 6, 12.0, 12.5]))
    assert found.quartiles == (2.0, 4.0, 6.0)
    assert found.whiskers == (-4.0, 12.0)
    assert found.outliers == (0, 1)


def test_the_box_of_mostly_zeros_is_a_line_with_outliers():
    found = distribution_of(np.array([0.0] * 9 + [5.0]))
    assert (found.quartiles, found.whiskers, found.outliers) == ((0.0, 0.0, 0.0), (0.0, 0.0), (0, 1))


def test_the_cumulative_curve_is_exact_at_its_points_and_upright_at_zero():
    ordered = np.sort(RECTIFIED, axis=None)
    curve = cumulative(ordered)
    for place, share in curve[1::2][:: len(curve) // 40]:
        assert share == pytest.approx((ordered <= place).mean())
    assert curve[:2].tolist() == [[0.0, 0.0], [0.0, (ordered == 0).mean()]]
    assert curve[-1].tolist() == [ordered[-1], 1.0]
    assert (np.diff(curve, axis=0) >= 0).all()


def test_values_that_are_no_numbers_are_counted_not_drawn():
    found = distribution_of(np.array([1.0, np.nan, 2.0, np.inf, -np.inf]))
    assert (found.count, found.nonfinite, found.lowest, found.highest) == (2, 3, 1.0, 2.0)
    figure = distribution_figure(np.array([1.0, np.nan, 2.0]), title="layer1")
    assert figure.get_suptitle() == "layer1: 2 values, 1 not finite"


def test_the_mean_is_taken_in_double_precision():
    values = np.full(2**22, 0.1, np.float32)
    assert distribution_of(values).mean == pytest.approx(float(np.float32(0.1)), abs=1e-12)


def test_the_figure_draws_counts_box_and_curve():
    values = np.concatenate([np.zeros(3), np.linspace(1, 50, 50)])
    histogram, box, curve = distribution_figure(values, title="layer1").axes
    found = distribution_of(values)
    assert heights(histogram) == [*found.counts.tolist(), 3]
    assert histogram.patches[-1].get_x() == 0.0
    assert [(patch.get_y(), patch.get_height()) for patch in box.patches] == [
        (found.quartiles[0], found.quartiles[2] - found.quartiles[0])
    ]
    np.testing.assert_array_equal(curve.lines[0].get_xydata(), found.curve * [1, 100])


def test_a_tower_of_zeros_is_cut_and_says_how_high_it_is():
    values = np.concatenate([np.zeros(10_000), np.linspace(1, 50, 50)])
    histogram = distribution_figure(values, title="relu").axes[0]
    assert histogram.patches[-1].get_height() == 10_000
    assert histogram.get_ylim()[1] < 10
    assert histogram.get_legend().get_texts()[1].get_text() == "exactly zero: 99.5 % (10,000 values, bar cut)"


def test_outliers_are_written_not_drawn_one_by_one():
    values = np.concatenate([np.linspace(-1, 1, 96), np.full(4, 100.0)])
    box = distribution_figure(values, title="layer1").axes[1]
    assert [text.get_text() for text in box.texts] == ["4 % above,\nto 100"]
    assert sum(len(line.get_xdata()) for line in box.lines) < 12


def test_channels_have_a_bar_each_and_dead_ones_a_mark():
    means, sparsity = np.array([1.0, 0.0, -2.0]), np.array([0.0, 1.0, 0.5])
    figure = channel_stats_figure(means, means + 1, means + 2, sparsity, title="layer1")
    assert figure.get_suptitle() == "layer1: 3 channels, 1 dead"
    for panel, values in zip(figure.axes, (means, means + 1, means + 2, sparsity), strict=True):
        assert panel.patches[0].get_data().values.tolist() == values.tolist()
        assert panel.lines[-1].get_xdata().tolist() == [1]


def test_who_is_dead_can_be_said():
    ones = np.ones(3)
    figure = channel_stats_figure(ones, ones, ones, ones * 0.5, title="gelu", dead=np.array([True, False, True]))
    assert figure.axes[0].lines[-1].get_xdata().tolist() == [0, 2]
    assert channel_stats_figure(ones, ones, ones, ones * 0.5, title="gelu").legends == []


def test_a_channel_without_numbers_is_counted():
    means = np.array([1.0, np.nan, 3.0])
    figure = channel_stats_figure(means, np.ones(3), np.ones(3), np.zeros(3), title="layer1")
    assert figure.get_suptitle() == "layer1: 3 channels, 0 dead, 1 not finite"
    assert figure.axes[0].get_title() == "Mean (median 2, dashed)"


def test_layers_are_compared_quantity_by_quantity():
    panels = layer_comparison_figure(TABLE).axes
    assert [heights(panel) for panel in panels] == [[-0.5, 1.5], [1.0, 2.0], [0.0, 0.5, 0.25, 0.75], [64.0, 256.0]]
    assert [panel.get_title("left") for panel in panels] == [quantity.title for quantity in LAYER_QUANTITIES]
    assert [label.get_text() for label in panels[2].get_xticklabels()] == ["conv1", "layer1"]
    assert [text.get_text() for text in panels[2].get_legend().get_texts()] == ["exactly zero", "near zero"]


def test_the_quantities_are_an_argument():
    panels = layer_comparison_figure(TABLE, ACTIVITY_QUANTITIES).axes
    assert heights(panels[2]) == [0.0, 0.5]
    assert heights(panels[3]) == [60.0, 9.0]
    [panel] = layer_comparison_figure(TABLE, [Quantity("Peak", ("std",), "activation")]).axes
    assert (panel.get_title("left"), panel.get_ylabel()) == ("Peak", "activation")


def test_a_number_that_is_none_has_no_bar_and_says_so():
    table = {"conv1": {"mean": float("nan")}, "layer1": {"mean": 2.0}}
    [panel] = layer_comparison_figure(table, [MEAN]).axes
    assert heights(panel) == [0.0, 2.0]
    assert [text.get_text() for text in panel.texts] == ["not finite", "2"]


def test_many_layers_with_long_names_and_dollar_signs_are_written(tmp_path):
    table = {f"backbone.blocks.{index}.attention.$projection$": {"mean": 1.0} for index in range(40)}
    figure = layer_comparison_figure(table, [MEAN])
    save_figure(figure, tmp_path / "layer_comparison.png")
    assert all(r"\$" in label.get_text() for label in figure.axes[0].get_xticklabels())
    assert figure.axes[0].texts == [] or all(text.get_text() == "" for text in figure.axes[0].texts)


def test_no_words_overlap_in_a_comparison():
    figure = layer_comparison_figure({f"layer{index}": TABLE["layer1"] for index in range(9)})
    figure.draw_without_rendering()
    for panel in figure.axes[2:]:
        boxes = [label.get_window_extent() for label in panel.get_xticklabels()]
        assert all(box.y0 >= 0 for box in boxes)
    title, legend = figure.axes[2]._left_title.get_window_extent(), figure.axes[2].get_legend().get_window_extent()
    assert title.x1 < legend.x0


@pytest.mark.parametrize(
    ("draw", "code"),
    [
        (lambda: distribution_of(np.zeros(0)), "SW-R55"),
        (lambda: distribution_of(np.array([np.nan, np.inf])), "SW-R55"),
        (lambda: distribution_figure(np.zeros(3, complex), title=""), "SW-R55"),
        (lambda: channel_stats_figure(*[np.zeros(0)] * 4, title=""), "SW-R56"),
        (lambda: channel_stats_figure(*[np.zeros(3)] * 3, np.zeros(4), title=""), "SW-R56"),
        (lambda: channel_stats_figure(*[np.zeros(3)] * 4, title="", dead=np.zeros(2, bool)), "SW-R56"),
        (lambda: layer_comparison_figure({}), "SW-R57"),
        (lambda: layer_comparison_figure(TABLE, []), "SW-R57"),
        (lambda: layer_comparison_figure({"conv1": {"mean": 1.0}}), "SW-R57"),
    ],
)
def test_what_cannot_be_plotted_is_refused(draw, code):
    with pytest.raises(RenderError) as caught:
        draw()
    assert caught.value.code == code


def test_a_missing_number_is_named_with_what_there_is():
    with pytest.raises(RenderError, match=r"(?s)layer 'conv1' has no 'mean'.*nearest: means"):
        layer_comparison_figure({"conv1": {"means": 1.0}}, [MEAN])


@pytest.mark.parametrize("count", [1, 4, 300])
def test_a_layer_without_dead_channels_keeps_its_panels(count, tmp_path):
    number = np.linspace(1, 2, count)
    figure = channel_stats_figure(number, np.zeros(count), number, np.full(count, 0.5), title="layer1")
    save_figure(figure, tmp_path / "stats.png")  # a collapsed layout would warn, and warnings are errors here
    assert all(panel.get_window_extent().height > 100 for panel in figure.axes)
    assert figure.axes[1].get_ylim() == (0, 1)
